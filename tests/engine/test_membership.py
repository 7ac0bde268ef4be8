"""Deciding on integers, who is due, and what caused a move."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import EngineError
from engine.membership import CAUSES, DecisionPolicy, causes, decide, due
from engine.ticks import Ticks

DAY = 86_400_000_000
MILLION = 1_000_000


def table(*rows):
    return np.array(rows, np.int32)


def naive(scores, closed, policy, held):
    """The rule read out for one user."""
    top = max(range(len(scores)), key=lambda code: (scores[code], -code))
    if closed < 0:
        return top
    if policy.min_stay and held < policy.min_stay:
        return closed
    return top if scores[top] - scores[closed] > policy.margin else closed


@given(
    st.lists(
        st.tuples(
            st.lists(st.integers(0, 20), min_size=3, max_size=3), st.integers(-1, 2), st.integers(0, 5)
        ),
        min_size=1,
        max_size=30,
    ),
    st.integers(0, 10),
    st.integers(0, 3),
)
def test_labels_are_what_the_rule_says_user_by_user(rows, margin, min_stay):
    policy = DecisionPolicy(margin=margin, min_stay=min_stay)
    scores = np.array([row[0] for row in rows], np.int32)
    closed, held = np.array([row[1] for row in rows]), np.array([row[2] for row in rows])
    expected = [
        naive(list(each), int(c), policy, int(h)) for each, c, h in zip(scores, closed, held, strict=True)
    ]
    assert decide(scores, closed, policy, held).tolist() == expected


def test_a_first_label_is_the_likeliest_and_the_earlier_on_a_tie():
    scores = table((400_000, 400_000, 200_000), (100_000, 450_000, 450_000))
    assert decide(scores, np.array([-1, -1]), DecisionPolicy()).tolist() == [0, 1]


def test_the_margin_must_be_beaten_not_met():
    policy = DecisionPolicy(margin=50_000)
    scores = table((525_000, 475_000), (525_001, 475_000))
    assert decide(scores, np.array([1, 1]), policy).tolist() == [1, 0]


def test_the_margin_counts_from_the_label_held_not_from_the_second_best():
    scores = table((500_000, 480_000, 20_000))
    assert decide(scores, np.array([2]), DecisionPolicy()).tolist() == [0]


def test_a_minimum_stay_holds_until_it_is_over():
    scores = table((900_000, 100_000), (900_000, 100_000))
    policy = DecisionPolicy(min_stay=7)
    assert decide(scores, np.array([1, 1]), policy, np.array([6, 7])).tolist() == [1, 0]


def test_a_minimum_stay_needs_to_know_how_long():
    with pytest.raises(EngineError, match="how long"):
        decide(table((1, 0)), np.array([0]), DecisionPolicy(min_stay=1))


@pytest.mark.parametrize("settings", [{"margin": -1}, {"margin": MILLION + 1}, {"min_stay": -1}])
def test_a_policy_out_of_range_is_refused(settings):
    with pytest.raises(EngineError):
        DecisionPolicy(**settings)


def test_nobody_is_decided_to_nobody():
    assert decide(np.zeros((0, 3), np.int32), np.zeros(0, int), DecisionPolicy()).shape == (0,)


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
