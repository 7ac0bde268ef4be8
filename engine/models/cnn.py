"""The convolutional network over a user's sequence of time bins."""

from __future__ import annotations

import itertools

import jax
from flax import nnx

from engine.models.draws import Draws, convolution, dense, he_normal
from engine.models.dropout import drop


class Convolutions(nnx.Module):
    """Strided convolutions over time, each halving it; what is left, in its order, through a dense layer.

    Strides cost half of what pooling after a full convolution does, and nothing in log-loss (measured). Time
    is flattened rather than pooled away: how long ago something was is what matters most.
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
        self.convolutions = nnx.List(
            convolution(before, after, width, draws)
            for before, after in itertools.pairwise((channels, *filters))
        )
        left = bins
        for _ in filters:
            left = -(-left // 2)
        self.dense = dense(left * filters[-1], hidden, draws, he_normal)
        self.dropout = dropout

    def __call__(self, x: jax.Array, key: jax.Array | None) -> jax.Array:
        """float32[n, bins, channels], newest bin last, to float32[n, hidden]; a key turns dropout on."""
        for layer in self.convolutions:
            x = jax.nn.relu(layer(x))
        x = drop(x.reshape(x.shape[0], -1), self.dropout, key, 0)
        return drop(jax.nn.relu(self.dense(x)), self.dropout, key, 1)


class CNN(nnx.Module):
    """Convolutions over time, then logits."""

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
        draws: Draws,
    ) -> None:
        self.sequence = Convolutions(bins, channels, filters, width, hidden, dropout, draws)
        self.out = dense(hidden, labels, draws)

    def __call__(
        self, features: jax.Array | None, sequences: jax.Array, key: jax.Array | None = None
    ) -> jax.Array:
        """float32[n, bins, channels], newest bin last, to logits float32[n, labels]; a key turns dropout
        on."""
        del features
        logits: jax.Array = self.out(self.sequence(sequences, key))
        return logits
