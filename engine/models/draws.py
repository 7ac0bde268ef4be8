"""A network's first parameters, drawn by NumPy from a seed: there is nothing to compile.

JAX's own initializers are a program per operation and shape, which took a cold process a second and a half.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
from flax import nnx
from scipy.special import ndtr, ndtri

CUT = 2.0
"""Normal draws are cut off at so many standard deviations."""
SPREAD = math.sqrt(1 - 2 * CUT * math.exp(-(CUT**2) / 2) / math.sqrt(2 * math.pi) / (2 * ndtr(CUT) - 1))
"""The standard deviation of a standard normal that is cut off there."""


class Draws:
    """What modules take for `nnx.Rngs`: a generator of its own for every parameter, in their order."""

    def __init__(self, seed: int) -> None:
        self._seeds = np.random.SeedSequence(seed)

    def params(self) -> np.random.Generator:
        """The next parameter's generator."""
        return np.random.default_rng(self._seeds.spawn(1)[0])


def he_normal(draw: np.random.Generator, shape: Sequence[int], dtype: Any) -> np.ndarray:
    """A kernel for what goes through a ReLU (He et al. 2015): variance 2 / inputs."""
    return _normal(draw, shape, dtype, 2.0)


def lecun_normal(draw: np.random.Generator, shape: Sequence[int], dtype: Any) -> np.ndarray:
    """A kernel that keeps the variance of its inputs (LeCun et al. 1998): variance 1 / inputs."""
    return _normal(draw, shape, dtype, 1.0)


def orthogonal(draw: np.random.Generator, shape: Sequence[int], dtype: Any) -> np.ndarray:
    """A kernel [rows, columns] whose shorter side is orthonormal (Saxe et al. 2013)."""
    drawn = draw.standard_normal((max(shape), min(shape)))
    turned, upper = np.linalg.qr(drawn)
    turned *= np.sign(np.diag(upper))
    return (turned if shape[0] >= shape[1] else turned.T).astype(dtype)


def zeros(_draw: np.random.Generator, shape: Sequence[int], dtype: Any) -> np.ndarray:
    """A bias, or a kernel that starts from nothing."""
    return np.zeros(shape, dtype)


def dense(
    inputs: int, outputs: int, draws: Draws, kernel: Callable[..., np.ndarray] = lecun_normal
) -> nnx.Linear:
    """A dense layer whose kernel is drawn like that."""
    return nnx.Linear(inputs, outputs, kernel_init=kernel, bias_init=zeros, rngs=cast(nnx.Rngs, draws))


def convolution(inputs: int, outputs: int, width: int, draws: Draws) -> nnx.Conv:
    """A convolution over time that halves it, for a ReLU."""
    return nnx.Conv(
        inputs,
        outputs,
        (width,),
        strides=2,
        padding="SAME",
        kernel_init=he_normal,
        bias_init=zeros,
        rngs=cast(nnx.Rngs, draws),
    )


def _normal(draw: np.random.Generator, shape: Sequence[int], dtype: Any, variance: float) -> np.ndarray:
    inputs = math.prod(shape[:-1])
    least = ndtr(-CUT)
    drawn: np.ndarray = ndtri(draw.uniform(least, 1 - least, shape))
    return (drawn * (math.sqrt(variance / inputs) / SPREAD)).astype(dtype)
