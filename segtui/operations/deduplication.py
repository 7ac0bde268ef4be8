"""Which incoming rows are new: the idempotence of imports, on frames of integers.

Without a source's own ids a row's multiplicity is the maximum over the files of one source; with ids a
row that comes again is a duplicate, and one that comes again changed becomes a compensating event.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

CONTENT = (
    "user",
    "occurred_at",
    "kind",
    "order",
    "item",
    "category",
    "platform",
    "device",
    "region",
    "currency",
    "amount",
    "quantity",
    "rating",
    "duration",
)


def _used(frame: pl.DataFrame, others: pl.DataFrame) -> list[str]:
    """The content columns that can tell two rows apart: those not null throughout both frames."""
    return [
        name
        for name in CONTENT
        if frame[name].null_count() < frame.height or others[name].null_count() < others.height
    ]


def new_copies(incoming: pl.DataFrame, logged: pl.DataFrame) -> pl.Series:
    """Marks the rows of `incoming` (CONTENT plus `file`) that the log does not hold yet.

    The k-th copy of a content inside one file is new when the log holds fewer than k copies and no
    earlier file of this import brought a k-th copy. Returns Boolean[rows].
    """
    if incoming.is_empty():
        return pl.Series("new", [], dtype=pl.Boolean)
    keys = _used(incoming, logged)
    numbered = incoming.select(*keys, "file").with_columns(
        pl.int_range(pl.len()).over([*keys, "file"]).alias("copy")
    )
    if incoming["file"].n_unique() > 1:
        first_here = numbered.select(pl.struct(*keys, "copy").is_first_distinct()).to_series()
    else:
        first_here = pl.repeat(True, incoming.height, eager=True)
    if logged.is_empty():
        return first_here.alias("new")
    counts = logged.group_by(keys).agg(pl.len().cast(pl.Int64).alias("held"))
    held = (
        numbered.join(counts, on=keys, how="left", nulls_equal=True, maintain_order="left")["held"]
        .fill_null(0)
        .cast(pl.Int64)
    )
    return (first_here & (numbered["copy"] >= held)).alias("new")


def compare_by_id(incoming: pl.DataFrame, logged: pl.DataFrame) -> pl.DataFrame:
    """Verdicts for rows with a source id: CONTENT and `source_id`, in both frames.

    Returns verdict ("new", "duplicate", "changed") and delta: for a changed row with amounts, what its
    amount differs by from the net amount its id stood at just before (null where there is none).
    """
    keys = list(CONTENT)
    seen_before = (
        incoming.select("source_id", *keys)
        .join(
            logged.select("source_id", *keys).unique().with_columns(pl.lit(True).alias("seen")),
            on=["source_id", *keys],
            how="left",
            nulls_equal=True,
            maintain_order="left",
        )["seen"]
        .fill_null(False)
    )
    seen_here = ~incoming.select(pl.struct("source_id", *keys).is_first_distinct()).to_series()
    net = logged.group_by("source_id").agg(pl.col("amount").sum().alias("net"), pl.len().alias("versions"))
    table = incoming.select("source_id", "amount").join(
        net, on="source_id", how="left", maintain_order="left"
    )
    table = table.with_columns(seen_before.alias("before"), seen_here.alias("here"))
    known = pl.col("versions").is_not_null()
    counted = ~(pl.col("before") | pl.col("here"))
    previous = (
        pl.when(counted)
        .then(pl.col("amount"))
        .otherwise(None)
        .shift(1)
        .forward_fill()
        .over("source_id")
        .fill_null(pl.col("net"))
    )
    table = table.with_columns(
        (pl.col("amount") - previous).alias("delta"),
        pl.int_range(pl.len()).over("source_id").alias("nth"),
    )
    duplicate = pl.col("before") | pl.col("here") | (known & (pl.col("delta") == 0)).fill_null(False)
    return table.select(
        pl.when(duplicate)
        .then(pl.lit("duplicate"))
        .when(known | (pl.col("nth") > 0))
        .then(pl.lit("changed"))
        .otherwise(pl.lit("new"))
        .alias("verdict"),
        "delta",
    )


def compensations(changed: pl.DataFrame, *, purchase: int, refund: int) -> pl.DataFrame:
    """Events that move each changed row's id from its former net amount to its new one.

    `changed` holds CONTENT, source_id and delta (no null); a negative delta becomes a refund, a
    positive one a purchase, at the changed row's time.
    """
    return changed.with_columns(
        pl.when(pl.col("delta") < 0).then(refund).otherwise(purchase).cast(pl.Int64).alias("kind"),
        pl.col("delta").alias("amount"),
        pl.lit(None, dtype=pl.Int64).alias("quantity"),
        pl.lit(None, dtype=pl.Int64).alias("rating"),
        pl.lit(None, dtype=pl.Int64).alias("duration"),
    ).drop("delta")


def same_attributes(incoming: pl.DataFrame, logged: pl.DataFrame) -> pl.Series:
    """Marks rows whose user already holds exactly these attributes.

    `incoming` has row, user, name, value; `logged` has seq, user, name, value. Compared with the user's
    newest event that carries attributes. Returns the row numbers that are duplicates.
    """
    text = pl.concat_str("name", pl.lit("="), "value")

    def fingerprint(frame: pl.DataFrame, key: str) -> pl.DataFrame:
        return (
            frame.sort("name")
            .group_by(key, maintain_order=True)
            .agg(pl.col("user").first(), text.alias("parts"))
            .with_columns(pl.col("parts").list.join(";"))
        )

    newest = logged.filter(pl.col("seq") == pl.col("seq").max().over("user"))
    held = fingerprint(newest, "seq").select("user", "parts")
    return fingerprint(incoming, "row").join(held, on=["user", "parts"], how="semi")["row"]


def within(seqs: pl.Series, ranges: Sequence[tuple[int, int]]) -> pl.Series:
    """Marks the seqs that lie in one of the closed, sorted, disjoint ranges."""
    if not ranges:
        return pl.repeat(False, len(seqs), eager=True)
    starts = pl.Series([first for first, _ in ranges])
    ends = pl.Series([last for _, last in ranges])
    index = starts.search_sorted(seqs, side="right").cast(pl.Int64) - 1
    inside = index >= 0
    return inside & (seqs <= ends.gather(index.clip(0)))
