# ruff: noqa: S608  (the names put into SQL are this package's own; values are always bound)
"""What events carry besides their columns: attributes, whom an alias names, versions of changed rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from db import vocabulary
from db.log import among

if TYPE_CHECKING:
    from db.store import Store

LINKS: dict[str, pl.DataType] = dict.fromkeys(("seq", "occurred_at", "user", "other"), pl.Int64())
ATTRIBUTES: dict[str, pl.DataType] = {
    "seq": pl.Int64(),
    "user": pl.Int64(),
    "occurred_at": pl.Int64(),
    "name": pl.Int64(),
    "value": pl.Int64(),
}


def attributes(
    store: Store,
    *,
    position: int | None = None,
    users: Sequence[int] | None = None,
    between: tuple[int, int] | None = None,
) -> pl.DataFrame:
    """Attributes of behaviour rows: seq, user, occurred_at, name, value; by seq and name.

    `between`: only those of users in a half-open range.
    The versions of changed rows and whom an alias names are no attribute of anybody: see `versions`, `links`.
    """
    tables = "attributes a JOIN behaviour b ON b.seq = a.seq"
    where = [
        "a.name NOT IN (SELECT id FROM vocabulary WHERE kind IN ('attribute:version', 'attribute:other'))"
    ]
    parameters: list[Any] = []
    if position is not None:
        where.append("a.seq <= ?")
        parameters.append(position)
    if users is not None:
        # CROSS JOIN looks the users up first; the planner went through all attributes.
        tables = "behaviour b CROSS JOIN attributes a ON a.seq = b.seq"
        condition, value = among("b.user", users)
        where.append(condition)
        parameters.append(value)
    if between is not None:
        where += ["b.user >= ?", "b.user < ?"]
        parameters += between
    return store.frame(
        f"SELECT a.seq, b.user, b.occurred_at, a.name, a.value FROM {tables} "
        f"WHERE {' AND '.join(where)} ORDER BY a.seq, a.name",
        parameters,
        ATTRIBUTES,
    )


def links(store: Store, *, position: int | None = None) -> pl.DataFrame:
    """Aliases and their ends, by seq: seq, occurred_at, user, other, and whether the row joins the two."""
    if not vocabulary.texts(store, "attribute:other"):
        # Most logs have none, and the attributes of a large table are many to look through.
        return pl.DataFrame(schema=LINKS | {"joins": pl.Boolean()})
    kinds = vocabulary.texts(store, "kind").items()
    joins = {number: text != vocabulary.UNLINKING for number, text in kinds if text in vocabulary.LINKING}
    rows = store.frame(
        "SELECT a.seq, b.occurred_at, b.user, a.value AS other, b.kind FROM attributes a "
        "JOIN behaviour b ON b.seq = a.seq WHERE a.seq <= ? "
        "AND a.name IN (SELECT id FROM vocabulary WHERE kind = 'attribute:other') ORDER BY a.seq",
        (store.head() if position is None else position,),
        LINKS | {"kind": pl.Int64()},
    )
    joined = pl.col("kind").replace_strict(joins, default=False, return_dtype=pl.Boolean)
    return rows.with_columns(joined.alias("joins")).drop("kind")


def everything(store: Store, first: int, last: int) -> pl.DataFrame:
    """seq, name, value of everything that rows with first <= seq <= last carry, versions included."""
    return store.frame(
        "SELECT seq, name, value FROM attributes WHERE seq BETWEEN ? AND ? ORDER BY seq, name",
        (first, last),
        dict.fromkeys(("seq", "name", "value"), pl.Int64()),
    )


def versions(store: Store, seqs: Sequence[int]) -> pl.DataFrame:
    """seq, version of those of the rows that stand for a changed row of their source."""
    condition, value = among("seq", seqs)
    return store.frame(
        f"SELECT seq, value FROM attributes WHERE {condition} "
        "AND name IN (SELECT id FROM vocabulary WHERE kind = 'attribute:version') ORDER BY seq",
        (value,),
        {"seq": pl.Int64(), "version": pl.Int64()},
    )
