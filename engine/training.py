"""Training: cross-entropy, Optax, early stopping on the validation users, the best parameters kept."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from flax import nnx
from scipy.special import log_softmax

from engine.batches import class_weights, epochs_of, gather, stacked, tiles
from engine.calibration import calibrate
from engine.errors import EngineError
from engine.models import Kind, build, complete_options, kind_of, skeleton
from engine.models.dropout import stream
from engine.models.parameters import (
    CHANNEL_SCALE,
    LOGIT_BIAS,
    LOGIT_SCALE,
    fit_scale,
    flatten,
    scale_sequences,
    unflatten,
)
from engine.splits import TRAIN, VALID, held_out
from engine.steps import steps_of
from engine.training_spec import TrainingSpec


@dataclasses.dataclass(frozen=True, eq=False)
class Inputs:
    """What a model reads: encoded features float32[n, d], sequences float32[n, bins, channels], or both."""

    features: np.ndarray | None
    sequences: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class Epoch:
    """One epoch's mean cross-entropy over the training users (as they were met, labels smoothed) and the
    validation users, both weighted as the training is."""

    epoch: int
    train_loss: float
    valid_loss: float


@dataclasses.dataclass(frozen=True, eq=False)
class Trained:
    """The parameters of the best epoch by name, what every epoch gave, and whether it was cancelled. `losses`
    float64[n] are, calibrated, of the rows that judged (of an ensemble: the member that left them out), NaN
    of all others."""

    parameters: dict[str, np.ndarray]
    losses: np.ndarray
    history: list[Epoch]
    epochs: int
    best_epoch: int
    seconds: float
    cancelled: bool


def train(
    kind: str,
    inputs: Inputs,
    labels: np.ndarray,
    parts: np.ndarray,
    n_labels: int,
    spec: TrainingSpec,
    options: Mapping[str, Any] | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    start: Mapping[str, np.ndarray] | None = None,
    users: np.ndarray | None = None,
) -> Trained:
    """Train a model of `kind` on users with a label (>= 0), and keep the parameters of its best epoch.

    `labels` int[n] (-1 for none), `parts` int8[n] as `split` gives, EARLIER added for rows of an earlier
    cutoff; `users` int[n] says whose rows they are (by default each is somebody else), as the members of an
    ensemble leave out other users each (engine.splits). `cancelled` is asked after every epoch;
    the best epoch so far is then the result. `start` are parameters to go on from, by name as a model holds
    them; they count as epoch 0, so that going on never makes validation worse. Raises EngineError for inputs
    that do not fit each other or leave nothing to learn from.
    """
    began = time.perf_counter()
    model = kind_of(kind)
    _check(model, inputs, labels, parts, n_labels)
    complete = complete_options(kind, options)
    known = np.arange(len(labels)) if users is None else users
    held = held_out(parts, labels >= 0, known, spec.seed, complete.get("members", 1))
    sequences, scale = _scaled(model, inputs, held.learners, start)
    features = inputs.features if model.reads_features else None
    width = 0 if features is None else features.shape[1]
    bins, channels = (0, 0) if sequences is None else sequences.shape[1:]
    shape = {"features": width, "bins": bins, "channels": channels, "labels": n_labels}
    graph, abstract = skeleton(kind, **shape, options=complete)
    per_epoch = -(-len(held.learners) // spec.batch_size)
    steps = steps_of(
        graph,
        spec.optimizer,
        spec.rate,
        spec.label_smoothing,
        spec.averaging,
        spec.epochs * per_epoch if spec.schedule == "cosine" else None,
    )
    patience = spec.waits(per_epoch)
    key, decay = stream(spec.seed), np.float32(spec.decay(len(held.learners), width))
    weights = class_weights(labels[held.learners], n_labels, spec.class_weight)
    train_set = gather(features, sequences, labels, weights, held.learners, held.counts)
    judging = stacked([gather(features, sequences, labels, weights, rows) for rows in held.judges])
    epochs = epochs_of(train_set, spec.batch_size, spec.seed)
    train_weight, valid_weight = float(train_set[3].sum()), float(judging[3].sum())
    valid_set = jax.device_put(list(tiles(judging, sequences is not None)))
    del judging
    batches = next(epochs)
    with steps.compiling(abstract, batches, valid_set, key, decay, model.looped):
        if start is None:
            parameters = nnx.split(build(kind, **shape, seed=spec.seed, options=complete))[1]
        else:
            parameters = unflatten(abstract, start)
    state = steps.begin(parameters)

    history: list[Epoch] = []
    best, best_loss, best_epoch, stopped = flatten(parameters), math.inf, 0, False
    if start is not None:
        best_loss = sum(map(float, steps.losses(parameters, valid_set))) / valid_weight
    for epoch in range(1, spec.epochs + 1):
        state, losses = steps.epoch(state, batches, key, epoch, decay, model.looped)
        validated = steps.losses(state.kept, valid_set)
        # The next epoch is shuffled while XLA still computes this one.
        batches = next(epochs)
        loss = sum(map(float, losses)) / train_weight
        history.append(Epoch(epoch, loss, sum(map(float, validated)) / valid_weight))
        if on_epoch is not None:
            on_epoch(history[-1])
        if not math.isfinite(history[-1].valid_loss):
            break
        if history[-1].valid_loss < best_loss:
            best, best_loss, best_epoch = flatten(state.kept), history[-1].valid_loss, epoch
        stopped = cancelled is not None and cancelled()
        if stopped or epoch - best_epoch >= patience:
            break
    if best_epoch == 0 and start is None:
        raise EngineError(
            f"The loss was not a number at learning rate {spec.rate:g}: choose a smaller learning_rate."
        )
    said = steps.logits(unflatten(parameters, best), valid_set)
    given = np.concatenate([own[: len(rows)] for own, rows in zip(said, held.judges, strict=True)])
    judges = np.concatenate(held.judges)
    fitted = calibrate(given, labels[judges], spec.calibration)
    judged = np.full(len(labels), np.nan)
    chances = log_softmax(given.astype(np.float64) * fitted.scale + fitted.bias, axis=1)
    judged[judges] = -chances[np.arange(len(judges)), labels[judges]]
    best |= {LOGIT_SCALE: np.array([fitted.scale]), LOGIT_BIAS: fitted.bias}
    if scale is not None:
        best[CHANNEL_SCALE] = scale
    return Trained(best, judged, history, len(history), best_epoch, time.perf_counter() - began, stopped)


def _scaled(
    model: Kind, inputs: Inputs, rows: np.ndarray, start: Mapping[str, np.ndarray] | None
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """The sequences on a signed logarithmic scale fitted on the training rows, or that of `start`, and that
    scale (per channel)."""
    if not model.reads_sequences or inputs.sequences is None:
        return None, None
    scale = fit_scale(inputs.sequences[rows]) if start is None else start[CHANNEL_SCALE]
    return scale_sequences(inputs.sequences, scale), scale


def _check(model: Kind, inputs: Inputs, labels: np.ndarray, parts: np.ndarray, n_labels: int) -> None:
    n = len(labels)
    read = {
        "features": (model.reads_features, 2, inputs.features),
        "sequences": (model.reads_sequences, 3, inputs.sequences),
    }
    for name, (needed, dimensions, values) in read.items():
        if needed and (values is None or values.ndim != dimensions or len(values) != n):
            shape = None if values is None else values.shape
            raise EngineError(
                f"A {model.name} model reads {name} of {n} users; what it was given is {shape}."
            )
        if needed and values is not None and not np.isfinite(values).all():
            raise EngineError(f"The {name} hold a value that is not a number: encode them first.")
    if n_labels < 2 or (n and labels.max() >= n_labels):
        raise EngineError(f"There must be two labels or more, and every label below {n_labels}.")
    for part, name in ((TRAIN, "training"), (VALID, "validation")):
        if not ((parts == part) & (labels >= 0)).any():
            raise EngineError(f"There is no labelled user to use for {name}: more users are needed.")
    if len(np.unique(labels[(parts == TRAIN) & (labels >= 0)])) < 2:
        raise EngineError(
            "All training users hold the same label, there is nothing to learn: change label or cutoff."
        )
