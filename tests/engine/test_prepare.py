"""Cleaning for learning: what is limited, filled, dropped, chosen and turned, and what the report says."""

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.encoding import Encoder
from engine.encoding_columns import CLIP
from engine.errors import EngineError
from engine.prepare import Preparation, repeated, report

NUMBERS = st.none() | st.integers(-(10**9), 10**9) | st.floats(-1e9, 1e9)
RULES = st.fixed_dictionaries(
    {
        "outliers": st.sampled_from(["none", "quantiles:0.05", "mad:3"]),
        "missing": st.sampled_from(["mean", "median", "constant:-7"]),
        "scaling": st.sampled_from(["log", "standard", "robust"]),
        "missing.x": st.sampled_from(["mean", "median", "constant:3"]),
        "scaling.y": st.sampled_from(["log", "standard", "robust"]),
    }
)


def people(n=400, seed=0):
    """Two features that tell the label, one that tells nothing, one that is nearly a copy, and a text."""
    draw = np.random.default_rng(seed)
    spend = draw.lognormal(3, 1, n)
    frame = pl.DataFrame(
        {
            "user": np.arange(n),
            "spend": spend,
            "noise": draw.normal(size=n),
            "copy": 2 * spend + 1,
            "month": draw.choice(["Feb", "Nov"], n),
            "stars": draw.integers(1, 6, n).astype(float),
        }
    )
    labels = (spend > 20).astype(np.int32) + 2 * (frame["month"] == "Nov").to_numpy().astype(np.int32)
    return frame.with_columns(stars=pl.when(pl.col("user") % 4 > 0).then("stars")), labels


NAMES = ("spend", "noise", "copy", "month", "stars")


def fitted(names=NAMES, kind="standard", **settings):
    frame, labels = people()
    rules = {name.replace("__", "."): text for name, text in settings.items()}
    return Encoder.fit(frame, names, kind=kind, preparation=Preparation.parse(rules), labels=labels)


def column(encoder, name, value):
    """What the number `name` becomes where it is `value`."""
    frame, _ = people(1)
    one = frame.with_columns(pl.lit(value, pl.Float64).alias(name))
    return float(encoder.transform(one)[0, encoder.names.index(name)])


# --- outliers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scaling", ["log", "standard", "robust"])
def test_values_beyond_the_training_quantiles_count_as_those(scaling):
    frame, _ = people()
    low, high = np.quantile(frame["spend"].to_numpy(), [0.02, 0.98])
    encoder = fitted(outliers="quantiles:0.02", scaling=scaling)
    number = encoder.numbers[0]
    assert (number.low, number.high) == (low, high)
    assert column(encoder, "spend", 1e9) == column(encoder, "spend", high)
    assert column(encoder, "spend", -5.0) == column(encoder, "spend", low)
    assert column(encoder, "spend", high * 0.3) < column(encoder, "spend", high)
    # One wild value moves neither the limits' scale nor anyone else.
    wild = frame.with_columns(spend=pl.when(pl.col("user") == 0).then(1e9).otherwise("spend"))
    calm = Encoder.fit(wild, ["spend"], preparation=encoder.preparation).numbers[0]
    assert calm.deviation == pytest.approx(number.deviation, rel=0.05)
    assert (
        Encoder.fit(wild, ["spend"], preparation=Preparation(scaling="standard")).numbers[0].deviation > 1e6
    )


def test_values_far_from_the_median_count_as_that_far():
    frame = pl.DataFrame({"x": [1.0, 2, 3, 4, 5, 6, 7, 8, 1000]})
    number = Encoder.fit(frame, ["x"], preparation=Preparation(outliers="mad:3")).numbers[0]
    assert (number.low, number.high) == pytest.approx((5 - 3 * 1.4826 * 2, 5 + 3 * 1.4826 * 2))


def test_where_most_are_equal_their_deviation_limits_nobody():
    frame = pl.DataFrame({"x": [0.0] * 9 + [5.0]})
    number = Encoder.fit(frame, ["x"], preparation=Preparation(outliers="mad:3")).numbers[0]
    assert (number.low, number.high) == (None, None)


# --- missing values --------------------------------------------------------------------------------------


@pytest.mark.parametrize("scaling", ["log", "standard", "robust"])
@pytest.mark.parametrize(("rule", "value"), [("median", 3.0), ("constant:1.5", 1.5)])
def test_a_missing_value_is_encoded_as_what_fills_it_with_its_flag(scaling, rule, value):
    encoder = fitted(missing=rule, scaling=scaling)
    assert encoder.filled_with("stars") == value
    assert column(encoder, "stars", None) == pytest.approx(column(encoder, "stars", value), abs=1e-6)
    frame, _ = people()
    flag = encoder.transform(frame)[:, len(encoder.numbers)]
    assert (flag == frame["stars"].is_null().to_numpy()).all()


def test_a_feature_may_have_a_rule_of_its_own():
    encoder = fitted(missing="median", missing__stars="constant:0", scaling__noise="robust")
    by_name = {each.name: each for each in encoder.numbers}
    assert by_name["stars"].fill == 0
    assert by_name["spend"].fill == pytest.approx(people()[0]["spend"].median())
    assert (by_name["noise"].scale, by_name["spend"].scale) == ("robust", "log")


def test_the_mean_of_a_standard_scale_is_the_mean():
    frame, _ = people()
    assert fitted(scaling="standard").filled_with("stars") == pytest.approx(frame["stars"].mean())
    # On the logarithmic scale it is the value in the middle of that scale.
    encoder = fitted()
    assert column(encoder, "stars", encoder.filled_with("stars")) == pytest.approx(0, abs=1e-6)


# --- scaling ---------------------------------------------------------------------------------------------


def test_standard_and_robust_scales_are_what_they_are_called():
    frame, _ = people()
    noise = frame["noise"].to_numpy()
    middle, quartiles = np.median(noise), np.subtract(*np.quantile(noise, [0.75, 0.25]))
    for value in (-0.3, 0.0, 1.2):
        standard = (value - noise.mean()) / noise.std()
        robust = (value - middle) * 1.349 / quartiles
        assert column(fitted(scaling="standard"), "noise", value) == pytest.approx(standard, abs=1e-6)
        assert column(fitted(scaling="robust"), "noise", value) == pytest.approx(robust, abs=1e-6)


def test_equal_quartiles_fall_back_on_the_deviation():
    frame = pl.DataFrame({"x": [0.0] * 9 + [5.0]})
    number = Encoder.fit(frame, ["x"], preparation=Preparation(scaling="robust")).numbers[0]
    assert (number.mean, number.deviation) == (0.0, 1.5)


# --- selection and components ----------------------------------------------------------------------------


def test_what_tells_most_of_the_label_is_kept():
    assert set(fitted(select="mutual:3").names) == {"spend", "copy", "month"}
    assert set(fitted(select="mutual:100").names) == set(NAMES)


def test_an_l1_penalty_keeps_what_a_regression_uses():
    kept = set(fitted(select="l1:0.05").names)
    assert "month" in kept
    assert "noise" not in kept
    assert kept & {"spend", "copy"}
    assert len(fitted(select="l1:0.000001").names) == 1


def test_the_same_users_select_the_same_features():
    frame, labels = people(3000)
    settings = Preparation(select="l1:0.02")
    one, two = (Encoder.fit(frame, NAMES, preparation=settings, labels=labels) for _ in range(2))
    assert one == two


def test_components_hold_the_variance_they_are_asked_for():
    frame, _ = people()
    plain, turned = fitted(), fitted(pca="0.9")
    encoded = plain.transform(frame).astype(np.float64)
    components = turned.transform(frame).astype(np.float64)
    assert turned.width == components.shape[1] < plain.width
    shares = components.var(axis=0) / encoded.var(axis=0).sum()
    assert shares.sum() >= 0.9 > shares[:-1].sum()
    assert (np.diff(shares) <= 1e-9).all()
    covariance = np.cov(components, rowvar=False)
    assert np.allclose(covariance - np.diag(np.diag(covariance)), 0, atol=1e-5)
    assert fitted(pca="2").width == 2


def test_selection_needs_labels():
    frame, _ = people()
    with pytest.raises(EngineError, match="label"):
        Encoder.fit(frame, NAMES, preparation=Preparation(select="mutual:2"))


# --- what holds for all ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["standard", "piecewise"])
@pytest.mark.parametrize(
    "settings",
    [
        {"outliers": "quantiles:0.01", "missing": "median", "scaling": "robust"},
        {"scaling__noise": "standard", "missing__stars": "constant:0", "outliers__spend": "mad:4"},
        {"select": "mutual:3", "pca": "0.8"},
    ],
)
def test_a_round_trip_through_json_changes_no_bit(kind, settings):
    encoder = fitted(kind=kind, **settings)
    again = Encoder.from_json(json.loads(json.dumps(encoder.to_json())))
    assert again == encoder
    unseen, _ = people(seed=1)
    assert np.array_equal(again.transform(unseen), encoder.transform(unseen))


def test_an_encoder_that_was_told_nothing_is_stored_as_before():
    assert set(fitted().to_json()) == {"kind", "numbers", "texts"}
    assert set(fitted().to_json()["numbers"][0]) == {"name", "unit", "mean", "deviation", "missing", "edges"}


@given(
    st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=40),
    st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=20),
    RULES,
    st.sampled_from(["standard", "piecewise"]),
)
@example(
    [(0, None), (1.0, None), (1e-151, None)],
    [(None, None)],
    {"missing.x": "mean", "outliers": "none", "scaling": "robust"},
    "piecewise",
)
def test_whatever_comes_is_finite_and_bounded(seen, asked, rules, kind):
    schema = {"x": pl.Float64, "y": pl.Float64}
    known, strange = (pl.DataFrame(rows, schema=schema, strict=False, orient="row") for rows in (seen, asked))
    encoder = Encoder.fit(known, ["x", "y"], kind=kind, preparation=Preparation.parse(rules))
    encoded = encoder.transform(strange)
    assert np.isfinite(encoded).all()
    assert abs(encoded).max(initial=0) <= CLIP
    assert Encoder.from_json(json.loads(json.dumps(encoder.to_json()))) == encoder


def test_the_report_counts_whom_the_preparation_touched():
    frame, _ = people()
    encoder = fitted(outliers__spend="quantiles:0.1", select="mutual:3")
    lines = {line["feature"]: line for line in report(encoder, frame, NAMES)}
    assert {name: line["kept"] for name, line in lines.items()} == {
        "spend": True,
        "stars": False,
        "noise": False,
    }
    assert (lines["spend"]["below"], lines["spend"]["above"]) == (40, 40)
    assert (frame["spend"] < lines["spend"]["low"]).sum() == 40
    assert lines["stars"]["missing"] == 100


def test_the_report_says_what_fills_a_missing_value():
    frame, _ = people()
    (line,) = report(fitted(missing="constant:2"), frame, NAMES)
    assert (line["feature"], line["missing"], line["filled_with"]) == ("stars", 100, 2.0)


def test_repeated_users_equal_an_earlier_one_in_everything_but_the_name():
    frame = pl.DataFrame(
        {"user": [1, 2, 3, 4, 5], "x": [1.0, 1.0, None, None, 1.0], "m": ["a", "a", "b", "b", "b"]}
    )
    assert repeated(frame, np.array([0, 0, 1, 1, 0])).tolist() == [False, True, False, True, False]
    assert repeated(frame, np.array([0, 1, 1, 0, 0])).tolist() == [False] * 5


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"outliers": "quantiles:0.5"}, "outliers must be none, quantiles"),
        ({"outliers": "mad:x"}, "'x' in the setting 'mad:x' is not a number"),
        ({"missing": "mode"}, "missing must be mean, median or constant:V; it is 'mode'"),
        ({"missing": "constant"}, "missing must be"),
        ({"scaling": "cube"}, "scaling must be log, standard or robust"),
        ({"select": "mutual:0"}, "select must be all"),
        ({"select": "l1:-1"}, "select must be all"),
        ({"duplicates": "no"}, "duplicates must be keep or drop"),
        ({"pca": "1.5"}, "pca must be a number of components"),
        ({"pca": "-3"}, "pca must be a number of components, or a share below 1; it is -3"),
        ({"pca": "4097"}, "pca must be a number of components"),
        ({"pca": "many"}, "'many' in the setting 'pca' is not a number"),
        ({"pca.spend": "2"}, "no setting 'pca' for single features"),
        ({"missing.spend": "zero"}, "missing must be"),
    ],
)
def test_rules_that_are_none_are_refused_in_a_sentence(settings, says):
    with pytest.raises(EngineError, match=says) as caught:
        Preparation.parse(settings)
    assert str(caught.value).endswith(".")


def test_a_rule_for_a_feature_that_is_not_there_gets_the_nearest():
    with pytest.raises(EngineError, match="no feature 'spnd' to prepare; the nearest is spend"):
        fitted(missing__spnd="median")
