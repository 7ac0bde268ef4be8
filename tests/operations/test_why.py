"""Why a size moved: the moves add up, and edits, customers and gaps are told apart."""

import pytest

from segtui.operations.errors import OperationError
from segtui.operations.habit import gaps
from segtui.operations.rescore import rescore
from segtui.operations.segment import define, edit
from segtui.operations.why import why


def daily(shop, days, *, without=()):
    """A visitor a day, and eight buyers at rhythms of their own."""
    rows = [("visitor", day + 0.5, "view", None) for day in range(days) if day not in without]
    rows += [
        (f"u{each}", day + 0.1, "purchase", 20.0 * (each + 1))
        for each in range(8)
        for day in range(each, days, 5 + 6 * each)
        if day not in without
    ]
    shop.events(rows)


def test_moves_add_up_and_edits_are_told_from_customers(shop):
    shop.at(80.5)
    daily(shop, 80)
    with shop.open() as s:
        rescore(s)
        define(s, "lately", "recency_days < 20")
    shop.at(100.5)
    with shop.open() as s:
        rescore(s)
        edit(s, "lately", "recency_days < 45")
    shop.at(110.5)
    with shop.open() as s:
        rescore(s)
        told = why(s, "lately", from_=shop.instant(85))
        assert told["before"] + told["in"] - told["out"] == told["after"]
        assert set(told["by_cause"]) == {"clock", "definition"}
        assert told["by_edits"] == told["by_cause"]["definition"]["in"] > 0
        assert told["by_customers"] == -told["by_cause"]["clock"]["out"] < 0
        assert (told["model_changed"], told["definition_changed"]) == (False, True)
        reasons = {reason: count for reason, count in told["by_reason"] if reason.startswith("no order")}
        assert reasons.keys() == {"no order for 20 d", "no order for 45 d"}
        assert sum(reasons.values()) == told["by_cause"]["clock"]["out"]
        calm = why(s, "lately=in", from_=shop.instant(104), to=shop.instant(105))
        assert (calm["in"], calm["out"], calm["definition_changed"]) == (0, 0, False)
        assert sum(count for _, count in told["by_reason"]) == told["in"] + told["out"]


def test_a_model_is_told_from_customers(shop, give_model):
    shop.at(80.5)
    daily(shop, 80)
    with shop.open() as s:
        rescore(s)
    shop.at(81.5)
    with shop.open() as s:
        rescore(s)
        give_model(s)
        told = {
            label: why(s, f"value={label}", from_=shop.instant(81)) for label in ("high", "medium", "low")
        }
    assert any(each["model_changed"] for each in told.values())
    assert sum(each["by_edits"] for each in told.values()) == 0, "who left one label came to another"
    for each in told.values():
        assert each["before"] + each["by_edits"] + each["by_customers"] == each["after"]


def test_days_that_usually_bring_something_are_gaps(shop):
    shop.at(90.5)
    sundays = [day for day in range(90) if day % 7 == 6]
    daily(shop, 90, without=[*sundays, 80, 81])
    with shop.open() as s:
        found = gaps(s, shop.instant(70), shop.instant(91))
        assert [s.iso(tick)[:10] for tick in found] == [shop.day(81), shop.day(82)]


def test_what_cannot_be_answered_is_said(shop):
    shop.at(5.5)
    shop.events([("ann", 0.5, "purchase", 50.0)])
    with shop.open() as s:
        with pytest.raises(OperationError, match="ever scored"):
            why(s, "value=high")
        rescore(s)
        with pytest.raises(OperationError, match="widen the range"):
            why(s, "value=high", from_=shop.instant(4), to=shop.instant(3))
        with pytest.raises(OperationError, match="no label"):
            why(s, "value=best")
