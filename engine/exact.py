"""Divisions that are rounded once: Polars multiplies by the reciprocal of a constant, which rounds twice."""

from collections.abc import Sequence

import numpy as np
import polars as pl

EXACT = 2**53
"""Integers up to here are floats without rounding."""


def quotient(numbers: pl.Series, by: int) -> pl.Series:
    """Int64 numbers / by as Float64; null stays null. 43,381 millionths are 0.043381."""
    known = numbers.fill_null(0).to_numpy().astype(np.int64)
    values = known / by
    for index in np.flatnonzero(np.abs(known) > EXACT):
        values[index] = int(known[index]) / by
    divided = pl.Series(numbers.name, values, dtype=pl.Float64)
    return divided.set(numbers.is_null(), None) if numbers.has_nulls() else divided


def ratio(sides: Sequence[pl.Series]) -> pl.Series:
    """The first of two Float64 series / the second, of one length or one of length 1; null where either is
    null or the second is 0."""
    left, right = (side.to_numpy() for side in sides)
    unknown = np.full(np.broadcast_shapes(left.shape, right.shape), np.nan)
    with np.errstate(all="ignore"):
        values = np.divide(left, right, out=unknown, where=right != 0)
    return pl.Series(sides[0].name, values, nan_to_null=True)
