"""Dropout with a key passed by hand: nnx.Dropout keeps its stream in the module, which a jitted step may not
touch."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def drop(x: jax.Array, rate: float, key: jax.Array | None, layer: int) -> jax.Array:
    """`x` with a share `rate` of its entries zeroed and the rest scaled up; as it is without a key."""
    if key is None or rate == 0:
        return x
    kept = jax.random.bernoulli(jax.random.fold_in(key, layer), 1 - rate, x.shape)
    return jnp.where(kept, x / (1 - rate), 0.0)
