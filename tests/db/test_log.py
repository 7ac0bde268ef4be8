"""Reading the log, from the tables and from the columnar copies."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from db import carried, log, lookups, segments
from db.store import Store

Frame = Callable[..., pl.DataFrame]

ROWS = [
    {
        "user": at % 7,
        "occurred_at": (at * 37) % 100,
        "amount": at if at % 3 else None,
        "source_id": bytes([at] * 16),
    }
    for at in range(50)
]


@pytest.fixture(params=["tables", "copies"])
def filled(
    store: Store, events: Frame, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Store:
    """Behaviour in four commits with decisions between; in one variant copied to Parquet in part."""
    monkeypatch.setattr(segments, "SEGMENT_ROWS", 15 if request.param == "copies" else 10**9)
    for start, end in ((0, 5), (5, 20), (20, 45), (45, 50)):
        with store.transaction(
            actor=f"actor {start}", source="shop" if start else None, recorded_at=start
        ) as tx:
            tx.append_behaviour(events(*ROWS[start:end]))
            tx.append_decision("noted" if start else "opened", {"start": start})
    assert bool(segments.held(store, "behaviour")) == (request.param == "copies")
    return store


def expected(events: Frame) -> pl.DataFrame:
    seqs = [*range(1, 6), *range(7, 22), *range(23, 48), *range(49, 54)]
    return events(*ROWS).insert_column(0, pl.Series("seq", seqs, dtype=pl.Int64))


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ({}, pl.lit(True)),
        ({"position": 22}, pl.col("seq") <= 22),
        ({"after_seq": 10}, pl.col("seq") > 10),
        ({"after_seq": 21, "position": 50}, pl.col("seq").is_between(22, 50)),
        ({"since": 40}, pl.col("occurred_at") >= 40),
        ({"before": 40}, pl.col("occurred_at") < 40),
        (
            {"since": 20, "before": 60, "position": 30},
            pl.col("occurred_at").is_between(20, 59) & (pl.col("seq") <= 30),
        ),
        ({"users": [1, 5]}, pl.col("user").is_in([1, 5])),
        (
            {"users": [2], "before": 50, "position": 40},
            (pl.col("user") == 2) & (pl.col("occurred_at") < 50) & (pl.col("seq") <= 40),
        ),
        ({"users": []}, pl.lit(False)),
        ({"position": 0}, pl.lit(False)),
        ({"after_seq": 53}, pl.lit(False)),
    ],
)
def test_behaviour_is_what_was_asked_for(
    filled: Store, events: Frame, told: dict[str, object], kept: pl.Expr
) -> None:
    wanted = expected(events).filter(kept)
    assert_frame_equal(log.behaviour(filled, **told), wanted.select(list(log.BEHAVIOUR)))  # type: ignore[arg-type]
    columns = ["amount", "user"]
    assert_frame_equal(log.behaviour(filled, columns=columns, **told), wanted.select(columns))  # type: ignore[arg-type]


def test_the_summary_counts_without_scanning(filled: Store) -> None:
    known = log.summary(filled)
    assert (known.events, known.users, known.first, known.last, known.position) == (50, 7, 0, 99, 54)
    assert known.last_import is not None
    assert known.last_import.behaviour_last == 53


def test_decisions_come_with_who_and_when(filled: Store) -> None:
    told = log.decisions(filled)
    assert [(d.seq, d.kind, d.actor, d.recorded_at, d.body["start"]) for d in told] == [
        (6, "opened", "actor 0", 0, 0),
        (22, "noted", "actor 5", 5, 5),
        (48, "noted", "actor 20", 20, 20),
        (54, "noted", "actor 45", 45, 45),
    ]
    assert [d.seq for d in log.decisions(filled, kinds=("noted",), newest_first=True, limit=2)] == [54, 48]
    assert [d.seq for d in log.decisions(filled, position=22)] == [6, 22]
    assert log.decisions(filled, kinds=()) == []


def test_commits_tell_their_ranges(filled: Store) -> None:
    first, *_, last = log.commits(filled)
    assert (first.source, first.behaviour_first, first.behaviour_last, first.changes_first) == (
        None,
        1,
        5,
        None,
    )
    assert (last.id, last.source, last.digest) == (4, "shop", filled.chain_digest())


def test_last_events_say_when_users_were_last_seen(filled: Store, events: Frame) -> None:
    for position in (None, 30):
        rows = expected(events).filter(pl.col("seq") <= (position or 99))
        wanted = rows.group_by("user").agg(
            pl.col("occurred_at").min().alias("first"),
            pl.col("occurred_at").max().alias("last"),
            pl.col("seq").max().alias("newest_seq"),
        )
        assert_frame_equal(log.last_events(filled, position=position), wanted.sort("user"))


def test_one_event_by_its_seq(filled: Store) -> None:
    found = lookups.event(filled, 7)
    assert found is not None
    assert found["source_id"] == bytes([5] * 16)
    assert lookups.event(filled, 6) is None


def test_attributes_come_with_their_event(store: Store, events: Frame) -> None:
    with store.transaction(actor="ann") as tx:
        tx.append_behaviour(
            events({"user": 3, "occurred_at": 8}, {"user": 4, "occurred_at": 9}),
            pl.DataFrame({"row": [1, 0, 1], "name": [6, 5, 5], "value": [60, 50, 51]}),
        )
    assert carried.attributes(store).rows() == [(1, 3, 8, 5, 50), (2, 4, 9, 5, 51), (2, 4, 9, 6, 60)]
    assert carried.attributes(store, users=[3]).rows() == [(1, 3, 8, 5, 50)]
    assert carried.attributes(store, position=1).height == 1


@pytest.mark.parametrize("size", [5, 10**9])
def test_changes_are_what_was_asked_for(
    store: Store, moves: Frame, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(segments, "SEGMENT_ROWS", size)
    rows = [
        {"segmentation": 1 + at % 2, "user": at % 5, "as_of": 10 * (at % 4), "to_label": at}
        for at in range(24)
    ]
    for start in range(0, 24, 4):
        with store.transaction(actor="ann") as tx:
            tx.append_changes(moves(*rows[start : start + 4]))
    everything = moves(*rows).insert_column(0, pl.int_range(1, 25, dtype=pl.Int64, eager=True).alias("seq"))
    everything = everything.sort("as_of", "seq")
    seq, user, as_of = pl.col("seq"), pl.col("user"), pl.col("as_of")
    for told, kept in (
        ({}, pl.lit(True)),
        ({"segmentation": 2}, pl.col("segmentation") == 2),
        ({"as_of_from": 10}, as_of > 10),
        ({"as_of_to": 10}, as_of <= 10),
        ({"as_of_from": 0, "as_of_to": 20, "position": 11}, (as_of > 0) & (as_of <= 20) & (seq <= 11)),
        ({"users": [1, 2], "position": 20}, user.is_in([1, 2]) & (seq <= 20)),
    ):
        assert_frame_equal(log.changes(store, **told), everything.filter(kept))  # type: ignore[arg-type]


def test_users_are_counted_once_however_they_come(store: Store, events: Frame) -> None:
    seen: set[int] = set()
    for users in ([5, 9], [2, 9, 9], [1], [5, 30, 2]):
        with store.transaction(actor="ann") as tx:
            tx.append_behaviour(events(*({"user": user} for user in users[:1])))
            tx.append_behaviour(events(*({"user": user} for user in users[1:])))
        seen |= set(users)
        assert log.summary(store).users == len(seen)


def test_an_empty_log_reads_as_empty(store: Store) -> None:
    known = log.summary(store)
    assert (known.events, known.users, known.first, known.last, known.position, known.last_import) == (
        0,
        0,
        None,
        None,
        0,
        None,
    )
    assert log.behaviour(store).schema == pl.Schema(log.BEHAVIOUR)
    assert log.changes(store).schema == pl.Schema(log.CHANGES)
    assert log.last_events(store).is_empty()


def test_corrections_and_versions_are_bookkeeping(store: Store, events: Frame) -> None:
    with store.transaction(actor="ann") as tx:
        view, correction = (tx.number("kind", name) for name in ("view", "correction"))
        name = tx.number("attribute:version", "version")
        tx.append_behaviour(
            events({"kind": view, "occurred_at": 5}, {"kind": correction, "occurred_at": 9}),
            pl.DataFrame({"row": [1], "name": [name], "value": [-7]}),
        )
    assert log.last_events(store).rows() == [(1, 5, 5, 1)]
    assert carried.attributes(store).is_empty()
    assert carried.versions(store, [1, 2]).rows() == [(2, -7)]


@pytest.mark.parametrize("copied", [False, True])
def test_changes_are_filtered_where_they_are_read(
    store: Store, moves: Frame, copied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if copied:
        monkeypatch.setattr(segments, "SEGMENT_ROWS", 1)
    labels = [None, 1, 2, 3]
    rows = [
        {"user": n, "from_label": labels[n % 4], "to_label": labels[n // 4 % 4], "cause": cause}
        for n, cause in enumerate(["event", "clock", "event", "model"] * 8)
    ]
    with store.transaction(actor="ann") as tx:
        tx.append_changes(moves(*rows))
    assert bool(segments.held(store, "changes")) is copied
    for own, cause, first in product((None, [1], [9, 2, 3]), (None, "event"), (True, False)):
        wanted = [
            row["user"]
            for row in rows
            if (own is None or {row["from_label"], row["to_label"]} & {*own})
            and cause in (None, row["cause"])
            and (first or row["from_label"] is not None)
        ]
        found = log.changes(store, labels=own, cause=cause, first=first)
        assert found["user"].to_list() == wanted
