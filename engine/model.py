"""The model artefact: a JSON spec and safetensors parameters under one digest. Never pickle."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from functools import cached_property
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from engine.encoding import Encoder
from engine.errors import EngineError
from engine.features import FeatureSpec
from engine.models import complete_options, kind_of
from engine.sequences import SequenceSpec

FORMAT = "segtui model"
VERSION = 1


@dataclasses.dataclass(frozen=True, eq=False)
class Model:
    """A trained classifier with all it takes to score: immutable, named by its digest.

    `policy` says what its labels mean (label policy, thresholds, cutoff, horizon_days, known_from, seed, …),
    as JSON values. `options` are the kind's own. `parameters` are float32 arrays by name.
    """

    kind: str
    labels: tuple[str, ...]
    feature_spec: FeatureSpec
    sequence_spec: SequenceSpec | None
    encoder: Encoder
    policy: dict[str, Any]
    options: dict[str, Any]
    parameters: dict[str, np.ndarray]

    def spec_json(self) -> str:
        """Everything but the parameters, as canonical JSON (sorted keys, no blanks)."""
        spec = {
            "format": FORMAT,
            "version": VERSION,
            "kind": self.kind,
            "labels": list(self.labels),
            "features": self.feature_spec.to_json(),
            "sequences": None if self.sequence_spec is None else self.sequence_spec.to_json(),
            "encoder": self.encoder.to_json(),
            "policy": self.policy,
            "options": self.options,
        }
        try:
            return json.dumps(
                spec, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
            )
        except ValueError:
            raise EngineError("The model's spec holds a number that is not finite: train it again.") from None

    def parameter_bytes(self) -> bytes:
        """The parameters as safetensors."""
        ordered = {name: np.ascontiguousarray(self.parameters[name]) for name in sorted(self.parameters)}
        written: bytes = safetensors.numpy.save(ordered)
        return written

    @cached_property
    def digest(self) -> str:
        """SHA-256 in hex over the spec's length, the spec and the parameters."""
        return digest_of(self.spec_json(), self.parameter_bytes())

    @property
    def short(self) -> str:
        """The digest's first 8 digits, for people."""
        return self.digest[:8]

    @classmethod
    def load(cls, spec: str, parameters: bytes, digest: str) -> Model:
        """The model that was written as these. Raises EngineError when it is damaged, truncated or
        foreign."""
        if digest_of(spec, parameters) != digest:
            raise EngineError(
                f"Model {digest[:8]} is damaged (its digest differs): restore a backup or train again."
            )
        value = _parsed(spec, digest)
        try:
            tensors = safetensors.numpy.load(parameters)
        except (safetensors.SafetensorError, KeyError, ValueError):
            raise EngineError(
                f"The parameters of model {digest[:8]} are not safetensors: train it again."
            ) from None
        if any(values.dtype != np.float32 for values in tensors.values()):
            raise EngineError(f"The parameters of model {digest[:8]} are not float32: train it again.")
        try:
            kind = kind_of(value["kind"])
            complete_options(kind.name, value["options"])
            sequences = value["sequences"]
            return cls(
                kind=kind.name,
                labels=tuple(value["labels"]),
                feature_spec=FeatureSpec.from_json(value["features"]),
                sequence_spec=None if sequences is None else SequenceSpec.from_json(sequences),
                encoder=Encoder.from_json(value["encoder"]),
                policy=dict(value["policy"]),
                options=dict(value["options"]),
                parameters=tensors,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise EngineError(
                f"The spec of model {digest[:8]} cannot be read ({error}): it was written by another version."
            ) from None


def digest_of(spec: str, parameters: bytes) -> str:
    """The digest of a model written as these: SHA-256 over the spec's length (8 bytes, big-endian), spec,
    parameters."""
    encoded = spec.encode()
    return hashlib.sha256(len(encoded).to_bytes(8, "big") + encoded + parameters).hexdigest()


def _parsed(spec: str, digest: str) -> dict[str, Any]:
    try:
        value = json.loads(spec)
    except ValueError:
        value = None
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise EngineError(f"What stands under {digest[:8]} is not a model of segtui.")
    if value.get("version") != VERSION:
        raise EngineError(
            f"Model {digest[:8]} is of format version {value.get('version')}, "
            f"this program reads version {VERSION}: update the program."
        )
    return value
