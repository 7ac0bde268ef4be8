"""Membership changes folded to memberships and sizes: pure, from frames to frames."""

from __future__ import annotations

import numpy as np
import polars as pl

MEMBERSHIPS: dict[str, pl.DataType] = {
    "user": pl.Int64(),
    "label": pl.Int64(),
    "probability": pl.Int64(),
    "since": pl.Int64(),
    "seq": pl.Int64(),
    "pass": pl.Int64(),
}

SPARSE = 8
"""So many times more than there are rows may surrogates be, to have a place each."""


def in_time(changes: pl.DataFrame) -> bool:
    """Whether rows are in the order of as_of and seq already: looking is far cheaper than sorting."""
    ahead = np.diff(changes["as_of"].to_numpy())
    back = (ahead < 0) | ((ahead == 0) & (np.diff(changes["seq"].to_numpy()) < 0))
    return not back.any()


def fold(changes: pl.DataFrame) -> pl.DataFrame:
    """Memberships from one segmentation's governing changes (columns of log.CHANGES, in any order).

    The last change of a user, by as_of and seq, decides; a change to no label ends the membership.
    Returns user, label, probability, since (as_of of the change), seq, pass; by user.
    """
    users, as_ofs, seqs = (changes[name].to_numpy() for name in ("user", "as_of", "seq"))
    order = np.arange(len(users)) if in_time(changes) else np.lexsort((seqs, as_ofs))
    places = users
    if users.size and users.max() > SPARSE * users.size:
        places = np.unique(users, return_inverse=True)[1]
    newest = np.full(places.max(initial=-1) + 1, -1)
    # Of the rows of a user, the one put last stays.
    newest[places[order]] = order
    newest = newest[newest >= 0]
    return changes.select(
        "user",
        pl.col("to_label").alias("label"),
        "probability",
        pl.col("as_of").alias("since"),
        "seq",
        "pass",
    )[newest].filter(pl.col("label").is_not_null())


def fold_sizes(changes: pl.DataFrame, ticks: pl.DataFrame) -> pl.DataFrame:
    """Sizes at every governing scored tick, from the moves in and out of each label.

    `changes`, `ticks`: one segmentation's governing changes and rescores. Returns segmentation, pass,
    as_of, label, users, expected (null: the log does not hold it).
    """
    moves = pl.concat(
        [
            changes.select("as_of", pl.col("to_label").alias("label"), pl.lit(1, pl.Int64).alias("users")),
            changes.sort("as_of", "seq").select(
                "as_of",
                pl.col("to_label").shift(1).over("user").alias("label"),
                pl.lit(-1, pl.Int64).alias("users"),
            ),
        ]
    ).filter(pl.col("label").is_not_null())
    scored = ticks.group_by("as_of").agg(pl.col("segmentation").first(), pl.col("pass").max())
    grid = scored.join(moves.select(pl.col("label").unique()), how="cross").sort("as_of")
    running = (
        moves.group_by("as_of", "label")
        .agg(pl.col("users").sum())
        .sort("as_of")
        .with_columns(pl.col("users").cum_sum().over("label"))
    )
    return grid.join_asof(
        running, on="as_of", by="label", strategy="backward", check_sortedness=False
    ).select(
        "segmentation",
        "pass",
        "as_of",
        "label",
        pl.col("users").fill_null(0),
        pl.lit(None, pl.Float64).alias("expected"),
    )
