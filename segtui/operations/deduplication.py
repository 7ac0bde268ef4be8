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


def compare_by_id(incoming: pl.DataFrame, logged: pl.DataFrame, *, refund: int) -> pl.DataFrame:
    """Verdicts for rows with a source id: CONTENT and `source_id` in both frames, `logged` by seq.

    What an id stood at after each of its logged events (the running sum of their amounts, at the event's
    time) are its versions; a row that brings one of them again is a duplicate, however often its file
    comes. A refund under an id that began as something else is the amount taken off what it began with.
    Returns verdict ("new", "duplicate", "changed") and delta: by how much a changed row moves its id.
    """
    began = (
        pl.concat(
            [logged.select("source_id", "kind", "amount"), incoming.select("source_id", "kind", "amount")]
        )
        .group_by("source_id", maintain_order=True)
        .agg(pl.col("kind").first().alias("first_kind"), pl.col("amount").first().alias("first_amount"))
    )
    net = logged.group_by("source_id").agg(pl.col("amount").sum().alias("net"), pl.len().alias("versions"))
    refunded = (pl.col("kind") == refund) & (pl.col("first_kind") != refund)
    table = (
        incoming.join(began, on="source_id", how="left", maintain_order="left")
        .join(net, on="source_id", how="left", maintain_order="left")
        .with_columns(
            pl.when(refunded)
            .then(pl.col("first_amount") + pl.col("amount"))
            .otherwise("amount")
            .alias("state")
        )
    )
    versions = logged.with_columns(
        pl.when(pl.col("amount").is_not_null())
        .then(pl.col("amount").cum_sum().over("source_id"))
        .alias("state")
    )
    # Without an amount nothing but the whole content tells two versions apart.
    rest = [name for name in CONTENT if name not in ("user", "occurred_at", "amount")]
    whole = [pl.when(pl.col("state").is_null()).then(name).alias(name) for name in rest]
    keys = ["source_id", "occurred_at", "state", *rest]
    seen = versions.select("source_id", "occurred_at", "state", *whole).unique()
    brought = table.select("source_id", "occurred_at", "state", *whole)
    before = brought.join(
        seen.with_columns(pl.lit(True).alias("seen")),
        on=keys,
        how="left",
        nulls_equal=True,
        maintain_order="left",
    )["seen"].fill_null(False)
    here = ~brought.select(pl.struct(keys).is_first_distinct()).to_series()
    known = pl.col("versions").is_not_null()
    counted = ~pl.col("repeated")
    previous = (
        pl.when(counted).then("state").shift(1).forward_fill().over("source_id").fill_null(pl.col("net"))
    )
    nth = counted.cast(pl.Int64).cum_sum().over("source_id")
    table = table.with_columns(here.alias("here"), (before | here).alias("repeated")).with_columns(
        (pl.col("state") - previous).alias("delta"), nth.alias("nth")
    )
    # A file that ends an id where the log has it adds nothing, also where a version in between left no event.
    last = pl.col("state").filter(~pl.col("here")).last().over("source_id")
    table = table.with_columns(last.alias("last_state"))
    told = pl.col("last_state") == pl.col("net")
    same = told.fill_null(False) | ((known | (pl.col("nth") > 1)) & (pl.col("delta") == 0)).fill_null(False)
    return table.select(
        pl.when(pl.col("repeated") | same)
        .then(pl.lit("duplicate"))
        .when(known | (pl.col("nth") > 1))
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
    """The rows that tell nothing new of their user.

    `incoming` has row, user, name, value; `logged` has seq, user, name, value. A row is a duplicate when it
    equals the user's row before it in the file or, as the user's first row, the newest attributes the log
    holds; and, where the file ends a user at what the log ends it at, when the log held it at any time:
    a file that moves a user to and fro then adds nothing the second time. Returns the row numbers.
    """
    text = pl.concat_str("name", pl.lit("="), "value")

    def fingerprint(frame: pl.DataFrame, key: str) -> pl.DataFrame:
        return (
            frame.sort(key, "name")
            .group_by(key, maintain_order=True)
            .agg(pl.col("user").first(), text.alias("parts"))
            .with_columns(pl.col("parts").list.join(";"))
        )

    history = fingerprint(logged, "seq")
    newest = history.group_by("user", maintain_order=True).agg(pl.col("parts").last().alias("newest"))
    held = history.select("user", "parts").unique().with_columns(pl.lit(True).alias("held"))
    brought = (
        fingerprint(incoming, "row")
        .join(newest, on="user", how="left", maintain_order="left")
        .join(held, on=["user", "parts"], how="left", maintain_order="left")
        .with_columns(
            (pl.col("parts") == pl.col("parts").shift(1).over("user")).fill_null(False).alias("repeated"),
            (pl.col("parts").last().over("user") == pl.col("newest")).fill_null(False).alias("ends_alike"),
        )
    )
    first = pl.int_range(pl.len()).over("user") == 0
    known = first & (pl.col("parts") == pl.col("newest"))
    duplicate = pl.col("repeated") | known.fill_null(False)
    duplicate |= pl.col("ends_alike") & pl.col("held").fill_null(False)
    return brought.filter(duplicate)["row"]


def within(seqs: pl.Series, ranges: Sequence[tuple[int, int]]) -> pl.Series:
    """Marks the seqs that lie in one of the closed, sorted, disjoint ranges."""
    if not ranges:
        return pl.repeat(False, len(seqs), eager=True)
    starts = pl.Series([first for first, _ in ranges])
    ends = pl.Series([last for _, last in ranges])
    index = starts.search_sorted(seqs, side="right").cast(pl.Int64) - 1
    inside = index >= 0
    return inside & (seqs <= ends.gather(index.clip(0)))
