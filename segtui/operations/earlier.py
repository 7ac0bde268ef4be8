"""What the log holds of one source already, kept up from one small batch to the next."""

from __future__ import annotations

import numpy as np
import polars as pl

from db import commits, log
from db.store import Store
from segtui.operations.deduplication import within

KEY_BYTES = 8
READ_ROWS = 1_000_000
FEW = 100_000
"""So many ids are kept unsorted beside the others, until they join them."""
MOST_SESSIONS = 200_000
SESSIONS = {"user": pl.Int64, "session": pl.Int64, "ordinal": pl.Int64}
"""A user's session, as a number that stands for its text while the program runs, and as its ordinal."""


class Earlier:
    """The rows of a source: those of other files, and where every id stands.

    A stream is one file however it is cut: its own rows, told with `own`, are no other file's.
    """

    def __init__(self, store: Store, source: str) -> None:
        self._store, self._source = store, source
        self._own: set[int] = set()
        self._commit = 0
        self._ranges: list[tuple[int, int]] = []
        self._unread: list[tuple[int, int]] = []
        self._keys = np.zeros(0, np.uint64)
        self._seqs = np.zeros(0, np.int64)
        self._recent: list[tuple[np.ndarray, np.ndarray]] = []
        self._sessions = pl.DataFrame(schema=SESSIONS)

    def own(self, first_seq: int) -> None:
        """The behaviour that begins there was this stream's; to be told before `others` is asked for it."""
        self._own.add(first_seq)

    def others(self) -> list[tuple[int, int]]:
        """First and last seqs of the source's commits that are not this stream's, in their order."""
        new = commits.of_source(self._store, self._source, after_commit=self._commit)
        self._commit = commits.newest(self._store)
        self._unread += new
        self._ranges += [each for each in new if each[0] not in self._own]
        return self._ranges

    def seqs(self, ids: pl.Series) -> list[int]:
        """Where rows of the source may stand under these ids, of 16 bytes; `others` was called before."""
        self._read()
        wanted = np.unique(_keys(ids))
        found = []
        for keys, seqs in [(self._keys, self._seqs), *self._recent]:
            if len(keys) == 0:
                continue
            start, end = (np.searchsorted(keys, wanted, side) for side in ("left", "right"))
            for first, last in zip(start[end > start], end[end > start], strict=True):
                found += seqs[first:last].tolist()
        return sorted(found)

    def sessions(self, users: pl.Series) -> pl.DataFrame:
        """SESSIONS of these users that went by in batches before; the log does not know a session's text."""
        return self._sessions.filter(pl.col("user").is_in(users.unique().implode()))

    def remember(self, sessions: pl.DataFrame) -> None:
        """Keeps sessions (SESSIONS) that may go on in the next batches, the newest MOST_SESSIONS of all."""
        both = pl.concat([self._sessions, sessions.select(*SESSIONS)])
        kept = both.unique(["user", "session"], keep="last", maintain_order=True)
        self._sessions = kept.tail(MOST_SESSIONS)

    def _read(self) -> None:
        """Takes the ids of commits not read yet."""
        first, last = (self._unread[0][0], self._unread[-1][1]) if self._unread else (1, 0)
        for start in range(first, last + 1, READ_ROWS):
            rows = log.behaviour(
                self._store,
                after_seq=start - 1,
                position=min(start + READ_ROWS - 1, last),
                columns=["seq", "source_id"],
            )
            rows = rows.filter(within(rows["seq"], self._unread)).drop_nulls("source_id")
            if rows.height:
                keys = _keys(rows["source_id"])
                order = np.argsort(keys, kind="stable")
                self._recent.append((keys[order], rows["seq"].to_numpy()[order]))
        self._unread = []
        if sum(len(keys) for keys, _ in self._recent) > FEW or len(self._recent) > READ_ROWS // FEW:
            parts = [(self._keys, self._seqs), *self._recent]
            keys, seqs = (np.concatenate([part[side] for part in parts]) for side in (0, 1))
            order = np.argsort(keys, kind="stable")
            self._keys, self._seqs, self._recent = keys[order], seqs[order], []


def _keys(ids: pl.Series) -> np.ndarray:
    """uint64[n]: the first bytes of each id."""
    return np.frombuffer(b"".join(each[:KEY_BYTES] for each in ids), "<u8").astype(np.uint64)
