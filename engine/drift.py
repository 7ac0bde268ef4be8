"""Drift: how far today's users are from those a model was fitted on, in its features and in what it says."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import polars as pl
from scipy.stats import ks_2samp

from engine.encoding import Encoder
from engine.encoding_columns import Number, Text, codes

FEWEST = 200
"""Fewer users than these move by chance as much as they drift: with twelve bins a population stability
index of about 0.1 is noise then."""
AGES = ("tenure_days", "customer_days", "btyd_age_days")
"""Features that grow by a day a day for everyone: that they do is no news, however far they went."""
BINS = 12
HALF = 0.5
"""Users thought to stand in each bin besides those counted: an empty one must not make an index infinite."""


@dataclasses.dataclass(frozen=True)
class Drift:
    """One feature or label: the population stability index over its bins, and the largest distance between
    the two cumulative distributions (Kolmogorov and Smirnov), None for a text or where a side is empty."""

    name: str
    psi: float
    ks: float | None


def feature_drift(encoder: Encoder, then: pl.DataFrame, now: pl.DataFrame) -> list[Drift]:
    """A Drift per feature the model reads, worst first.

    `then`: features of the users known when the model was fitted, `now`: those of today's. Bins are the
    encoder's own pieces, where it has none quantiles of `then`; what lies below, what reaches the
    top, and what is missing have bins of their own. Features that were constant in training are left out,
    for no weight of the model speaks of them, and so are AGES.
    """
    numbers = [each for each in encoder.numbers if each.deviation > 0 and each.name not in AGES]
    found = [_number(each, then, now) for each in numbers]
    found += [_text(each, then, now) for each in encoder.texts]
    return sorted(found, key=lambda each: (-each.psi, each.name))


def share_drift(labels: Sequence[str], then: np.ndarray, now: np.ndarray) -> list[Drift]:
    """A Drift per label, worst distance first, from scores int32[n, labels] in millionths of both times.

    `psi` is that of all expected shares together, the same in each; `ks` is of the label's own scores.
    """
    together = _stability(then.sum(axis=0, dtype=np.int64) / 1e6, now.sum(axis=0, dtype=np.int64) / 1e6)
    found = [
        Drift(label, together, _distance(then[:, code], now[:, code])) for code, label in enumerate(labels)
    ]
    return sorted(found, key=lambda each: (-(each.ks or 0.0), each.name))


def _number(column: Number, then: pl.DataFrame, now: pl.DataFrame) -> Drift:
    first, second = (_values(frame[column.name]) for frame in (then, now))
    sides, cuts = (first[0], second[0]), np.array(column.edges)
    if len(cuts):
        binned = [column.pieces(known) for known in sides]
    else:
        if len(first[0]):
            cuts = np.unique(np.quantile(first[0], np.linspace(0, 1, BINS + 1)))
        binned = [np.searchsorted(cuts, known, side="right") for known in sides]
    counted = [
        np.append(np.bincount(each, minlength=len(cuts) + 1), missing)
        for each, missing in zip(binned, (first[1], second[1]), strict=True)
    ]
    return Drift(column.name, _stability(*counted), _distance(first[0], second[0]))


def _text(column: Text, then: pl.DataFrame, now: pl.DataFrame) -> Drift:
    bins = len(column.categories) + 2
    counted = [
        np.bincount(frame.select(codes(column)).to_series().cast(pl.Int64).to_numpy(), minlength=bins)
        for frame in (then, now)
    ]
    return Drift(column.name, _stability(*counted), None)


def _values(column: pl.Series) -> tuple[np.ndarray, int]:
    """The known values float64, and how many are missing."""
    known = column.cast(pl.Float64).drop_nulls().drop_nans().to_numpy()
    return known, len(column) - len(known)


def _stability(then: np.ndarray, now: np.ndarray) -> float:
    """The population stability index of users by bin: sum of (q - p) ln(q / p), 0 where nothing moved."""
    p, q = ((each + HALF) / (each.sum() + HALF * len(each)) for each in (then, now))
    return float(((q - p) * np.log(q / p)).sum())


def _distance(then: np.ndarray, now: np.ndarray) -> float | None:
    if not (len(then) and len(now)):
        return None
    return float(ks_2samp(then, now, method="asymp").statistic)
