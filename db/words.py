"""Texts that one transaction has met, with their numbers: what need not be looked up again."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

REMEMBERED = 1_000_000


class Met:
    """Numbers by text; the newest REMEMBERED texts are kept."""

    def __init__(self) -> None:
        self._known = _frame([], [])

    def numbers(self, texts: pl.Series, resolve: Callable[[list[str]], list[int]]) -> pl.Series:
        """The number of each text, null for null; `resolve` tells those of different texts not met yet."""
        asked = texts.rename("text").cast(pl.String).to_frame()
        found = _joined(asked, self._known)
        unmet = asked.filter(found.is_null() & pl.col("text").is_not_null()).to_series()
        if unmet.len():
            fresh = unmet.unique(maintain_order=True).to_list()
            told = _frame(fresh, resolve(fresh))
            found = found.fill_null(_joined(asked, told))
            self._known = pl.concat([self._known, told]).tail(REMEMBERED)
        return found.alias(texts.name)


def _frame(texts: list[str], numbers: list[int]) -> pl.DataFrame:
    return pl.DataFrame(
        {"text": texts, "number": numbers}, schema={"text": pl.String(), "number": pl.Int64()}
    )


def _joined(asked: pl.DataFrame, known: pl.DataFrame) -> pl.Series:
    return asked.join(known, on="text", how="left", maintain_order="left")["number"]
