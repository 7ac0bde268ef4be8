"""Tiles: the same bits wherever a row sits, whatever is beside it, in whatever portion it is asked for."""

import dataclasses
import itertools
import subprocess
import sys

import jax
import numpy as np
import polars as pl
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.encoding import Encoder
from engine.errors import EngineError
from engine.features import FeatureSpec
from engine.model import Model
from engine.models import KINDS, build, complete_options
from engine.models.parameters import CHANNEL_SCALE, LOGIT_BIAS, LOGIT_SCALE, flatten
from engine.scoring import TILES, Scorer, environment
from engine.sequences import SequenceSpec

LABELS = ("high", "medium", "low")
SPEC = SequenceSpec(bins=12)
NAMES = ("orders", "spend", "gap", "month")


def people(n, seed=0):
    draw = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "orders": draw.poisson(3, n),
            "spend": (draw.pareto(1.1, n) * 3000).astype(np.int64),
            "gap": pl.Series(draw.random(n) * 90).set(pl.Series(draw.random(n) < 0.3), None),
            "month": draw.choice(["Feb", "Mar", "Nov"], n),
        }
    )


def histories(n, seed=0):
    draw = np.random.default_rng(seed)
    return (draw.exponential(3, (n, SPEC.bins, 2)) * (draw.random((n, SPEC.bins, 2)) < 0.2)).astype(
        np.float32
    )


def made(kind, encoding="standard"):
    encoder = Encoder.fit(people(500), NAMES, kind=encoding)
    options = complete_options(kind)
    shape = {"features": encoder.width, "bins": SPEC.bins, "channels": 2, "labels": 3}
    parameters = flatten(nnx.split(build(kind, **shape, seed=1, options=options))[1])
    # Logistic regression starts from zero, where every row is alike.
    draw = np.random.default_rng(2)
    parameters |= {n: v + draw.normal(size=v.shape).astype(np.float32) / 4 for n, v in parameters.items()}
    if KINDS[kind].reads_sequences:
        parameters[CHANNEL_SCALE] = np.array([1.0, 0.05], np.float32)
    sequences = SPEC if KINDS[kind].reads_sequences else None
    return Model(kind, LABELS, FeatureSpec(), sequences, encoder, {}, options, parameters)


@pytest.fixture(scope="module")
def scorers():
    return {
        (kind, encoding): Scorer(made(kind, encoding))
        for kind, encoding in (*((kind, "standard") for kind in KINDS), ("mlp", "piecewise"))
    }


CASES = [*((kind, "standard") for kind in KINDS), ("mlp", "piecewise")]


@pytest.fixture(params=CASES, ids="-".join)
def scorer(request, scorers):
    return scorers[request.param]


def test_scores_are_probabilities_in_millionths(scorer):
    scores = scorer.scores(people(300), histories(300))
    assert scores.dtype == np.int32
    assert scores.shape == (300, 3)
    assert scores.min() >= 0
    assert abs(scores.sum(axis=1) - 1_000_000).max() <= 2
    logits = scorer.logits(people(300), histories(300)).astype(np.float64)
    odds = np.exp(logits)
    assert abs(odds / odds.sum(axis=1, keepdims=True) * 1e6 - scores).max() < 1
    assert len(np.unique(scores, axis=0)) > 250


def test_calibration_is_part_of_the_logits(scorers):
    plain = scorers["mlp", "standard"]
    beside = {
        LOGIT_SCALE: np.array([0.5], np.float32),
        LOGIT_BIAS: np.array([1.0, 0.0, -1.0], np.float32),
    }
    model = plain.model
    calibrated = Scorer(dataclasses.replace(model, parameters=model.parameters | beside))
    frame = people(300)
    expected = plain.logits(frame) * beside[LOGIT_SCALE] + beside[LOGIT_BIAS]
    assert np.allclose(calibrated.logits(frame), expected, atol=1e-6)
    assert calibrated.model.digest != model.digest


def test_the_tile_encodes_as_the_encoder_does(scorers):
    """Training reads NumPy's encoding, scoring the tile's: one formula, equal to rounding."""
    scorer = scorers["mlp", "piecewise"]
    encoder = scorer.model.encoder
    frame = people(300)
    encoded = encoder.transform(frame)
    in_tile = jax.jit(lambda raw: encoder.encode(raw, jax.numpy))(encoder.raw(frame))
    assert abs(np.asarray(in_tile) - encoded).max() < 1e-5


def test_a_row_scores_the_same_bits_at_every_place_of_a_tile(scorer):
    size = scorer.kind.tile
    n = TILES * size + size // 3  # more than what is laid out at once
    frame, cells = people(n, seed=3), histories(n, seed=3)
    whole = scorer.logits(frame, cells)
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(n)
        assert np.array_equal(scorer.logits(frame[order], cells[order]), whole[order])
    # One row in every place of one tile: a vectorised loop's remainder, too, must give the same.
    alike = scorer.logits(frame[np.zeros(size, int)], cells[np.zeros(size, int)])
    assert (alike == whole[0]).all()


def test_a_row_scores_the_same_bits_beside_anything(scorer):
    frame, cells = people(8, seed=4), histories(8, seed=4)
    alone = np.concatenate([scorer.logits(frame[[at]], cells[[at]]) for at in range(8)])
    assert np.array_equal(scorer.logits(frame, cells), alone)
    wild = frame.with_columns(spend=pl.lit(10**15), gap=pl.lit(None, pl.Float64))
    beside = scorer.logits(pl.concat([wild, frame, wild]), np.concatenate([cells + 50, cells, cells - 9]))
    assert np.array_equal(beside[8:16], alone)


@settings(max_examples=15)
@given(cuts=st.lists(st.integers(0, 700), max_size=5))
def test_any_partition_of_users_gives_the_same_scores(scorers, cuts):
    scorer = scorers["cnn", "standard"]
    frame, cells = people(700, seed=5), histories(700, seed=5)
    edges = [0, *sorted(cuts), 700]
    parts = [scorer.scores(frame[start:end], cells[start:end]) for start, end in itertools.pairwise(edges)]
    assert np.array_equal(np.concatenate(parts), scorer.scores(frame, cells))


def test_a_model_scores_the_same_bits_after_being_written(scorer):
    model = scorer.model
    again = Scorer(Model.load(model.spec_json(), model.parameter_bytes(), model.digest))
    frame, cells = people(50, seed=6), histories(50, seed=6)
    assert np.array_equal(again.logits(frame, cells), scorer.logits(frame, cells))


def test_the_order_of_columns_does_not_matter(scorers):
    frame = people(20)
    scorer = scorers["mlp", "standard"]
    assert np.array_equal(scorer.scores(frame.select(reversed(frame.columns))), scorer.scores(frame))


def test_nobody_scores_nothing(scorer):
    scores = scorer.scores(people(0), histories(0))
    assert scores.shape == (0, 3)
    assert scores.dtype == np.int32


def test_it_compiles_once(scorers):
    scorer = scorers["mlp", "standard"]
    for n in (1, 5, 4095, 4097):
        scorer.scores(people(n))
    assert scorer._tile._cache_size() == 1


def test_sequences_that_do_not_fit_are_refused(scorers):
    scorer = scorers["cnn", "standard"]
    for wrong in (None, histories(3)[:, 1:], histories(4)):
        with pytest.raises(EngineError, match=r"reads sequences of shape \(3, 12, 2\)"):
            scorer.scores(people(3), wrong)
    whole = scorer.kind.tile * TILES
    with pytest.raises(EngineError, match="reads sequences"):
        scorer.scores(people(whole), histories(whole + 1))


def test_a_missing_feature_is_refused(scorers):
    with pytest.raises(EngineError, match="lack 'gap'"):
        scorers["mlp", "standard"].scores(people(3).drop("gap"))


def test_parameters_that_do_not_fit_are_refused():
    model = made("mlp")
    wrong = {**model.parameters, "out/bias": np.zeros(4, np.float32)}
    with pytest.raises(EngineError, match="do not fit"):
        Scorer(Model(model.kind, LABELS, model.feature_spec, None, model.encoder, {}, model.options, wrong))
    cnn = made("cnn")
    with pytest.raises(EngineError, match="its spec has none"):
        Scorer(Model("cnn", LABELS, cnn.feature_spec, None, cnn.encoder, {}, cnn.options, cnn.parameters))


def test_the_environment_names_what_bits_depend_on():
    told = environment()
    assert told.keys() == {"jaxlib", "instruction_set", "device"}
    assert all(told.values())


def test_the_compilation_cache_is_kept_where_it_is_told(tmp_path):
    """In a process of its own: the setting is global."""
    code = (
        "import sys; from engine.jit import configure_cache; configure_cache(sys.argv[1]);"
        "import jax; jax.jit(lambda x: x * 3 + 1)(2.0)"
    )
    for _ in range(2):
        subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
        entries = {each.name for each in tmp_path.iterdir() if not each.name.endswith("-atime")}
        assert entries
    before = entries
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    assert {each.name for each in tmp_path.iterdir() if not each.name.endswith("-atime")} == before
