"""Rows of erased persons, which no import brings back."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from db.erasures import Erasures, mention
from db.vocabulary import LINKING
from segtui.operations.mentions import Cell, cells


def suppress(
    erasures: Erasures,
    accepted: pl.DataFrame,
    rejected: pl.DataFrame,
    aliases: pl.DataFrame | None,
    columns: Collection[str],
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows of an import (with user; with row and reason) without those of erased persons.

    An alias is theirs when either id is, a rejected row when it names them, as an erasure judges it: it would
    carry the name into a quarantine file. `columns`: where ids stand. Raises KeyMissing when the list of
    erased persons cannot be opened.
    """
    if not erasures.persons:
        return accepted, rejected
    gone = erasures.states(accepted["user"].unique().to_list())
    kept = ~pl.col("user").is_in(list(gone))
    if aliases is not None:
        others = erasures.states(aliases["other"].unique().to_list())
        theirs_too = aliases.filter(pl.col("other").is_in(list(others)))["line"]
        kept &= ~(pl.col("line").is_in(theirs_too.implode()) & pl.col("kind").is_in(LINKING))
    told = zip(rejected["row"], rejected["reason"], strict=True)
    rows = [list(cells(row, reason, columns)) for row, reason in told]
    named = _naming(erasures, {cell for row in rows for cell in row})
    theirs = pl.Series([not named.isdisjoint(row) for row in rows], dtype=pl.Boolean)
    return accepted.filter(kept), rejected.filter(~theirs)


def _naming(erasures: Erasures, told: set[Cell]) -> set[Cell]:
    """Those of the cells that name somebody erased."""
    names = {cell: cell.names() for cell in told}
    written = set[str]().union(*names.values())
    lowered = {name: name.lower() for name in written}
    # A list may hold ids that were put on it before it held how they are named.
    asked = {*written, *lowered.values(), *map(mention, lowered.values())}
    gone = erasures.states(list(asked)).keys()
    theirs = {name for name, low in lowered.items() if not gone.isdisjoint((name, low, mention(low)))}
    return {cell for cell, found in names.items() if not theirs.isdisjoint(found)}
