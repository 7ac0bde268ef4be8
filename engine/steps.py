"""The compiled halves of an epoch: stepping through its batches, and judging what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from engine.batches import ROOMS, RUN, Batch, Batches
from engine.models.dropout import fold
from engine.models.ensemble import each_logits, own_logits

MOMENTUM = 0.9


class State(NamedTuple):
    """What a step takes to the next: parameters, the optimizer's moments, and, of averaged ones, their mean
    and how many steps it is of."""

    parameters: Any
    moments: Any
    mean: Any
    steps: Any

    @property
    def kept(self) -> Any:
        """The parameters that are judged."""
        return self.parameters if self.mean is None else self.mean


class Steps:
    """The compiled halves of an epoch, for one architecture and one optimizer."""

    def __init__(
        self,
        graph: Any,
        optimizer: Callable[[Any], optax.GradientTransformation],
        smoothing: float,
        averaging: float,
    ) -> None:
        """`optimizer` is asked by weight decay, which is an argument of what is compiled, for it follows the
        number of users, and that is another one every night."""
        self._init = optimizer(0.0).init
        self._averages = averaging > 0

        def summed(parameters: Any, batch: Batch, key: Any) -> Any:
            features, sequences, labels, weights = batch
            said = each_logits(nnx.merge(graph, parameters), features, sequences, key)
            wanted = optax.smooth_labels(jax.nn.one_hot(labels, said.shape[-1]), smoothing)
            lost = jnp.sum(optax.softmax_cross_entropy(said, wanted[None]) * weights.T, axis=1)
            # A small batch may hold nobody that a member learns from.
            counted = jnp.maximum(jnp.sum(weights, axis=0), np.finfo(np.float32).tiny)
            return jnp.sum(lost / counted), jnp.sum(lost)

        def judged(parameters: Any, batch: Batch) -> tuple[Any, Any]:
            said = own_logits(nnx.merge(graph, parameters), batch[0], batch[1])
            lost = optax.softmax_cross_entropy_with_integer_labels(said, batch[2])
            return said, jnp.sum(lost * batch[3])

        def step(state: State, batch: Batch, key: Any, number: Any, decay: Any) -> tuple[State, Any]:
            parameters, moments, averaged, steps = state
            key = fold(key, number)
            gradients, lost = jax.grad(summed, has_aux=True)(parameters, batch, key)
            updates, moments = optimizer(decay).update(gradients, moments, parameters)
            parameters = optax.apply_updates(parameters, updates)
            if averaged is not None:
                # The first steps are forgotten sooner, as what they start from is drawn and not learnt.
                new = jnp.maximum(1 - averaging, 9 / (steps + 10))
                averaged, steps = optax.incremental_update(parameters, averaged, new), steps + 1
            return State(parameters, moments, averaged, steps), lost

        def run(
            state: State, batches: Batch, key: Any, epoch: Any, first: Any, number: Any, decay: Any
        ) -> tuple[State, Any]:
            drawn = fold(key, epoch)

            def one(at: Any, carried: tuple[State, Any]) -> tuple[State, Any]:
                batch = jax.tree.map(
                    lambda each: jax.lax.dynamic_index_in_dim(each, at, keepdims=False), batches
                )
                state, lost = step(carried[0], batch, drawn, first + at, decay)
                return state, carried[1] + lost

            after: tuple[State, Any] = jax.lax.fori_loop(0, number, one, (state, jnp.float32(0)))
            return after

        def single(
            state: State, batch: Batch, key: Any, epoch: Any, number: Any, decay: Any
        ) -> tuple[State, Any]:
            return step(state, batch, fold(key, epoch), number, decay)

        self._step = jax.jit(single, donate_argnums=0)
        self._run = jax.jit(run, donate_argnums=0)
        self._judged = jax.jit(judged)

    def begin(self, parameters: Any) -> State:
        """The state before the first step; of its own, as a step takes the former state's memory.

        Every optimizer here begins with nothing, so that there is nothing to compile for it.
        """
        moments = jax.tree.map(
            lambda each: np.zeros(each.shape, each.dtype), jax.eval_shape(self._init, parameters)
        )
        own = jax.tree.map(np.array, parameters)
        mean = jax.tree.map(np.array, parameters) if self._averages else None
        begun: State = jax.device_put(State(own, moments, mean, np.float32(0) if self._averages else None))
        return begun

    @contextmanager
    def compiling(
        self, parameters: Any, batches: Batches, tiles: list[Batch], key: Any, decay: Any, looped: bool
    ) -> Iterator[None]:
        """Has everything compiled for these shapes while the block draws parameters, each program in a thread
        of its own: XLA holds no lock meanwhile.

        They are called, on parameters of zeros, since what is only lowered and compiled ahead is traced again
        at its first call.
        """

        def nothing() -> Any:
            return jax.tree.map(lambda each: np.zeros(each.shape, each.dtype), parameters)

        def stepped() -> None:
            state = self.begin(nothing())
            if looped:
                self._run(state, batches.run(0), key, 1, 0, 0, decay)
            else:
                self._step(state, batches.batch(0), key, 1, 0, decay)

        def judged() -> None:
            self._judged(nothing(), tiles[0])

        with ThreadPoolExecutor(2) as threads:
            begun = [threads.submit(each) for each in (stepped, judged)]
            yield
            for each in begun:
                each.result()

    def epoch(
        self, state: State, batches: Batches, key: Any, epoch: int, decay: Any, looped: bool
    ) -> tuple[State, list[Any]]:
        """Step through all batches, in compiled runs of them where `looped`: the new state, and sums of the
        users' losses, both perhaps not ready yet. The losses of the former epoch are, where there was one.

        A convolution is not looped over, as its gradient is 20 to 70 times slower there on XLA's CPU backend.
        """
        losses: list[Any] = []
        for first in range(0, batches.steps, RUN if looped else 1):
            if looped:
                if len(losses) >= ROOMS:
                    losses[-ROOMS].block_until_ready()
                number = min(RUN, batches.steps - first)
                state, loss = self._run(state, batches.run(first), key, epoch, first, number, decay)
            else:
                state, loss = self._step(state, batches.batch(first), key, epoch, first, decay)
            losses.append(loss)
        return state, losses

    def logits(self, parameters: Any, tiles: list[Batch]) -> np.ndarray:
        """What each member says of its own rows, float32[members, rows, labels], padding included."""
        return np.concatenate([np.asarray(self._judged(parameters, batch)[0]) for batch in tiles], axis=1)

    def losses(self, parameters: Any, tiles: list[Batch]) -> list[Any]:
        """The sum of the users' losses in each tile, perhaps not ready yet."""
        return [self._judged(parameters, batch)[1] for batch in tiles]


@lru_cache(maxsize=8)
def steps_of(
    graph: Any, optimizer: str, rate: float, smoothing: float, averaging: float, falls_over: int | None
) -> Steps:
    """Kept between trainings, so that the next of the same shape compiles nothing. Weight decay is L2 in the
    gradient for adam and sgd, decoupled for adamw, and spares biases in all. `falls_over` steps the rate goes
    down to zero along a cosine; None leaves it."""

    def kernels(parameters: Any) -> Any:
        flat = nnx.to_flat_state(parameters)
        return nnx.from_flat_state(
            [(path, variable.replace(path[-1] == "kernel")) for path, variable in flat]
        )

    rates = rate if falls_over is None else optax.cosine_decay_schedule(rate, falls_over)

    def decayed(decay: Any) -> optax.GradientTransformation:
        if optimizer == "adamw":
            return optax.adamw(rates, weight_decay=decay, mask=kernels)
        rule = optax.adam(rates) if optimizer == "adam" else optax.sgd(rates, momentum=MOMENTUM)
        return optax.chain(optax.add_decayed_weights(decay, mask=kernels), rule)

    return Steps(graph, decayed, smoothing, averaging)
