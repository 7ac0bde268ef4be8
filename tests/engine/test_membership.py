"""Who is due, and what caused a move."""

import numpy as np
import polars as pl
import pytest

from engine.errors import EngineError
from engine.membership import CAUSES, causes, due
from engine.ticks import Ticks

DAY = 86_400_000_000


# Who is due


def seen(**last):
    return pl.DataFrame({"user": [int(user[1:]) for user in last], "last": list(last.values())})


def test_who_was_active_within_the_window_or_was_touched_is_due():
    at = 1000 * DAY
    start = at - 90 * DAY
    last = seen(u1=start - 1, u2=start, u3=at - 1, u4=0)
    assert due(last, np.array([4, 3]), at, Ticks(), 90).tolist() == [2, 3, 4]


def test_everyone_is_due_the_first_time():
    assert due(seen(u9=5, u2=0), np.array([], np.int64), None, Ticks(), 90).tolist() == [2, 9]


def test_the_window_starts_at_a_local_midnight():
    ticks = Ticks(zone="Europe/Paris")
    at = ticks.at_or_after(1_711_900_000_000_000)  # just after the clocks went forward
    start = ticks.days_before(at, 2)
    assert at - start != 2 * DAY
    assert due(seen(u1=start - 1, u2=start), np.array([], np.int64), at, ticks, 2).tolist() == [2]


# Causes

EVENTS = {"user": pl.Int64, "seq": pl.Int64, "occurred_at": pl.Int64, "late": pl.Int64}


def events(*rows):
    return pl.DataFrame(rows, schema=EVENTS, orient="row")


def caused(users, *rows, as_of=10 * DAY, previous=9 * DAY, edit=None):
    frame = causes(np.array(users), as_of, previous, events(*rows), edit)
    assert frame["user"].to_list() == users
    return list(zip(frame["cause"], frame["cause_seq"], strict=True))


def test_an_event_is_told_by_the_newest_row():
    rows = [(1, 5, 9 * DAY, 0), (1, 8, 9 * DAY + 3, 0), (1, 7, 9 * DAY + 9, 0)]
    assert caused([1], *rows) == [("event", 8)]


def test_without_an_event_it_was_the_clock():
    assert caused([2, 1], (1, 5, 9 * DAY, 0)) == [("clock", None), ("event", 5)]


def test_late_goes_before_event_with_its_own_row():
    rows = [(1, 5, 3 * DAY, 1), (1, 6, 9 * DAY, 0)]
    assert caused([1], *rows) == [("late_event", 5)]


def test_what_was_late_once_is_an_event_in_its_own_tick():
    assert caused([1], (1, 5, 9 * DAY, 1)) == [("event", 5)]
    assert caused([1], (1, 5, 9 * DAY, 1), previous=None) == [("event", 5)]


def test_what_has_not_happened_yet_causes_nothing():
    assert caused([1], (1, 5, 10 * DAY, 0)) == [("clock", None)]


@pytest.mark.parametrize("edit", ["model", "definition", "label", "decision"])
def test_the_edit_that_ran_the_rescore_causes_all(edit):
    assert caused([3, 1], (1, 5, 9 * DAY, 0), edit=(edit, 77)) == [(edit, 77), (edit, 77)]


def test_only_an_edit_runs_a_rescore():
    with pytest.raises(EngineError, match="'clock' is not an edit"):
        caused([1], edit=("clock", 1))


def test_every_cause_given_is_one_of_the_causes():
    given = caused([1, 2, 3], (1, 5, 9 * DAY, 0), (2, 6, 0, 1))
    assert {cause for cause, _ in given} <= set(CAUSES)


def test_nobody_has_no_cause():
    frame = causes(np.array([], np.int64), 10, 5, events(), None)
    assert frame.height == 0
    assert frame.columns == ["user", "cause", "cause_seq"]
