"""Reasons and explanations of a model whose weights are written by hand, so that the right answer is
known."""

import numpy as np
import polars as pl
import pytest

from engine.catalogue import catalogue
from engine.encoding import Encoder
from engine.explain import BATCH, explanation, reasons
from engine.features import FeatureSpec
from engine.model import Model
from engine.models.parameters import CHANNEL_SCALE
from engine.scoring import Scorer
from engine.sequences import SequenceSpec

HIGH, LOW = 0, 1
NAMES = ("recency_days", "orders_90d", "spend_90d", "orders", "region")
# What speaks for high: recent and bought much lately; the lifetime's orders say nothing.
LEANS = {"recency_days": -2.0, "orders_90d": 1.0, "spend_90d": 0.5, "orders": 0.0}


def people(**changes):
    base = {"recency_days": 10, "orders_90d": 3, "spend_90d": 9000, "orders": 5, "region": "DE"}
    rows = max((len(values) for values in changes.values()), default=1)
    columns = {name: changes.get(name, [value] * rows) for name, value in base.items()}
    integers = dict.fromkeys(LEANS, pl.Int64)
    return pl.DataFrame(columns, schema=integers | {"region": pl.String})


@pytest.fixture(scope="module")
def scorer():
    draw = np.random.default_rng(0)
    known = pl.DataFrame(
        {
            "recency_days": [*draw.integers(1, 366, 199), None],
            "orders_90d": draw.poisson(2, 200),
            "spend_90d": draw.integers(0, 20_000, 200),
            "orders": draw.poisson(5, 200),
            "region": ["DE", "FR"] * 100,
        },
        strict=False,
    )
    encoder = Encoder.fit(known, NAMES)
    # Columns: four numbers, a flag of a missing recency, then DE, FR, unknown, missing.
    kernel = np.zeros((encoder.width, 2), np.float32)
    kernel[:4, HIGH] = list(LEANS.values())
    kernel[4, LOW] = 1.0
    kernel[6, LOW] = 3.0
    parameters = {"out/kernel": kernel, "out/bias": np.zeros(2, np.float32)}
    return Scorer(Model("logistic", ("high", "low"), FeatureSpec(), None, encoder, {}, {}, parameters))


def told(scorer, before, after, left, came):
    return reasons(scorer, before, after, None, None, np.array(left), np.array(came))


@pytest.mark.parametrize(
    ("now", "left", "came", "reason"),
    [
        ({"recency_days": [60]}, HIGH, LOW, "recency_days:up"),
        ({"recency_days": [1]}, LOW, HIGH, "recency_days:down"),
        ({"orders_90d": [1], "spend_90d": [3000]}, HIGH, LOW, "orders_90d:down"),
        ({"orders_90d": [3], "spend_90d": [3000]}, HIGH, LOW, "spend_90d:down"),
        ({"recency_days": [11], "orders_90d": [0]}, HIGH, LOW, "orders_90d:down"),
        ({"recency_days": [120], "orders_90d": [2]}, HIGH, LOW, "recency_days:up"),
        # A change that speaks against the move is no reason for it.
        ({"recency_days": [20], "orders_90d": [40]}, HIGH, LOW, "recency_days:up"),
        ({"region": ["FR"]}, HIGH, LOW, "region:up"),
        ({"recency_days": [None]}, HIGH, LOW, "recency_days:down"),
        ({"orders": [6]}, HIGH, LOW, "orders:up"),
        ({}, HIGH, LOW, "model"),
        ({"recency_days": [60]}, -1, LOW, "first"),
    ],
)
def test_the_reason_is_what_moved_the_user(scorer, now, left, came, reason):
    assert told(scorer, people(), people(**now), [left], [came]) == [reason]


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        ({"recency_days": [1], "orders_90d": [0]}, "recency_days:down"),
        ({"orders_90d": [2]}, "model"),
        ({"orders": [6]}, "model"),
    ],
)
def test_what_does_not_speak_for_the_move_is_no_reason_when_only_that_is_asked(scorer, now, reason):
    pair = np.array([LOW]), np.array([HIGH])
    assert reasons(scorer, people(), people(**now), None, None, *pair, np.ones(1, bool)) == [reason]


def test_each_mover_has_its_own_reason(scorer):
    after = people(recency_days=[60, 10, 10, 1], orders_90d=[3, 0, 3, 3])
    before = people(recency_days=[10] * 4)
    expected = ["recency_days:up", "orders_90d:down", "model", "first"]
    assert told(scorer, before, after, [HIGH, HIGH, HIGH, -1], [LOW, LOW, LOW, HIGH]) == expected


def test_reasons_are_the_same_alone_and_among_many(scorer):
    draw = np.random.default_rng(3)
    n = BATCH + 700
    before, after = (
        people(recency_days=draw.integers(1, 90, n).tolist(), orders_90d=draw.poisson(2, n).tolist())
        for _ in range(2)
    )
    left = draw.integers(0, 2, n)
    many = told(scorer, before, after, left, 1 - left)
    for at in (0, 17, BATCH - 1, BATCH, n - 1):
        assert told(scorer, before[[at]], after[[at]], left[[at]], 1 - left[[at]]) == [many[at]]
    assert len(set(many)) >= 4


def test_nothing_known_from_before_is_a_first_label(scorer):
    assert told(scorer, None, people(), [HIGH], [LOW]) == ["first"]


def test_no_mover_has_no_reason(scorer):
    assert told(scorer, people()[:0], people()[:0], [], []) == []


def test_the_weights_are_what_each_feature_adds(scorer):
    own = people(recency_days=[60], region=["FR"])
    typical = people(recency_days=[10, 12, 200], orders_90d=[3, 3, 3], region=["DE", "FR", "DE"])
    told = explanation(scorer, own, typical, HIGH, LOW)
    rows = told["features"]
    assert [row["feature"] for row in rows[:2]] == ["region", "recency_days"]
    by_name = {row["feature"]: row for row in rows}
    assert (by_name["recency_days"]["value"], by_name["recency_days"]["typical"]) == (60, 12)
    assert (by_name["region"]["value"], by_name["region"]["typical"]) == ("FR", "DE")
    assert by_name["region"]["weight"] == pytest.approx(-3, abs=1e-5)
    assert by_name["orders_90d"]["weight"] == pytest.approx(0, abs=1e-6)
    assert set(by_name) == set(NAMES)
    # A linear model's weights add up to the whole difference.
    usual = people(recency_days=[12])
    own_lead, usual_lead = (scorer.logits(each)[0] @ [1, -1] for each in (own, usual))
    assert sum(row["weight"] for row in rows) == pytest.approx(own_lead - usual_lead, abs=1e-4)
    assert told["lead"] == pytest.approx(own_lead, abs=1e-5)
    assert told["typical_lead"] == pytest.approx(usual_lead, abs=1e-5)


def test_groups_are_the_catalogues_and_hold_what_their_features_add(scorer):
    own = people(recency_days=[60], orders_90d=[0], spend_90d=[100], region=["FR"])
    told = explanation(scorer, own, people(), HIGH, LOW)
    weights = {row["feature"]: row["weight"] for row in told["features"]}
    by_name = {row["group"]: row for row in told["groups"]}
    assert set(by_name) == {"recency", "purchases 90 d", "purchases", "region"}
    for row in by_name.values():
        assert row["weight"] == pytest.approx(sum(weights[name] for name in row["features"]))
    bought = by_name["purchases 90 d"]
    assert set(bought["features"]) == {"orders_90d", "spend_90d"}
    assert abs(weights[bought["features"][0]]) >= abs(weights[bought["features"][1]])
    assert bought["meaning"] == catalogue(FeatureSpec())[bought["features"][0]].meaning
    heavy = [abs(row["weight"]) for row in told["groups"]]
    assert heavy == sorted(heavy, reverse=True)


def test_weights_turn_with_the_labels(scorer):
    own, typical = people(recency_days=[60]), people()
    there, back = (
        {row["feature"]: row["weight"] for row in explanation(scorer, own, typical, *labels)["features"]}
        for labels in ((HIGH, LOW), (LOW, HIGH))
    )
    assert there["recency_days"] < -0.5
    assert back == pytest.approx({name: -weight for name, weight in there.items()})


def test_a_feature_nobody_has_is_typically_missing(scorer):
    typical = people(recency_days=[None, None])
    told = explanation(scorer, people(), typical, HIGH, LOW)
    by_name = {row["feature"]: row for row in told["features"]}
    assert by_name["recency_days"]["typical"] is None
    assert by_name["recency_days"]["weight"] > 0


@pytest.fixture(scope="module")
def reader():
    """A CNN that counts orders for high and refunds for low, and a third channel not at all."""
    spec = SequenceSpec(bins=4, channels=("orders", "refunds", "views"))
    options = {"filters": (2,), "width": 1, "hidden": 2, "dropout": 0.0}
    convolution = np.zeros((1, 3, 2), np.float32)
    convolution[0, 0, 0] = convolution[0, 1, 1] = 1
    dense = np.tile(np.eye(2, dtype=np.float32), (2, 1))
    parameters = {
        "sequence/convolutions/0/kernel": convolution,
        "sequence/convolutions/0/bias": np.zeros(2, np.float32),
        "sequence/dense/kernel": dense,
        "sequence/dense/bias": np.zeros(2, np.float32),
        "out/kernel": np.eye(2, dtype=np.float32),
        "out/bias": np.zeros(2, np.float32),
        CHANNEL_SCALE: np.ones(3, np.float32),
    }
    encoder = Encoder.fit(people(), NAMES)
    return Scorer(Model("cnn", ("high", "low"), FeatureSpec(), spec, encoder, {}, options, parameters))


def cells(*channels):
    """One user's bins, all alike: the stride of the convolution passes every other one by."""
    return np.tile(np.array(channels, np.float32), (1, 4, 1))


@pytest.mark.parametrize(
    ("now", "left", "came", "reason"),
    [
        (cells(0, 0, 9), HIGH, LOW, "sequence:orders:down"),
        (cells(1, 2, 9), HIGH, LOW, "sequence:refunds:up"),
        (cells(1, 0, 1), HIGH, LOW, "sequence:views:down"),
        (cells(1, 0, 9), HIGH, LOW, "model"),
    ],
)
def test_a_sequence_models_reason_is_a_channel(reader, now, left, came, reason):
    found = reasons(reader, people(), people(), cells(1, 0, 9), now, np.array([left]), np.array([came]))
    assert found == [reason]


def test_a_sequence_models_explanation_is_by_channel(reader):
    typical = np.concatenate([cells(1, 0, 0), cells(3, 0, 0)])
    told = explanation(reader, people(), people(), HIGH, LOW, cells(1, 1, 5), typical)
    by_name = {row["feature"]: row for row in told["features"]}
    assert set(by_name) == {"sequence:orders", "sequence:refunds", "sequence:views"}
    # Cells are logarithms: four bins of e^2 - 1 each.
    assert by_name["sequence:orders"]["typical"] == pytest.approx(4 * np.expm1(2))
    assert by_name["sequence:orders"]["weight"] < 0
    assert by_name["sequence:refunds"]["weight"] < 0
    assert by_name["sequence:views"]["weight"] == 0


def test_a_channel_is_told_by_how_long_ago(reader):
    own = cells(1, 0, 0)
    own[0, 2, 0] = own[0, 0, 1] = 3
    told = explanation(reader, people(), people(), HIGH, LOW, own, cells(1, 0, 0))
    by_name = {row["group"]: row["weight"] for row in told["groups"]}
    assert by_name.pop("ordering, 7 to 14 d ago") == pytest.approx(2)
    assert by_name.pop("refunds, 14 to 28 d ago") == pytest.approx(-3)
    assert len(by_name) == 7
    assert set(by_name.values()) == {0}
    total = sum(row["weight"] for row in told["groups"])
    assert total == pytest.approx(told["lead"] - told["typical_lead"], abs=1e-3)
