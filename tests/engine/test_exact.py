"""Integers that stand for fractions are divided once, and rounded as Python rounds."""

import polars as pl
from hypothesis import example, given
from hypothesis import strategies as st

from engine.exact import quotient, ratio

integers = st.lists(st.none() | st.integers(-(2**62), 2**62), max_size=20)


@given(integers, st.sampled_from([100, 1_000, 1_000_000]))
@example([43_381, 1_100_000, None, 2**53 + 1, -(10**18) - 7], 1_000_000)
def test_every_quotient_is_the_nearest_float(numbers, by):
    told = quotient(pl.Series("numbers", numbers, dtype=pl.Int64), by)
    assert told.name == "numbers"
    assert told.dtype == pl.Float64
    assert told.to_list() == [None if number is None else number / by for number in numbers]


floats = st.lists(st.none() | st.sampled_from([0.0, -0.0, 1.0, 3.0, 7.5, 1e300]), min_size=3, max_size=3)


@given(floats, floats | st.lists(st.sampled_from([10.0, 0.0]), min_size=1, max_size=1))
def test_a_ratio_is_the_nearest_float_or_unknown(left, right):
    told = ratio([pl.Series("left", left, dtype=pl.Float64), pl.Series("right", right, dtype=pl.Float64)])
    pairs = zip(left, right if len(right) == 3 else right * 3, strict=True)
    assert told.to_list() == [None if a is None or not b else a / b for a, b in pairs]
