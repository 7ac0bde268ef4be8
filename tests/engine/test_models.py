"""The kinds of model: shapes, seeds, options, dropout, parameters by name."""

import subprocess
import sys

import jax
import numpy as np
import pytest
from flax import nnx

from engine.errors import EngineError
from engine.models import KINDS, build, complete_options, kind_of
from engine.models.draws import Draws
from engine.models.dropout import drop, fold, stream
from engine.models.ensemble import each_logits
from engine.models.parameters import (
    CHANNEL_SCALE,
    apart,
    fit_scale,
    flatten,
    scale_sequences,
    together,
    unflatten,
)
from engine.models.patches import Patches

SHAPE = {"features": 7, "bins": 13, "channels": 2, "labels": 3}
FEATURES = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)
SEQUENCES = np.random.default_rng(1).normal(size=(5, 13, 2)).astype(np.float32)


def built(kind, seed=0, **options):
    return build(kind, **SHAPE, seed=seed, options=options)


def parameters(module):
    return flatten(nnx.split(module)[1])


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_logits_of_each_label(kind):
    logits = built(kind)(FEATURES, SEQUENCES, None)
    assert logits.shape == (5, 3)
    assert np.isfinite(logits).all()


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_kind_does_not_read_may_be_absent(kind):
    reads = KINDS[kind]
    module = built(kind)
    alone = module(
        FEATURES if reads.reads_features else None, SEQUENCES if reads.reads_sequences else None, None
    )
    assert np.array_equal(alone, module(FEATURES, SEQUENCES, None))


DRAWN = [kind for kind in KINDS if kind != "logistic"]


@pytest.mark.parametrize("kind", DRAWN)
def test_a_seed_draws_the_same_parameters_and_another_seed_others(kind):
    first, again, other = (parameters(built(kind, seed)) for seed in (3, 3, 4))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert any(not np.array_equal(first[name], other[name]) for name in first)


def test_logistic_starts_undecided():
    assert not np.asarray(built("logistic")(FEATURES, None, None)).any()


def test_options_shape_the_network():
    assert {
        name: values.shape for name, values in parameters(built("mlp", hidden=(5,), members=1)).items()
    } == {
        "out/bias": (3,),
        "out/kernel": (5, 3),
        "statistics/layers/0/bias": (5,),
        "statistics/layers/0/kernel": (7, 5),
    }
    shapes = {
        name: values.shape for name, values in parameters(built("cnn", filters=(4, 6), width=3)).items()
    }
    assert shapes["sequence/convolutions/0/kernel"] == (3, 2, 4)
    assert shapes["sequence/convolutions/1/kernel"] == (3, 4, 6)
    assert shapes["sequence/dense/kernel"][0] == 4 * 6  # 13 bins halved twice, rounding up


@pytest.mark.parametrize("kind", ["cnn", "gru", "fused"])
def test_old_bins_are_told_from_new_ones(kind):
    module = built(kind)
    old, new = np.zeros((2, 1, 13, 2), np.float32)
    old[0, 0], new[0, -1] = 5, 5
    same = FEATURES[:1]
    assert not np.allclose(module(same, old, None), module(same, new, None), atol=1e-3)


def test_a_recurrent_unit_is_the_published_one():
    """Against the equations, written out for one user."""
    module = built("gru", width=4)
    flat = {name: values.astype(np.float64) for name, values in parameters(module).items()}

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    state = np.zeros(4)
    for bin_ in SEQUENCES[0].astype(np.float64):
        brought = np.split(bin_ @ flat["brings/kernel"] + flat["brings/bias"], 3)
        kept = np.split(state @ flat["keeps/kernel"] + flat["keeps/bias"], 3)
        reset, update = sigmoid(brought[0] + kept[0]), sigmoid(brought[1] + kept[1])
        state = update * state + (1 - update) * np.tanh(brought[2] + reset * kept[2])
    expected = state @ flat["out/kernel"] + flat["out/bias"]
    assert np.allclose(module(None, SEQUENCES[:1], None)[0], expected, atol=1e-5)


def test_fused_reads_both():
    module = built("fused")
    plain = np.asarray(module(FEATURES, SEQUENCES, None))
    assert not np.allclose(plain, module(FEATURES + 1, SEQUENCES, None))
    assert not np.allclose(plain, module(FEATURES, SEQUENCES + 1, None))


def test_features_alone_are_enough_where_nothing_else_is_read():
    for kind in ("logistic", "mlp"):
        assert np.array_equal(built(kind)(FEATURES), built(kind)(FEATURES, SEQUENCES, None))


@pytest.mark.parametrize("kind", DRAWN)
def test_an_ensemble_says_the_mean_of_its_members_probabilities(kind):
    module = built(kind, members=3)
    each = np.asarray(module.each(FEATURES, SEQUENCES, None))
    assert each.shape == (3, 5, 3)
    assert not np.allclose(each[0], each[1])
    mean = np.mean(jax.nn.softmax(each), axis=0)
    assert np.allclose(jax.nn.softmax(module(FEATURES, SEQUENCES, None)), mean, atol=1e-6)
    key = stream(1)
    dropped = np.asarray(module.each(FEATURES, SEQUENCES, key))
    assert not np.allclose(dropped, each)


@pytest.mark.parametrize("kind", DRAWN)
def test_only_a_key_turns_dropout_on(kind):
    module = built(kind, dropout=0.5)
    plain = np.asarray(module(FEATURES, SEQUENCES, None))
    assert np.array_equal(plain, module(FEATURES, SEQUENCES, None))
    key = stream(1)
    dropped = np.asarray(module(FEATURES, SEQUENCES, key))
    assert not np.array_equal(plain, dropped)
    assert np.array_equal(dropped, module(FEATURES, SEQUENCES, key))


def test_dropout_keeps_the_mean_and_drops_its_share():
    x = np.ones((400, 400), np.float32)
    dropped = np.asarray(drop(x, 0.25, stream(0), 0))
    assert abs((dropped == 0).mean() - 0.25) < 0.01
    assert abs(dropped.mean() - 1) < 0.01
    assert drop(x, 0.0, stream(0), 0) is x
    assert not np.array_equal(dropped, drop(x, 0.25, stream(0), 1))


def test_every_key_layer_and_member_drops_other_places():
    keys = [stream(0), stream(1), *(fold(stream(0), number) for number in range(4))]
    x = np.ones((300, 64), np.float32)
    masks = [np.asarray(drop(x, 0.5, key, layer)) > 0 for key in keys for layer in (0, 1)]
    shared = [(a == b).mean() for i, a in enumerate(masks) for b in masks[:i]]
    assert max(abs(np.array(shared) - 0.5)) < 0.02  # 19,200 fair coins: 0.0036 is one deviation


def test_dropped_places_have_no_pattern():
    """Rows, columns and neighbours are dropped as often as chance has it."""
    dropped = np.asarray(drop(np.ones((512, 512), np.float32), 0.4, stream(3), 0)) == 0
    assert abs(dropped.mean(axis=0) - 0.4).max() < 0.11
    assert abs(dropped.mean(axis=1) - 0.4).max() < 0.11
    for neighbours in (dropped[:, 1:] & dropped[:, :-1], dropped[1:] & dropped[:-1]):
        assert abs(neighbours.mean() - 0.16) < 0.006


def test_patches_are_convolutions_that_do_not_overlap():
    module = Patches(13, 2, (4,), 4, 6, 0.0, Draws(0))
    layer = module.layers[0]
    kernel = np.asarray(layer.kernel[...]).reshape(4, 2, 4)
    padded = np.pad(SEQUENCES, ((0, 0), (3, 0), (0, 0)))
    said = jax.lax.conv_general_dilated(
        padded, kernel, (4,), "VALID", dimension_numbers=("NWC", "WIO", "NWC")
    )
    flat = jax.nn.relu(said + layer.bias[...]).reshape(5, -1)
    assert np.allclose(module(SEQUENCES, None), jax.nn.relu(module.dense(flat)), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_parameters_survive_being_flat(kind):
    graph, state = nnx.split(built(kind, seed=1))
    flat = flatten(state) | {CHANNEL_SCALE: np.ones(2, np.float32)}
    again = nnx.merge(graph, unflatten(nnx.split(built(kind, seed=2))[1], flat))
    assert np.array_equal(again(FEATURES, SEQUENCES, None), built(kind, seed=1)(FEATURES, SEQUENCES, None))


def test_parameters_of_another_shape_are_refused():
    state = nnx.split(built("mlp", members=1))[1]
    flat = flatten(state)
    for wrong in (flat | {"out/bias": np.zeros(4, np.float32)}, {**flat, "extra": np.zeros(1)}, {}):
        with pytest.raises(EngineError, match="do not fit"):
            unflatten(state, wrong)


@pytest.mark.parametrize(("kind", "options"), [("logistic", {}), ("mlp", {"members": 3}), ("fused", {})])
def test_networks_taken_apart_say_what_each_said_and_put_together_are_the_same(kind, options):
    module = built(kind, **options)
    held = parameters(module)
    networks = apart(held | {CHANNEL_SCALE: np.ones(2, np.float32)})
    said = each_logits(module, FEATURES, SEQUENCES, None)
    assert len(networks) == len(said) == complete_options(kind, options).get("members", 1)
    graph, state = nnx.split(built(kind, **({"members": 1} if len(networks) > 1 else {})))
    for own, logits in zip(networks, said, strict=True):
        alone = nnx.merge(graph, unflatten(state, own))
        np.testing.assert_allclose(alone(FEATURES, SEQUENCES, None), logits, atol=1e-5)
    again = together(networks)
    assert again.keys() == held.keys()
    assert all(np.array_equal(again[name], held[name]) for name in held)


def test_parameters_of_an_ensemble_held_otherwise_are_refused():
    held = parameters(built("mlp", members=1))
    with pytest.raises(EngineError, match="train it again"):
        apart({f"members/0/{name}": values for name, values in held.items()})


def test_sequences_are_bent_at_the_usual_size_of_each_channel():
    amounts = np.array([0, 100, 300, -900], np.float32)
    squashed = (np.sign(amounts) * np.log1p(np.abs(amounts))).reshape(1, 4, 1)
    cells = np.concatenate([squashed, np.zeros_like(squashed)], axis=2)
    scale = fit_scale(cells)
    assert np.allclose(scale, [1 / 300, 1])
    scaled = scale_sequences(cells, scale)
    assert np.allclose(scaled[0, :, 0], np.sign(amounts) * np.log1p(np.abs(amounts) / 300), atol=1e-5)
    assert not scaled[0, :, 1].any()


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        ("mlp", {"filters": 3}, "no option 'filters': it has hidden, dropout, members"),
        ("logistic", {"hidden": (3,)}, "it has none"),
        ("mlp", {"hidden": (64, 0)}, "hidden must be whole, from 1 to 4096; it is 0"),
        ("mlp", {"hidden": (64, 2.5)}, "it is 2.5"),
        ("mlp", {"hidden": ()}, "hidden must be 1 to 8 widths"),
        ("cnn", {"filters": (8,) * 9}, "it has 9"),
        ("cnn", {"hidden": (3, 4)}, "hidden"),
        ("cnn", {"width": 4097}, "width must be whole"),
        ("cnn", {"dropout": 1.0}, "dropout must be from 0"),
        ("mlp", {"dropout": -0.1}, "dropout"),
        ("mlp", {"dropout": float("nan")}, "dropout"),
        ("mlp", {"dropout": True}, "dropout"),
        ("mlp", {"members": 33}, "members must be whole, from 1 to 32"),
    ],
)
def test_options_out_of_range_are_refused_in_a_sentence(kind, options, said):
    with pytest.raises(EngineError, match=said) as caught:
        complete_options(kind, options)
    assert str(caught.value).endswith(".")


def test_one_number_is_a_list_of_one_where_lists_are_wanted():
    assert complete_options("mlp", {"hidden": 16})["hidden"] == (16,)
    assert complete_options("cnn", {"filters": [8, 8]})["filters"] == (8, 8)


def test_an_unknown_kind_is_refused_with_the_known_ones():
    with pytest.raises(EngineError, match=r"no model kind 'rnn': choose one of logistic, mlp, cnn"):
        kind_of("rnn")


def test_the_registry_itself_loads_no_jax():
    code = (
        "import sys, engine.models, engine.membership, engine.replay, engine.model, engine.encoding,"
        "engine.training_spec;"
        "sys.exit(any(name.split('.')[0] in ('jax', 'flax', 'optax', 'sklearn') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
