# ruff: noqa: S608  (the names put into SQL are this package's own; values are always bound)
"""Columnar copies of commit ranges in `<store>.cache/`: Parquet, disposable, made again when missing.

A file's name carries its stream, commits, seqs and the chain digest of its last commit; one that does not
match the chain is ignored, and removed by the next writer.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from db.store import Store

SEGMENT_ROWS = 10_000
MOST_ROWS = 4_000_000
STREAMS = ("behaviour", "changes")
_NAME = re.compile(r"(behaviour|changes)-c(\d+)-c(\d+)-s(\d+)-s(\d+)-([0-9a-f]{16})\.parquet")

Read = Callable[[int, int], pl.DataFrame]


@dataclass(frozen=True)
class Segment:
    """The copy of a stream's rows with first_seq <= seq <= last_seq, those of whole commits."""

    path: Path
    stream: str
    first_commit: int
    last_commit: int
    first_seq: int
    last_seq: int


def folder(store: Store) -> Path:
    """Where the copies of a store stand."""
    return Path(f"{store.path}.cache")


def _named(path: Path) -> tuple[Segment, str] | None:
    """The segment a file's name tells of, and the digest in it."""
    found = _NAME.fullmatch(path.name)
    if found is None:
        return None
    stream, *numbers, digest = found.groups()
    return Segment(path, stream, *map(int, numbers)), digest


def held(store: Store, stream: str) -> list[Segment]:
    """The segments of a stream that match the chain, disjoint, by seq."""
    known: list[Segment] = []
    for path in folder(store).glob(f"{stream}-*.parquet"):
        named = _named(path)
        if named is not None and _matches(store, *named):
            known.append(named[0])
    known.sort(key=lambda segment: (segment.first_seq, -segment.last_seq))
    kept: list[Segment] = []
    for segment in known:
        # A writer killed between writing a merged file and removing its parts leaves both.
        if not kept or segment.first_seq > kept[-1].last_seq:
            kept.append(segment)
    return kept


def _matches(store: Store, segment: Segment, digest: str) -> bool:
    rows = store.rows(
        f"SELECT min({segment.stream}_first), max({segment.stream}_last), "
        "(SELECT lower(hex(substr(digest, 1, 8))) FROM commits WHERE id = ?2) "
        "FROM commits WHERE id IN (?1, ?2)",
        (segment.first_commit, segment.last_commit),
    )
    return rows[0] == (segment.first_seq, segment.last_seq, digest)


def read(
    store: Store, stream: str, first: int, last: int, columns: list[str], where: pl.Expr, from_rows: Read
) -> pl.DataFrame:
    """Rows with first <= seq <= last and `where`, by seq; `from_rows` reads what no copy holds."""
    parts: list[pl.DataFrame] = []
    at = first
    for segment in held(store, stream):
        if segment.last_seq < at or segment.first_seq > last:
            continue
        copied = _scan(segment, at, last, columns, where)
        if copied is None:
            continue
        if segment.first_seq > at:
            parts.append(from_rows(at, segment.first_seq - 1))
        parts.append(copied)
        at = segment.last_seq + 1
    if at <= last:
        parts.append(from_rows(at, last))
    return pl.concat(parts) if parts else from_rows(last + 1, last)


def _scan(segment: Segment, first: int, last: int, columns: list[str], where: pl.Expr) -> pl.DataFrame | None:
    """The wanted rows of a copy; None when the file is gone or cannot be read."""
    lazy = pl.scan_parquet(segment.path, glob=False)
    if first > segment.first_seq or last < segment.last_seq:
        where &= pl.col("seq").is_between(first, last)
    try:
        return lazy.filter(where).select(columns or pl.all()).collect()
    except (pl.exceptions.PolarsError, OSError):
        return None


def load(segment: Segment, first: int, last: int) -> pl.DataFrame | None:
    """The rows of a copy with first <= seq <= last; None when the file is gone or cannot be read."""
    return _scan(segment, first, last, [], pl.lit(True))


def compact(store: Store, stream: str, from_rows: Read, fresh: pl.DataFrame | None = None) -> None:
    """Copies commits that no segment covers once they are enough; the caller holds the writer's lock.

    `fresh`: the rows of the last commit, when at hand. Small segments at the end are merged into the new
    one, so that their number grows with the logarithm of the log.
    """
    known = held(store, stream)
    segments = _unbroken(store, stream, known)
    covered = segments[-1].last_seq if segments else 0
    # Behind a copy that was lost the later ones are made anew, as parts of one without a gap.
    replaced = known[len(segments) :]
    tail = store.rows(
        f"SELECT id, {stream}_first, {stream}_last FROM commits WHERE {stream}_last > ? ORDER BY id",
        (covered,),
    )
    rows = sum(last - first + 1 for _, first, last in tail)
    if rows < SEGMENT_ROWS:
        return
    merged: list[Segment] = []
    while segments and _rows(segments[-1]) <= 2 * rows and rows + _rows(segments[-1]) <= MOST_ROWS:
        merged.append(segments.pop())
        rows += _rows(merged[-1])
    parts: list[pl.DataFrame] = []
    at = merged[-1].first_seq if merged else tail[0][1]
    last = tail[-1][2]
    if fresh is not None and fresh.height and fresh["seq"][-1] == last:
        if fresh["seq"][0] > at:
            columns = fresh.columns
            parts.append(read(store, stream, at, fresh["seq"][0] - 1, columns, pl.lit(True), from_rows))
        parts.append(fresh)
    else:
        parts.append(from_rows(at, last))
    first_commit = merged[-1].first_commit if merged else tail[0][0]
    _write(store, stream, (first_commit, tail[-1][0]), pl.concat(parts))
    for segment in (*merged, *replaced):
        segment.path.unlink(missing_ok=True)


def _unbroken(store: Store, stream: str, segments: list[Segment]) -> list[Segment]:
    """The first segments, as far as no commit of the stream is missing between them."""
    covered = 0
    for count, segment in enumerate(segments):
        next_first = store.rows(
            f"SELECT min({stream}_first) FROM commits WHERE {stream}_last > ?", (covered,)
        )
        if next_first != [(segment.first_seq,)]:
            return segments[:count]
        covered = segment.last_seq
    return segments


def _rows(segment: Segment) -> int:
    # Seqs of other streams may lie between, so this is at most too many.
    return segment.last_seq - segment.first_seq + 1


def _write(store: Store, stream: str, commits: tuple[int, int], rows: pl.DataFrame) -> None:
    where = folder(store)
    where.mkdir(mode=0o700, exist_ok=True)
    digest = store.rows("SELECT digest FROM commits WHERE id = ?", (commits[1],))[0][0].hex()[:16]
    seqs = f"s{rows['seq'][0]}-s{rows['seq'][-1]}"
    path = where / f"{stream}-c{commits[0]}-c{commits[1]}-{seqs}-{digest}.parquet"
    draft = path.with_suffix(".draft")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            rows.write_parquet(file, compression="lz4")
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def sweep(store: Store) -> None:
    """Removes drafts and copies that do not match the chain; the caller holds the writer's lock."""
    for path in _files(store):
        named = _named(path)
        if named is None or not _matches(store, *named):
            with suppress(OSError):
                path.unlink()


def drop(store: Store) -> None:
    """Removes every copy; the caller holds the writer's lock."""
    for path in _files(store):
        with suppress(OSError):
            path.unlink()


def _files(store: Store) -> Iterator[Path]:
    where = folder(store)
    return (path for path in where.iterdir() if path.is_file()) if where.is_dir() else iter(())
