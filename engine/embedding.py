"""What a network makes of users before its head, and a network with another head."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.model import Model
from engine.models import kind_of
from engine.models.parameters import CHANNEL_SCALE, HEAD_BIAS, HEAD_KERNEL, apart


def probe(model: Model, member: int = 0) -> Model:
    """One of the model's networks without its last layer: its logits float32[n, width] are the embedding.

    It has a head that hands on what it gets, so the embedding comes in the same tiles as any score.
    """
    width = len(apart(model.parameters)[member][HEAD_KERNEL])
    labels = [f"unit_{number}" for number in range(width)]
    return with_head(model, member, labels, np.eye(width), np.zeros(width), {})


def with_head(
    model: Model,
    member: int,
    labels: Sequence[str],
    kernel: np.ndarray,
    bias: np.ndarray,
    policy: dict[str, Any],
) -> Model:
    """One of the model's networks alone, not calibrated, with a head of its own.

    kernel[width, labels] and bias[labels] make `labels` of its embedding. Raises EngineError where the
    parameters are of another version.
    """
    own = apart(model.parameters)[member]
    own |= {HEAD_KERNEL: kernel.astype(np.float32), HEAD_BIAS: bias.astype(np.float32)}
    own |= {name: model.parameters[name] for name in (CHANNEL_SCALE,) if name in model.parameters}
    alone = {"members": 1} if "members" in kind_of(model.kind).options else {}
    return dataclasses.replace(
        model, labels=tuple(labels), policy=policy, options=model.options | alone, parameters=own
    )
