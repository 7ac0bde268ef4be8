"""Growing and cutting a model's head: labels come and go, what the network has learnt below stays."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import polars as pl
from scipy.optimize import minimize
from scipy.special import expit, logsumexp

from engine.embedding import probe
from engine.errors import EngineError
from engine.model import Model
from engine.models.parameters import (
    HEAD_BIAS,
    HEAD_KERNEL,
    LABEL_OF,
    LOGIT_BIAS,
    LOGIT_SCALE,
    apart,
    label_of,
    together,
)
from engine.splits import TRAIN, VALID

PENALTY = 1e-3
"""L2 on the new column, per user."""
REACHED = 0.75
"""The share of validation examples that the new label's bias lets have it."""


@dataclasses.dataclass(frozen=True, eq=False)
class Grown:
    """A model with one label more, and the share that it gives the label: of the examples kept out, and of
    the others that were (None where there are none)."""

    model: Model
    recall: float | None
    others: float | None
    examples: int


def grow(
    model: Model,
    label: str,
    frame: pl.DataFrame,
    sequences: np.ndarray | None,
    examples: np.ndarray,
    parts: np.ndarray,
    policy: dict[str, Any],
) -> Grown:
    """The model with `label` after its own, told apart from them by what it saw in `examples` bool[n].

    `frame` holds the model's features of n users (and `sequences` float32[n, bins, channels] theirs);
    `parts` int8[n] as engine.training.split gives: learnt from, for the bias, and kept out. Examples and all
    others weigh the same together. Only the new column of the head is fitted, to what a network makes of a
    user, so within it nothing changes between the other labels (in the mean of several, hardly anything), and
    cut off again they are what they were. `policy` takes the place of the model's. Raises EngineError where
    there is nothing to learn or to check with.
    """
    for part, name in ((TRAIN, "learn from"), (VALID, "set its bias with")):
        if not (examples & (parts == part)).any():
            raise EngineError(f"{label!r} has too few examples: none is left to {name}.")
    learn = parts == TRAIN
    networks = apart(model.parameters)
    for member, own in enumerate(networks):
        kernel, bias = own[HEAD_KERNEL], own[HEAD_BIAS]
        seen = _seen(model, member, frame, sequences)
        others = logsumexp(seen @ kernel.astype(np.float64) + bias, axis=1)
        column, shift = _column(seen[learn], others[learn], examples[learn])
        own[HEAD_KERNEL] = np.column_stack([kernel, column]).astype(np.float32)
        own[HEAD_BIAS] = np.append(bias, shift).astype(np.float32)
    parameters = model.parameters | together(networks)
    parameters.setdefault(LOGIT_SCALE, np.ones(1, np.float32))
    columns = _columns(model)
    if LABEL_OF in parameters:
        parameters[LABEL_OF] = np.append(columns, len(model.labels)).astype(np.float32)
    biases = parameters.get(LOGIT_BIAS, np.zeros(len(columns), np.float32))
    labels = (*model.labels, label)
    grown = dataclasses.replace(
        model, labels=labels, policy=policy, parameters=parameters | {LOGIT_BIAS: np.append(biases, 0)}
    )
    lead = _lead(grown, frame, sequences)
    # Lowered or raised until as many of the validation examples have it as shall.
    needed = np.quantile(lead[examples & (parts == VALID)], 1 - REACHED)
    raised = np.append(biases, -needed + np.float32(1e-4)).astype(np.float32)
    grown = dataclasses.replace(grown, parameters=parameters | {LOGIT_BIAS: raised})
    kept = (parts != TRAIN) & (parts != VALID)
    reached = _lead(grown, frame, sequences) > 0
    recall, others = (
        round(float(reached[chosen].mean()), 6) if chosen.any() else None
        for chosen in (kept & examples, kept & ~examples)
    )
    return Grown(grown, recall, others, int(examples.sum()))


def cut(model: Model, label: str, policy: dict[str, Any]) -> Model:
    """The model without a label; what a network gave to that one goes to the others in their proportions.

    In the mean of several networks those proportions are then not quite what they were.

    Raises EngineError where fewer than two labels would be left.
    """
    code = model.labels.index(label)
    if len(model.labels) < 3:
        raise EngineError(f"Without {label!r} one label is left, and nothing to decide.")
    columns = _columns(model)
    kept = columns != code
    networks = apart(model.parameters)
    for own in networks:
        own[HEAD_KERNEL] = own[HEAD_KERNEL][:, kept]
        own[HEAD_BIAS] = own[HEAD_BIAS][kept]
    parameters = model.parameters | together(networks)
    if LOGIT_BIAS in parameters:
        parameters[LOGIT_BIAS] = parameters[LOGIT_BIAS][kept]
    if LABEL_OF in parameters:
        parameters[LABEL_OF] = (columns - (columns > code))[kept].astype(np.float32)
    labels = tuple(each for each in model.labels if each != label)
    return dataclasses.replace(model, labels=labels, policy=policy, parameters=parameters)


def merged(model: Model, one: str, other: str, into: str, policy: dict[str, Any]) -> Model:
    """The model with two of its labels as one, `into`, whose probability is the sum of theirs.

    Every column of the head stays; which of them add up to a label stands beside them. It takes the place of
    the first of the two. Nothing is fitted.
    """
    first, second = sorted((model.labels.index(one), model.labels.index(other)))
    labels = [into if code == first else label for code, label in enumerate(model.labels) if code != second]
    columns = _columns(model)
    columns = np.where(columns == second, first, columns - (columns > second))
    parameters = model.parameters | {LABEL_OF: columns.astype(np.float32)}
    return dataclasses.replace(model, labels=tuple(labels), policy=policy, parameters=parameters)


def _columns(model: Model) -> np.ndarray:
    """The number of the label that each column of the head is of: int[columns]."""
    return label_of(model.parameters, len(model.labels))


def _seen(model: Model, member: int, frame: pl.DataFrame, sequences: np.ndarray | None) -> np.ndarray:
    """What one network makes of each user before its head: float64[n, width]."""
    from engine.scoring import Scorer

    return Scorer(probe(model, member)).logits(frame, sequences).astype(np.float64)


def _column(seen: np.ndarray, others: np.ndarray, examples: np.ndarray) -> tuple[np.ndarray, float]:
    """Weights and bias that tell examples from the rest best, against the other labels' logits together."""
    scale = np.maximum(np.abs(seen).max(axis=0), 1e-6)
    scaled = seen / scale
    weights = np.where(examples, 0.5 / examples.sum(), 0.5 / max(1, (~examples).sum()))
    signs = np.where(examples, 1.0, -1.0)

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        ahead = signs * (scaled @ theta[:-1] + theta[-1] - others)
        slope = -weights * signs * expit(-ahead)
        lost = float(weights @ np.logaddexp(0, -ahead)) + PENALTY * float(theta[:-1] @ theta[:-1])
        return lost, np.append(slope @ scaled + 2 * PENALTY * theta[:-1], slope.sum())

    fitted = minimize(loss, np.zeros(seen.shape[1] + 1), jac=True, method="L-BFGS-B").x
    return fitted[:-1] / scale, float(fitted[-1])


def _lead(model: Model, frame: pl.DataFrame, sequences: np.ndarray | None) -> np.ndarray:
    """By how much the last label's logit is above the best of the others': float64[n]."""
    from engine.scoring import Scorer

    logits = Scorer(model).logits(frame, sequences).astype(np.float64)
    lead: np.ndarray = logits[:, -1] - logits[:, :-1].max(axis=1)
    return lead
