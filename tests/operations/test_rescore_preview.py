"""What a rescore would do, told beforehand: the same as what it then does, and nothing is written."""

import pytest

from segtui.operations.changes import changes
from segtui.operations.progress import Stopped
from segtui.operations.rescore import rescore
from segtui.operations.segment import define

TOLD = ("as_of", "position", "due", "evaluated", "changed", "by_cause", "flows", "state_digest", "hindsight")


def same(told):
    return {name: told[name] for name in TOLD}


@pytest.fixture
def lived(shop):
    """Scored on day 10, with events and a rule since; 30 ticks are due."""
    shop.at(10.5)
    shop.events([("ann", 1.0, "purchase", 60.0), ("bob", 9.0, "purchase", 10.0), ("cat", 8.0, "view", None)])
    with shop.open() as s:
        rescore(s)
        define(s, "lately", "recency_days < 5")
    shop.at(40.5)
    shop.events([("dan", 35.5, "purchase", 90.0), ("ann", 40.1, "purchase", 5.0)])
    return shop


def test_a_preview_is_what_is_then_recorded(lived):
    with lived.open() as s:
        head = s.store.head()
        before = rescore(s, preview=True)
        assert (s.store.head(), before["preview"]) == (head, True)
        done = rescore(s)
        assert same(before) == same(done)
        assert s.store.head() > head
        recorded = changes(s, first=True)
        own = [each for each in recorded if each["seq"] > head]
        assert sum(moved for *_, moved in done["flows"]) == len(own) == done["changed"] > 0
        for name, left, to, moved in done["flows"]:
            among = [
                each for each in own if (each["segmentation"], each["from"], each["to"]) == (name, left, to)
            ]
            assert len(among) == moved


def test_of_the_very_first_rescore(shop):
    shop.at(10.5)
    shop.events([("ann", 1.0, "purchase", 60.0), ("bob", 9.0, "purchase", 10.0)])
    with shop.open() as s:
        before = rescore(s, preview=True)
        assert {(left, moved) for _, left, _, moved in before["flows"]} <= {(None, 1), (None, 2)}
        assert same(before) == same(rescore(s))
        again = rescore(s, preview=True)
        assert (again["due"], again["flows"]) == (0, [])


def test_a_preview_is_called_off(lived):
    with lived.open() as s:
        head = s.store.head()
        with pytest.raises(Stopped):
            rescore(s, preview=True, cancelled=lambda: True)
        assert s.store.head() == head
