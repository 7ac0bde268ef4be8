"""Drift: nothing where nothing moved, the index by hand, and the feature that moved on top."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from engine.drift import AGES, feature_drift, share_drift
from engine.encoding import Encoder


def people(seed, n=600, shift=0.0, missing=0.2):
    """A frame of three numbers, one of which moves, and a text."""
    draw = np.random.default_rng(seed)
    spend = np.round(draw.gamma(2.0, 4_000, n) * (1 + shift))
    return pl.DataFrame(
        {
            "user": np.arange(n),
            "spend": spend,
            "rating": pl.Series(draw.normal(4, 0.5, n)).to_frame("r").select(
                pl.when(pl.Series(draw.random(n) >= missing)).then(pl.col("r"))
            ).to_series(),
            "orders": draw.poisson(2, n),
            "tenure_days": draw.integers(0, 300, n) + int(shift * 200),
            "platform": draw.choice(["web", "app"], n),
        }
    )  # fmt: skip


NAMES = ["spend", "rating", "orders", "tenure_days", "platform"]


@pytest.mark.parametrize("kind", ["piecewise", "standard"])
def test_the_feature_that_moved_is_on_top_and_the_others_stay_low(kind):
    then = people(1)
    encoder = Encoder.fit(then, NAMES, kind=kind)
    same, moved = (feature_drift(encoder, then, people(2, shift=each)) for each in (0.0, 1.0))
    assert all(each.psi < 0.1 for each in same)
    assert moved[0].name == "spend"
    assert moved[0].psi > 0.25
    assert all(each.psi < 0.1 for each in moved[1:])
    by_name = {each.name: each for each in moved}
    now = people(2, shift=1.0)
    assert by_name["spend"].ks == ks_2samp(then["spend"], now["spend"], method="asymp").statistic
    assert by_name["platform"].ks is None
    assert not set(AGES) & set(by_name), "that everyone ages is no drift"


@given(st.integers(0, 50), st.permutations(range(600)))
def test_order_does_not_matter_and_nothing_moved_is_nothing(seed, order):
    then = people(seed)
    encoder = Encoder.fit(then, NAMES, kind="piecewise")
    told = feature_drift(encoder, then, then[list(order)])
    assert all(each.psi == 0 and each.ks in (0, None) for each in told)


def test_the_index_by_hand():
    """Two values: 30 of 100 users with the higher one become 60 of 100."""
    then, now = (
        pl.DataFrame({"x": [0.0] * (100 - ones) + [1.0] * ones, "user": range(100)}) for ones in (30, 60)
    )
    encoder = Encoder.fit(then, ["x"], kind="standard")
    (found,) = feature_drift(encoder, then, now)
    # bins: below 0, from 0, from 1, missing
    p, q = (np.array([0.5, 100 - ones + 0.5, ones + 0.5, 0.5]) / 102 for ones in (30, 60))
    assert found.psi == pytest.approx(float(((q - p) * np.log(q / p)).sum()))
    assert found.ks == pytest.approx(0.3)


def test_the_pieces_are_the_encoder_s_own():
    then = people(5)
    encoder = Encoder.fit(then, NAMES, kind="piecewise")
    (spend,) = (each for each in encoder.numbers if each.name == "spend")
    exact = np.quantile(then["spend"], np.linspace(0, 1, len(spend.edges)))
    assert np.abs(spend.pieces(exact * 1.02) - np.arange(1, len(exact) + 1)).max() == 0
    assert np.abs(spend.pieces(exact * 0.98) - np.arange(len(exact))).max() == 0


@given(st.integers(0, 10_000))
def test_neighbours_of_a_feature_with_few_values_are_told_apart(seed):
    """Every value has a piece of its own, so nobody who goes from one to the next is overlooked."""
    draw = np.random.default_rng(seed)
    values = np.arange(draw.integers(2, 9)) * draw.integers(1, 5_000)
    then = pl.DataFrame({"orders": np.concatenate([values, draw.choice(values, 400)])})
    encoder = Encoder.fit(then, ["orders"], kind="piecewise")
    (column,) = encoder.numbers
    assert len(set(column.pieces(values.astype(float)).tolist())) == len(values)
    low, high = values[:2].tolist()
    now = then.select(pl.when(pl.col("orders") == high).then(low).otherwise("orders").alias("orders"))
    (told,) = feature_drift(encoder, then, now)
    assert told.psi > 0.1


def test_values_that_go_missing_are_seen():
    then = people(3, missing=0.0)
    encoder = Encoder.fit(then, NAMES, kind="piecewise")
    worst = feature_drift(encoder, then, people(4, missing=0.6))[0]
    assert (worst.name, worst.psi > 0.5) == ("rating", True)


def test_shares_say_which_label_moved():
    draw = np.random.default_rng(0)
    then = (draw.dirichlet([2, 3, 5], 500) * 1e6).astype(np.int32)
    now = (draw.dirichlet([5, 3, 2], 500) * 1e6).astype(np.int32)
    told = share_drift(["high", "medium", "low"], then, now)
    assert told[-1].name == "medium"
    assert told[0].psi > 0.25
    assert all(each.psi == 0 for each in share_drift(["high", "medium", "low"], then, then))
