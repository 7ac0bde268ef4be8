"""Scoring in tiles of one fixed shape, so that a row's result never depends on what is beside it."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import platform
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
from flax import nnx

from engine.errors import EngineError
from engine.model import Model
from engine.models import kind_of, skeleton
from engine.models.parameters import (
    BESIDE,
    CHANNEL_SCALE,
    LABEL_OF,
    LOGIT_BIAS,
    LOGIT_SCALE,
    label_of,
    refuse_unfit,
    scale_sequences,
    unflatten,
)

MILLION = 1_000_000
TILES = 64
"""Tiles laid out at once."""


@cache
def environment() -> dict[str, str]:
    """What bit equality of scores depends on, besides the model: jaxlib, instruction set, device."""
    found = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
    return {
        "jaxlib": importlib.metadata.version("jaxlib"),
        "instruction_set": " ".join([platform.machine(), *found]),
        "device": jax.devices()[0].device_kind,
    }


@dataclasses.dataclass(frozen=True, eq=False)
class Arrays:
    """Users as a model reads them: raw features float32[n, columns], sequences float32[n, bins, channels],
    or both."""

    raw: np.ndarray | None
    sequences: np.ndarray | None

    def __len__(self) -> int:
        read = self.raw if self.raw is not None else self.sequences
        return 0 if read is None else len(read)

    def take(self, rows: np.ndarray) -> Arrays:
        """These rows only."""
        return Arrays(
            None if self.raw is None else self.raw[rows],
            None if self.sequences is None else self.sequences[rows],
        )

    @classmethod
    def stack(cls, pieces: Sequence[Arrays]) -> Arrays:
        """All rows of all pieces, in order."""
        raw = [piece.raw for piece in pieces if piece.raw is not None]
        sequences = [piece.sequences for piece in pieces if piece.sequences is not None]
        return cls(np.concatenate(raw) if raw else None, np.concatenate(sequences) if sequences else None)


@dataclasses.dataclass(frozen=True, eq=False)
class Inputs:
    """What a network is given: encoded columns float32[n, owners], sequences float32[n, bins, channels], or
    both; or the slopes by them."""

    spread: np.ndarray | None
    scaled: np.ndarray | None


class Scorer:
    """A model ready to score. One compilation, at the first call; the encoding is part of it."""

    def __init__(self, model: Model) -> None:
        """Raises EngineError when the parameters do not fit the model's description."""
        self.model = model
        self.kind = kind_of(model.kind)
        spec = model.sequence_spec
        if self.kind.reads_sequences and spec is None:
            raise EngineError(f"Model {model.short} reads sequences, but its spec has none: train it again.")
        encoder = model.encoder
        try:
            columns = label_of(model.parameters, len(model.labels))
            refuse_unfit(model.parameters, len(columns), len(spec.channels) if spec else 0)
        except EngineError:
            raise self._unfit() from None
        groups = [np.flatnonzero(columns == code) for code in range(len(model.labels))]
        shape = {
            "features": encoder.width if self.kind.reads_features else 0,
            "bins": spec.bins if spec else 0,
            "channels": len(spec.channels) if spec else 0,
            "labels": len(columns),
        }
        graph, abstract = skeleton(model.kind, **shape, options=model.options)
        try:
            parameters = unflatten(abstract, model.parameters)
        except EngineError:
            raise self._unfit() from None
        self._parameters = jax.device_put(parameters)
        # Arguments rather than constants of the compilation, so that the persistent cache serves the next
        # model too.
        self._constants = jax.device_put(dict(encoder.constants))
        # What stands beside the network's own parameters; models without calibration are taken as they are.
        self._beside = jax.device_put(
            {name: model.parameters[name] for name in BESIDE if name in model.parameters}
        )

        def network(parameters: Any, beside: Any, features: Any, scaled: Any) -> Any:
            logits = nnx.merge(graph, parameters)(features, scaled, None)
            if LOGIT_SCALE in beside:
                logits = logits * beside[LOGIT_SCALE] + beside[LOGIT_BIAS]
            if LABEL_OF not in beside:
                return logits
            # The logarithm of a sum of probabilities.
            return jnp.stack([jax.nn.logsumexp(logits[:, each], axis=1) for each in groups], axis=1)

        def tile(parameters: Any, constants: Any, beside: Any, raw: Any, sequences: Any) -> tuple[Any, Any]:
            features = None if raw is None else encoder.encode(raw, jnp, constants)
            scaled = None if sequences is None else scale_sequences(sequences, beside[CHANNEL_SCALE], jnp)
            logits = network(parameters, beside, features, scaled)
            return logits, jnp.rint(jax.nn.softmax(logits) * MILLION).astype(jnp.int32)

        def slope(parameters: Any, constants: Any, beside: Any, spread: Any, scaled: Any, sign: Any) -> Any:
            def weighed(spread: Any, scaled: Any) -> tuple[Any, Any]:
                features = None if spread is None else encoder.turned(spread, constants)
                leads = (network(parameters, beside, features, scaled) * sign).sum(axis=1)
                return leads.sum(), leads

            slopes, leads = jax.grad(weighed, argnums=(0, 1), has_aux=True)(spread, scaled)
            return leads, *slopes

        self._tile = jax.jit(tile)
        self._slope = jax.jit(slope)

    def _unfit(self) -> EngineError:
        return EngineError(
            f"The parameters of model {self.model.short} do not fit its own description: train it again."
        )

    def scores(
        self,
        features: pl.DataFrame,
        sequences: np.ndarray | None = None,
        meanwhile: Callable[[], None] | None = None,
    ) -> np.ndarray:
        """P(label | user) in millionths, int32[n, labels]: rows in the frame's order, columns in the
        labels'. `meanwhile` is called while XLA computes the last of them."""
        return self._chunked(features, sequences, 1, meanwhile)

    def logits(self, features: pl.DataFrame, sequences: np.ndarray | None = None) -> np.ndarray:
        """The logits float32[n, labels] that `scores` are the softmax of."""
        return self._chunked(features, sequences, 0)

    def logits_of(self, arrays: Arrays) -> np.ndarray:
        """The logits float32[n, labels] of what `arrays` gave."""
        return self._collected(self._tiles(arrays, 0), len(arrays), 0)

    def inputs_of(self, arrays: Arrays) -> Inputs:
        """`arrays` as the network meets them, spread and scaled but not yet turned into components."""
        return Inputs(
            None if arrays.raw is None else self.model.encoder.spread(arrays.raw),
            None
            if arrays.sequences is None
            else scale_sequences(arrays.sequences, self.model.parameters[CHANNEL_SCALE]),
        )

    def slopes_of(self, inputs: Inputs, sign: np.ndarray) -> tuple[np.ndarray, Inputs]:
        """The sums float32[n] of the logits weighed with `sign` float32[n, labels], and by how much each
        changes with each input."""
        size = self.kind.tile
        pieces = [
            self._slope(
                self._parameters,
                self._constants,
                self._beside,
                _padded(inputs.spread, start, size),
                _padded(inputs.scaled, start, size),
                _padded(sign, start, size),
            )
            for start in range(0, len(sign), size)
        ]
        leads, spread, scaled = (
            None if each[0] is None else np.concatenate([np.asarray(piece) for piece in each])[: len(sign)]
            for each in zip(*pieces, strict=True)
        )
        assert leads is not None
        return leads, Inputs(spread, scaled)

    def arrays(self, features: pl.DataFrame, sequences: np.ndarray | None = None) -> Arrays:
        """What the model reads of these. Raises EngineError when a column is missing or a shape differs."""
        self._check(features.height, sequences)
        return Arrays(
            self.model.encoder.raw(features) if self.kind.reads_features else None,
            np.ascontiguousarray(sequences, np.float32) if self.kind.reads_sequences else None,
        )

    def _check(self, n: int, sequences: np.ndarray | None) -> None:
        spec = self.model.sequence_spec
        if spec is None or not self.kind.reads_sequences:
            return
        expected = (n, spec.bins, len(spec.channels))
        if sequences is None or sequences.shape != expected:
            given = None if sequences is None else sequences.shape
            raise EngineError(
                f"Model {self.model.short} reads sequences of shape {expected}; it was given {given}."
            )

    def _chunked(
        self,
        features: pl.DataFrame,
        sequences: np.ndarray | None,
        which: int,
        meanwhile: Callable[[], None] | None = None,
    ) -> np.ndarray:
        """XLA computes the tiles of a chunk while the next is laid out, and no copy of everyone is made."""
        n, size = features.height, self.kind.tile * TILES
        self._check(n, sequences)
        tiles = []
        # Once even for nobody, so that a missing column is told.
        for start in range(0, max(n, 1), size):
            cells = None if sequences is None else sequences[start : start + size]
            tiles += self._tiles(self.arrays(features[start : start + size], cells), which)
        if meanwhile is not None:
            meanwhile()
        return self._collected(tiles, n, which)

    def _tiles(self, arrays: Arrays, which: int) -> list[jax.Array]:
        """Logits (0) or scores (1) tile by tile, perhaps not computed yet."""
        size = self.kind.tile
        return [
            self._tile(
                self._parameters,
                self._constants,
                self._beside,
                _padded(arrays.raw, start, size),
                _padded(arrays.sequences, start, size),
            )[which]
            for start in range(0, len(arrays), size)
        ]

    def _collected(self, tiles: list[jax.Array], n: int, which: int) -> np.ndarray:
        if not tiles:
            return np.zeros((0, len(self.model.labels)), np.int32 if which else np.float32)
        return np.concatenate([np.asarray(tile) for tile in tiles])[:n]


def _padded(values: np.ndarray | None, start: int, size: int) -> np.ndarray | None:
    if values is None:
        return None
    piece = values[start : start + size]
    if len(piece) == size:
        return piece
    padded = np.zeros((size, *values.shape[1:]), values.dtype)
    padded[: len(piece)] = piece
    return padded
