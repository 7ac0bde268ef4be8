"""Integrated gradients: whatever the model, the parts sum to what they are parts of."""

from functools import cache

import numpy as np
import polars as pl
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.attribution import attribute
from engine.encoding import Encoder
from engine.features import FeatureSpec
from engine.model import Model
from engine.models import KINDS, build, complete_options
from engine.models.parameters import CHANNEL_SCALE, LOGIT_BIAS, LOGIT_SCALE, flatten
from engine.prepare import Preparation
from engine.scoring import Arrays, Scorer
from engine.sequences import SequenceSpec

BINS, CHANNELS = 12, ("orders", "spend", "views")
NAMES = ("recency_days", "orders", "spend", "region")
MODELS = [
    (kind, members, pca)
    for kind, own in KINDS.items()
    for members in ((1, 4) if "members" in own.options else (1,))
    for pca in ((0, 5) if own.reads_features and members == 1 else (0,))
]


def people(n, draw):
    recency = pl.Series(draw.integers(1, 366, n)).to_frame("recency_days")
    return recency.select(
        pl.when(pl.Series(draw.random(n) < 0.2)).then(None).otherwise(pl.col("recency_days")).alias(NAMES[0]),
        pl.Series("orders", draw.poisson(4, n)),
        pl.Series("spend", draw.integers(0, 50_000, n)),
        pl.Series("region", draw.choice(["DE", "FR", "US"], n)),
    )


def behaviour(n, draw):
    shape = (n, BINS, len(CHANNELS))
    return ((draw.random(shape) < 0.3) * draw.exponential(2, shape)).astype(np.float32)


@cache
def scorer_of(kind, members, pca):
    """A network of drawn weights, half as large again as before training, so that its logits are apart."""
    draw = np.random.default_rng(7)
    encoder = Encoder.fit(people(400, draw), NAMES, kind="piecewise", preparation=Preparation(pca=pca))
    small = {"members": members, "hidden": 12, "filters": (3, 6), "width": 4}
    options = complete_options(kind, {name: small[name] for name in KINDS[kind].options if name in small})
    network = build(kind, features=encoder.width, bins=BINS, channels=3, labels=3, seed=1, options=options)
    parameters = {
        name: (draw.normal(size=values.shape) * 0.1 + values * 1.5).astype(np.float32)
        for name, values in flatten(nnx.split(network)[1]).items()
    }
    if KINDS[kind].reads_sequences:
        parameters[CHANNEL_SCALE] = np.array([1, 0.1, 2], np.float32)
    parameters[LOGIT_SCALE] = np.array([1.3], np.float32)
    parameters[LOGIT_BIAS] = np.array([0.3, -0.2, -0.1], np.float32)
    sequences = SequenceSpec(bins=BINS, channels=CHANNELS) if KINDS[kind].reads_sequences else None
    return Scorer(Model(kind, ("a", "b", "c"), FeatureSpec(), sequences, encoder, {}, options, parameters))


@pytest.mark.parametrize(("kind", "members", "pca"), MODELS)
@settings(max_examples=4)
@given(seed=st.integers(0, 2**31), several=st.booleans())
def test_the_parts_sum_to_the_difference_of_logits(kind, members, pca, seed, several):
    scorer, draw = scorer_of(kind, members, pca), np.random.default_rng(seed)
    own = scorer.arrays(people(3, draw), behaviour(3, draw))
    usual = scorer.arrays(people(3 if several else 1, draw), behaviour(3 if several else 1, draw))
    label = draw.integers(0, 3, 3)
    against = (label + draw.integers(1, 3, 3)) % 3
    found = attribute(scorer, own, usual, label, against)
    rows = np.arange(3)
    logits, common = scorer.logits_of(own), np.broadcast_to(scorer.logits_of(usual), (3, 3))
    leads = (logits[rows, label] - logits[rows, against], common[rows, label] - common[rows, against])
    assert found.lead == pytest.approx(leads[0], abs=1e-5)
    assert found.usual == pytest.approx(leads[1], abs=1e-5)
    assert found.total == pytest.approx(leads[0] - leads[1], abs=1e-3)
    read = [each for each in (found.features, found.sequences) if each is not None]
    assert len(read) == KINDS[kind].reads_features + KINDS[kind].reads_sequences
    # Who is as usual has nothing to explain.
    same = attribute(scorer, own, own, label, against)
    assert not any(parts.any() for parts in (same.features, same.sequences) if parts is not None)


def test_what_is_as_usual_adds_nothing_and_the_rest_all():
    scorer, draw = scorer_of("fused", 1, 0), np.random.default_rng(4)
    own = scorer.arrays(people(1, draw), behaviour(1, draw))
    changed = Arrays(own.raw.copy(), own.sequences.copy())
    changed.raw[0, 2] += 9_000
    changed.sequences[0, 5, 1] += 2
    found = attribute(scorer, own, changed, np.array([0]), np.array([1]))
    assert np.flatnonzero(found.features).tolist() == [2]
    assert np.argwhere(found.sequences).tolist() == [[0, 5, 1]]


def test_alone_and_among_many_the_parts_are_the_same():
    scorer, draw = scorer_of("mlp", 4, 0), np.random.default_rng(5)
    own = scorer.arrays(people(300, draw))
    usual = scorer.arrays(people(1, draw))
    label, against = np.zeros(300, int), np.ones(300, int)
    many = attribute(scorer, own, usual, label, against)
    for row in (0, 255, 256, 299):
        at = np.array([row])
        alone = attribute(scorer, own.take(at), usual, label[:1], against[:1])
        assert alone.features[0] == pytest.approx(many.features[row], abs=1e-6)
