"""The convolutional network over a user's sequence of time bins."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
from flax import nnx

from engine.models.dropout import drop


class CNN(nnx.Module):
    """Convolutions over time, each halving it; their mean, maximum and newest step; a dense layer; logits."""

    def __init__(
        self,
        bins: int,
        channels: int,
        labels: int,
        *,
        filters: tuple[int, ...],
        width: int,
        hidden: int,
        dropout: float,
        rngs: nnx.Rngs,
    ) -> None:
        depths = (channels, *filters)
        self.convolutions = nnx.List(
            nnx.Conv(
                before, after, (width,), padding="SAME", kernel_init=nnx.initializers.he_normal(), rngs=rngs
            )
            for before, after in itertools.pairwise(depths)
        )
        self.dense = nnx.Linear(3 * depths[-1], hidden, kernel_init=nnx.initializers.he_normal(), rngs=rngs)
        self.out = nnx.Linear(hidden, labels, rngs=rngs)
        self.dropout = dropout
        self.bins = bins

    def __call__(
        self, features: jax.Array | None, sequences: jax.Array, key: jax.Array | None = None
    ) -> jax.Array:
        """float32[n, bins, channels], newest bin last, to logits float32[n, labels]; a key turns dropout
        on."""
        del features
        x = sequences
        for i, convolution in enumerate(self.convolutions):
            x = jax.nn.relu(convolution(x))
            if i + 1 < len(self.convolutions) and x.shape[1] >= 4:
                # Pooled from the newest end, so that the last step always holds the newest bins.
                x = x[:, x.shape[1] % 2 :].reshape(x.shape[0], x.shape[1] // 2, 2, x.shape[2]).max(axis=2)
        x = jnp.concatenate([x.mean(axis=1), x.max(axis=1), x[:, -1]], axis=1)
        x = drop(jax.nn.relu(self.dense(x)), self.dropout, key, 0)
        logits: jax.Array = self.out(x)
        return logits
