"""Rescoring: incremental equals full, batching inside a tick changes nothing, every change has its cause."""

from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from db import log, projections
from segtui.operations.changes import changes
from segtui.operations.errors import OperationError
from segtui.operations.replay import replay
from segtui.operations.rescore import rescore, rescore_range
from segtui.operations.segment import define, from_file
from segtui.operations.segments import segments
from segtui.operations.verify import verify
from tests.operations.conftest import few
from tests.operations.stories import play, stories

START = datetime(2026, 1, 5, tzinfo=UTC)
SLOW = few(5)

event = st.tuples(
    st.sampled_from(["ann", "bob", "cat", "dan", "eve"]),
    st.floats(0, 0.99),
    st.sampled_from(["purchase", "purchase", "view"]),
    st.sampled_from([5.0, 40.0, 120.0]),
)
days = stories(event, most=5)


def lived(shop, story, **how):
    """The state digests of a shop that lived through the story."""
    return play(shop, story, shop.events, **how)


@SLOW
@given(story=days)
def test_incremental_equals_full_under_the_starter_rule(make_shop, story):
    assert lived(make_shop(), story, full=False) == lived(make_shop(), story, full=True)


@SLOW
@given(story=days, promote_after=st.integers(0, 3))
def test_incremental_equals_full_under_a_model(make_shop, give_model, story, promote_after):
    once = lived(make_shop(), story, full=False, give_model=give_model, promote_after=promote_after)
    again = lived(make_shop(), story, full=True, give_model=give_model, promote_after=promote_after)
    assert once == again


@SLOW
@given(story=days, cuts=st.integers(1, 3))
def test_batches_inside_a_tick_change_no_label_at_its_close(make_shop, give_model, story, cuts):
    """The same events once in one import, once in several with a rescore after each."""
    digests = []
    for pieces in (1, cuts):
        shop = make_shop()
        shop.at(0)
        shop.events([("zoe", 0.0, "purchase", 80.0)])
        with shop.open() as s:
            give_model(s)
        today, closed = 0, []
        for pause, fresh, _, _ in story:
            today += pause
            shop.at(today + 0.5)
            rows = [(user, today + offset, kind, amount) for user, offset, kind, amount in fresh]
            for piece in range(pieces):
                part = rows[piece::pieces]
                if part:
                    shop.events(part)
                with shop.open() as s:
                    rescore(s)
            with shop.open() as s:
                shop.at(today + 1.5)
                rescore(s)
                closed.append(shop.held(s, s.ticks.end_holding(shop.instant(today))))
        digests.append(closed)
    assert digests[0] == digests[1]


@SLOW
@given(story=days)
def test_every_change_resolves_to_its_cause_and_the_store_verifies(make_shop, give_model, story):
    shop = make_shop()
    lived(shop, story, full=False, give_model=give_model, promote_after=1)
    with shop.open() as s:
        told = list(changes(s, first=True))
        events = set(log.behaviour(s.store)["seq"])
        decisions = {each.seq: each.kind for each in log.decisions(s.store)}
        for change in told:
            assert change["reason"]
            match change["cause"]:
                case "clock":
                    assert change["cause_seq"] is None
                case "event" | "late_event":
                    assert change["cause_seq"] in events
                case "model":
                    assert decisions[change["cause_seq"]] == "model_promoted"
                case other:
                    raise AssertionError(other)
        found = verify(s)
        assert found["ok"], found["checks"]
        assert sum(each["users"] for each in segments(s)["segmentations"][0]["labels"]) >= 2


def test_who_moves_by_an_event_moves_for_what_it_changed(shop):
    """Not for what time did in the same tick; the event told is one that the reason speaks of."""
    shop.at(1.5)
    shop.events([("ann", 0.5, "purchase", 50.0), ("bob", 0.5, "purchase", 50.0), ("cat", 0.5, "view", None)])
    with shop.open() as s:
        rescore(s)
        define(s, "back", "trend_28d <= 0 AND orders_28d >= 1")
        define(s, "quiet", "recency_days > 28")
    shop.at(27.8)
    with shop.open() as s:
        rescore(s)
    shop.at(28.8)
    shop.events([("ann", 28.6, "purchase", 50.0), ("ann", 28.7, "view", None), ("bob", 28.7, "view", None)])
    with shop.open() as s:
        rescore(s)
        told = {(each["user"], each["segmentation"]): each for each in changes(s, from_=shop.instant(28))}
        kinds = dict(s.events().select("seq", pl.col("kind").cast(pl.String)).iter_rows())
    # The former order went from the last 28 d into those before it, so beside the day before the trend fell.
    back = told["ann", "back"]
    assert (back["to"], back["cause"], back["reason"]) == ("in", "event", "orders of 28 d rose to 1")
    assert kinds[back["cause_seq"]] == "purchase"
    # A view that changed nothing that the rule reads: what time did is told.
    quiet = told["bob", "quiet"]
    assert (quiet["to"], quiet["cause"], quiet["reason"]) == ("in", "event", "no order for 28 d")
    assert kinds[quiet["cause_seq"]] == "view"


def test_silence_moves_a_user_at_the_tick_the_rule_names(shop):
    """A user who bought on day 0 is low once the order is more than 90 days old, and not a day later."""
    shop.events([("ann", 0.5, "purchase", 50.0), ("bob", 0.5, "purchase", 10.0)])
    with shop.open() as s:
        rescore(s)
    for day in range(1, 95):
        shop.at(day + 0.5)
        with shop.open() as s:
            rescore(s)
    with shop.open() as s:
        moves = [each for each in changes(s) if each["user"] == "ann"]
    assert [(each["as_of"][:10], each["to"], each["cause"]) for each in moves] == [
        ("2026-04-06", "low", "clock")
    ]
    assert "90" in moves[0]["reason"]


def test_ticks_that_ended_meanwhile_are_closed_one_by_one(shop):
    shop.events([("ann", 0.5, "purchase", 50.0), ("bob", 0.5, "purchase", 10.0)])
    with shop.open() as s:
        rescore(s)
    shop.at(100.5)
    with shop.open() as s:
        told = rescore(s)
        move = next(each for each in changes(s) if each["user"] == "ann")
    assert len(told["ticks"]) >= 100
    assert move["as_of"][:10] == "2026-04-06"


def test_a_late_event_is_flagged_and_moves_its_user_now(shop):
    shop.events([("ann", 0.1, "purchase", 50.0), ("bob", 0.1, "purchase", 90.0)])
    shop.at(120.5)
    with shop.open() as s:
        rescore(s)
    told = shop.events([("ann", 100.0, "purchase", 20.0)])
    assert told["late"] == 1
    with shop.open() as s:
        rescore(s)
        move = next(changes(s, newest_first=True, limit=1))
    assert (move["user"], move["from"], move["cause"]) == ("ann", "low", "late_event")
    assert move["as_of"][:10] == "2026-05-06"


def test_twice_in_a_row_records_nothing_new(shop):
    shop.events([("ann", 0.1, "purchase", 50.0)])
    with shop.open() as s:
        rescore(s)
        head = s.store.head()
        told = rescore(s)
        assert (told["due"], told["evaluated"], told["changed"]) == (0, 0, 0)
        assert s.store.head() == head


def test_a_range_opens_a_pass_that_the_fold_reads_and_keeps_the_old_rows(shop):
    shop.events([("ann", 0.1, "purchase", 50.0), ("bob", 2.0, "purchase", 90.0)])
    shop.at(100.5)
    with shop.open() as s:
        rescore(s)
        before = log.changes(s.store, governing=False).height
        head = projections.state_digest(s.store)
        ticks = list(rescore_range(s, shop.instant(1), shop.instant(20)))
        assert ticks[-1]["as_of"][:10] == "2026-04-16", "a range runs on to the last recorded as-of"
        assert projections.state_digest(s.store) == head
        everything = log.changes(s.store, governing=False)
        assert everything.height > before
        assert everything.filter(pl.col("pass") == 1).height == before
        assert all(each["backfilled"] for each in changes(s, first=True))
        last = list(replay(s, from_=shop.instant(1), to=shop.instant(50)))[-1]
        then = segments(s, at=shop.instant(50))["segmentations"][0]["labels"]
        assert last["sizes"]["value"] == {each["label"]: each["users"] for each in then}
        assert verify(s)["ok"]


def test_each_tick_tells_the_digest_of_all_segmentations_lists_too(shop, tmp_path):
    shop.at(100.5)
    shop.events([("ann", 0.1, "purchase", 50.0), ("bob", 2.0, "purchase", 90.0)])
    path = tmp_path / "known.txt"
    path.write_text("bob\n")
    with shop.open() as s:
        rescore(s)
        from_file(s, "known", path)
        shop.at(102.5)
    with shop.open() as s:
        closed = rescore(s)["ticks"]
        again = list(rescore_range(s, shop.instant(60)))
        assert len(closed) == 2
        for each in (*closed, *again):
            assert each["state_digest"] == projections.state_digest(s.store, as_of=s.instant(each["as_of"]))
        assert again[-1]["state_digest"] == projections.state_digest(s.store)


def test_what_cannot_be_rescored_is_said(shop):
    shop.at(0.5)
    shop.events([("ann", 0.1, "purchase", 50.0)])
    with shop.open() as s:
        rescore(s)
        with pytest.raises(OperationError, match="past the current as-of"):
            rescore(s, at=shop.instant(30))
    shop.at(30)
    with shop.open() as s:
        rescore(s)
        with pytest.raises(OperationError, match="--from and --to"):
            rescore(s, at=shop.instant(3))
        with pytest.raises(OperationError, match="holds no tick"):
            rescore_range(s, shop.instant(20), shop.instant(10))
        with pytest.raises(OperationError, match="Nobody did anything before 2026-01-05T00:00:00"):
            rescore_range(s, shop.instant(-9000), shop.instant(-8000))
        walked = list(rescore_range(s, shop.instant(-9000), shop.instant(2)))
        assert [each["as_of"][:10] for each in walked[:2]] == ["2026-01-06", "2026-01-07"]


def test_nothing_to_rescore_is_said(shop):
    with shop.open() as s, pytest.raises(OperationError, match="no events yet"):
        rescore(s)
    shop.events([("ann", 0.0, "view", None)])
    with shop.open() as s:
        with pytest.raises(OperationError, match="starter rule needs purchases"):
            rescore(s)
        assert s.store.rows("SELECT count(*) FROM decisions WHERE kind = 'rescored'") == [(0,)]


def test_a_past_instant_names_what_decided_then(shop, give_model):
    shop.events([("ann", 0.1, "purchase", 50.0), ("bob", 0.1, "purchase", 90.0)])
    shop.at(5.5)
    with shop.open() as s:
        rescore(s)
    shop.at(9.5)
    with shop.open() as s:
        give_model(s)
        then, now = (segments(s, at=at)["segmentations"][0] for at in (shop.instant(6), None))
    assert (then["decided_by"], then["model"]) == ("starter", None)
    assert now["decided_by"] == "model"


def test_a_segmentation_decided_late_labels_everyone_at_once(make_shop, give_model):
    """The starter rule is fitted when the first orders come, long after another segmentation was scored."""
    digests = []
    for full in (False, True):
        shop = make_shop()
        shop.at(0.5)
        shop.events([(name, 0.1, "view", None) for name in ("ann", "bob", "cat", "dan")])
        with shop.open() as s:
            give_model(s, "other")
        shop.at(100.5)
        with shop.open() as s:
            rescore(s)
        shop.events([("eve", 100.1, "purchase", 50.0), ("ann", 100.2, "purchase", 20.0)])
        with shop.open() as s:
            digests.append(rescore(s, full=full)["state_digest"])
            labels = next(each for each in segments(s)["segmentations"] if each["name"] == "value")["labels"]
            assert sum(each["users"] for each in labels) == 5
    assert digests[0] == digests[1]
