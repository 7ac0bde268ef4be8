# ruff: noqa: S608  (the names put into SQL are this package's own; values are always bound)
"""Columnar copies of commit ranges in `<store>.cache/`: Parquet, disposable, made again when missing.

A file's name carries its stream, commits, seqs and the chain digest of its last commit. One that does not
match the chain, or is not what was written (db.seals), is ignored, and removed by the next writer.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from db import seals
from db.seals import Seal

if TYPE_CHECKING:
    from db.store import Store

SEGMENT_ROWS = 10_000
MOST_ROWS = 4_000_000
CHUNK_ROWS = 500_000
GROUP_ROWS = 1 << 16
DISTINCT = (
    "seq",
    "user",
    "occurred_at",
    "order",
    "source_id",
    "amount",
    "duration",
    "probability",
    "cause_seq",
)
"""Columns in which a value seldom comes again: a dictionary of them costs time and room."""

LAST_SEQ = 2**63 - 1
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
    seal: Seal


def folder(store: Store) -> Path:
    """Where the copies of a store stand."""
    return Path(f"{store.path}.cache")


def _named(path: Path, sealed: dict[str, Seal]) -> tuple[Segment, str] | None:
    """The segment a sealed file's name tells of, and the digest in it."""
    found = _NAME.fullmatch(path.name)
    if found is None or path.name not in sealed:
        return None
    stream, first_commit, last_commit, first_seq, last_seq, digest = found.groups()
    span = (int(first_commit), int(last_commit), int(first_seq), int(last_seq))
    return Segment(path, stream, *span, sealed[path.name]), digest


def held(store: Store, stream: str) -> list[Segment]:
    """The segments of a stream that match the chain, disjoint, by seq."""
    known: list[Segment] = []
    sealed = seals.kept(store)
    for path in folder(store).glob(f"{stream}-*.parquet"):
        named = _named(path, sealed)
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
    """The wanted rows of a copy; None when the file is gone, is not what was written, or cannot be read."""
    if not seals.holds(segment.seal, segment.path):
        return None
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


@dataclass(frozen=True)
class _Gap:
    """Whole commits of a stream that no segment covers."""

    first_commit: int
    last_commit: int
    first_seq: int
    last_seq: int
    rows: int


class Draft:
    """A copy that grows while its commit is being made; it counts from `adopt` on.

    Copies are disposable: where one cannot be written it is given up, and the next writer makes it.
    """

    def __init__(self, store: Store, stream: str) -> None:
        self._store = store
        self.stream = stream
        self._held: list[pl.DataFrame] = []
        self._rows = 0
        self._writer: _Writer | None = None
        self._failed = False

    def add(self, rows: pl.DataFrame) -> None:
        """The stream's next rows, by seq; nothing is written before they are enough for a copy."""
        if self._failed:
            return
        self._held.append(rows)
        self._rows += rows.height
        if self._rows < SEGMENT_ROWS:
            return
        try:
            if self._writer is None:
                self._writer = _Writer(self._store, self.stream)
            for part in self._held:
                self._writer.add(part)
        except OSError:
            self._failed = True
            self.discard()
        self._held.clear()

    def adopt(self, commit: int, first_seq: int, last_seq: int) -> None:
        """Makes it the copy of the commit just made, which holds these rows of the stream."""
        if self._writer is not None:
            self._writer.finish((commit, commit), (first_seq, last_seq))
            self._writer = None

    def discard(self) -> None:
        """Removes what was written; nothing is left of an adopted one to remove."""
        if self._writer is not None:
            self._writer.discard()
            self._writer = None


def compact(store: Store, stream: str, from_rows: Read) -> None:
    """Copies commits that no segment covers; the caller holds the writer's lock.

    Those at the end wait until they are enough. Small segments at the end are merged, so that their number
    grows with the logarithm of the log.
    """
    pieces = _pieces(store, stream)
    if pieces and isinstance(pieces[-1], _Gap) and _rows(pieces[-1]) < SEGMENT_ROWS:
        pieces.pop()
    groups: list[list[Segment | _Gap]] = []
    if pieces:
        groups.append([pieces.pop()])
        rows = _rows(groups[0][0])
        while pieces and _rows(pieces[-1]) <= 2 * rows and rows + _rows(pieces[-1]) <= MOST_ROWS:
            groups[0].insert(0, pieces.pop())
            rows += _rows(groups[0][0])
    groups += [[piece] for piece in pieces]
    for group in groups:
        if len(group) == 1 and isinstance(group[0], Segment):
            continue
        _copy(store, stream, group[0], group[-1], from_rows)
        for piece in group:
            if isinstance(piece, Segment):
                piece.path.unlink(missing_ok=True)


def _pieces(store: Store, stream: str) -> list[Segment | _Gap]:
    """The commits of a stream by seq: segments, and the gaps before, between and after them."""
    pieces: list[Segment | _Gap] = []
    covered = 0
    for segment in (*held(store, stream), None):
        gap = store.rows(
            f"SELECT min(id), max(id), min({stream}_first), max({stream}_last), "
            f"sum({stream}_last - {stream}_first + 1) FROM commits "
            f"WHERE {stream}_last > ? AND {stream}_first < ?",
            (covered, segment.first_seq if segment else LAST_SEQ),
        )[0]
        if gap[0] is not None:
            pieces.append(_Gap(*gap))
        if segment is not None:
            pieces.append(segment)
            covered = segment.last_seq
    return pieces


def _rows(piece: Segment | _Gap) -> int:
    # Between the seqs of a segment may lie those of other streams, so this is at most too many.
    return piece.rows if isinstance(piece, _Gap) else piece.last_seq - piece.first_seq + 1


def _copy(store: Store, stream: str, first: Segment | _Gap, last: Segment | _Gap, from_rows: Read) -> None:
    """Writes one segment over everything from `first` to `last`, some rows at a time."""
    writer = _Writer(store, stream)
    try:
        for at in range(first.first_seq, last.last_seq + 1, CHUNK_ROWS):
            end = min(at + CHUNK_ROWS - 1, last.last_seq)
            writer.add(read(store, stream, at, end, [], pl.lit(True), from_rows))
        writer.finish((first.first_commit, last.last_commit), (first.first_seq, last.last_seq))
    except BaseException:
        writer.discard()
        raise


class _Writer:
    """A segment file in the making."""

    def __init__(self, store: Store, stream: str) -> None:
        self._store, self._stream = store, stream
        where = folder(store)
        where.mkdir(mode=0o700, exist_ok=True)
        self._path = where / f"{stream}-{secrets.token_hex(8)}.draft"
        self._file = os.fdopen(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        self._parquet: Any = None

    def add(self, rows: pl.DataFrame) -> None:
        """Appends rows as row groups, small enough that a reader can leave out those of other users."""
        from pyarrow.parquet import ParquetWriter

        table = rows.to_arrow()
        if self._parquet is None:
            self._parquet = ParquetWriter(
                self._file,
                table.schema,
                compression="lz4",
                use_dictionary=[name for name in rows.columns if name not in DISTINCT],
                store_schema=True,
            )
        self._parquet.write_table(table, row_group_size=GROUP_ROWS)

    def finish(self, commits: tuple[int, int], seqs: tuple[int, int]) -> None:
        """Gives the file the name that says what it covers."""
        self._parquet.close()
        self._file.close()
        digest = self._store.rows("SELECT digest FROM commits WHERE id = ?", (commits[1],))[0][0].hex()[:16]
        name = f"{self._stream}-c{commits[0]}-c{commits[1]}-s{seqs[0]}-s{seqs[1]}-{digest}.parquet"
        path = self._path.replace(self._path.with_name(name))
        seals.keep(self._store, path, seqs[1])

    def discard(self) -> None:
        """Removes the file."""
        with suppress(OSError):
            if self._parquet is not None:
                self._parquet.close()
        with suppress(OSError):
            self._file.close()
        self._path.unlink(missing_ok=True)


def remove(store: Store, stream: str, seqs: pl.Series) -> None:
    """Removes the copies that hold any of the rows, and their seals, inside the open transaction.

    A store that is restored brings its seals, and finds the copies of the store that it replaces.
    """
    sealed = seals.kept(store)
    named = {name: _named(folder(store) / name, sealed) for name in sealed}
    whole = {name: found[0] for name, found in named.items() if found is not None}
    gone = {
        name
        for name, each in whole.items()
        if each.stream == stream and seqs.is_between(each.first_seq, each.last_seq).any()
    }
    for path in _files(store):
        if path.name not in whole or path.name in gone:
            path.unlink(missing_ok=True)
    seals.sweep(store, set(sealed) - gone)


def sweep(store: Store) -> None:
    """Removes drafts, and copies that do not match the chain or are not what was written.

    The caller holds the writer's lock.
    """
    sealed = seals.kept(store)
    for path in _files(store):
        named = _named(path, sealed)
        if named is None or not _matches(store, *named) or not seals.holds(named[0].seal, path):
            with suppress(OSError):
                path.unlink()
    seals.sweep(store, {path.name for path in _files(store)})


def drop(store: Store) -> None:
    """Removes every copy; the caller holds the writer's lock."""
    for path in _files(store):
        with suppress(OSError):
            path.unlink()


def _files(store: Store) -> Iterator[Path]:
    where = folder(store)
    return (path for path in where.iterdir() if path.is_file()) if where.is_dir() else iter(())
