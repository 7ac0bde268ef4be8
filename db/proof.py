"""What is computed from behaviour rows while SQLite takes them in: leaves, content, and the columnar copy."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from db import encoding
from db.content import Running, Words
from db.encoding import LEAF, Records
from db.segments import Draft
from db.words import Digested

if TYPE_CHECKING:
    from db.store import Store

MOST_WAITING = 4


class Proof:
    """The behaviour of one transaction, part by part; hashing runs beside the caller, who writes.

    All rows of a user come in one part.
    """

    def __init__(self, store: Store, users: Digested, texts: Digested) -> None:
        """`users` and `texts`: digests of what the transaction numbered."""
        self._store, self._users, self._texts = store, users, texts
        self.copy = Draft(store, "behaviour")
        self._content: Running | None = None
        self._hasher: ThreadPoolExecutor | None = None
        self._waiting: deque[Future[None]] = deque()
        self._leaves: list[Records] = []

    def add(self, rows: pl.DataFrame, attributes: pl.DataFrame) -> None:
        """Takes a part: rows with seq, and seq, name, value of what they carry."""
        if self._hasher is None:
            self._hasher = ThreadPoolExecutor(1)
            self._content = Running(self._store, self._users, self._texts)
        while len(self._waiting) > MOST_WAITING:
            self._waiting.popleft().result()
        assert self._content is not None
        words = self._content.prepare(rows, attributes)
        self._waiting.append(self._hasher.submit(self._hash, rows, attributes, words))

    def _hash(self, rows: pl.DataFrame, attributes: pl.DataFrame, words: Words | None) -> None:
        self._leaves.append(encoding.behaviour_leaves(rows, attributes))
        if words is not None and self._content is not None:
            self._content.add(rows, words)
        self.copy.add(rows)

    def leaves(self) -> Records:
        """One leaf per user; raises ValueError for a user who came in two parts."""
        while self._waiting:
            self._waiting.popleft().result()
        found = np.concatenate([np.zeros(0, dtype=LEAF), *self._leaves])
        if np.unique(found["user"]).size < found.size:
            raise ValueError("all behaviour of a user comes in one part of a transaction")
        return found

    def keep(self) -> None:
        """Keeps the content's sum with the commit."""
        if self._content is not None:
            self._content.keep()

    def release(self) -> None:
        """Ends the hashing and removes a copy that was not adopted."""
        if self._hasher is not None:
            self._hasher.shutdown(cancel_futures=True)
        self.copy.discard()
