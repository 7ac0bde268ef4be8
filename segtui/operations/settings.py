"""Training settings as people type them (`--set hidden=128,64`), checked against the model's kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from segtui.operations.errors import OperationError
from segtui.operations.preparing import SETTINGS

if TYPE_CHECKING:
    from engine.training_spec import TrainingSpec

TOLD_ELSEWHERE = ("optimizer", "seed")


def training_settings(
    kind: str, optimizer: str, seed: int, given: Mapping[str, str]
) -> tuple[TrainingSpec, dict[str, Any]]:
    """How to train, and the kind's own options, with `given` over the kind's defaults.

    Raises OperationError for a setting that does not exist or is no number, EngineError out of range.
    """
    from engine.models import complete_options, kind_of
    from engine.training_spec import TrainingSpec

    own = kind_of(kind)
    trained = {field.name for field in fields(TrainingSpec)} - set(TOLD_ELSEWHERE)
    unknown = [name for name in given if name not in trained and name not in own.options]
    if unknown:
        known = ", ".join(sorted({*trained, *own.options, *SETTINGS}))
        raise OperationError(f"No setting {unknown[0]!r} for {kind}: there are {known}.")
    words = {field.name for field in fields(TrainingSpec) if isinstance(field.default, str)}
    parsed = {name: text if name in words else _value(name, text) for name, text in given.items()}
    defaults = dict(own.training) if optimizer == "adam" else {}
    settings = defaults | {name: value for name, value in parsed.items() if name in trained}
    structure = complete_options(kind, {name: parsed[name] for name in parsed if name in own.options})
    return TrainingSpec(optimizer=optimizer, seed=seed, **settings), structure


def _value(name: str, text: str) -> Any:
    """`64` to an int, `0.1` to a float, `64,32` to a tuple of ints."""
    try:
        if "," in text:
            return tuple(int(part) for part in text.split(","))
        return int(text) if text.lstrip("-").isdigit() else float(text)
    except ValueError as error:
        raise OperationError(f"Setting {name}={text!r} is not a number or a list such as 64,32.") from error
