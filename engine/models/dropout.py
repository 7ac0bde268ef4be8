"""Dropout by a hash of key, layer and place: pure, the same on every machine, and nearly free.

A generator of jax.random took most of an epoch's time here on XLA's CPU backend, and of the compilation.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

GOLDEN = np.uint32(0x9E3779B9)


def stream(seed: int) -> np.uint32:
    """The key of all draws under `seed`."""
    with np.errstate(over="ignore"):
        return np.uint32(_mixed(_mixed(np.uint32(seed) + GOLDEN)))


def fold(key: Any, number: Any) -> jax.Array:
    """A key uint32 of its own for `number`, a whole number, under `key`."""
    # A step first: zero is mixed to zero, and would be its own key for ever.
    folded: jax.Array = _mixed(
        _mixed(jnp.asarray(key, jnp.uint32) + GOLDEN) + jnp.asarray(number, jnp.uint32) * GOLDEN
    )
    return folded


def drop(x: jax.Array, rate: float, key: jax.Array | None, layer: int) -> jax.Array:
    """`x` with a share `rate` of its entries zeroed and the rest scaled up; as it is without a key."""
    if key is None or rate == 0:
        return x
    places = jax.lax.iota(jnp.uint32, x.size).reshape(x.shape)
    kept = _mixed(places * GOLDEN + fold(key, layer)) >= np.uint32(rate * 2.0**32)
    return jnp.where(kept, x / (1 - rate), 0.0)


def _mixed(values: Any) -> Any:
    """MurmurHash3's finaliser over uint32, as SplitMix puts it after a sequence of equal steps."""
    mixed = (values ^ (values >> 16)) * np.uint32(0x85EBCA6B)
    mixed = (mixed ^ (mixed >> 13)) * np.uint32(0xC2B2AE35)
    return mixed ^ (mixed >> 16)
