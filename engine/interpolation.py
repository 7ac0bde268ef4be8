"""Missing values of events, interpolated along the user's own series of events of the same kind."""

from collections.abc import Sequence

import polars as pl

from engine.schema import BOOKKEEPING, canonical


def interpolated(
    events: pl.DataFrame, identity: pl.DataFrame | None, columns: Sequence[str]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """`events` (EVENTS, all before the as-of) with what is missing in `columns` filled in, and how much was.

    Between two events of one canonical user and kind that have a value, the value runs straight from one to
    the other over time, rounded to the integers the log holds; before the first and after the last it is
    theirs. A user whose events of that kind never have one keeps none. The second frame: user, and for each
    column an Int64 `COLUMN_filled`, of those users with any.
    """
    owner = canonical(events, identity)
    kept = events.with_columns(pl.int_range(pl.len()).alias("place"), owner.alias("owner"))
    series = ["owner", "kind"]
    ordered = kept.sort("owner", pl.col("kind").cast(pl.String), "occurred_at", "seq")
    acts = ~ordered["kind"].cast(pl.String).is_in(BOOKKEEPING)
    counts = []
    for name in columns:
        value, at = pl.col(name), pl.when(pl.col(name).is_not_null()).then("occurred_at")
        ends = ordered.select(
            "occurred_at",
            before=value.forward_fill().over(series),
            since=at.forward_fill().over(series),
            after=value.backward_fill().over(series),
            until=at.backward_fill().over(series),
        )
        share = (pl.col("occurred_at") - pl.col("since")) / (pl.col("until") - pl.col("since"))
        rise = ((pl.col("after") - pl.col("before")) * share).round()
        between = pl.col("before") + rise.fill_nan(0).fill_null(0).cast(pl.Int64)
        filled = ends.select(pl.coalesce(between, "after")).to_series()
        gained = acts & ordered[name].is_null() & filled.is_not_null()
        counts.append(
            ordered.filter(gained).group_by("owner").agg(pl.len().cast(pl.Int64).alias(f"{name}_filled"))
        )
        ordered = ordered.with_columns(pl.coalesce(name, filled).alias(name))
    found = pl.concat(counts, how="diagonal").group_by("owner").sum().rename({"owner": "user"})
    return ordered.sort("place").drop("place", "owner"), found
