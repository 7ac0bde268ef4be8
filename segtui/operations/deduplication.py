"""Which incoming rows are new: the idempotence of imports, on frames of integers.

Without a source's own ids a row's multiplicity is the maximum over the files of one source; with ids a
row that comes again is a duplicate, and one that comes again changed leaves one event that stands for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

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
    if logged.is_empty() and incoming["file"].n_unique() == 1:
        return pl.repeat(True, incoming.height, eager=True).alias("new")
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


def compare_by_id(
    incoming: pl.DataFrame,
    logged: pl.DataFrame,
    *,
    refund: int | None,
    version_of: Callable[[pl.DataFrame], pl.Series],
) -> pl.DataFrame:
    """Verdicts for rows with a source id: CONTENT and `source_id` in both frames, in order.

    `incoming` may have `base`: rows that only tell what their id began with, if it is not known yet; else
    they are "dropped". `logged` also has `version`: null for the row an id began with, else that of the row
    which changed it, as `version_of` tells it of incoming rows. A row whose content the id had before is a
    duplicate, whatever came between; any other row of a known id is changed. A refund under an id that began
    as something else is the amount taken off what it began with.
    Returns verdict ("new", "duplicate", "changed", "dropped") and, of the changed rows, version, delta: by
    how much one moves its id's amount for its user, and, where the id was another user's before, `was`, that
    user, and `back`, the amount to take back from them.
    """
    base = pl.col("base") if "base" in incoming.columns else pl.lit(False)
    table = incoming.with_columns(
        base.alias("base"),
        pl.col("source_id").is_in(logged["source_id"].unique().implode()).alias("known"),
        pl.col("source_id").is_first_distinct().alias("first"),
        pl.struct("source_id", *CONTENT).is_first_distinct().not_().alias("duplicate"),
    )
    began = logged.filter(pl.col("version").is_null())
    duplicate = pl.col("duplicate") | pl.lit(_seen(table, began, ["source_id", *CONTENT]))
    new = pl.col("first") & ~pl.col("known")
    table = table.with_columns(duplicate, new.alias("new")).with_row_index("at")
    unlike = table.filter(~pl.col("duplicate") & ~pl.col("new") & ~pl.col("base"))
    unlike = unlike.with_columns(version_of(unlike).alias("version"))
    unlike = unlike.filter(~_seen(unlike, logged, ["source_id", "user", "version"]))
    return table.join(
        _deltas(table.filter("new"), unlike, logged, refund), on="at", how="left", maintain_order="left"
    ).select(
        pl.when("new")
        .then(pl.lit("new"))
        .when(pl.col("version").is_not_null())
        .then(pl.lit("changed"))
        .when("base")
        .then(pl.lit("dropped"))
        .otherwise(pl.lit("duplicate"))
        .alias("verdict"),
        "version",
        "delta",
        "was",
        "back",
    )


def _seen(rows: pl.DataFrame, others: pl.DataFrame, keys: list[str]) -> pl.Series:
    """Marks the rows whose keys are among the others', nulls counting as equal."""
    there = others.select(keys).unique().with_columns(pl.lit(True).alias("seen"))
    joined = rows.select(keys).join(there, on=keys, how="left", nulls_equal=True, maintain_order="left")
    return joined["seen"].fill_null(False)


def _deltas(
    new: pl.DataFrame, changed: pl.DataFrame, logged: pl.DataFrame, refund: int | None
) -> pl.DataFrame:
    """at, version, delta, was and back of the changed rows: their id's amount less what it was before."""
    names = ["source_id", "kind", "amount"]
    rows = pl.concat([new, changed], how="diagonal").sort("at")
    began = pl.concat([logged.select(names), rows.select(names)]).group_by("source_id", maintain_order=True)
    # A commit's rows stand by user, so the holder is whoever is left with an amount, not who comes last.
    held = logged.group_by("source_id", "user", maintain_order=True).agg(pl.col("amount").sum())
    left = held.sort(pl.col("amount") != 0, maintain_order=True)
    stood = left.group_by("source_id", maintain_order=True).agg(
        pl.col("amount").sum().alias("stood"), pl.col("user").last().alias("holder")
    )
    moved = (pl.col("user") != pl.col("was")).fill_null(False)
    taken_off = (pl.col("kind") == pl.lit(refund, dtype=pl.Int64)) & (pl.col("kind_first") != pl.col("kind"))
    state = pl.when(taken_off.fill_null(False)).then(pl.col("amount_first").fill_null(0) + pl.col("amount"))
    return (
        rows.join(began.first(), on="source_id", how="left", maintain_order="left", suffix="_first")
        .join(stood, on="source_id", how="left", maintain_order="left")
        .with_columns(state.otherwise("amount").alias("state"))
        .with_columns(
            pl.col("state")
            .shift(1)
            .forward_fill()
            .over("source_id")
            .fill_null(pl.col("stood"))
            .fill_null(0)
            .alias("before")
        )
        .with_columns(pl.col("user").shift(1).over("source_id").fill_null(pl.col("holder")).alias("was"))
        .filter(pl.col("version").is_not_null())
        .select(
            "at",
            "version",
            (pl.col("state") - pl.when(moved).then(0).otherwise("before")).fill_null(0).alias("delta"),
            pl.when(moved).then("was").alias("was"),
            pl.when(moved).then("before").alias("back"),
        )
    )


def compensations(changed: pl.DataFrame, *, purchase: int, refund: int, correction: int) -> pl.DataFrame:
    """The events that stand for changed rows, each at its row's time and under its user.

    `changed` holds CONTENT and delta: a negative one becomes a refund, a positive one a purchase, and none
    a correction without an amount. See `taken_back` for what the former user of a row is given.
    """
    delta = pl.col("delta")
    kind = pl.when(delta < 0).then(refund).when(delta > 0).then(purchase).otherwise(correction)
    return changed.with_columns(
        kind.cast(pl.Int64).alias("kind"),
        pl.when(delta != 0).then(delta).alias("amount"),
        *(pl.lit(None, dtype=pl.Int64).alias(name) for name in ("quantity", "rating", "duration")),
    ).drop("delta")


def taken_back(changed: pl.DataFrame) -> pl.DataFrame:
    """The changed rows whose id was another user's, as that one's: their delta takes back what it stood at.

    `changed` holds row, session, user, delta, was and back. A row's number is its change's, below zero.
    """
    return changed.filter(pl.col("back").fill_null(0) != 0).with_columns(
        (-1 - pl.col("row")).alias("row"),
        pl.lit(None, dtype=changed.schema["session"]).alias("session"),
        pl.col("was").alias("user"),
        (-pl.col("back")).alias("delta"),
    )


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
