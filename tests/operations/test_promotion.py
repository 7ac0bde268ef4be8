"""Promoting: the pending rescore first, then the edit and its movers; a first model goes back 90 ticks."""

from collections import Counter

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from db import log, projections, vocabulary
from segtui.operations.changes import changes
from segtui.operations.members import members
from segtui.operations.models import promote
from segtui.operations.rescore import rescore, rescore_range
from segtui.operations.segments import segments
from segtui.operations.verify import verify
from tests.operations.conftest import few

SLOW = few(5)
USERS = [f"u{number}" for number in range(12)]


def lively(shop, days):
    """Purchases of twelve users, each at another rhythm and price, up to `days` days after START."""
    rows = []
    for index, user in enumerate(USERS):
        rows += [
            (user, day + 0.1, "purchase", 15.0 * (index + 1)) for day in range(index % 5, days, 3 + 4 * index)
        ]
    shop.events(rows)


def as_flows(before, after):
    """[from, to, users] between two {user: label}, as promote tells them."""
    moved = Counter(
        (before.get(user), after.get(user)) for user in after if before.get(user) != after.get(user)
    )
    return sorted([left, to, count] for (left, to), count in moved.items())


@pytest.mark.parametrize("pause", [0, 40, 200])
def test_a_first_model_tells_the_movers_of_today(shop, record_model, pause):
    shop.at(100.5)
    lively(shop, 100)
    with shop.open() as s:
        rescore(s)
    shop.at(100.5 + pause)
    with shop.open() as s:
        record_model(s, horizon="30d")
        head = s.store.head()
        shown = promote(s, "small", preview=True)
        assert s.store.head() == head, "a preview writes nothing"
        rescore(s)
        before = shop.held(s, None)
        told = promote(s, "small")
        after = shop.held(s, None)
        assert sorted(told["flows"], key=str) == sorted(as_flows(before, after), key=str)
        assert shown["flows"] == told["flows"]
        assert told["changed"] == sum(count for *_, count in told["flows"])
        assert bool(told["changed"]) == (pause < 200), "after long silence everyone is low under both"
        assert verify(s)["ok"]


def test_a_first_model_leaves_what_lies_before_its_90_ticks_to_the_starter_rule(shop, give_model):
    shop.at(100.5)
    lively(shop, 100)
    with shop.open() as s:
        rescore(s)
    shop.at(300.5)
    with shop.open() as s:
        give_model(s, horizon="30d")
        moves = [each for each in changes(s, first=True) if each["as_of"][:10] > shop.day(101)]
        starters = [each for each in moves if each["model"] is None]
        assert starters, "silence moved users while nobody rescored"
        assert {each["as_of"][:10] <= shop.day(301 - 90) for each in starters} == {True}
        assert not any(each["backfilled"] for each in starters)
        own = [each for each in moves if each["model"] is not None]
        assert min(each["as_of"][:10] for each in own) == shop.day(301 - 89)
        assert all(each["backfilled"] for each in own)
        assert {each["cause"] for each in own if each["as_of"][:10] == shop.day(301 - 89)} == {"model"}
        told = segments(s, at=shop.instant(301 - 90))["segmentations"][0]
        assert told["decided_by"] == "starter"
        ticks = projections.rescores(s.store)["as_of"].unique()
        assert ticks.len() == 201, "each tick that ended meanwhile was closed"
        assert verify(s)["ok"]


def test_a_first_model_leaves_other_segmentations_as_recorded(shop, record_model):
    shop.at(100.5)
    lively(shop, 100)
    with shop.open() as s:
        record_model(s, name="sibling", segmentation="other")
        promote(s, "sibling")
        other = vocabulary.number(s.store, "segmentation", "other")
        recorded = log.changes(s.store, segmentation=other, governing=False)
        record_model(s, name="future", horizon="30d")
        promote(s, "future")
        assert log.changes(s.store, segmentation=other, governing=False).equals(recorded)
        own = log.changes(s.store, governing=False).filter(pl.col("segmentation") != other)
        assert own["as_of"].n_unique() > 2, "its own 90 ticks were gone over"


@SLOW
@given(first=st.integers(1, 120), pause=st.integers(0, 150), more=st.integers(0, 30))
def test_members_after_a_first_model_are_those_of_the_log(make_shop, give_model, first, pause, more):
    shop = make_shop()
    shop.at(first + 0.5)
    lively(shop, first + 1)
    with shop.open() as s:
        rescore(s)
    shop.at(first + pause + 0.5)
    with shop.open() as s:
        give_model(s, horizon="30d")
    shop.at(first + pause + more + 0.5)
    with shop.open() as s:
        rescore(s)
        assert verify(s)["ok"], "the projections are the fold of the log"
        as_of = s.require_as_of()
        assert projections.state_digest(s.store) == projections.state_digest(s.store, as_of=as_of)
        digest = projections.state_digest(s.store)
        rescore(s, full=True)
        assert projections.state_digest(s.store) == digest
        by_user = {each["user"]: each["since"] for each in _everyone(s)}
        last = {each["user"]: each["as_of"] for each in changes(s, first=True)}
        assert by_user == last


def _everyone(s):
    return [
        member
        for label in ("high", "medium", "low")
        for member in members(s, f"value={label}", limit=None)["members"]
    ]


def test_a_range_over_what_another_decided_names_the_model(shop, give_model):
    shop.at(60.5)
    lively(shop, 60)
    with shop.open() as s:
        rescore(s)
    shop.at(65.5)
    with shop.open() as s:
        rescore(s)
        give_model(s)
        promoted = [each.seq for each in log.decisions(s.store, kinds=("model_promoted",))]
        list(rescore_range(s, shop.instant(61)))
        moves = [each for each in changes(s) if each["as_of"][:10] == shop.day(62)]
    assert moves
    assert {(each["cause"], each["cause_seq"], each["reason"]) for each in moves} == {
        ("model", promoted[0], moves[0]["reason"])
    }


def test_a_range_past_the_last_rescore_is_the_pending_one(shop):
    shop.at(60.5)
    lively(shop, 60)
    with shop.open() as s:
        rescore(s)
    shop.events([("u11", 30.2, "purchase", 900.0), ("new", 30.3, "purchase", 5.0)])
    shop.at(80.5)
    with shop.open() as s:
        known = s.store.head()
        ticks = list(rescore_range(s, shop.instant(70), shop.instant(75)))
        assert [tick["as_of"][:10] for tick in ticks] == [shop.day(number) for number in range(71, 76)]
        moves = [each for each in changes(s, first=True) if each["seq"] > known]
        assert not any(each["backfilled"] for each in moves)
        late = [each for each in moves if each["user"] in ("u11", "new")]
        assert {each["cause"] for each in late} == {"late_event"}


def test_a_starter_rule_is_marked_where_it_knew_later_users(shop):
    shop.at(60.5)
    lively(shop, 60)
    with shop.open() as s:
        ticks = list(rescore_range(s, shop.instant(40)))
    assert {tick["hindsight"] for tick in ticks[:-1]} == {True}
    assert not ticks[-1]["hindsight"]
    assert ticks[-1]["as_of"][:10] == shop.day(61)
