"""The recurrent network over a user's sequence of time bins."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx

from engine.models.draws import Draws, dense, orthogonal
from engine.models.dropout import drop


class GRU(nnx.Module):
    """A gated recurrent unit (Cho et al. 2014), read from the oldest bin to the newest; from its last state,
    logits.

    The reset gate stands after the product with the state, so that what the bins bring is one product for
    all of them, outside the recurrence.
    """

    def __init__(
        self, bins: int, channels: int, labels: int, *, width: int, dropout: float, draws: Draws
    ) -> None:
        del bins
        self.brings = dense(channels, 3 * width, draws)
        self.keeps = dense(width, 3 * width, draws, orthogonal)
        self.out = dense(width, labels, draws)
        self.width, self.dropout = width, dropout

    def __call__(
        self, features: jax.Array | None, sequences: jax.Array, key: jax.Array | None = None
    ) -> jax.Array:
        """float32[n, bins, channels], newest bin last, to logits float32[n, labels]; a key turns dropout
        on."""
        del features

        def step(state: jax.Array, brought: jax.Array) -> tuple[jax.Array, None]:
            reset, update, new = jnp.split(brought, 3, axis=1)
            kept_reset, kept_update, kept_new = jnp.split(self.keeps(state), 3, axis=1)
            candidate = jnp.tanh(new + jax.nn.sigmoid(reset + kept_reset) * kept_new)
            share = jax.nn.sigmoid(update + kept_update)
            return share * state + (1 - share) * candidate, None

        start = jnp.zeros((sequences.shape[0], self.width), jnp.float32)
        state, _ = jax.lax.scan(step, start, jnp.swapaxes(self.brings(sequences), 0, 1))
        logits: jax.Array = self.out(drop(state, self.dropout, key, 0))
        return logits
