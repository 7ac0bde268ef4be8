"""The encoder: fitted on some, applied to any, the same after a round trip through JSON."""

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.encoding import AT_ONCE, Encoder
from engine.encoding_columns import CLIP, FEWEST_PIECES, MOST_CATEGORIES, RAREST
from engine.errors import EngineError

NUMBERS = st.none() | st.integers(-(10**12), 10**12) | st.floats(-1e12, 1e12)


def people(n=400, seed=0):
    draw = np.random.default_rng(seed)
    frame = pl.DataFrame(
        {
            "user": np.arange(n),
            "spend": (draw.pareto(1.2, n) * 1000).astype(np.int64) - 200,
            "gap": draw.random(n) * 90,
            "weekend": draw.random(n) < 0.4,
            "month": draw.choice(["Feb", "Mar", "Nov"], n),
        }
    )
    return frame.with_columns(
        gap=pl.when(pl.col("user") % 3 > 0).then("gap"),
        region=pl.when(pl.col("user") % 7 > 0).then(pl.lit("DE")),
    )


NAMES = ("spend", "gap", "weekend", "month", "region")


@pytest.mark.parametrize("kind", ["standard", "piecewise"])
def test_a_round_trip_through_json_changes_no_bit(kind):
    frame = people()
    encoder = Encoder.fit(frame, NAMES, kind=kind)
    again = Encoder.from_json(json.loads(json.dumps(encoder.to_json())))
    assert again == encoder
    assert np.array_equal(again.transform(people(seed=1)), encoder.transform(people(seed=1)))
    assert encoder.transform(frame).dtype == np.float32
    assert encoder.transform(frame).shape == (frame.height, encoder.width)


@pytest.mark.parametrize("kind", ["standard", "piecewise"])
@pytest.mark.parametrize("n", [0, 1, AT_ONCE, 2 * AT_ONCE + 3])
def test_a_row_is_encoded_the_same_bits_beside_anything(kind, n):
    encoder = Encoder.fit(people(), NAMES, kind=kind)
    frame = people(n, seed=1)
    assert np.array_equal(encoder.transform(frame), encoder.encode(encoder.raw(frame)))


def test_numbers_come_out_with_mean_zero_and_deviation_one():
    frame = people(5000)
    encoded = Encoder.fit(frame, ("weekend", "spend")).transform(frame)
    assert abs(encoded.mean(axis=0)).max() < 0.01
    assert abs(encoded.std(axis=0) - 1).max() < 0.01


def test_the_logarithm_keeps_signs_and_order():
    values = [-50_000, -300, -1, 0, 1, 300, 50_000]
    frame = pl.DataFrame({"spend": values * 10})
    encoded = Encoder.fit(frame, ["spend"]).transform(frame[: len(values)])[:, 0]
    assert (np.diff(encoded) > 0).all()
    assert np.allclose(encoded, -encoded[::-1], atol=1e-6)


def test_only_the_rows_fitted_on_are_learnt_from():
    frame = people()
    encoder = Encoder.fit(frame[:200], NAMES)
    assert encoder == Encoder.fit(pl.concat([frame[:200]]), NAMES)
    assert encoder != Encoder.fit(frame, NAMES)


def test_a_missing_number_is_the_mean_with_a_flag():
    frame = pl.DataFrame({"gap": [1.0, 2.0, 4.0, None] * 10})
    encoder = Encoder.fit(frame, ["gap"])
    encoded = encoder.transform(frame[:4])
    assert encoded[:, 1].tolist() == [0, 0, 0, 1]
    assert encoded[3, 0] == 0
    assert abs(encoded[:3, 0].mean()) < 1e-6
    assert (encoder.transform(pl.DataFrame({"gap": [float("nan"), float("inf")]})) == encoded[3]).all()


def test_a_number_that_training_never_missed_has_no_flag():
    encoder = Encoder.fit(pl.DataFrame({"orders": [1, 2, 3]}), ["orders"])
    assert encoder.transform(pl.DataFrame({"orders": [None]}, schema={"orders": pl.Int64})).tolist() == [[0]]


def test_what_was_constant_in_training_stays_silent():
    frame = pl.DataFrame({"same": [7] * 20, "void": [None] * 20, "word": ["x"] * 20}, strict=False)
    encoder = Encoder.fit(frame, ["same"])
    strange = pl.DataFrame({"same": [7, -3, 10**15, None]})
    assert not encoder.transform(strange).any()
    nothing = Encoder.fit(frame.with_columns(pl.col("void").cast(pl.Float64)), ["void"])
    assert not nothing.transform(pl.DataFrame({"void": [None, 1e30]})).any()


def test_texts_are_one_hot_with_rare_ones_in_the_unknown_bucket():
    words = ["Nov"] * RAREST + ["Feb"] * (RAREST + 1) + ["Jul"] * (RAREST - 1)
    encoder = Encoder.fit(pl.DataFrame({"month": words}), ["month"])
    assert encoder.texts[0].categories == ("Feb", "Nov")
    seen = encoder.transform(pl.DataFrame({"month": ["Feb", "Nov", "Jul", "never", None]}))
    assert seen.tolist() == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, 0], [0, 0, 0, 0]]


def test_a_bucket_that_training_never_used_stays_silent():
    encoder = Encoder.fit(pl.DataFrame({"month": ["Feb"] * 20 + ["Nov"] * 20}), ["month"])
    assert not encoder.transform(pl.DataFrame({"month": ["never", None]})).any()
    missed = Encoder.fit(pl.DataFrame({"month": ["Feb"] * 20 + [None] * 20}), ["month"])
    assert missed.transform(pl.DataFrame({"month": [None]}, schema={"month": pl.String})).tolist() == [
        [0, 0, 1]
    ]


def test_of_many_categories_the_most_frequent_are_kept():
    words = [f"w{each:02}" for each in range(40) for _ in range(RAREST + each)]
    kept = Encoder.fit(pl.DataFrame({"word": words}), ["word"]).texts[0].categories
    assert kept == tuple(f"w{each:02}" for each in range(40 - MOST_CATEGORIES, 40))


def test_categoricals_are_texts():
    frame = people()
    as_text = Encoder.fit(frame, ["month"])
    as_category = Encoder.fit(frame.with_columns(pl.col("month").cast(pl.Categorical)), ["month"])
    assert as_text == as_category


def test_pieces_rise_one_after_the_other():
    frame = pl.DataFrame({"spend": np.arange(1000)})
    encoder = Encoder.fit(frame, ["spend"], kind="piecewise")
    encoded = encoder.transform(frame)
    pieces = encoded[:, 1:]
    assert pieces.shape[1] == FEWEST_PIECES
    assert (np.diff(pieces, axis=0) >= 0).all()
    assert pieces.min() == -0.5
    assert pieces.max() == 0.5
    # A piece rises only where all before it are full.
    rising = (pieces > -0.5)[:, 1:]
    assert (pieces[:, :-1][rising] > 0.4999).all()
    # Each holds an equal share of the users fitted on.
    assert np.allclose(pieces.mean(axis=0), np.linspace(0.5, -0.5, 2 * FEWEST_PIECES + 1)[1::2], atol=0.01)


def test_few_values_are_the_edges():
    frame = pl.DataFrame({"orders": [0] * 90 + list(range(6)) * 2})
    encoder = Encoder.fit(frame, ["orders"], kind="piecewise")
    assert encoder.numbers[0].pieces(np.arange(6.0)).tolist() == [1, 2, 3, 4, 5, 6]
    assert encoder.width == 1 + 5


def test_many_users_of_one_value_leave_pieces_for_the_others():
    frame = pl.DataFrame({"orders": [0] * 900 + list(range(1, 101))})
    column = Encoder.fit(frame, ["orders"], kind="piecewise").numbers[0]
    # What is not zero is spread over all pieces but one, as evenly as it lies.
    held = np.bincount(column.pieces(np.arange(1.0, 101.0)))
    assert held[2:-1] == pytest.approx(100 / (FEWEST_PIECES - 1), abs=2)


@pytest.mark.parametrize(("users", "pieces"), [(1000, 8), (3000, 10), (50_000, 12)])
def test_more_users_allow_more_pieces(users, pieces):
    frame = pl.DataFrame({"spend": np.arange(users)})
    assert len(Encoder.fit(frame, ["spend"], kind="piecewise").numbers[0].edges) == pieces + 1


@given(st.lists(NUMBERS, min_size=1, max_size=40), st.lists(NUMBERS, min_size=1, max_size=20))
def test_whatever_comes_is_finite_and_bounded(seen, asked):
    fitted = pl.DataFrame({"x": seen}, schema={"x": pl.Float64}, strict=False)
    strange = pl.DataFrame({"x": asked}, schema={"x": pl.Float64}, strict=False)
    for kind in ("standard", "piecewise"):
        encoded = Encoder.fit(fitted, ["x"], kind=kind).transform(strange)
        assert np.isfinite(encoded).all()
        assert abs(encoded).max(initial=0) <= CLIP


def test_no_columns_make_no_inputs():
    assert Encoder.fit(people(), []).transform(people(3)).shape == (3, 0)


@pytest.mark.parametrize(
    ("change", "names", "kind", "said"),
    [
        (lambda f: f, ("spend",), "quantile", "no encoding 'quantile'"),
        (lambda f: f, ("spnd",), "standard", "'spnd'"),
        (lambda f: f[:0], ("spend",), "standard", "no users"),
        (lambda f: f.with_columns(day=pl.date(2020, 1, 1)), ("day",), "standard", "'day' is Date"),
    ],
)
def test_what_cannot_be_fitted_is_refused_in_a_sentence(change, names, kind, said):
    with pytest.raises(EngineError, match=said) as caught:
        Encoder.fit(change(people()), names, kind=kind)
    assert str(caught.value).endswith(".")


def test_a_frame_without_a_column_is_refused():
    encoder = Encoder.fit(people(), NAMES)
    with pytest.raises(EngineError, match="lack 'gap'"):
        encoder.transform(people().drop("gap"))


@pytest.mark.parametrize("broken", [{}, {"kind": "standard", "numbers": [{}], "texts": []}])
def test_json_of_something_else_is_refused(broken):
    with pytest.raises(EngineError, match="cannot be read"):
        Encoder.from_json(broken)
