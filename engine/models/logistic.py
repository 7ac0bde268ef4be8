"""Multinomial logistic regression: the simplest model, and the one the others must beat."""

from __future__ import annotations

import jax
from flax import nnx

from engine.models.draws import Draws, dense, zeros


class Logistic(nnx.Module):
    """logits = features · kernel + bias, from zero."""

    def __init__(self, features: int, labels: int, *, draws: Draws) -> None:
        self.out = dense(features, labels, draws, zeros)

    def __call__(
        self, features: jax.Array, sequences: jax.Array | None = None, key: jax.Array | None = None
    ) -> jax.Array:
        """float32[n, features] to logits float32[n, labels]."""
        del sequences, key
        logits: jax.Array = self.out(features)
        return logits
