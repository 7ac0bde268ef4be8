"""Users in batches: shuffled epoch by epoch for training, in tiles for validation."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

# Rows a validation pass evaluates at once where memory or the convolution asks for a bound.
SEQUENCE_TILE = 256
FEATURE_TILE = 65_536

RUN = 64
"""Batches that a compiled loop goes through in one call, whatever there are: one compilation serves all."""
ROOMS = 2
"""Runs that are in memory at a time: one is computed while the next is gathered."""
ALIGNED = 64
"""Bytes: what begins at a multiple of them XLA reads where it is, on a CPU."""

Batch = tuple[Any, Any, Any, Any]
"""Features, sequences, labels, and how much each user counts for each member, the members last; 0 where a
batch is padded. What judges has the members first instead, as each has rows of its own."""


class Rooms:
    """Memory for ROOMS runs, used again and again: fresh memory takes longer to come by than to fill."""

    def __init__(self, data: Batch, size: int) -> None:
        """For batches of `size` rows of `data`; none is taken yet."""
        self._data, self._size = data, size
        self._rooms: dict[int, Batch] = {}

    def of(self, run: int) -> Batch:
        """The room of a run by its number: arrays as in the data, [RUN, size, ...], in which anything may
        stand; those of the run ROOMS before must have been computed."""
        room = run % ROOMS
        if room not in self._rooms:
            shape = (RUN, self._size)
            self._rooms[room] = jax.tree.map(
                lambda values: _aligned((*shape, *values.shape[1:]), values.dtype), self._data
            )
        return self._rooms[room]


@dataclasses.dataclass(frozen=True, eq=False)
class Batches:
    """An epoch's users in batches: rows int32[steps, size] of `data`, of which those that pad the last batch
    (False in `real`) do not count; and where runs of them are gathered."""

    data: Batch
    rows: np.ndarray
    real: np.ndarray
    rooms: Rooms

    @property
    def steps(self) -> int:
        """How many batches there are."""
        return len(self.rows)

    def batch(self, which: int) -> Batch:
        """One batch by its number."""
        return _taken(self.data, self.rows[which], self.real[which])

    def run(self, first: int) -> Batch:
        """RUN batches from the one of that number on, a multiple of RUN, one axis more; what goes past the
        last is anything. They are good until ROOMS runs further.

        They are gathered by NumPy, which is quicker than row by row in a compiled loop, and so few at once
        that the next are while XLA computes, and that no copy of everyone is made.
        """
        rows, real = self.rows[first : first + RUN], self.real[first : first + RUN]
        room = self.rooms.of(first // RUN)

        def fill(values: np.ndarray, out: np.ndarray) -> None:
            np.take(values, rows, axis=0, out=out[: len(rows)], mode="clip")

        jax.tree.map(fill, self.data, room)
        room[3][: len(rows)][~real] = 0
        run: Batch = jax.device_put(room)
        return run


def epochs_of(data: Batch, size: int, seed: int) -> Iterator[Batches]:
    """Without end, every epoch's batches, each in a new order."""
    shuffle = np.random.default_rng(seed)
    n = len(data[2])
    size = min(size, n)
    steps = -(-n // size)
    real = (np.arange(steps * size) < n).reshape(steps, size)
    rooms = Rooms(data, size)
    while True:
        order = np.zeros(steps * size, np.int32)
        order[:n] = shuffle.permutation(n)
        yield Batches(data, order.reshape(steps, size), real, rooms)


def gather(
    features: np.ndarray | None,
    sequences: np.ndarray | None,
    labels: np.ndarray,
    weights: np.ndarray,
    rows: np.ndarray,
    counts: np.ndarray | None = None,
) -> Batch:
    """These rows of arrays over all users, as one batch; `weights` float32[labels] are by label, `counts`
    bool[rows, members] says for whom a row counts at all."""
    own = labels[rows].astype(np.int32)
    return (
        None if features is None else features[rows],
        None if sequences is None else sequences[rows],
        own,
        weights[own] if counts is None else weights[own][:, None] * counts,
    )


def stacked(batches: list[Batch]) -> Batch:
    """Batches side by side, as one with an axis more in front; the shorter ones end in rows of weight 0."""
    longest = max(len(batch[2]) for batch in batches)

    def padded(values: np.ndarray) -> np.ndarray:
        return np.pad(values, [(0, longest - len(values)), *[(0, 0)] * (values.ndim - 1)])

    whole: Batch = jax.tree.map(lambda *each: np.stack([padded(values) for values in each]), *batches)
    return whole


def _aligned(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """An array in which anything may stand."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.empty(size + ALIGNED, np.uint8)
    first = -memory.ctypes.data % ALIGNED
    array: np.ndarray = memory[first : first + size].view(dtype).reshape(shape)
    return array


def _taken(data: Batch, rows: np.ndarray, real: np.ndarray) -> Batch:
    """These rows of the data; those that are not `real` do not count."""
    features, sequences, labels, weights = jax.tree.map(lambda values: values[rows], data)
    return features, sequences, labels, np.where(real[..., None], weights, np.float32(0))


def tiles(data: Batch, sequences: bool) -> Iterator[Batch]:
    """What `stacked` gave in pieces of one shape, the last padded with its own first rows at weight 0."""
    n = data[2].shape[1]
    size = min(_roomy(n), SEQUENCE_TILE if sequences else FEATURE_TILE)
    for start in range(0, n, size):
        rows = np.arange(start, start + size)
        *read, weights = jax.tree.map(lambda values, rows=rows: values[:, rows % n], data)
        yield (*read, np.where(rows < n, weights, np.float32(0)))


def _roomy(number: int) -> int:
    """`number` or up to a quarter more: few are told apart, so that what is compiled for this month's users
    often serves next month's."""
    unit = 1 << max(number.bit_length() - 3, 0)
    return -(-number // unit) * unit


def class_weights(labels: np.ndarray, n_labels: int, power: float) -> np.ndarray:
    """float32[n_labels]: how much a user of each label counts, 1 in the mean over these users."""
    counts = np.bincount(labels, minlength=n_labels)
    weights = np.maximum(counts, 1) ** -float(power)
    mean = (weights * counts).sum() / counts.sum()
    scaled: np.ndarray = (weights / mean).astype(np.float32)
    return scaled
