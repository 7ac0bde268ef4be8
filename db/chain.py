"""Verifying a store: that the log's rows are those its commits were made of, and what stands beside it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from db import encoding, log, redactions, segments
from db.checks import REBUILD, UNREADABLE, Check, beside_the_log, guarded, moment, unreadable
from db.content import content_digest
from db.encoding import GENESIS, KNOWN, Header, Records
from db.log import Commit
from db.redactions import Proven
from db.schema import STREAMS
from db.segments import Segment
from db.sqlite import connect, explained
from db.vocabulary import REDACTED

if TYPE_CHECKING:
    from db.store import Store

__all__ = ["Check", "content_digest", "verify"]

BLOCK_ROWS = 200_000
TABLES = {"behaviour": "behaviour", "decisions": "decisions", "changes": "membership_changes"}
ATTRIBUTES: dict[str, pl.DataType] = {"seq": pl.Int64(), "name": pl.Int64(), "value": pl.Int64()}


def verify(store: Store, *, head: str | None = None) -> list[Check]:
    """Looks at everything the store promises; changes nothing.

    The chain's check names the first commit, the stream in it and the range of its rows that are not those it
    was made of. `head`: a chain digest (hex) kept elsewhere, which the log must have grown from.
    """
    with store.reading():
        checks = [*verify_log(store), *beside_the_log(store)]
        if head is not None:
            checks.append(_head(store, head))
        return checks


def verify_log(store: Store) -> list[Check]:
    """Looks at the log alone: integrity, sequence, chain, and the columnar copies of it."""
    with ThreadPoolExecutor(1) as helper, store.reading():
        integrity = helper.submit(guarded, "integrity", partial(_integrity, store.path))
        checks = [guarded("sequence", partial(_sequence, store)), *_chain(store)]
        return [integrity.result(), *checks]


def _head(store: Store, head: str) -> Check:
    """A log that was cut, or rewritten from some commit on, no longer holds the digest it once ended with."""
    commits = log.commits(store)
    place = next((at for at, each in enumerate(commits) if each.digest.hex() == head.lower()), None)
    if place is None and head != GENESIS.hex():
        newest = f"it ends with {_named(commits[-1])}" if commits else "it is empty"
        return Check("head", False, f"the log was cut or rewritten, no commit has this digest: {newest}")
    since = len(commits) - (0 if place is None else place + 1)
    return Check("head", True, f"{since:,} commits since" if since else "the newest commit")


def _integrity(path: Path) -> Check:
    """On a connection of its own: SQLite reads through the file while the chain is hashed."""
    with closing(connect(path)) as connection, explained(path):
        found = str(connection.execute("PRAGMA integrity_check(1)").fetchone()[0])
    return Check("integrity", found == "ok", "SQLite finds the file sound" if found == "ok" else found)


def _sequence(store: Store) -> Check:
    """Ranges of commits join without a gap, and the tables hold exactly their rows."""
    expected = 1
    words = 1
    totals = dict.fromkeys(STREAMS, 0)
    for commit in log.commits(store):
        for stream in (*STREAMS, "vocabulary"):
            if _range(commit, stream).count(None) == 1:
                return Check("sequence", False, f"{_named(commit)} tells half a range of its {stream}")
        for stream in STREAMS:
            first, last = _range(commit, stream)
            if first is None or last is None:
                continue
            if first != expected or last < first:
                return Check(
                    "sequence", False, f"{_named(commit)} starts its {stream} at {first}, not {expected}"
                )
            expected = last + 1
            totals[stream] += last - first + 1
        first, last = commit.vocabulary_first, commit.vocabulary_last
        if first is not None and last is not None:
            if first != words:
                return Check(
                    "sequence", False, f"{_named(commit)} starts its vocabulary at {first}, not {words}"
                )
            words = last + 1
    both = store.rows("SELECT min(seq) FROM redactions WHERE seq IN (SELECT seq FROM behaviour)")[0][0]
    if both is not None:
        return Check("sequence", False, f"seq {both} is listed as cut, and is there")
    purged = store.rows("SELECT count(*) FROM redactions")[0][0]
    totals["behaviour"] -= purged
    for stream, table in TABLES.items():
        count = store.rows(f"SELECT count(*) FROM {table}")[0][0]  # noqa: S608 (own names)
        if count != totals[stream]:
            return Check("sequence", False, f"{table} has {count:,} rows, the commits {totals[stream]:,}")
    count = store.rows("SELECT count(*) FROM vocabulary")[0][0]
    if count != words - 1:
        return Check("sequence", False, f"vocabulary has {count:,} entries, the commits {words - 1:,}")
    told = f"seq 1 to {expected - 1} without a gap" if expected > 1 else "empty"
    return Check("sequence", True, f"{told}, {purged:,} purged" if purged else told)


def _range(commit: Commit, stream: str) -> tuple[int | None, int | None]:
    return getattr(commit, f"{stream}_first"), getattr(commit, f"{stream}_last")


def _named(commit: Commit) -> str:
    return f"commit {commit.id} of {moment(commit.recorded_at)}"


# --- the chain ---------------------------------------------------------------------------------------


def _chain(store: Store) -> list[Check]:
    """The chain, and, as the rows are at hand, the columnar copies of them."""
    try:
        return _walked(store)
    except UNREADABLE as error:
        return [Check("chain", False, unreadable(error))]


def _walked(store: Store) -> list[Check]:
    previous, commits, attributes, leaves = GENESIS, log.commits(store), 0, 0
    copies = {stream: segments.held(store, stream) for stream in segments.STREAMS}
    fault: str | None = None
    differing: Path | None = None
    for block, rows in _read(store, commits, redactions.proven(store)):
        if isinstance(rows, str):
            fault = fault or f"{_named(block[0])}: {rows}"
            continue
        attributes += rows.attributes.size
        leaves += sum(kept.size for kept in rows.kept.values())
        for commit in block if fault is None else ():
            found = rows.fault(commit) or _header_fault(rows, commit, previous)
            if found is not None:
                fault = f"{_named(commit)}: {found}"
                break
            previous = commit.digest
        differing = differing or rows.differing(block, copies)
    stray = store.rows("SELECT count(*) FROM attributes")[0][0] - attributes
    if fault is None and stray:
        fault = f"{stray:,} attributes belong to no commit"
    stray = store.rows("SELECT count(*) FROM leaves")[0][0] - leaves
    if fault is None and stray:
        fault = f"{stray:,} leaves belong to no commit"
    count = sum(map(len, copies.values()))
    return [
        Check("chain", fault is None, fault or f"{len(commits):,} commits, {previous.hex()}"),
        Check(
            "copies",
            differing is None,
            f"{differing} is not what the log holds: {REBUILD}"
            if differing
            else f"{count:,} columnar copies match the log",
        ),
    ]


def _read(store: Store, commits: list[Commit], rest: Proven) -> Iterator[tuple[list[Commit], _Rows | str]]:
    """Blocks of commits with their rows, or with what is wrong where they cannot even be encoded."""
    for block in _blocks(commits):
        try:
            yield block, _Rows(store, block, rest)
        except UNREADABLE as error:
            if len(block) == 1:
                yield block, f"its rows {unreadable(error)}"
                continue
            for commit in block:
                yield from _read(store, [commit], rest)


def _blocks(commits: list[Commit]) -> Iterator[list[Commit]]:
    """Whole commits in groups of about BLOCK_ROWS rows."""
    block: list[Commit] = []
    rows = 0
    for commit in commits:
        block.append(commit)
        for stream in (*STREAMS, "vocabulary"):
            first, last = _range(commit, stream)
            rows += last - first + 1 if first is not None and last is not None else 0
        if rows >= BLOCK_ROWS:
            yield block
            block, rows = [], 0
    if block:
        yield block


class _Rows:
    """The rows of a block of commits, encoded, and what is wrong with them."""

    def __init__(self, store: Store, block: list[Commit], rest: Proven) -> None:
        self.leaves: dict[str, int] = {}
        span = _span(block, "behaviour")
        self.attributes = encoding.attribute_records(
            store.frame(
                "SELECT seq, name, value FROM attributes WHERE seq BETWEEN ? AND ? ORDER BY seq, name",
                span,
                ATTRIBUTES,
            )
        )
        self.frames = {
            "behaviour": log.stored_behaviour(store, *span),
            "changes": log.stored_changes(store, *_span(block, "changes")),
        }
        encode = {"behaviour": encoding.behaviour_records, "changes": encoding.change_records}
        self.records = {
            name: encode[name](rows, _by_commit(rows, block, name)) for name, rows in self.frames.items()
        }
        self.bounds = {name: _bounds(rows["seq"], block, name) for name, rows in self.frames.items()}
        self.purged = store.frame(
            "SELECT seq FROM redactions WHERE seq BETWEEN ? AND ? ORDER BY seq", span, {"seq": pl.Int64()}
        )["seq"]
        self.kept = redactions.kept_leaves(store, block[0].id, block[-1].id)
        """The leaves some or all of whose rows were cut, by commit."""
        self.rest = rest
        self.texts = {
            "decisions": store.rows(
                "SELECT seq, kind, body FROM decisions WHERE seq BETWEEN ? AND ? ORDER BY seq",
                _span(block, "decisions"),
            ),
            "vocabulary": store.rows(
                "SELECT id, kind, text FROM vocabulary WHERE id BETWEEN ? AND ? ORDER BY id",
                _span(block, "vocabulary"),
            ),
        }

    def fault(self, commit: Commit) -> str | None:
        """The first stream whose rows are not those the commit was made of."""
        self.leaves = dict.fromkeys(STREAMS, 0)
        if commit.encoding not in KNOWN:
            return f"its encoding {commit.encoding} is not known"
        for name in (*STREAMS, "vocabulary"):
            if self._digest(commit, name) != getattr(commit, f"{name}_digest"):
                return self._changed(commit, name)
        return None

    def _changed(self, commit: Commit, name: str) -> str:
        first, last = _range(commit, name)
        if first is None or last is None:
            return f"it tells no range of its {name} rows"
        if name in self.texts:
            there = sum(first <= row[0] <= last for row in self.texts[name])
        else:
            there = int(self.frames[name]["seq"].is_between(first, last).sum())
        missing = last - first + 1 - there - self._purged(name, first, last)
        which = "numbers" if name == "vocabulary" else "seq"
        told = f"its {name} rows, {which} {first} to {last}, were changed"
        return f"{told}, {missing:,} are missing" if missing > 0 else told

    def _purged(self, name: str, first: int, last: int) -> int:
        return int(self.purged.is_between(first, last).sum()) if name == "behaviour" else 0

    def differing(self, block: list[Commit], copies: dict[str, list[Segment]]) -> Path | None:
        """The first copy that does not hold this block's rows."""
        for stream, kept in copies.items():
            first, last = _span(block, stream)
            for segment in kept:
                start, end = max(first, segment.first_seq), min(last, segment.last_seq)
                if start > end:
                    continue
                copy = segments.load(segment, start, end)
                stored = self.frames[stream].filter(pl.col("seq").is_between(start, end))
                if copy is None and not segment.path.exists():
                    # A writer merged or removed it since; a copy that is gone says nothing.
                    continue
                if copy is None or not copy.equals(stored):
                    return segment.path
        return None

    def _digest(self, commit: Commit, name: str) -> bytes | None:
        first, last = _range(commit, name)
        if first is None or last is None:
            return None
        if name in self.texts:
            rows = self.texts[name]
            start, end = (bisect_left(rows, seq, key=itemgetter(0)) for seq in (first, last + 1))
            if name == "vocabulary":
                return self._vocabulary_digest(commit, rows[start:end])
            found = encoding.decision_leaf(rows[start:end], encoding=commit.encoding)
        else:
            start, end = self.bounds[name][commit.id]
            attributes = _between(self.attributes, first, last) if name == "behaviour" else None
            own = self.records[name][start:end]
            kept = self.kept.get(commit.id) if name == "behaviour" else None
            if kept is not None and attributes is not None:
                if end - start + self._purged(name, first, last) != last - first + 1:
                    return None
                cut = np.isin(own["user"], kept["user"])
                left, carried = own[cut], np.isin(attributes["seq"], own["seq"][cut])
                rest = encoding.leaves(name, left, attributes[carried], encoding=commit.encoding)
                if (encoding.stream_digest(rest) if rest.size else None) != self.rest.rows.get(commit.id):
                    return None
                own, attributes = own[~cut], attributes[~carried]
            found = encoding.leaves(name, own, attributes, encoding=commit.encoding)
            if kept is not None:
                found = np.concatenate([found, kept])
        self.leaves[name] = int(found.size)
        return encoding.stream_digest(found)

    def _vocabulary_digest(self, commit: Commit, entries: list[tuple[int, str, str]]) -> bytes | None:
        left = [entry for entry in entries if entry[1] != REDACTED]
        if len(left) == len(entries):
            return encoding.vocabulary_digest(entries)
        first, last = _range(commit, "vocabulary")
        gone = [(number, text) for number, kind, text in entries if kind == REDACTED]
        sound = first is not None and last is not None and len(entries) == last - first + 1
        sound &= all(text == str(number) for number, text in gone)
        found = encoding.vocabulary_digest(left) if left else None
        return commit.vocabulary_digest if sound and found == self.rest.words.get(commit.id) else None


def _span(block: list[Commit], stream: str) -> tuple[int, int]:
    """The seqs of a stream in a block: first and last, an empty range for none."""
    ranges = [_range(commit, stream) for commit in block]
    firsts = [first for first, _ in ranges if first is not None]
    lasts = [last for _, last in ranges if last is not None]
    return (firsts[0], lasts[-1]) if firsts else (1, 0)


def _by_commit(rows: pl.DataFrame, block: list[Commit], stream: str) -> encoding.Order:
    """The order of rows by commit, user and seq."""
    firsts = [first for first, _ in (_range(commit, stream) for commit in block) if first is not None]
    return encoding.by_user(rows, pl.Series(firsts, dtype=pl.Int64).search_sorted(rows["seq"], side="right"))


def _bounds(seqs: pl.Series, block: list[Commit], stream: str) -> dict[int, tuple[int, int]]:
    """Where each commit's rows start and end among the block's, by commit id."""
    ranges = [(commit.id, *_range(commit, stream)) for commit in block]
    kept = [(number, first, last) for number, first, last in ranges if first is not None and last is not None]
    starts = seqs.search_sorted(pl.Series([first for _, first, _ in kept], dtype=pl.Int64)).to_list()
    ends = seqs.search_sorted(pl.Series([last + 1 for _, _, last in kept], dtype=pl.Int64)).to_list()
    return {number: span for (number, _, _), span in zip(kept, zip(starts, ends, strict=True), strict=True)}


def _between(records: Records, first: int, last: int) -> Records:
    """The records, sorted by seq, with first <= seq <= last."""
    start, end = np.searchsorted(records["seq"], [first, last + 1])
    return records[start:end]


def _header_fault(rows: _Rows, commit: Commit, previous: bytes) -> str | None:
    header = Header(
        id=commit.id,
        recorded_at=commit.recorded_at,
        actor=commit.actor,
        source=commit.source,
        ranges={name: _pair(commit, name) for name in (*STREAMS, "vocabulary")},
        leaves=rows.leaves,
        digests={name: getattr(commit, f"{name}_digest") for name in (*STREAMS, "vocabulary")},
        encoding=commit.encoding,
    )
    return None if header.digest(previous) == commit.digest else "it was rewritten"


def _pair(commit: Commit, stream: str) -> tuple[int, int] | None:
    first, last = _range(commit, stream)
    return None if first is None or last is None else (first, last)
