"""The multi-layer perceptron over a user's features."""

from __future__ import annotations

import itertools

import jax
from flax import nnx

from engine.models.dropout import drop


class MLP(nnx.Module):
    """Dense layers with ReLU between (64 and 32 wide by default), then logits."""

    def __init__(
        self, features: int, labels: int, *, hidden: tuple[int, ...], dropout: float, rngs: nnx.Rngs
    ) -> None:
        widths = (features, *hidden)
        self.layers = nnx.List(
            nnx.Linear(wide, narrow, kernel_init=nnx.initializers.he_normal(), rngs=rngs)
            for wide, narrow in itertools.pairwise(widths)
        )
        self.out = nnx.Linear(widths[-1], labels, rngs=rngs)
        self.dropout = dropout

    def __call__(
        self, features: jax.Array, sequences: jax.Array | None = None, key: jax.Array | None = None
    ) -> jax.Array:
        """float32[n, features] to logits float32[n, labels]; a key turns dropout on."""
        del sequences
        x = features
        for i, layer in enumerate(self.layers):
            x = drop(jax.nn.relu(layer(x)), self.dropout, key, i)
        logits: jax.Array = self.out(x)
        return logits
