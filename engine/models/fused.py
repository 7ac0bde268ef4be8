"""Statistics and sequence side by side, in one network."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx

from engine.models.draws import Draws, dense
from engine.models.dropout import fold
from engine.models.mlp import Layers
from engine.models.patches import Patches


class Fused(nnx.Module):
    """What dense layers make of the features beside what patches make of the sequence, then logits."""

    def __init__(
        self,
        features: int,
        bins: int,
        channels: int,
        labels: int,
        *,
        hidden: tuple[int, ...],
        filters: tuple[int, ...],
        width: int,
        dropout: float,
        draws: Draws,
    ) -> None:
        self.statistics = Layers(features, hidden, dropout, draws)
        self.sequence = Patches(bins, channels, filters, width, hidden[-1], dropout, draws)
        self.out = dense(2 * hidden[-1], labels, draws)

    def __call__(self, features: jax.Array, sequences: jax.Array, key: jax.Array | None = None) -> jax.Array:
        """float32[n, features] and float32[n, bins, channels] to logits float32[n, labels]; a key turns
        dropout on."""
        keys = (None, None) if key is None else (fold(key, 0), fold(key, 1))
        both = self.statistics(features, keys[0]), self.sequence(sequences, keys[1])
        logits: jax.Array = self.out(jnp.concatenate(both, axis=1))
        return logits
