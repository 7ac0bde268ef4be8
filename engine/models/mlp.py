"""The multi-layer perceptron over a user's features."""

from __future__ import annotations

import itertools

import jax
from flax import nnx

from engine.models.draws import Draws, dense, he_normal
from engine.models.dropout import drop


class Layers(nnx.Module):
    """Dense layers, each with ReLU and dropout after it."""

    def __init__(self, inputs: int, widths: tuple[int, ...], dropout: float, draws: Draws) -> None:
        self.layers = nnx.List(
            dense(wide, narrow, draws, he_normal) for wide, narrow in itertools.pairwise((inputs, *widths))
        )
        self.dropout = dropout

    def __call__(self, x: jax.Array, key: jax.Array | None) -> jax.Array:
        """float32[n, inputs] to float32[n, the last width]; a key turns dropout on."""
        for i, layer in enumerate(self.layers):
            x = drop(jax.nn.relu(layer(x)), self.dropout, key, i)
        return x


class MLP(nnx.Module):
    """Dense layers (64 and 32 wide by default), then logits."""

    def __init__(
        self, features: int, labels: int, *, hidden: tuple[int, ...], dropout: float, draws: Draws
    ) -> None:
        self.statistics = Layers(features, hidden, dropout, draws)
        self.out = dense(hidden[-1], labels, draws)

    def __call__(
        self, features: jax.Array, sequences: jax.Array | None = None, key: jax.Array | None = None
    ) -> jax.Array:
        """float32[n, features] to logits float32[n, labels]; a key turns dropout on."""
        del sequences
        logits: jax.Array = self.out(self.statistics(features, key))
        return logits
