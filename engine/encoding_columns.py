"""One column of an encoder: what is fitted of it on the training users, and how."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import polars as pl

from engine.prepare import Preparation, bounds, filling

# Beyond this many standard deviations a value says no more than "extreme": what training never saw must not
# drive a network arbitrarily far.
NARROWEST = 1e-9
CLIP = 5.0
# A text value rarer than this among the training users shares the unknown bucket, so that the bucket is
# trained.
RAREST = 10
MOST_CATEGORIES = 32
FEWEST_PIECES, MOST_PIECES = 8, 12
ROWS_PER_PIECE = 300
"""So a piece is learnt from enough users, and where there are many it is narrow enough for a threshold."""
CAPPED = 6
"""Capping one value lowers the share of a piece, and so the next cap; after a few it hardly moves."""
QUARTILES = 1.349
"""Standard deviations of a normal distribution between its quartiles."""


@dataclasses.dataclass(frozen=True)
class Number:
    """One numeric column. `mean` and `deviation` are of the signed logarithm sign(x) log(1 + |x| / unit), or
    under another `scale` of the value itself. `low` and `high` limit it first; `fill` is what stands for a
    missing one, the mean when None."""

    name: str
    unit: float
    mean: float
    deviation: float
    missing: bool
    edges: tuple[float, ...] = ()
    scale: str = "log"
    low: float | None = None
    high: float | None = None
    fill: float | None = None

    def scaled(self, value: float) -> float:
        """A value as the encoder's standardised one."""
        if self.deviation == 0:
            return 0.0
        return float(self._standardised(np.array([value]))[0])

    def pieces(self, values: np.ndarray) -> np.ndarray:
        """The number of the piece that each value, float64[n], is in, int[n]: 0 below the first, and after
        the last one that of all who reach its end. Only of a column that has pieces."""
        return np.searchsorted(self.edges, self._standardised(values), side="right")

    def _standardised(self, values: np.ndarray) -> np.ndarray:
        low = -np.inf if self.low is None else self.low
        high = np.inf if self.high is None else self.high
        shown = _shown(np.clip(values, low, high), self.scale, self.unit)
        return np.clip((shown - self.mean) / self.deviation, -CLIP, CLIP)

    def to_json(self) -> dict[str, Any]:
        """As JSON values, without what is as in every encoder before there was a choice."""
        usual = {"scale": "log", "low": None, "high": None, "fill": None}
        values = dataclasses.asdict(self) | {"edges": list(self.edges)}
        return {name: value for name, value in values.items() if name not in usual or value != usual[name]}


@dataclasses.dataclass(frozen=True)
class Text:
    """One text column: its categories, and whether training saw others (`unknown`) or none (`missing`)."""

    name: str
    categories: tuple[str, ...]
    unknown: bool
    missing: bool


def fit_number(column: pl.Series, kind: str, preparation: Preparation) -> Number:
    """The column of the training users, made ready as `preparation` says."""
    values = column.cast(pl.Float64).drop_nulls().drop_nans().to_numpy()
    missing = len(values) < len(column)
    if not len(values):
        return Number(column.name, 1.0, 0.0, 0.0, False)
    scale = preparation.rule("scaling", column.name)
    fill = filling(values, preparation.rule("missing", column.name))
    limits = bounds(values, preparation.rule("outliers", column.name))
    low, high = limits or (None, None)
    values = values if limits is None else np.clip(values, *limits)
    unit = _unit(values) if scale == "log" else 1.0
    shown = _shown(values, scale, unit)
    mean, deviation = _middle(shown, scale)
    if deviation <= 1e-9 * max(1.0, abs(mean)):
        deviation = 0.0
    # A flag that is raised for everyone or for nobody says nothing.
    edges: tuple[float, ...] = ()
    if kind == "piecewise" and deviation > 0:
        z = np.clip((shown - mean) / deviation, -CLIP, CLIP)
        pieces = min(max(len(column) // ROWS_PER_PIECE, FEWEST_PIECES), MOST_PIECES)
        cuts = _cuts(z, pieces)
        # A piece narrower than a float32 can divide by would be no number.
        edges = tuple(map(float, cuts[np.diff(cuts, prepend=-np.inf) > NARROWEST]))
    return Number(column.name, unit, mean, deviation, missing, edges, scale, low, high, fill)


def _cuts(values: np.ndarray, pieces: int) -> np.ndarray:
    """Where up to `pieces` pieces begin and end, ascending: the quantiles, but that no one value takes more
    than a piece's share, or the many zeros of a count would leave no pieces for what is not zero."""
    known, counts = np.unique(values, return_counts=True)
    if len(known) <= pieces + 1:
        return known
    weights = counts.astype(float)
    for _ in range(CAPPED):
        weights = np.minimum(weights, weights.sum() / pieces)
    reached = np.cumsum(weights) / weights.sum()
    inner = np.minimum(np.searchsorted(reached, np.arange(1, pieces) / pieces), len(known) - 1)
    return np.unique(np.concatenate([known[:1], known[inner], known[-1:]]))


def _shown(values: np.ndarray, scale: str, unit: float) -> np.ndarray:
    return np.sign(values) * np.log1p(np.abs(values) / unit) if scale == "log" else values


def _middle(values: np.ndarray, scale: str) -> tuple[float, float]:
    """The values' centre and spread; quartiles that are one fall back on the deviation."""
    if scale == "robust":
        low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
        return float(middle), float(high - low) / QUARTILES or float(values.std())
    return float(values.mean()), float(values.std())


def _unit(values: np.ndarray) -> float:
    """A scale at which the logarithm bends: the median size of what is not zero, so money and counts alike
    spread."""
    sizes = np.abs(values[values != 0])
    # Attributes are kept in millionths; a smaller unit could only make a float32 overflow.
    return max(float(np.median(sizes)), 1e-9) if len(sizes) else 1.0


def fit_text(column: pl.Series) -> Text:
    """The frequent values of the training users' column."""
    counts = (
        column.cast(pl.String)
        .drop_nulls()
        .value_counts(name="n")
        .sort(["n", column.name], descending=[True, False])
    )
    common = counts.filter(pl.col("n") >= RAREST).head(MOST_CATEGORIES)
    return Text(
        column.name,
        tuple(common[column.name].sort().to_list()),
        unknown=common.height < counts.height,
        missing=column.null_count() > 0,
    )


def codes(column: Text) -> pl.Expr:
    """The column's category codes as float32: after the categories come unknown and missing."""
    known = len(column.categories)
    text = pl.col(column.name).cast(pl.String)
    code = (
        text.replace_strict(
            list(column.categories), list(range(known)), default=known, return_dtype=pl.Float32
        )
        if known
        else pl.lit(float(known), pl.Float32)
    )
    return (
        pl.when(text.is_null()).then(pl.lit(float(known + 1), pl.Float32)).otherwise(code).alias(column.name)
    )
