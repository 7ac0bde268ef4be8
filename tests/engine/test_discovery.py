"""Clusters of what a network makes of users: found, told apart, and decided by the nearest centre."""

import dataclasses
import warnings

import numpy as np
import polars as pl
import pytest

from engine.discovery import FEWEST_USERS, SMALLEST, STABLE, cluster, headed, names
from engine.embedding import probe
from engine.encoding import Encoder
from engine.errors import EngineError
from engine.features import FeatureSpec
from engine.model import Model
from engine.models import KINDS, build, complete_options
from engine.models.parameters import CHANNEL_SCALE, LOGIT_BIAS, LOGIT_SCALE, flatten
from engine.scoring import Scorer
from engine.sequences import SequenceSpec

NAMES = ("recency_days", "orders_90d", "spend_90d", "orders")
POLICY = {"label": "discovered"}


def blobs(k, n=600, width=5, spread=0.3, seed=0):
    draw = np.random.default_rng(seed)
    centres = draw.normal(size=(k, width)) * 6
    of = np.arange(n) % k
    return (centres[of] + draw.normal(size=(n, width)) * spread).astype(np.float32), of


def people(n, draw):
    return pl.DataFrame(
        {
            "recency_days": draw.integers(1, 366, n),
            "orders_90d": draw.poisson(2, n),
            "spend_90d": draw.integers(0, 20_000, n),
            "orders": draw.poisson(5, n),
        }
    )


def model_of(kind, members=1):
    from flax import nnx

    draw = np.random.default_rng(3)
    encoder = Encoder.fit(people(300, draw), NAMES)
    small = {"members": members, "hidden": 6, "filters": (3,), "width": 5}
    options = complete_options(kind, {name: small[name] for name in KINDS[kind].options if name in small})
    network = build(kind, features=encoder.width, bins=8, channels=2, labels=3, seed=1, options=options)
    parameters = flatten(nnx.split(network)[1])
    parameters[LOGIT_SCALE] = np.array([1.4], np.float32)
    parameters[LOGIT_BIAS] = np.array([0.1, 0, -0.1], np.float32)
    sequences = None
    if KINDS[kind].reads_sequences:
        sequences = SequenceSpec(bins=8)
        parameters[CHANNEL_SCALE] = np.ones(2, np.float32)
    return Model(kind, ("a", "b", "c"), FeatureSpec(), sequences, encoder, {}, options, parameters)


@pytest.mark.parametrize("k", [2, 3, 5])
def test_clusters_that_are_there_are_found(k):
    embedded, of = blobs(k)
    found = cluster(embedded, seed=1)
    assert len(found.centres) == k
    nearest = ((embedded[:, None] - found.centres) ** 2).sum(axis=2).argmin(axis=1)
    assert len({*zip(of.tolist(), nearest.tolist(), strict=True)}) == k
    by_number = {each["clusters"]: each for each in found.stability}
    assert by_number[k]["agreement"] >= STABLE
    assert by_number[k]["smallest"] >= SMALLEST


def test_the_same_seed_finds_the_same_to_the_bit_and_as_many_as_asked_for():
    embedded, _ = blobs(3, spread=3)
    one, two, other = (cluster(embedded, seed=seed) for seed in (4, 4, 5))
    assert np.array_equal(one.centres, two.centres)
    assert one.stability == two.stability
    assert one.stability != other.stability
    asked = cluster(embedded, seed=4, clusters=7)
    assert len(asked.centres) == 7
    assert [each["clusters"] for each in asked.stability] == [7]


def test_users_who_stand_on_their_centres_leave_numbers_that_a_float32_can_hold():
    draw = np.random.default_rng(2)
    kinds = draw.normal(size=(3, 5))
    embedded = kinds[np.r_[np.arange(3), draw.choice(3, 400, p=(0.6, 0.39, 0.01))]].astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = cluster(embedded, seed=0, clusters=3)
    apart = ((found.centres[:, None] - found.centres) ** 2).sum(axis=2)
    assert (apart / found.variance).max() == pytest.approx(1e5)


def test_too_few_users_or_users_all_alike_are_told():
    with pytest.raises(EngineError, match=f"need {FEWEST_USERS} users, there are 12"):
        cluster(blobs(2, n=12)[0], seed=0)
    with pytest.raises(EngineError, match="1 kinds only"):
        cluster(np.ones((200, 3), np.float32), seed=0)


@pytest.mark.parametrize(
    ("kind", "members"), [("logistic", 1), ("mlp", 4), ("cnn", 1), ("gru", 1), ("fused", 2)]
)
def test_the_model_made_gives_the_nearest_centre(kind, members):
    model, draw = model_of(kind, members), np.random.default_rng(8)
    frame, binned = people(400, draw), draw.exponential(1, (400, 8, 2)).astype(np.float32)
    embedded = Scorer(probe(model)).logits(frame, binned)
    found = cluster(embedded, seed=0, clusters=3)
    made = headed(model, found, ("x", "y", "z"), POLICY)
    again = Model.load(made.spec_json(), made.parameter_bytes(), made.digest)
    scores = Scorer(again).scores(frame, binned)
    distances = ((embedded[:, None].astype(np.float64) - found.centres) ** 2).sum(axis=2)
    ordered = np.sort(distances, axis=1)
    clear = ordered[:, 1] - ordered[:, 0] > 1e-3 * found.variance
    assert clear.mean() > 0.9
    assert np.array_equal(scores.argmax(axis=1)[clear], distances.argmin(axis=1)[clear])
    assert made.labels == ("x", "y", "z")
    if kind == "mlp":
        # It is as large as one of the four, and reads as the others do.
        assert made.options["members"] == 1
        assert "statistics/layers/0/kernel" in made.parameters
    parts = np.exp(-(distances - distances.min(axis=1, keepdims=True)) / (2 * found.variance))
    assert scores / 1e6 == pytest.approx(parts / parts.sum(axis=1, keepdims=True), abs=2e-3)


def test_names_say_what_sets_each_apart():
    draw = np.random.default_rng(0)
    frame = people(300, draw)
    assigned = np.arange(300) % 3
    frame = frame.with_columns(
        pl.when(pl.Series(assigned == 1))
        .then(300)
        .otherwise(pl.col("recency_days") % 50)
        .alias("recency_days"),
        pl.when(pl.Series(assigned == 2)).then(50).otherwise(pl.col("orders_90d")).alias("orders_90d"),
    )
    told = names(frame, assigned, 3, FeatureSpec())
    by_label = {each["label"]: each["by"] for each in told}
    assert len(by_label) == 3
    assert told[1]["label"] == "high_recency_days"
    assert told[2]["label"] == "high_orders_90d"
    (first, *_) = told[1]["by"]
    assert (first["way"], first["median"]) == ("high", 300)
    assert first["others"] < 50
    assert "purchase" in first["meaning"]
    assert told[0]["by"][0]["way"] == "low"


def test_what_few_have_names_nobody_and_alike_clusters_are_numbered():
    frame = pl.DataFrame(
        {
            "recency_days": [5] * 200,
            "orders_90d": [1] * 200,
            "gap_mean_days": [float(n) if n < 10 else None for n in range(200)],
        }
    )
    told = names(frame, np.arange(200) // 100, 2, FeatureSpec())
    assert [each["label"] for each in told] == ["usual", "usual_2"]


def test_the_digest_depends_on_the_centres():
    model = model_of("logistic")
    embedded = Scorer(probe(model)).logits(people(300, np.random.default_rng(1)))
    found = cluster(embedded, seed=0, clusters=2)
    made = headed(model, found, ("a", "b"), POLICY)
    moved = dataclasses.replace(found, centres=found.centres + 0.01)
    assert headed(model, moved, ("a", "b"), POLICY).digest != made.digest
    assert headed(model, found, ("a", "b"), POLICY).digest == made.digest
