"""A user's sequence of time bins in patches: convolutions whose windows do not overlap."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
from flax import nnx

from engine.models.draws import Draws, dense, he_normal
from engine.models.dropout import drop


class Patches(nnx.Module):
    """Dense layers over patches of `width` neighbouring bins, then over patches of those; what is left, in
    its order, through a dense layer.

    That is a convolution whose stride is its width, written as a product of matrices: on XLA's CPU backend
    its gradient is many times cheaper, and an epoch of it can be scanned.
    """

    def __init__(
        self,
        bins: int,
        channels: int,
        filters: tuple[int, ...],
        width: int,
        hidden: int,
        dropout: float,
        draws: Draws,
    ) -> None:
        self.layers = nnx.List(
            dense(width * before, after, draws, he_normal)
            for before, after in itertools.pairwise((channels, *filters))
        )
        left = bins
        for _ in filters:
            left = -(-left // width)
        self.dense = dense(left * filters[-1], hidden, draws, he_normal)
        self.width, self.dropout = width, dropout

    def __call__(self, x: jax.Array, key: jax.Array | None) -> jax.Array:
        """float32[n, bins, channels], newest bin last, to float32[n, hidden]; a key turns dropout on."""
        n = x.shape[0]
        for layer in self.layers:
            # Patches end with the newest bin; the oldest one is filled up with zeros.
            x = jnp.pad(x, ((0, 0), (-x.shape[1] % self.width, 0), (0, 0)))
            x = jax.nn.relu(layer(x.reshape(n, x.shape[1] // self.width, -1)))
        x = drop(x.reshape(n, -1), self.dropout, key, 0)
        return drop(jax.nn.relu(self.dense(x)), self.dropout, key, 1)
