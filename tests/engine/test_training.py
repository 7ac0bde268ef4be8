"""Training: what is learnt, when it stops, what it keeps, and what it refuses."""

import math
from dataclasses import replace

import jax
import numpy as np
import pytest
from flax import nnx
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from engine import batches, steps, training
from engine.errors import EngineError
from engine.models import KINDS, build
from engine.models.parameters import (
    CHANNEL_SCALE,
    LOGIT_BIAS,
    LOGIT_SCALE,
    flatten,
    scale_sequences,
    unflatten,
)
from engine.splits import TEST, TRAIN, folds, split
from engine.steps import steps_of
from engine.training import Epoch, Inputs, train
from engine.training_spec import OPTIMIZERS, TrainingSpec

DRAW = np.random.default_rng(7)
N = 600
FEATURES = DRAW.normal(size=(N, 4)).astype(np.float32)
PARTS = split(np.arange(N), 0)
# Three labels, cut along one direction, with some noise.
LABELS = np.digitize(FEATURES[:, 0] + 0.3 * DRAW.normal(size=N), [-0.5, 0.5]).astype(np.int32)
# The same labels, told by how much happened in the newest bins.
SEQUENCES = np.zeros((N, 8, 2), np.float32)
SEQUENCES[:, -2:, 0] = np.log1p(LABELS * 50)[:, None]
SEQUENCES[:, :, 1] = DRAW.random((N, 8)) < 0.3


def fit(kind="mlp", options=None, labels=LABELS, parts=PARTS, inputs=None, **settings):
    callbacks = {name: settings.pop(name) for name in ("on_epoch", "cancelled") if name in settings}
    inputs = inputs or Inputs(FEATURES, SEQUENCES)
    spec = TrainingSpec(**({"epochs": 30, "batch_size": 64} | settings))
    return train(kind, inputs, labels, parts, 3, spec, options, **callbacks)


def probabilities(trained, kind="mlp", options=None):
    shape = {"features": 4, "bins": 8, "channels": 2, "labels": 3}
    graph, state = nnx.split(build(kind, **shape, seed=0, options=options or {}))
    module = nnx.merge(graph, unflatten(state, trained.parameters))
    scale = trained.parameters.get(CHANNEL_SCALE)
    logits = module(FEATURES, None if scale is None else scale_sequences(SEQUENCES, scale), None)
    odds = np.exp(np.asarray(logits, np.float64))
    return odds / odds.sum(axis=1, keepdims=True)


# Learning


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_the_mlp_learns_with_every_optimizer(optimizer):
    trained = fit(optimizer=optimizer, learning_rate=0.02)
    assert trained.history[-1].train_loss < 0.7 < trained.history[0].train_loss
    right = probabilities(trained).argmax(axis=1) == LABELS
    assert right[PARTS == 2].mean() > 0.7


def test_the_cnn_learns_from_sequences():
    options = {"filters": (8, 8), "hidden": 8}
    trained = fit("cnn", options, learning_rate=0.01)
    assert (probabilities(trained, "cnn", options).argmax(axis=1) == LABELS)[PARTS == 2].mean() > 0.95


@pytest.mark.parametrize("kind", ["gru", "fused"])
def test_the_other_readers_of_sequences_learn(kind):
    trained = fit(kind, learning_rate=0.01)
    assert (probabilities(trained, kind).argmax(axis=1) == LABELS)[PARTS == 2].mean() > 0.95


def alone(trained, member):
    """What one member of an ensemble says, as probabilities."""
    own = {
        name.removeprefix("members/"): values[member]
        for name, values in trained.parameters.items()
        if name.startswith("members/")
    }
    calibration = {name: trained.parameters[name] for name in (LOGIT_SCALE, LOGIT_BIAS)}
    return probabilities(replace(trained, parameters=own | calibration), "mlp", {"members": 1})


def test_members_stop_together_by_what_each_says_of_its_own_fold():
    trained = fit("mlp", {"dropout": 0.0, "members": 3}, epochs=6, learning_rate=0.01)
    fold, known = folds(np.arange(N), 0, 6), PARTS < TEST
    lost = []
    for member in range(3):
        judging = known & (fold == member)
        said = alone(trained, member)[judging]
        lost.append(-np.log(said[np.arange(len(said)), LABELS[judging]]))
    assert abs(np.concatenate(lost).mean() - min(epoch.valid_loss for epoch in trained.history)) < 1e-4


def test_a_member_learns_nothing_of_its_own_fold():
    """Whatever its users are like, the member that leaves them out becomes the same; the others do not."""
    left_out = (folds(np.arange(N), 0, 6) == 1) & (PARTS < TEST)
    turned = np.where(left_out[:, None], -FEATURES, FEATURES)
    first, other = (
        fit("mlp", {"members": 3}, epochs=1, inputs=Inputs(each)).parameters["members/out/kernel"]
        for each in (FEATURES, turned)
    )
    same = [np.allclose(one, two, atol=1e-7) for one, two in zip(first, other, strict=True)]
    assert same == [False, True, False]


def test_logistic_reaches_what_scikit_learn_reaches():
    trained = fit("logistic", learning_rate=0.02, epochs=200, weight_decay=0.0)
    learnt, judged = PARTS == 0, PARTS == 2
    peer = LogisticRegression(C=1e6).fit(FEATURES[learnt], LABELS[learnt])
    ours = log_loss(LABELS[judged], probabilities(trained, "logistic")[judged])
    assert abs(ours - log_loss(LABELS[judged], peer.predict_proba(FEATURES[judged]))) < 0.02


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_bits(kind):
    first, again, other = (fit(kind, epochs=3, seed=seed) for seed in (5, 5, 6))
    assert first.history == again.history
    assert all(np.array_equal(first.parameters[name], again.parameters[name]) for name in first.parameters)
    assert any(
        not np.array_equal(first.parameters[name], other.parameters[name]) for name in first.parameters
    )


@pytest.mark.parametrize("kind", ["mlp", "cnn", "gru", "fused"])
def test_the_reported_losses_are_those_of_the_parameters(kind):
    options = {"dropout": 0.0, "members": 1}
    trained = fit(kind, options, epochs=4, learning_rate=0.01)
    valid = PARTS == 1
    loss = log_loss(LABELS[valid], probabilities(trained, kind, options)[valid], labels=[0, 1, 2])
    best = min(epoch.valid_loss for epoch in trained.history)
    assert abs(loss - best) < 1e-4
    assert trained.history[trained.best_epoch - 1].valid_loss == best


def test_a_padded_batch_counts_its_users_once():
    """600 users do not fill batches of 64: at a rate of almost nothing, the loss is that of the first
    parameters."""
    options = {"dropout": 0.0, "members": 1}
    trained = fit("mlp", options, epochs=1, learning_rate=1e-6)
    learnt = PARTS == 0
    loss = log_loss(LABELS[learnt], probabilities(trained, "mlp", options)[learnt])
    assert abs(trained.history[0].train_loss - loss) < 1e-3


def test_test_users_and_users_without_a_label_teach_nothing():
    labels = np.where(np.arange(N) % 5 == 0, -1, LABELS)
    changed = FEATURES.copy()
    changed[(PARTS == 2) | (labels < 0)] = 99
    first = fit(labels=labels, epochs=3)
    again = fit(labels=np.where(PARTS == 2, 0, labels), inputs=Inputs(changed), epochs=3)
    assert first.history == again.history


def test_one_user_less_than_a_batch_is_enough():
    parts = np.full(N, 2, np.int8)
    parts[:3], parts[3:5] = 0, 1
    labels = LABELS.copy()
    labels[:3] = [0, 1, 2]
    assert fit(labels=labels, parts=parts, epochs=2).epochs == 2


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_weight_decay_shrinks_weights_and_spares_biases(optimizer):
    def size(trained, what):
        return float(np.abs(trained.parameters[f"out/{what}"]).max())

    few = np.where(LABELS == 2, 1, LABELS)  # nobody holds the last label: its bias has far to go
    settings = {"optimizer": optimizer, "learning_rate": 0.02, "epochs": 20, "patience": 20, "labels": few}
    free, held = (fit("logistic", weight_decay=weight_decay, **settings) for weight_decay in (0.0, 0.9))
    assert size(held, "kernel") < 0.6 * size(free, "kernel")
    assert size(held, "bias") > 0.9 * size(free, "bias")


def test_weight_decay_spares_the_biases_of_an_ensemble():
    """Their biases have two axes, as a single network's kernels have."""
    few = np.where(LABELS == 2, 1, LABELS)
    settings = {"optimizer": "adamw", "learning_rate": 0.02, "epochs": 20, "patience": 20, "labels": few}
    free, held = (
        fit("mlp", {"dropout": 0.0, "members": 2}, weight_decay=weight_decay, **settings).parameters
        for weight_decay in (0.0, 0.9)
    )
    assert np.abs(held["members/out/kernel"]).mean() < 0.8 * np.abs(free["members/out/kernel"]).mean()
    assert np.abs(held["members/out/bias"]).mean() > 0.8 * np.abs(free["members/out/bias"]).mean()


def test_every_member_takes_the_steps_of_a_network_alone():
    settings = {"optimizer": "sgd", "learning_rate": 0.05, "epochs": 3}
    alone, together = (
        fit("mlp", {"dropout": 0.0, "members": members}, **settings).history[-1].train_loss
        for members in (1, 8)
    )
    untaught = fit("mlp", {"dropout": 0.0, "members": 8}, **settings | {"learning_rate": 0.05 / 8})
    assert abs(together - alone) < 0.2 * (untaught.history[-1].train_loss - alone)


@pytest.mark.parametrize("kind", ["mlp", "cnn"])
def test_class_weights_raise_the_rare_label(kind):
    rare = np.where((LABELS == 2) & (np.arange(N) % 5 > 0), 1, LABELS)
    settings = {"labels": rare, "epochs": 10, "learning_rate": 0.01}
    plain, weighted = (
        probabilities(fit(kind, {"dropout": 0.0}, class_weight=weight, **settings), kind)
        for weight in (0.0, 1.0)
    )
    shares = np.bincount(rare[PARTS == 0]) / (PARTS == 0).sum()
    assert abs(plain.mean(axis=0) - shares).max() < 0.08
    assert weighted[:, 2].mean() > 1.5 * plain[:, 2].mean()


def test_weights_of_one_leave_the_losses_as_they_are():
    """Where every label is as frequent, balancing changes nothing."""
    even = np.full(N, -1)
    for label in range(3):
        for part in (0, 1):
            even[np.flatnonzero((part == PARTS) & (label == LABELS))[:20]] = label
    plain, weighted = (fit(labels=even, epochs=3, class_weight=weight) for weight in (0.0, 1.0))
    assert [each.train_loss for each in plain.history] == pytest.approx(
        [each.train_loss for each in weighted.history]
    )


def test_smoothed_labels_are_never_certain():
    settings = {"epochs": 60, "patience": 60, "learning_rate": 0.02, "weight_decay": 0.0}
    plain, smoothed = (
        probabilities(fit("mlp", {"dropout": 0.0}, label_smoothing=share, **settings)) for share in (0.0, 0.3)
    )
    assert smoothed.max(axis=1).mean() < plain.max(axis=1).mean() - 0.05
    assert (smoothed.argmax(axis=1) == LABELS)[PARTS == 2].mean() > 0.7


def test_a_cosine_ends_at_rest():
    """The last epoch's steps are too small to move anything; without the schedule they are not."""
    moved = {}
    for schedule in ("constant", "cosine"):
        settings = {"schedule": schedule, "patience": 100, "learning_rate": 0.01}
        losses = [each.valid_loss for each in fit("mlp", {"dropout": 0.0}, epochs=20, **settings).history]
        moved[schedule] = abs(losses[-1] - losses[-2])
    assert moved["cosine"] < 0.1 * moved["constant"]


def test_what_class_weights_did_is_undone_by_calibration():
    rare = np.where((LABELS == 2) & (np.arange(N) % 5 > 0), 1, LABELS)
    options = {"members": 1}
    settings = {"labels": rare, "class_weight": 1.0, "calibration": "vector"}
    trained = fit("mlp", options, epochs=10, learning_rate=0.01, **settings)
    logits = np.log(probabilities(trained, "mlp", options))
    logits = logits * trained.parameters[LOGIT_SCALE] + trained.parameters[LOGIT_BIAS]
    calibrated = softmax(logits, axis=1)
    shares = np.bincount(rare[PARTS == 1]) / (PARTS == 1).sum()
    assert calibrated[PARTS == 1].mean(axis=0) == pytest.approx(shares, abs=0.01)
    assert trained.parameters[LOGIT_BIAS][2] < -0.3


def test_what_is_kept_of_averaged_parameters_is_their_mean_over_the_steps():
    """One step an epoch, so that each epoch's parameters are seen; averaging does not change the way."""
    options, settings = {"dropout": 0.0, "members": 1}, {"batch_size": N, "learning_rate": 1e-3}
    shape = {"features": 4, "bins": 0, "channels": 0, "labels": 3}
    mean = flatten(nnx.split(build("mlp", **shape, seed=0, options=options))[1])
    for step in range(12):
        now = fit("mlp", options, epochs=step + 1, **settings)
        assert now.best_epoch == step + 1
        new = max(0.2, 9 / (step + 10))
        mean = {name: (1 - new) * mean[name] + new * now.parameters[name] for name in mean}
    averaged = fit("mlp", options, epochs=12, averaging=0.8, **settings)
    assert averaged.best_epoch == 12
    for name, values in mean.items():
        assert averaged.parameters[name] == pytest.approx(values, abs=1e-5)
        assert averaged.parameters[name] != pytest.approx(now.parameters[name], abs=1e-5)


def test_runs_of_batches_do_what_single_steps_do(monkeypatch):
    """So many batches that there are runs of them, the last not full."""
    options, settings = {"members": 2}, {"epochs": 2, "batch_size": 8, "averaging": 0.9}
    in_runs = fit("mlp", options, **settings)
    monkeypatch.setattr(training, "kind_of", lambda kind: replace(KINDS[kind], looped=False))
    one_by_one = fit("mlp", options, **settings)
    for name, values in one_by_one.parameters.items():
        assert in_runs.parameters[name] == pytest.approx(values, abs=1e-5)
    assert in_runs.history == [
        Epoch(each.epoch, pytest.approx(each.train_loss), pytest.approx(each.valid_loss))
        for each in one_by_one.history
    ]


@pytest.mark.parametrize("falls_over", [None, 50])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_begins_with_nothing(optimizer, falls_over):
    shape = {"features": 4, "bins": 0, "channels": 0, "labels": 3}
    graph, parameters = nnx.split(build("logistic", **shape, seed=0, options={}))
    made = steps_of(graph, optimizer, 0.01, 0.0, 0.9, falls_over)
    begun = made.begin(parameters)
    for ours, theirs in ((begun.moments, made._init(parameters)), (begun.mean, parameters)):
        assert all(map(np.array_equal, *map(jax.tree.leaves, (ours, theirs))))


def test_memory_that_runs_take_turns_in_changes_nothing(monkeypatch):
    settings = {"epochs": 2, "batch_size": 2, "averaging": 0.9}
    in_turns = fit("mlp", **settings)
    for module in (batches, steps):
        monkeypatch.setattr(module, "ROOMS", 1000)
    apart = fit("mlp", **settings)
    assert in_turns.history == apart.history
    for name, values in apart.parameters.items():
        assert np.array_equal(in_turns.parameters[name], values)


def test_a_few_users_more_compile_nothing(monkeypatch):
    used, sizes = [], []
    monkeypatch.setattr(training, "steps_of", lambda *given: used.append(steps_of(*given)) or used[-1])
    fewer = np.where(np.arange(N) % 200 == 0, TEST, PARTS).astype(np.int8)
    for parts in (PARTS, fewer):
        fit("mlp", {"hidden": (7,)}, parts=parts, epochs=1)
        sizes.append((used[-1]._run._cache_size(), used[-1]._judged._cache_size()))
    assert used[0] is used[1]
    assert sizes[0] == sizes[1]


# Stopping


def test_it_stops_when_validation_no_longer_gets_better_and_keeps_the_best():
    noise = np.random.default_rng(0).integers(0, 3, N).astype(np.int32)
    trained = fit(labels=noise, epochs=200, patience=3, learning_rate=0.01)
    losses = [epoch.valid_loss for epoch in trained.history]
    assert trained.epochs == len(losses) < 200
    assert trained.epochs == trained.best_epoch + 3
    assert losses[trained.best_epoch - 1] == min(losses)
    assert not trained.cancelled


def test_it_waits_as_long_as_the_mean_it_judges_goes_back():
    noise = np.random.default_rng(0).integers(0, 3, N).astype(np.int32)
    settings = {"labels": noise, "epochs": 400, "learning_rate": 0.01, "averaging": 0.99}
    steps = -(-int((PARTS == TRAIN).sum()) // 64)
    trained = fit(**settings, options={"members": 1})
    assert trained.epochs == trained.best_epoch + math.ceil(100 / steps)
    told = fit(**settings, options={"members": 1}, patience=2)
    assert told.epochs == told.best_epoch + 2


def test_cancelling_keeps_the_best_so_far():
    met = []
    trained = fit(epochs=50, on_epoch=met.append, cancelled=lambda: len(met) == 4)
    assert trained.cancelled
    assert trained.history == met
    assert [epoch.epoch for epoch in met] == [1, 2, 3, 4]
    whole = fit(epochs=4)
    assert all(np.array_equal(trained.parameters[n], whole.parameters[n]) for n in whole.parameters)


def test_a_loss_that_is_no_number_is_refused_with_the_rate():
    wild = Inputs(FEATURES * np.float32(1e30))
    with pytest.raises(EngineError, match="learning rate 10: choose a smaller"):
        fit(inputs=wild, optimizer="sgd", learning_rate=10)


def test_a_loss_that_becomes_no_number_leaves_the_best_before():
    losses = []
    trained = fit("mlp", optimizer="sgd", learning_rate=2, epochs=60, patience=60, on_epoch=losses.append)
    assert all(np.isfinite(values).all() for values in trained.parameters.values())
    assert math.isfinite(trained.history[trained.best_epoch - 1].valid_loss)


# Refusing


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"inputs": Inputs(None, SEQUENCES)}, "reads features"),
        ({"inputs": Inputs(FEATURES[:5])}, "reads features of 600 users"),
        ({"inputs": Inputs(FEATURES, None), "kind": "cnn"}, "reads sequences"),
        ({"inputs": Inputs(np.where(FEATURES > 2, np.nan, FEATURES))}, "not a number"),
        ({"labels": np.full(N, 1)}, "same label"),
        ({"labels": np.full(N, -1)}, "no labelled user to use for training"),
        ({"labels": LABELS + 1}, "every label below 3"),
        ({"parts": np.where(PARTS == 1, 2, PARTS)}, "for validation"),
    ],
)
def test_inputs_that_cannot_be_learnt_from_are_refused(change, said):
    with pytest.raises(EngineError, match=said) as caught:
        fit(**change)
    assert str(caught.value).endswith(".")
