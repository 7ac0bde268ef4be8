"""Parameters by name: the flat form that a model artefact holds, and the nested one that a module takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np
from flax import nnx

from engine.errors import EngineError

# Beside the module's own parameters: what sizes in a sequence are multiplied by, per channel.
CHANNEL_SCALE = "sequences/scale"
# And what makes its logits calibrated ones: a factor, and a shift per label.
LOGIT_SCALE, LOGIT_BIAS = "calibration/scale", "calibration/bias"
# And which label each column of the head is of, where labels were merged: their probabilities add up.
LABEL_OF = "head/label"
BESIDE = (CHANNEL_SCALE, LOGIT_SCALE, LOGIT_BIAS, LABEL_OF)
# The last layer of every kind, and what the names of an ensemble's parameters begin with.
HEAD_KERNEL, HEAD_BIAS = "out/kernel", "out/bias"
MEMBERS = "members/"
FOREIGN = "The parameters do not fit the model's own description: train it again."


def flatten(state: Any) -> dict[str, np.ndarray]:
    """A module's state as arrays by name, e.g. "statistics/layers/0/kernel"; copies, safe from donation."""
    return {
        "/".join(map(str, path)): np.array(variable[...], np.float32)
        for path, variable in nnx.to_flat_state(state)
    }


def unflatten(state: Any, parameters: Mapping[str, np.ndarray]) -> Any:
    """`state` with its values taken from `parameters`. Raises EngineError when names or shapes differ."""
    flat = nnx.to_flat_state(state)
    own = {name: values for name, values in parameters.items() if name not in BESIDE}
    expected = {"/".join(map(str, path)): tuple(variable.shape) for path, variable in flat}
    if expected != {name: values.shape for name, values in own.items()}:
        raise EngineError(FOREIGN)
    return nnx.from_flat_state(
        [(path, variable.replace(own["/".join(map(str, path))])) for path, variable in flat]
    )


def refuse_unfit(parameters: Mapping[str, np.ndarray], columns: int, channels: int) -> None:
    """Raises EngineError where what stands beside a module's own parameters is not whole or of another shape.

    `columns` of the head, `channels` of the sequences.
    """
    shapes = {CHANNEL_SCALE: (channels,), LOGIT_SCALE: (1,), LOGIT_BIAS: (columns,), LABEL_OF: (columns,)}
    halved = (LOGIT_SCALE in parameters) != (LOGIT_BIAS in parameters)
    if halved or any(parameters[name].shape != shape for name, shape in shapes.items() if name in parameters):
        raise EngineError(FOREIGN)


def apart(parameters: Mapping[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
    """The parameters of each of a model's networks, by the names they have in one alone; none of BESIDE.

    Raises EngineError where a network has no head.
    """
    own = {name: values for name, values in parameters.items() if name not in BESIDE}
    stacked = {name.removeprefix(MEMBERS): values for name, values in own.items() if name.startswith(MEMBERS)}
    if not {HEAD_KERNEL, HEAD_BIAS} <= (stacked or own).keys():
        raise EngineError(FOREIGN)
    if not stacked:
        return [own]
    number = len(stacked[HEAD_KERNEL])
    return [{name: values[member] for name, values in stacked.items()} for member in range(number)]


def together(networks: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The parameters that `apart` gave, as a model holds them: an ensemble's with an axis for its members."""
    if len(networks) == 1:
        return dict(networks[0])
    return {MEMBERS + name: np.stack([each[name] for each in networks]) for name in networks[0]}


def label_of(parameters: Mapping[str, np.ndarray], labels: int) -> np.ndarray:
    """The number of the label that each column of the head is of: int64[columns].

    Raises EngineError where a label has none, or there is no such label.
    """
    columns = parameters.get(LABEL_OF, np.arange(labels)).astype(np.int64)
    if columns.ndim != 1 or set(columns.tolist()) != set(range(labels)):
        raise EngineError(FOREIGN)
    return columns


def fit_scale(sequences: np.ndarray) -> np.ndarray:
    """Per channel, one over the median size of what is not zero (before the logarithm): float32[channels]."""
    sizes = np.moveaxis(np.expm1(np.abs(sequences)), 2, 0)
    medians = [np.median(channel[channel > 0]) if (channel > 0).any() else 1.0 for channel in sizes]
    return (1.0 / np.array(medians)).astype(np.float32)


def scale_sequences(sequences: Any, scale: Any, xp: ModuleType = np) -> Any:
    """Sequences float32[n, bins, channels], which are log(1 + |x|) with a sign, as log(1 + |x| scale) with
    it.

    So the logarithm bends at the usual size: a logarithm of cents says little but that there was a purchase.
    """
    return xp.sign(sequences) * xp.log1p(xp.expm1(xp.abs(sequences)) * scale)
