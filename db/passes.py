"""Passes: which rescores there were, and which pass a fold reads at each as-of.

A pass opened with `from` F governs every as-of after F against older passes, from the seq of its first
`rescored` decision on; a null F governs everything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from db.store import Store

RESCORES: dict[str, pl.DataType] = dict.fromkeys(
    ("seq", "segmentation", "pass", "from_as_of", "as_of", "position"), pl.Int64()
)
LAST_INSTANT = 2**63 - 1
FIRST_INSTANT = -(2**63)


def rescores(store: Store, segmentation: int | None = None, position: int | None = None) -> pl.DataFrame:
    """seq, segmentation, pass, from_as_of, as_of, position of every rescore, by seq."""
    return store.frame(
        'SELECT seq, segmentation, "pass", from_as_of, as_of, position FROM rescores '
        "WHERE segmentation = coalesce(?, segmentation) AND seq <= coalesce(?, seq) ORDER BY seq",
        (segmentation, position),
        RESCORES,
    )


def newest(store: Store) -> tuple[int, int, int] | None:
    """as_of, position and seq of the newest rescore; None before the first."""
    rows = store.rows("SELECT as_of, position, seq FROM rescores ORDER BY seq DESC LIMIT 1")
    return rows[0] if rows else None


def last_rescored(store: Store, segmentation: int | None = None, position: int | None = None) -> int | None:
    """The as-of of the newest rescore, of one segmentation or of any; None before the first."""
    rows = store.rows(
        "SELECT as_of FROM rescores WHERE segmentation = coalesce(?, segmentation) "
        "AND seq <= coalesce(?, seq) ORDER BY seq DESC LIMIT 1",
        (segmentation, position),
    )
    return int(rows[0][0]) if rows else None


def passes(store: Store, segmentation: int, position: int | None = None) -> pl.DataFrame:
    """pass, from_as_of, seq of each pass's opening, by pass."""
    return store.frame(
        # A bare column beside min() comes from the row that holds the minimum.
        'SELECT "pass", from_as_of, min(seq) FROM rescores WHERE segmentation = ? '
        'AND seq <= coalesce(?, seq) GROUP BY "pass" ORDER BY "pass"',
        (segmentation, position),
        {"pass": pl.Int64(), "from_as_of": pl.Int64(), "seq": pl.Int64()},
    )


def openings(scored: pl.DataFrame) -> pl.DataFrame:
    """segmentation, pass, from_as_of of the first of each pass's rescores, by segmentation and pass."""
    return (
        scored.sort("seq")
        .group_by("segmentation", "pass", maintain_order=True)
        .agg(pl.col("from_as_of").first())
        .sort("segmentation", "pass")
    )


def limits(opened: pl.DataFrame) -> pl.DataFrame:
    """segmentation, pass, limit: the last as-of at which each pass governs, of `openings`."""
    return opened.select(
        "segmentation",
        "pass",
        pl.col("from_as_of")
        .fill_null(FIRST_INSTANT)
        .shift(-1)
        .cum_min(reverse=True)
        .fill_null(LAST_INSTANT)
        .over("segmentation")
        .alias("limit"),
    )


def within(rows: pl.DataFrame, bounds: pl.DataFrame) -> pl.DataFrame:
    """The rows (segmentation, pass, as_of, …) that `bounds` (see `limits`) let their pass govern.

    Rows of a pass that no rescore opened are kept: nothing newer governs them.
    """
    if (bounds["limit"] == LAST_INSTANT).all():
        return rows
    return (
        rows.join(bounds, on=["segmentation", "pass"], how="left", maintain_order="left")
        .filter(pl.col("as_of") <= pl.col("limit").fill_null(LAST_INSTANT))
        .drop("limit")
    )


def left_by(rows: pl.DataFrame, scored: pl.DataFrame, number: int) -> pl.DataFrame:
    """The rows (segmentation, pass, as_of, …) that a fold read when pass `number` had ended."""
    known = pl.col("pass") <= number
    return within(rows.filter(known), limits(openings(scored.filter(known))))


def governing(store: Store, rows: pl.DataFrame, position: int | None = None) -> pl.DataFrame:
    """The rows (segmentation, pass, as_of, …) of the newest pass over each as-of at `position`."""
    opened = store.frame(
        # A bare column beside min() comes from the row that holds the minimum.
        'SELECT segmentation, "pass", from_as_of, min(seq) FROM rescores '
        'WHERE seq <= coalesce(?, seq) GROUP BY segmentation, "pass" ORDER BY segmentation, "pass"',
        (position,),
        {"segmentation": pl.Int64(), "pass": pl.Int64(), "from_as_of": pl.Int64(), "seq": pl.Int64()},
    )
    return within(rows, limits(opened))
