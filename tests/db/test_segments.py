"""Columnar copies: made for bulk, merged, ignored and removed when they do not match, never missed."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from db import log, seals, segments
from db.chain import verify
from db.store import Store

Frame = Callable[..., pl.DataFrame]


@pytest.fixture(autouse=True)
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "SEGMENT_ROWS", 10)


def append(store: Store, events: Frame, *counts: int) -> None:
    for count in counts:
        with store.transaction(actor="ann") as tx:
            tx.append_behaviour(events(*({"user": user} for user in range(count))))
            tx.append_decision("noted", {})


def spans(store: Store) -> list[tuple[int, int]]:
    return [(segment.first_seq, segment.last_seq) for segment in segments.held(store, "behaviour")]


def files(store: Store) -> set[str]:
    return {path.name for path in segments.folder(store).iterdir()}


def test_few_rows_are_not_copied(store: Store, events: Frame) -> None:
    append(store, events, 3, 3)
    assert not segments.folder(store).exists()


def test_enough_rows_are_copied_small_commits_together(store: Store, events: Frame) -> None:
    append(store, events, 40, 3, 3, 3)
    assert spans(store) == [(1, 40)]
    append(store, events, 3)
    assert spans(store) == [(1, 40), (42, 56)]
    assert_frame_equal(log.behaviour(store), log.stored_behaviour(store, 0, 99))
    copied = pl.concat([pl.read_parquet(segment.path) for segment in segments.held(store, "behaviour")])
    assert_frame_equal(copied, log.stored_behaviour(store, 0, 99))


def test_copies_are_merged_so_that_they_stay_few(store: Store, events: Frame) -> None:
    append(store, events, *[10] * 20)
    assert len(spans(store)) <= 6
    assert len(files(store)) == len(spans(store))
    assert_frame_equal(log.behaviour(store), log.stored_behaviour(store, 0, 999))


def test_copies_are_used(store: Store, events: Frame, monkeypatch: pytest.MonkeyPatch) -> None:
    append(store, events, 20)
    (copy,) = segments.held(store, "behaviour")
    pl.read_parquet(copy.path).with_columns(amount=pl.lit(5, pl.Int64)).write_parquet(copy.path)
    with monkeypatch.context() as trusting:
        trusting.setattr(seals, "holds", lambda *_: True)
        assert log.behaviour(store)["amount"].unique().to_list() == [5]
    assert log.behaviour(store, users=[1])["amount"].to_list() == [None]


def test_a_copy_that_is_not_what_was_written_is_refused_and_removed(store: Store, events: Frame) -> None:
    """Under its right name, of its right size, with its times put back."""
    append(store, events, 20)
    (copy,) = segments.held(store, "behaviour")
    times = copy.path.stat()
    content = bytearray(copy.path.read_bytes())
    content[len(content) // 2] ^= 1
    copy.path.write_bytes(content)
    os.utime(copy.path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert_frame_equal(log.behaviour(store), log.stored_behaviour(store, 0, 99))
    assert [check.name for check in verify(store) if not check.ok] == ["copies"]
    append(store, events, 1)
    assert spans(store) == [(1, 22)]
    assert [check for check in verify(store) if not check.ok] == []


def test_a_copy_carried_elsewhere_is_still_trusted(store: Store, events: Frame, tmp_path: Path) -> None:
    append(store, events, 20)
    (copy,) = segments.held(store, "behaviour")
    content = copy.path.read_bytes()
    copy.path.unlink()
    copy.path.write_bytes(content)
    assert seals.holds(copy.seal, copy.path)


def test_a_copy_nobody_sealed_is_not_read(store: Store, events: Frame) -> None:
    append(store, events, 20)
    store.connection.execute("DELETE FROM snapshots WHERE name LIKE 'copy:%'")
    assert spans(store) == []
    assert log.behaviour(store).height == 20
    append(store, events, 1)
    assert spans(store) == [(1, 22)]
    assert len(store.rows("SELECT name FROM snapshots WHERE name LIKE 'copy:%'")) == len(files(store)) == 1


def test_a_lost_cache_is_made_again(store: Store, events: Frame) -> None:
    append(store, events, 30, 2)
    shutil.rmtree(segments.folder(store))
    assert log.behaviour(store).height == 32
    append(store, events, 1)
    assert spans(store) == [(1, 35)]
    assert log.behaviour(store).height == 33


def test_a_lost_copy_is_made_again(store: Store, events: Frame) -> None:
    append(store, events, 290, 40, 15)
    assert spans(store) == [(1, 290), (292, 331), (333, 347)]
    segments.held(store, "behaviour")[1].path.unlink()
    assert log.behaviour(store).height == 345
    append(store, events, 1)
    assert spans(store) == [(1, 290), (292, 331), (333, 347)]
    assert len(files(store)) == 3
    assert_frame_equal(log.behaviour(store), log.stored_behaviour(store, 0, 999))


@pytest.mark.parametrize("damage", [b"", b"PAR1 not really PAR1"])
def test_a_damaged_copy_is_read_around(store: Store, events: Frame, damage: bytes) -> None:
    append(store, events, 30, 2)
    (copy,) = segments.held(store, "behaviour")
    copy.path.write_bytes(damage)
    assert_frame_equal(log.behaviour(store), log.stored_behaviour(store, 0, 99))


def test_a_copy_removed_while_reading_is_read_around(
    store: Store, events: Frame, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(store, events, 30)
    (copy,) = segments.held(store, "behaviour")
    copy.path.unlink()
    monkeypatch.setattr(segments, "held", lambda *_: [copy])
    assert log.behaviour(store).height == 30


def test_a_copy_removed_while_verifying_is_no_fault(
    store: Store, events: Frame, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(store, events, 30)
    load = segments.load

    def removed(segment: segments.Segment, first: int, last: int) -> pl.DataFrame | None:
        segment.path.unlink()
        return load(segment, first, last)

    monkeypatch.setattr(segments, "load", removed)
    assert [check for check in verify(store) if not check.ok] == []


def test_copies_of_another_chain_are_ignored_and_removed(store: Store, events: Frame, tmp_path: Path) -> None:
    append(store, events, 30)
    with Store.create(tmp_path / "other.db") as other:
        append(other, events, 30)
        (theirs,) = segments.held(other, "behaviour")
        ours = segments.folder(store)
        shutil.copy(theirs.path, ours)
        (mine,) = segments.held(store, "behaviour")
        assert mine.path.parent == ours
        assert mine.path.name != theirs.path.name
        # The right digest for other rows: the seqs do not fit the commit.
        digest = mine.path.name.rsplit("-", 1)[1]
        shutil.copy(mine.path, ours / f"behaviour-c1-c1-s1-s29-{digest}")
        (ours / "notes.txt").write_text("not a copy")
        assert [segment.path for segment in segments.held(store, "behaviour")] == [mine.path]
        append(store, events, 1)
        assert files(store) == {mine.path.name}


def test_a_merge_that_was_killed_before_it_tidied_up_counts_nothing_twice(
    store: Store, events: Frame
) -> None:
    append(store, events, 30)
    (first,) = segments.held(store, "behaviour")
    kept = first.path.read_bytes()
    append(store, events, 31)
    assert spans(store) == [(1, 62)]
    first.path.write_bytes(kept)
    assert spans(store) == [(1, 62)]
    assert log.behaviour(store).height == 61


def test_a_snapshot_older_than_a_copy_does_not_see_it(store: Store, events: Frame) -> None:
    append(store, events, 30)
    with Store.open(store.path) as reader, reader.reading():
        assert log.behaviour(reader).height == 30
        append(store, events, 40)
        assert spans(store) == [(1, 71)]
        assert log.behaviour(reader).height == 30


def test_a_copy_that_cannot_be_sealed_does_not_fail_the_commit(
    store: Store, events: Frame, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(seals, "keep", full)
    append(store, events, 30)
    assert log.behaviour(store).height == 30


def test_a_copy_that_cannot_be_written_does_not_fail_the_commit(store: Store, events: Frame) -> None:
    segments.folder(store).write_text("in the way")
    append(store, events, 30)
    assert log.behaviour(store).height == 30
