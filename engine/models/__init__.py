"""The kinds of model: what each reads, its options and how it is trained by default. No JAX until one is
built."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from engine.errors import EngineError

if TYPE_CHECKING:
    from flax import nnx

    from engine.models.draws import Draws


@dataclasses.dataclass(frozen=True)
class Kind:
    """What a kind of model reads, and its defaults. `tile` is the one number of rows it is scored by:
    a small one wastes little on the few who are due at a tick, and scores everyone as quickly.

    `looped` says whether an epoch of it is one compiled loop; the gradient of a convolution or a recurrence
    is not fit for that.
    """

    name: str
    reads_features: bool
    reads_sequences: bool
    tile: int
    options: Mapping[str, Any]
    training: Mapping[str, Any]
    encoding: str = "standard"
    looped: bool = True


MOST_WIDE = 4096
MOST = {"members": 32}
"""The most of an option that is a number."""

KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "logistic": Kind("logistic", True, False, 1024, {}, {"learning_rate": 0.01, "weight_decay": 1e-4}),
        "mlp": Kind(
            "mlp",
            True,
            False,
            1024,
            {"hidden": (64, 32), "dropout": 0.4, "members": 4},
            {"learning_rate": 1e-3, "averaging": 0.99, "weight_decay": None},
            "piecewise",
        ),
        "cnn": Kind(
            "cnn",
            False,
            True,
            256,
            {"filters": (16, 32), "width": 5, "hidden": 32, "dropout": 0.2, "members": 1},
            {"patience": 8},
            looped=False,
        ),
        "gru": Kind(
            "gru",
            False,
            True,
            256,
            {"width": 32, "dropout": 0.2, "members": 1},
            {"patience": 8},
            looped=False,
        ),
        "fused": Kind(
            "fused",
            True,
            True,
            1024,
            {"hidden": (64, 32), "filters": (16, 32), "width": 4, "dropout": 0.4, "members": 4},
            {"patience": 8, "weight_decay": None},
            "piecewise",
        ),
    }
)


def kind_of(name: str) -> Kind:
    """The kind called `name`, or an EngineError that lists the kinds."""
    if name not in KINDS:
        raise EngineError(f"There is no model kind {name!r}: choose one of {', '.join(KINDS)}.")
    return KINDS[name]


def complete_options(kind: str, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The kind's options with `options` over them, checked. Raises EngineError for one unknown or out of
    range."""
    defaults = kind_of(kind).options
    for name in options or {}:
        if name not in defaults:
            raise EngineError(
                f"A {kind} model has no option {name!r}: it has {', '.join(defaults) or 'none'}."
            )
    complete = dict(defaults) | dict(options or {})
    for name, default in defaults.items():
        value = complete[name]
        if isinstance(default, tuple):
            complete[name] = tuple(value) if isinstance(value, list | tuple) else (value,)
            _layers(kind, name, complete[name])
        elif isinstance(default, int):
            _whole(kind, name, value, 1, MOST.get(name, MOST_WIDE))
        elif isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
            raise EngineError(f"The {kind} option {name} must be from 0 up to, but not, 1; it is {value!r}.")
    return complete


def build(
    kind: str, *, features: int, bins: int, channels: int, labels: int, seed: int, options: Mapping[str, Any]
) -> nnx.Module:
    """A module of `kind`, its parameters drawn from `seed`.

    Called as module(features float32[n, features], sequences float32[n, bins, channels], key or None) it
    gives logits float32[n, labels]; what a kind does not read may be None. A key turns dropout on.
    """
    from engine.models.draws import Draws
    from engine.models.ensemble import Ensemble

    sizes = {"features": features, "bins": bins, "channels": channels, "labels": labels}
    complete = complete_options(kind, options)
    members = complete.pop("members", 1)
    draws = Draws(seed)
    networks = [_network(kind, sizes, complete, draws) for _ in range(members)]
    return networks[0] if members == 1 else Ensemble(networks)


def skeleton(
    kind: str, *, features: int, bins: int, channels: int, labels: int, options: Mapping[str, Any]
) -> tuple[Any, Any]:
    """The graph of what `build` gives, and its state as shapes alone; nothing is drawn."""
    complete = tuple(sorted(complete_options(kind, options).items()))
    return _skeleton(kind, features, bins, channels, labels, complete)


@lru_cache(maxsize=32)
def _skeleton(
    kind: str, features: int, bins: int, channels: int, labels: int, options: tuple[tuple[str, Any], ...]
) -> tuple[Any, Any]:
    """Kept, because a network is looked through at each training of it and wherever it scores."""
    from flax import nnx

    sizes = {"features": features, "bins": bins, "channels": channels, "labels": labels}
    found: tuple[Any, Any] = nnx.split(
        nnx.eval_shape(lambda: build(kind, **sizes, seed=0, options=dict(options)))
    )
    return found


def _network(kind: str, sizes: dict[str, Any], options: dict[str, Any], draws: Draws) -> nnx.Module:
    """One network of `kind`, given the sizes that it reads."""
    read = ["labels"]
    read += ["features"] if KINDS[kind].reads_features else []
    read += ["bins", "channels"] if KINDS[kind].reads_sequences else []
    needed = {name: sizes[name] for name in read}
    if kind == "logistic":
        from engine.models.logistic import Logistic

        return Logistic(**needed, draws=draws)
    if kind == "mlp":
        from engine.models.mlp import MLP

        return MLP(**needed, **options, draws=draws)
    if kind == "cnn":
        from engine.models.cnn import CNN

        return CNN(**needed, **options, draws=draws)
    if kind == "gru":
        from engine.models.gru import GRU

        return GRU(**needed, **options, draws=draws)
    from engine.models.fused import Fused

    return Fused(**needed, **options, draws=draws)


def _layers(kind: str, name: str, widths: tuple[Any, ...]) -> None:
    if not 1 <= len(widths) <= 8:
        raise EngineError(
            f"The {kind} option {name} must be 1 to 8 widths, such as 64,32; it has {len(widths)}."
        )
    for width in widths:
        _whole(kind, name, width, 1, MOST_WIDE)


def _whole(kind: str, name: str, value: Any, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise EngineError(f"The {kind} option {name} must be whole, from {least} to {most}; it is {value!r}.")
