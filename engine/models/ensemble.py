"""Several networks of one kind as one: the mean of what they say is steadier, and better calibrated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from engine.models.dropout import fold


class Ensemble(nnx.Module):
    """Networks that differ in their first parameters and their dropout (Lakshminarayanan et al. 2017).

    They meet the same batches, each but its own fold's users (engine.splits), and stop together, at the epoch
    that is best by what each says of those.
    """

    def __init__(self, members: Sequence[nnx.Module]) -> None:
        graphs, states = zip(*map(nnx.split, members), strict=True)
        self.number = len(members)
        # One network whose parameters have an axis more, in front: it compiles as fast as a member does.
        self.members = nnx.merge(graphs[0], jax.tree.map(lambda *each: np.stack(each), *states))

    def each(
        self, features: jax.Array | None, sequences: jax.Array | None, key: jax.Array | None = None
    ) -> jax.Array:
        """Every member's logits, float32[members, n, labels]; a key turns dropout on."""
        graph, stacked = nnx.split(self.members)
        keys = None if key is None else fold(key, jnp.arange(self.number))

        def one(state: Any, own: jax.Array | None) -> Any:
            return nnx.merge(graph, state)(features, sequences, own)

        logits: jax.Array = jax.vmap(one)(stacked, keys)
        return logits

    def own(self, features: jax.Array | None, sequences: jax.Array | None) -> jax.Array:
        """As `each`, but every member reads rows of its own: [members, n, ...]."""
        graph, stacked = nnx.split(self.members)
        logits: jax.Array = jax.vmap(lambda state, *read: nnx.merge(graph, state)(*read, None))(
            stacked, features, sequences
        )
        return logits

    def __call__(
        self, features: jax.Array | None, sequences: jax.Array | None = None, key: jax.Array | None = None
    ) -> jax.Array:
        """Logits float32[n, labels] whose softmax is the mean of the members' probabilities."""
        logarithms = jax.nn.log_softmax(self.each(features, sequences, key))
        return jax.nn.logsumexp(logarithms, axis=0) - jnp.log(self.number)


def each_logits(
    network: nnx.Module, features: jax.Array | None, sequences: jax.Array | None, key: jax.Array | None
) -> jax.Array:
    """What each member of a network says, float32[members, n, labels]; a plain network is its only one."""
    if isinstance(network, Ensemble):
        return network.each(features, sequences, key)
    alone: jax.Array = network(features, sequences, key)
    return alone[None]


def own_logits(network: nnx.Module, features: jax.Array | None, sequences: jax.Array | None) -> jax.Array:
    """What each member of a network says of its own rows, float32[members, n, labels], of arrays
    [members, n, ...]."""
    if isinstance(network, Ensemble):
        return network.own(features, sequences)
    alone: jax.Array = network(*(None if read is None else read[0] for read in (features, sequences)), None)
    return alone[None]
