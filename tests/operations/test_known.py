"""The past with what is known now: late events where they belong, and nothing else changed."""

import pytest

from db import projections
from segtui.operations.decide import decide
from segtui.operations.known import known_now
from segtui.operations.policies import Wish
from segtui.operations.replay import replay
from segtui.operations.rescore import rescore
from segtui.operations.segment import define, edit


@pytest.fixture
def lived(lived_through, record_model):
    """Scored on days 2 to 14: a model from day 6 on, a rule edited on day 9, a policy set on day 11."""

    def story(shop):
        from segtui.operations.models import promote

        shop.at(2.5)
        shop.events(
            [("ann", 0.5, "purchase", 60.0), ("bob", 1.5, "purchase", 10.0), ("cat", 1.0, "view", None)]
        )
        for day in range(2, 15):
            shop.at(day + 0.5)
            with shop.open() as s:
                rescore(s)
                if day == 2:
                    define(s, "lately", "recency_days < 5")
                if day == 6:
                    record_model(s)
                    promote(s, "small")
                if day == 9:
                    edit(s, "lately", "recency_days < 9")
                if day == 11:
                    decide(s, "value", Wish(margin=200_000))
            shop.events([("bob", day + 0.1, "purchase", 15.0)])

    return lived_through(story)


def test_where_nothing_came_late_it_is_what_was_recorded(lived):
    with lived.open() as s:
        head = s.store.head()
        told = list(known_now(s))
        assert [each["differs"] for each in told] == [{"lately": 0, "value": 0}] * len(told)
        assert all(each["corrections"] == [] for each in told)
        recorded = [each["state_digest"] for each in replay(s)]
        assert [each["state_digest"] for each in told] == recorded
        assert s.store.head() == head


def test_a_late_event_corrects_the_ticks_it_belongs_to(lived):
    with lived.open() as s:
        before = [each["state_digest"] for each in replay(s)]
    lived.events([("cat", 4.5, "purchase", 50.0)])
    with lived.open() as s:
        rescore(s)
        assert [each["state_digest"] for each in replay(s)][:-1] == before[:-1], "recorded stays recorded"
        told = {each["as_of"][:10]: each for each in known_now(s)}
        # Bought on day 4: lately for closes 5 to 8 by the rule of then, for 10 to 12 by that of day 9.
        moved = {
            day: [each for each in frame["corrections"] if each[0] == "lately"] for day, frame in told.items()
        }
        corrected = {day for day in range(3, 15) if moved[lived.day(day)] == [["lately", "out", "in", 1]]}
        assert corrected == {5, 6, 7, 8, 10, 11, 12}
        assert sum(map(len, moved.values())) == len(corrected)
        assert told[lived.day(8)]["differs"]["lately"] == 1
        state = projections.state_digest(s.store)
        assert list(told.values())[-1]["state_digest"] == state, "by now all of it had been seen"
