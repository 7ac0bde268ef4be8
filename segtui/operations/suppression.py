"""Rows of erased persons, which no import brings back."""

from __future__ import annotations

import polars as pl

from db.erasures import Erasures
from db.vocabulary import LINKING
from segtui.operations.mentions import told_in


def suppress(
    erasures: Erasures, accepted: pl.DataFrame, rejected: pl.DataFrame, aliases: pl.DataFrame | None = None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows of an import (with user; with row) without those of erased persons.

    An alias is theirs when either id is, a rejected row when it names them: it would carry the name into a
    quarantine file. Raises KeyMissing when the list of erased persons cannot be opened.
    """
    if not erasures.persons:
        return accepted, rejected
    gone = erasures.states(accepted["user"].unique().to_list())
    named = [{word for each in told_in(row) for word in (each, each.lower())} for row in rejected["row"]]
    told = erasures.states(list(set[str]().union(*named))).keys()
    theirs = pl.Series([not told.isdisjoint(words) for words in named], dtype=pl.Boolean)
    kept = ~pl.col("user").is_in(list(gone))
    if aliases is not None:
        others = erasures.states(aliases["other"].unique().to_list())
        theirs_too = aliases.filter(pl.col("other").is_in(list(others)))["line"]
        kept &= ~(pl.col("line").is_in(theirs_too.implode()) & pl.col("kind").is_in(LINKING))
    return accepted.filter(kept), rejected.filter(~theirs)
