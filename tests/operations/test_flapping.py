"""The flapping report: closes only, no edits, and a range and a span that hold."""

import pytest

from segtui.operations.errors import OperationError
from segtui.operations.flapping import flapping
from segtui.operations.rescore import rescore
from segtui.operations.segment import define, edit
from segtui.operations.times import TimeError


@pytest.fixture
def weekly(shop):
    """A segment of who bought in the last week: ann buys each tenth day, bob each day, cat once."""
    shop.at(41.5)
    shop.events(
        [("ann", day + 0.5, "purchase", 10.0) for day in (1, 11, 21, 31)]
        + [("bob", day + 0.5, "purchase", 10.0) for day in range(40)]
        + [("cat", 5.5, "purchase", 10.0)]
    )
    for day in range(2, 41, 1):
        shop.at(day + 0.5)
        with shop.open() as s:
            if day == 2:
                define(s, "lately", "recency_days < 7")
            else:
                rescore(s)
    return shop


def test_who_comes_back_soon_is_told_with_the_way(weekly):
    with weekly.open() as s:
        told = flapping(s, "lately", within="14d")
        assert told["pairs"] == [["in", "out", 3], ["out", "in", 3]]
        assert [each["user"] for each in told["members"]] == ["ann"]
        assert told["users"] == 1
        assert told["returns"] == sum(count for _, _, count in told["pairs"])
        assert flapping(s, "lately", within="2d")["returns"] == 0
        assert flapping(s, "lately", within="14d", limit=0)["members"] == []
        late = flapping(s, "lately", within="14d", from_=weekly.instant(30))
        assert 0 < late["returns"] < told["returns"]


def test_the_open_tick_and_edits_do_not_count(shop):
    shop.events([("ann", 0.1, "purchase", 10.0)])
    shop.at(1.5)
    with shop.open() as s:
        define(s, "lately", "recency_days < 7")
        edit(s, "lately", "recency_days < 0")
        edit(s, "lately", "recency_days < 7")
        rescore(s)
    for day, rule in ((2.5, "recency_days < 0"), (3.5, "recency_days < 7"), (4.5, None)):
        shop.at(day)
        with shop.open() as s:
            if rule:
                edit(s, "lately", rule)
            else:
                rescore(s)
    with shop.open() as s:
        assert (flapping(s, "lately")["moves"], flapping(s, "lately")["returns"]) == (2, 0)


def test_what_cannot_be_told_is_said(shop):
    with shop.open() as s:
        with pytest.raises(OperationError, match="No segmentation 'nope'"):
            flapping(s, "nope")
        with pytest.raises(OperationError, match="ever scored"):
            flapping(s)
    shop.events([("ann", 0.0, "purchase", 10.0)])
    with shop.open() as s:
        rescore(s)
        with pytest.raises(OperationError, match="No tick closed"):
            flapping(s, from_=shop.instant(5))
        with pytest.raises(TimeError, match="number of days"):
            flapping(s, within="soon")
