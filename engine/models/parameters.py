"""Parameters by name: the flat form that a model artefact holds, and the nested one that a module takes."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np
from flax import nnx

from engine.errors import EngineError

# Beside the module's own parameters: what sizes in a sequence are multiplied by, per channel.
CHANNEL_SCALE = "sequences/scale"
# And what makes its logits calibrated ones: a factor, and a shift per label.
LOGIT_SCALE, LOGIT_BIAS = "calibration/scale", "calibration/bias"
BESIDE = (CHANNEL_SCALE, LOGIT_SCALE, LOGIT_BIAS)


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
        raise EngineError("The parameters do not fit the model's own description: train it again.")
    return nnx.from_flat_state(
        [(path, variable.replace(own["/".join(map(str, path))])) for path, variable in flat]
    )


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
