"""Texts that one transaction has met, with their numbers and digests: what need not be looked up again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256

import numpy as np
import polars as pl

from db.encoding import Records

REMEMBERED = 300_000
DIGESTED = 1_000_000
DIGEST_BYTES = 32


class Met:
    """Numbers by text; the newest REMEMBERED texts are kept.

    whole: no text has a number but those met here, so that others need not be looked for.
    """

    def __init__(self, whole: bool) -> None:
        self._known = _frame([], [])
        self.whole = whole

    def numbers(self, texts: pl.Series, resolve: Callable[[list[str]], list[int]]) -> pl.Series:
        """The number of each text, null for null; `resolve` tells those of different texts not met yet."""
        asked = texts.rename("text").cast(pl.String).to_frame()
        found = _joined(asked, self._known)
        unmet = asked.filter(found.is_null() & pl.col("text").is_not_null()).to_series()
        if unmet.len():
            fresh = unmet.unique(maintain_order=True).to_list()
            told = _frame(fresh, resolve(fresh))
            found = found.fill_null(_joined(asked, told))
            everything = pl.concat([self._known, told])
            self.whole = self.whole and everything.height <= REMEMBERED
            # Forgotten texts stay in memory until the rest is copied away from them.
            self._known = everything.tail(REMEMBERED).rechunk()
        return found.alias(texts.name)


class Digested:
    """SHA-256 of texts by their numbers, which follow each other; no more than DIGESTED are kept."""

    def __init__(self) -> None:
        self._packed = bytearray()
        self._table: Records = np.zeros(0, dtype=f"V{DIGEST_BYTES}")
        self.first = 0

    @property
    def stop(self) -> int:
        """The number after the last one that is here."""
        return self.first + len(self._packed) // DIGEST_BYTES

    def add(self, first: int, texts: Sequence[str]) -> None:
        """Takes the texts numbered from `first` on, if there is room and no gap before them."""
        if not self._packed:
            self.first = first
        if first == self.stop and self.stop - self.first + len(texts) <= DIGESTED:
            self._packed += b"".join([sha256(text.encode()).digest() for text in texts])

    def table(self) -> Records:
        """The digests so far, by number from `first` on."""
        if self._table.size * DIGEST_BYTES < len(self._packed):
            self._table = np.frombuffer(bytes(self._packed), dtype=self._table.dtype)
        return self._table


def _frame(texts: list[str], numbers: list[int]) -> pl.DataFrame:
    return pl.DataFrame(
        {"text": texts, "number": numbers}, schema={"text": pl.String(), "number": pl.Int64()}
    )


def _joined(asked: pl.DataFrame, known: pl.DataFrame) -> pl.Series:
    return asked.join(known, on="text", how="left", maintain_order="left")["number"]
