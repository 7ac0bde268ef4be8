"""Calibration: logits scaled, and perhaps shifted, so that what is said comes true as often as it is said."""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

# Beyond these the validation users were told apart almost perfectly, or not at all, which says nothing on
# others.
FLATTEST, SHARPEST = 0.1, 10.0
# The deviation of a scale's logarithm expected beforehand: few users must not move it by their noise.
EXPECTED = 0.1


@dataclasses.dataclass(frozen=True, eq=False)
class Calibration:
    """Calibrated logits are `scale` times the logits plus `bias` float32[labels]."""

    scale: np.float32
    bias: np.ndarray


def calibrate(logits: np.ndarray, labels: np.ndarray, method: str) -> Calibration:
    """What makes the log-loss of `logits` float[n, labels] under `labels` int[n] least.

    "temperature" fits the scale alone, which never changes the likeliest label (Guo et al. 2017), and keeps
    it near 1 where users are few; "vector" the bias too, which undoes what class weights did; "none" leaves
    logits as they are.
    """
    n, n_labels = logits.shape
    nothing = np.concatenate([[0.0], np.zeros(n_labels)])
    if method == "none":
        return _from(nothing)
    given, truth = logits.astype(np.float64), np.eye(n_labels)[labels]

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        scale = np.exp(theta[0])
        shifted = given * scale + theta[1:]
        off = (softmax(shifted, axis=1) - truth) / n
        slope = np.concatenate([[(off * given).sum() * scale], off.sum(axis=0)])
        slope[0] += theta[0] / EXPECTED**2 / n
        lost = -(log_softmax(shifted, axis=1) * truth).sum() + (theta[0] / EXPECTED) ** 2 / 2
        return float(lost / n), slope

    free = (None, None) if method == "vector" else (0.0, 0.0)
    bounds = [(np.log(FLATTEST), np.log(SHARPEST)), *[free] * n_labels]
    return _from(minimize(loss, nothing, jac=True, method="L-BFGS-B", bounds=bounds).x)


def _from(theta: np.ndarray) -> Calibration:
    # A shift of all labels alike says nothing.
    bias = theta[1:] - theta[1:].mean()
    return Calibration(np.float32(np.exp(theta[0])), bias.astype(np.float32))
