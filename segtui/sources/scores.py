"""Scores made elsewhere: a table of users with the label of each, its probabilities, or both.

Either `user,label` with a `probability` beside it or not, or a column of probabilities per label, `p_LABEL`
as `segtui score --out` writes them or just LABEL; where no label is told then, it is the likeliest one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from segtui.sources.errors import SourceError
from segtui.sources.judging import TEXT_LIMIT
from segtui.sources.schema import REJECTED
from segtui.sources.tabular import Table

USER, LABEL, PROBABILITY = "user", "label", "probability"
PREFIX = "p_"
MOST_LABELS = 100
LONGEST_LABEL = 64
MILLION = 1_000_000
SLACK = 0.01
"""How far probabilities that were rounded may be from adding up to 1."""

ROWS = {"line": pl.Int64, "user": pl.String, "label": pl.String, "row": pl.String}


@dataclass(frozen=True, eq=False)
class Scores:
    """rows: ROWS, and where the file tells probabilities `p_LABEL` of each label in millionths, 0 for one it
    does not tell. rejected: REJECTED. labels: in the order of the columns, else of the alphabet."""

    labels: tuple[str, ...]
    rows: pl.DataFrame
    rejected: pl.DataFrame
    probabilities: bool


def load(path: Path) -> Scores:
    """Reads CSV (plain or gzip) or Parquet. Raises SourceError for a file that is no table of scores."""
    table = Table(path)
    columns = _columns(table)
    kept, rejected = [], []
    for chunk in table.chunks():
        whole = chunk.rows.select(pl.struct(pl.all()).struct.json_encode()).to_series()
        texts = chunk.rows.select(pl.all().cast(pl.String).str.strip_chars().fill_null(""))
        frame = texts.with_columns(chunk.lines.alias("line:"), whole.alias("row:"))
        judged = _judged(frame, columns)
        wrong = judged["reason:"].is_not_null()
        rejected += [
            chunk.broken,
            judged.filter(wrong).select(
                pl.col("line:").alias("line"), pl.col("reason:").alias("reason"), pl.col("row:").alias("row")
            ),
        ]
        kept.append(judged.filter(~wrong))
    judged = pl.concat(kept)
    labels = tuple(columns) if columns else tuple(judged["label:"].unique().sort())
    if len(labels) > MOST_LABELS:
        raise SourceError(
            f"{path} tells {len(labels):,} labels, at most {MOST_LABELS} can be: "
            f"is the column '{LABEL}' another thing?"
        )
    told = bool(columns) or PROBABILITY in table.names
    rows = judged.select(
        pl.col("line:").alias("line"),
        pl.col(USER).alias("user"),
        pl.col("label:").alias("label"),
        pl.col("row:").alias("row"),
        *(_millionths(label, columns).alias(f"{PREFIX}{label}") for label in (labels if told else ())),
    )
    return Scores(labels, rows, pl.concat([pl.DataFrame(schema=REJECTED), *rejected]), told)


def _columns(table: Table) -> dict[str, str]:
    """The column of each label's probability; none where each row tells a label of its own."""
    if USER not in table.names:
        raise SourceError(
            f"{table.path} has no column '{USER}' but {', '.join(table.names[:8])}: "
            "name the one that holds ids so."
        )
    others = [name for name in table.names if name not in (USER, LABEL)]
    named = {name.removeprefix(PREFIX): name for name in others if name.startswith(PREFIX)}
    if not named and LABEL not in table.names:
        named = {name: name for name in others}
    if not named and LABEL in table.names:
        return {}
    if len(named) < 2:
        raise SourceError(
            f"{table.path} has neither a column '{LABEL}' nor one of probabilities per label, "
            f"{PREFIX}LABEL: add the one or the others."
        )
    if len(named) > MOST_LABELS:
        raise SourceError(
            f"{table.path} has {len(named):,} columns of probabilities, at most {MOST_LABELS} labels can be: "
            f"call those of labels {PREFIX}LABEL."
        )
    wrong = [label for label in named if not _is_label(label)]
    if wrong:
        raise SourceError(
            f"{table.path}: {wrong[0]!r} cannot be a label: use at most {LONGEST_LABEL} letters, without '='."
        )
    return named


def _is_label(text: str) -> bool:
    return 0 < len(text) <= LONGEST_LABEL and text.isprintable() and "=" not in text


def _judged(frame: pl.DataFrame, columns: dict[str, str]) -> pl.DataFrame:
    """The frame with `label:`, `value:COLUMN` of each probability, and `reason:`, null for a good row."""
    named = columns or ({PROBABILITY: PROBABILITY} if PROBABILITY in frame.columns else {})
    frame = frame.with_columns(
        pl.col(name).cast(pl.Float64, strict=False).alias(f"value:{name}") for name in named.values()
    )
    if LABEL in frame.columns:
        frame = frame.with_columns(pl.col(LABEL).alias("label:"))
    else:
        frame = frame.with_columns(pl.lit("").alias("label:"))
    if columns:
        values = pl.concat_list(f"value:{name}" for name in columns.values())
        likeliest = values.list.arg_max().replace_strict(
            dict(enumerate(columns)), default=None, return_dtype=pl.String
        )
        frame = frame.with_columns(
            pl.when(pl.col("label:") == "").then(likeliest).otherwise("label:").alias("label:")
        )
    reasons = [*_of_ids(), *_of_labels(frame, columns), *_of_probabilities(named, bool(columns))]
    return frame.with_columns(pl.coalesce(reasons).alias("reason:"))


def _of_ids() -> Iterator[pl.Expr]:
    yield pl.when(pl.col(USER) == "").then(pl.lit("user is empty"))
    yield pl.when(pl.col(USER).str.len_chars() > TEXT_LIMIT).then(
        pl.lit(f"user is longer than {TEXT_LIMIT} characters")
    )


def _of_labels(frame: pl.DataFrame, columns: dict[str, str]) -> Iterator[pl.Expr]:
    label = pl.col("label:")
    if columns:
        yield pl.when(~label.is_in(list(columns))).then(
            pl.format("label '{}' has no column of probabilities", label)
        )
        return
    told = {text: _is_label(text) for text in frame["label:"].unique()}
    yield pl.when(label == "").then(pl.lit("label is empty"))
    yield pl.when(~label.is_in([text for text in told if told[text]])).then(
        pl.format("label '{}' is not of at most {} letters, without '='", label, pl.lit(LONGEST_LABEL))
    )


def _of_probabilities(named: dict[str, str], whole: bool) -> Iterator[pl.Expr]:
    for name in named.values():
        value = pl.col(f"value:{name}")
        within = value.is_between(0, 1).fill_null(value=False)
        # A label's own probability may be unknown; of a table of them none may.
        wrong = ~within if whole else ~within & (pl.col(name) != "")
        yield pl.when(wrong).then(pl.format("{} '{}' is not from 0 to 1", pl.lit(name), pl.col(name)))
    if whole:
        total = pl.sum_horizontal(f"value:{name}" for name in named.values())
        yield pl.when((total - 1).abs() > SLACK).then(
            pl.format("its probabilities add up to '{}', not to 1", total.round(4))
        )


def _millionths(label: str, columns: dict[str, str]) -> pl.Expr:
    """A label's probability in whole millionths."""
    if columns:
        return (pl.col(f"value:{columns[label]}") * MILLION).round().cast(pl.Int32)
    own = (pl.col(f"value:{PROBABILITY}") * MILLION).round().cast(pl.Int32)
    return pl.when(pl.col("label:") == label).then(own).otherwise(0).fill_null(0)
