"""Which features tell something of the label, and which directions hold the variance: fitted, then fixed."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from engine.errors import EngineError

if TYPE_CHECKING:
    from engine.encoding import Encoder

MOST_ROWS = 20_000
"""Users that a selection looks at: more do not change which features it finds."""


def selected(encoder: Encoder, frame: pl.DataFrame, labels: np.ndarray | None, rule: str) -> set[str]:
    """The features a rule (mutual:N, l1:C) keeps, of those `encoder` reads. At least one.

    frame: the training users; labels: int[n]. Raises EngineError without labels.
    """
    if labels is None:
        raise EngineError("Features are selected by what they tell of a label: give the training users'.")
    rows = np.unique(np.linspace(0, frame.height - 1, min(frame.height, MOST_ROWS)).astype(np.int64))
    told, names = frame[rows], encoder.names
    kind, number = rule.split(":")
    if kind == "mutual":
        worth = _mutual(encoder, told, labels[rows])
        best = np.argsort(-worth, kind="stable")[: int(float(number))]
        return {names[index] for index in best.tolist()}
    used = _used(encoder, told, labels[rows], float(number))
    return used or {names[int(np.argmax(_mutual(encoder, told, labels[rows])))]}


def _mutual(encoder: Encoder, frame: pl.DataFrame, labels: np.ndarray) -> np.ndarray:
    """float64[columns]: nats that each feature tells of the label."""
    from sklearn.feature_selection import mutual_info_classif

    raw = encoder.raw(frame).astype(np.float64)
    for index, column in enumerate(encoder.numbers):
        given = np.isfinite(raw[:, index])
        # What is missing lies apart from all values, since that it is missing tells something too.
        raw[:, index] = np.where(given, raw[:, index], raw[given, index].min(initial=0.0) - 1.0)
        raw[:, index] /= max(float(raw[:, index].std()), 1e-12) if column.deviation > 0 else 1.0
    texts = [len(encoder.numbers) + index for index in range(len(encoder.texts))]
    found = mutual_info_classif(raw, labels, discrete_features=texts or False, random_state=0)
    return np.asarray(found, dtype=np.float64)


def _used(encoder: Encoder, frame: pl.DataFrame, labels: np.ndarray, strength: float) -> set[str]:
    """The features any of whose encoded columns has a weight in an L1-penalised logistic regression."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(
        C=strength, l1_ratio=1.0, solver="saga", tol=1e-3, max_iter=300, random_state=0
    )
    with warnings.catch_warnings():
        # Which weights are zero settles long before how large the others are.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(encoder.transform(frame), labels)
    weighty = np.abs(model.coef_).max(axis=0) > 0
    owners = encoder.owners
    return {owners[index] for index in np.flatnonzero(weighty).tolist()}


def components(encoded: np.ndarray, asked: float) -> tuple[tuple[float, ...], tuple[tuple[float, ...], ...]]:
    """The mean of `encoded` float32[n, width], and its principal components, most variance first.

    asked: how many, or below 1 as many as hold that share of the variance. Each component's largest entry is
    positive, so that a fit has one answer.
    """
    values = encoded.astype(np.float64)
    center = values.mean(axis=0)
    variances, directions = np.linalg.eigh(
        np.cov(values - center, rowvar=False, bias=True).reshape(2 * (len(center),))
    )
    variances, directions = np.maximum(variances[::-1], 0), directions[:, ::-1].T
    if asked < 1:
        held = np.cumsum(variances) / max(float(variances.sum()), 1e-300)
        asked = 1 + int(np.searchsorted(held, asked))
    kept = directions[: int(asked)]
    signs = np.sign(kept[np.arange(len(kept)), np.abs(kept).argmax(axis=1)])
    turned = kept * signs[:, None]
    return tuple(center.tolist()), tuple(tuple(row) for row in turned.tolist())
