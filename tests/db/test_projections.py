"""Folds: memberships, sizes, history and transitions at any as-of and position, over passes."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from db import log, lookups, projections, rebuilding, snapshots
from db.chain import verify
from db.store import Store, Transaction

Frame = Callable[..., pl.DataFrame]
Rescore = Callable[..., int]

VALUE, HIGH, LOW, OTHER = 1, 2, 3, 4
NAMED = ((HIGH, "high"), (LOW, "low"))


@dataclass(frozen=True)
class Rescored:
    """One rescore of segmentation 'value': a tick, its pass, and who moves where (None: out)."""

    number: int
    start: int | None
    as_of: int
    moved: dict[int, int | None] = field(default_factory=dict)


def record(
    store: Store,
    rescores: list[Rescored],
    moves: Frame,
    rescore: Rescore,
    *,
    together: bool = False,
    keep: bool = False,
) -> None:
    """One commit per rescore, or all in one; members and sizes are saved as operations do.

    `keep`: the snapshots of memberships stay, which a rebuild drops.
    """
    groups = [rescores] if together else [[each] for each in rescores]
    for group in groups:
        with store.transaction(actor="ann") as tx:
            assert [
                tx.number("segmentation", "value"),
                tx.number("label", "high"),
                tx.number("label", "low"),
            ] == [1, 2, 3]
            for each in group:
                rescore(tx, each.as_of, number=each.number, start=each.start)
            for each in group:
                rows = [
                    {
                        "user": user,
                        "to_label": label,
                        "probability": 500_000,
                        "as_of": each.as_of,
                        "pass": each.number,
                    }
                    for user, label in each.moved.items()
                ]
                tx.append_changes(moves(*rows))
        kept = store.rows("SELECT * FROM snapshots WHERE name LIKE 'members:%'") if keep else []
        with store.transaction(actor="ann") as tx:
            rebuilding.rebuild(store, tx)
            store.connection.executemany("INSERT INTO snapshots VALUES (?, ?, ?)", kept)


def labels(frame: pl.DataFrame) -> dict[int, int]:
    return dict(frame.select("user", "label").iter_rows())


def naive(rescores: list[Rescored], as_of: int) -> dict[int, int]:
    """Memberships by the words of the definition: per as-of the newest pass, replayed in order."""
    openings: dict[int, float] = {}
    for each in rescores:
        openings.setdefault(each.number, float("-inf") if each.start is None else each.start)
    held: dict[int, int] = {}
    ordered = sorted(enumerate(rescores), key=lambda pair: (pair[1].as_of, pair[0]))
    for _, each in ordered:
        if each.as_of > as_of or any(k > each.number and start < each.as_of for k, start in openings.items()):
            continue
        for user, label in each.moved.items():
            if label is None:
                held.pop(user, None)
            else:
                held[user] = label
    return held


@st.composite
def histories(draw: st.DrawFn) -> list[Rescored]:
    """Passes of rescores whose as-ofs never decrease; each later pass starts somewhere in the past."""
    moved = st.dictionaries(st.integers(1, 4), st.sampled_from([HIGH, LOW, None]), max_size=4)
    found = []
    for number in range(1, draw(st.integers(1, 3)) + 1):
        start = None if number == 1 else draw(st.none() | st.integers(0, 6))
        as_ofs = sorted(draw(st.lists(st.integers((start or 0) + 1, 8), min_size=1, max_size=4)))
        found += [Rescored(number, start, as_of, draw(moved)) for as_of in as_ofs]
    return found


@settings(max_examples=20, deadline=None)
@given(history=histories(), together=st.booleans())
def test_memberships_at_any_as_of_and_position_are_the_replayed_rescores(
    moves: Frame, rescore: Rescore, history: list[Rescored], together: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder, Store.create(Path(folder) / "shop.db") as store:
        record(store, history, moves, rescore, together=together)
        for as_of in range(10):
            expected = naive(history, as_of)
            assert labels(projections.memberships(store, VALUE, as_of=as_of)) == expected
            sizes = {label: list(expected.values()).count(label) for label in sorted(set(expected.values()))}
            assert projections.sizes(store, VALUE, as_of=as_of) == sizes
            assert projections.sizes(store, VALUE, as_of=as_of, position=store.head()) == sizes
        head = projections.memberships(store, VALUE)
        assert labels(head) == naive(history, 99)
        folded = projections.memberships(store, VALUE, position=store.head())
        for few in ([], [2], [1, 3, 99]):
            assert_frame_equal(
                projections.memberships(store, VALUE, users=few), head.filter(pl.col("user").is_in(few))
            )
            held = projections.memberships(store, VALUE, as_of=5)
            assert_frame_equal(
                projections.memberships(store, VALUE, as_of=5, users=few),
                held.filter(pl.col("user").is_in(few)),
            )
        assert_frame_equal(head.select(folded.columns), folded)
        assert projections.state_digest(store) == projections.state_digest(store, position=store.head())
        assert projections.state_digest(store) == projections.state_digest(store, as_of=99)
        assert [check for check in verify(store) if not check.ok] == []
        if not together:
            seqs = [decision.seq for decision in log.decisions(store)]
            ends = [seq + len(each.moved) for seq, each in zip(seqs, history, strict=True)]
            for end, upto in zip(ends, range(1, len(history) + 1), strict=True):
                known = history[:upto]
                assert labels(projections.memberships(store, VALUE, position=end)) == naive(known, 99)
                assert labels(projections.memberships(store, VALUE, position=end, as_of=4)) == naive(known, 4)


@settings(max_examples=10, deadline=None)
@given(history=histories())
def test_the_state_is_the_same_in_any_split_of_the_commits(
    moves: Frame, rescore: Rescore, history: list[Rescored]
) -> None:
    digests = set()
    for together in (False, True):
        with tempfile.TemporaryDirectory() as folder, Store.create(Path(folder) / "shop.db") as store:
            record(store, history, moves, rescore, together=together)
            digests.add(projections.state_digest(store))
    assert len(digests) == 1


@settings(max_examples=25, deadline=None)
@given(history=histories(), taken=st.sets(st.integers(0, 11)), together=st.booleans())
def test_folds_from_zero_and_from_every_snapshot_lead_to_one_state(
    moves: Frame, rescore: Rescore, history: list[Rescored], taken: set[int], together: bool
) -> None:
    """Wherever snapshots were taken, and whichever of them are left."""
    with tempfile.TemporaryDirectory() as folder, Store.create(Path(folder) / "shop.db") as store:
        positions = []
        for at, part in enumerate([history] if together else [[each] for each in history]):
            record(store, part, moves, rescore, together=together, keep=True)
            positions.append(store.head())
            if at in taken:
                snapshots.take(store, VALUE)
        asked = [(position, as_of) for position in positions for as_of in (None, *range(10))]
        kept = [each.name for each in snapshots.held(store)]
        assert len(kept) <= len(taken)
        states = []
        for gone in [None, *kept]:
            if gone is not None:
                store.connection.execute("DELETE FROM snapshots WHERE name = ?", (gone,))
            states.append(
                [
                    (
                        projections.state_digest(store, position=position, as_of=as_of),
                        projections.memberships(store, VALUE, position=position, as_of=as_of).rows(),
                    )
                    for position, as_of in asked
                ]
            )
            assert [check for check in verify(store) if not check.ok] == []
        assert all(state == states[0] for state in states)
        assert states[0][-11][0] == projections.state_digest(store)


def test_a_snapshot_is_taken_when_enough_has_changed_and_starts_the_next_fold(
    store: Store, moves: Frame, rescore: Rescore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "EVERY_CHANGES", 3)
    record(store, TICKS[:1], moves, rescore, keep=True)
    (first,) = snapshots.held(store)
    assert (first.segmentation, first.as_of) == (VALUE, 10)
    record(store, TICKS[1:], moves, rescore, keep=True)
    assert snapshots.held(store) == [first]
    before = projections.memberships(store, VALUE, as_of=30)
    # A wrong snapshot would show: what lies before it is not read again.
    forged = snapshots.load(store, first).with_columns(pl.lit(LOW, pl.Int64).alias("label"))
    monkeypatch.setattr(snapshots, "load", lambda *_: forged)
    assert labels(before) == {2: LOW, 3: HIGH}
    assert labels(projections.memberships(store, VALUE, as_of=10)) == {1: LOW, 2: LOW, 3: LOW}
    assert labels(projections.memberships(store, VALUE, as_of=30)) == {2: LOW, 3: HIGH}
    assert "snapshots" in {check.name for check in verify(store) if not check.ok}
    assert labels(projections.memberships(store, VALUE, as_of=9)) == {}


@settings(max_examples=60, deadline=None)
@given(data=st.data(), history=histories())
def test_a_fold_does_not_depend_on_the_order_of_its_rows(
    moves: Frame, data: st.DataObject, history: list[Rescored]
) -> None:
    rows = [
        {"user": user, "to_label": label, "as_of": each.as_of, "pass": each.number}
        for each in history
        for user, label in each.moved.items()
    ]
    frame = moves(*rows).with_columns(seq=pl.int_range(1, len(rows) + 1, dtype=pl.Int64))
    shuffled = frame[data.draw(st.permutations(range(len(rows))))] if rows else frame
    assert_frame_equal(projections.fold(shuffled), projections.fold(frame))
    # Surrogates that are few among many fold as those that follow each other do.
    apart = pl.col("user") * 1_000
    sparse = projections.fold(shuffled.with_columns(apart))
    assert_frame_equal(sparse, projections.fold(frame).with_columns(apart))
    last = {row["user"]: row for row in sorted(frame.to_dicts(), key=lambda row: (row["as_of"], row["seq"]))}
    held = {user: row["seq"] for user, row in last.items() if row["to_label"] is not None}
    assert dict(projections.fold(frame).select("user", "seq").iter_rows()) == dict(sorted(held.items()))


TICKS = [
    Rescored(1, None, 10, {1: HIGH, 2: LOW, 3: LOW}),
    Rescored(1, None, 20, {3: HIGH}),
    Rescored(1, None, 30, {1: None}),
]
SECOND_PASS = [Rescored(2, 10, 20, {2: HIGH}), Rescored(2, 10, 30, {})]


def test_a_new_pass_is_read_only_after_its_start_and_from_its_position_on(
    store: Store, moves: Frame, rescore: Rescore
) -> None:
    record(store, TICKS, moves, rescore)
    before = store.head()
    assert labels(projections.memberships(store, VALUE)) == {2: LOW, 3: HIGH}
    record(store, SECOND_PASS, moves, rescore)
    assert labels(projections.memberships(store, VALUE)) == {1: HIGH, 2: HIGH, 3: LOW}
    assert labels(projections.memberships(store, VALUE, as_of=10)) == {1: HIGH, 2: LOW, 3: LOW}
    assert labels(projections.memberships(store, VALUE, position=before)) == {2: LOW, 3: HIGH}
    opened = projections.passes(store, VALUE)
    assert opened.select("pass", "from_as_of").rows() == [(1, None), (2, 10)]
    assert projections.passes(store, VALUE, before)["pass"].to_list() == [1]
    scored = projections.rescores(store, VALUE)
    assert scored["as_of"].to_list() == [10, 20, 30, 20, 30]
    assert projections.rescores(store, 99).is_empty()
    assert projections.rescores(store, position=before).height == 3
    everything = log.changes(store, governing=False)
    governing = log.changes(store)
    assert (everything.height, governing.height) == (6, 4)
    assert log.changes(store, position=before).height == 5


def test_transitions_count_users_between_two_instants(store: Store, moves: Frame, rescore: Rescore) -> None:
    record(store, TICKS, moves, rescore)
    assert projections.transitions(store, VALUE, 10, 30).rows() == [(2, None, 1), (3, 2, 1), (3, 3, 1)]
    assert projections.transitions(store, VALUE, 0, 10).rows() == [(None, 2, 1), (None, 3, 2)]


def test_history_is_what_one_user_went_through(store: Store, moves: Frame, rescore: Rescore) -> None:
    record(store, TICKS, moves, rescore)
    assert projections.history(store, 3).select("as_of", "to_label").rows() == [(10, LOW), (20, HIGH)]
    assert projections.history(store, 99).is_empty()


def sized(*rows: tuple[int, int, int, int, float | None]) -> pl.DataFrame:
    """pass, as_of, label, users, expected of segmentation 'value'."""
    names = ["pass", "as_of", "label", "users", "expected"]
    return pl.DataFrame(rows, schema=names, orient="row").with_columns(pl.lit(VALUE).alias("segmentation"))


def test_the_last_sizes_of_a_tick_count_and_newer_passes_govern(
    store: Store, moves: Frame, rescore: Rescore
) -> None:
    record(store, TICKS + SECOND_PASS[:1], moves, rescore)
    with store.transaction(actor="ann") as tx:
        tx.save_sizes(
            sized((1, 10, HIGH, 9, 1.5), (1, 10, LOW, 9, 1.5), (1, 20, HIGH, 2, None), (1, 30, LOW, 3, None))
        )
        tx.save_sizes(sized((1, 10, HIGH, 4, 2.5), (2, 20, LOW, 5, None)))
    history = projections.size_history(store, VALUE)
    assert history.rows() == [(10, HIGH, 4, 2.5), (20, LOW, 5, None)]
    assert projections.size_history(store, VALUE, since=20)["as_of"].to_list() == [20]
    assert projections.sizes(store, VALUE, as_of=15) == {HIGH: 4}


def test_past_sizes_are_folded_where_none_were_kept(store: Store, moves: Frame, rescore: Rescore) -> None:
    record(store, TICKS, moves, rescore)
    store.connection.execute("DELETE FROM sizes WHERE as_of > 10")
    assert projections.sizes(store, VALUE, as_of=10) == {HIGH: 1, LOW: 2}
    assert projections.sizes(store, VALUE, as_of=25) == {HIGH: 2, LOW: 1}


def give_words(tx: Transaction) -> None:
    """The words that the numbers stand for."""
    kinds = ("segmentation", "value"), ("label", "high"), ("label", "low"), ("segmentation", "other")
    assert [tx.number(*each) for each in kinds] == [VALUE, HIGH, LOW, OTHER]


def members(*rows: tuple[Any, ...]) -> pl.DataFrame:
    schema = {
        "user": pl.Int64,
        "label": pl.Int64,
        "probability": pl.Int64,
        "margin": pl.Int64,
        "scores": pl.Binary,
        "since": pl.Int64,
        "change_seq": pl.Int64,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


@pytest.mark.parametrize("limit", [1, 10_000])
def test_saved_members_are_upserted_and_counted(
    store: Store, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr("db.members.BULK_ROWS", limit)
    with store.transaction(actor="ann") as tx:
        give_words(tx)
        tx.save_members(
            VALUE,
            members((1, HIGH, 5, 1, b"ab", 10, 4), (2, LOW, 6, 2, None, 10, 5), (3, LOW, 7, 3, None, 10, 6)),
        )
        tx.save_members(OTHER, members((1, LOW, None, None, None, 10, 7)))
    assert projections.sizes(store, VALUE) == {HIGH: 1, LOW: 2}
    with store.transaction(actor="ann") as tx:
        tx.save_members(
            VALUE,
            members(
                (1, HIGH, 9, 8, b"cd", None, None),
                (2, HIGH, 6, 2, None, 20, 8),
                (3, None, None, None, None, None, None),
            ),
        )
        tx.save_members(VALUE, members())
    head = projections.memberships(store, VALUE)
    assert head.drop("pass").rows() == [(1, HIGH, 9, 10, 4, 8, b"cd"), (2, HIGH, 6, 20, 8, 2, None)]
    assert projections.sizes(store, VALUE) == {HIGH: 2}
    assert projections.sizes(store, OTHER) == {LOW: 1}


def test_counts_stay_in_step_through_any_sequence_of_saves(store: Store) -> None:
    import random

    rng = random.Random(1)
    with store.transaction(actor="ann") as tx:
        give_words(tx)
    for _ in range(30):
        users = rng.sample(range(12), rng.randrange(1, 8))
        rows = [(user, rng.choice([HIGH, LOW, None]), None, None, None, 1, 1) for user in users]
        with store.transaction(actor="ann") as tx:
            tx.save_members(VALUE, members(*rows))
        head = projections.memberships(store, VALUE)
        assert projections.sizes(store, VALUE) == dict(head.group_by("label").len().sort("label").iter_rows())
        named = {name: head.filter(pl.col("label") == label)["user"].to_numpy() for label, name in NAMED}
        assert projections.state_digest(store) == projections.digest_of({"value": named})


def test_rebuilding_restores_what_was_lost(
    store: Store, moves: Frame, rescore: Rescore, events: Frame
) -> None:
    with store.transaction(actor="ann") as tx:
        tx.append_behaviour(events({"user": 3}, {"user": 3, "occurred_at": -4}))
    record(store, TICKS + SECOND_PASS, moves, rescore)
    tables = ("members", "member_counts", "sizes", "rescores", "snapshots")
    before = {table: store.rows(f"SELECT * FROM {table}") for table in tables}
    for table in tables:
        store.connection.execute(f"DELETE FROM {table}")
    with store.transaction(actor="ann") as tx:
        rebuilding.rebuild(store, tx)
    assert {table: store.rows(f"SELECT * FROM {table}") for table in tables} == before
    assert log.summary(store).users == 1


def test_single_members_and_pages_come_by_index(store: Store, moves: Frame, rescore: Rescore) -> None:
    record(store, TICKS, moves, rescore)
    assert lookups.member(store, VALUE, 3) == {
        "label": HIGH,
        "probability": 500_000,
        "margin": None,
        "since": 20,
        "seq": 6,
    }
    earlier = lookups.member(store, VALUE, 3, as_of=10)
    assert earlier is not None
    assert (earlier["label"], earlier["since"]) == (LOW, 10)
    assert lookups.member(store, VALUE, 1) is None
    assert lookups.member(store, VALUE, 1, as_of=30) is None
    assert lookups.causes(store, [6, 99])[6].cause == "event"
    page = lookups.member_page(store, VALUE, HIGH, order="since", descending=True, limit=5, offset=0)
    assert page["user"].to_list() == [3]
