"""Flapping: users who left a label and soon came back to it, counted at the ends of ticks."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl


def net_moves(changes: pl.DataFrame) -> pl.DataFrame:
    """user, as_of, from_label, to_label of what each as-of did to a user, by user and as_of.

    `changes`: the same columns, by as_of and seq, of one segmentation; null for no label. Several of one user
    at one as-of are one move, from the first label left to the last one come to; none where they are one.
    """
    return (
        changes.group_by("user", "as_of", maintain_order=True)
        .agg(pl.col("from_label").first(), pl.col("to_label").last())
        .filter(pl.col("from_label").ne_missing(pl.col("to_label")))
        .sort("user", "as_of")
    )


def returns(moves: pl.DataFrame, since: Callable[[int], int]) -> pl.DataFrame:
    """Every return: a move from `label` to `other`, and the user's next move, soon, back to `label`.

    `moves`: as `net_moves` gives them. `since`: the earliest instant that was soon before an as-of. Nobody
    flaps from or to no label. Columns user, label, other,
    left_at, back_at; by back_at and user.
    """
    followed = moves.with_columns(
        pl.col("from_label").shift(1).over("user").alias("label"),
        pl.col("as_of").shift(1).over("user").alias("left_at"),
    )
    soon = {as_of: since(as_of) for as_of in moves["as_of"].unique().to_list()}
    return (
        followed.with_columns(pl.col("as_of").replace_strict(soon, return_dtype=pl.Int64).alias("since"))
        .filter(
            (pl.col("label") == pl.col("to_label"))
            & pl.col("from_label").is_not_null()
            & (pl.col("left_at") >= pl.col("since"))
        )
        .select(
            "user",
            "label",
            pl.col("from_label").alias("other"),
            "left_at",
            pl.col("as_of").alias("back_at"),
        )
        .sort("back_at", "user")
    )
