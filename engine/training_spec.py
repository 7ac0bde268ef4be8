"""How to train, checked: no JAX, so that a setting out of range is refused at once."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from engine.errors import EngineError

OPTIMIZERS = {"adam": 0.001, "adamw": 0.001, "sgd": 0.02}
SCHEDULES = ("constant", "cosine")
CALIBRATIONS = ("none", "temperature", "vector")
PRIOR = 0.12
PATIENCE = 15
SMOOTH = 4


@dataclasses.dataclass(frozen=True)
class TrainingSpec:
    """How to train. `learning_rate=None` means the optimizer's default, `weight_decay=None` PRIOR times
    the inputs over the rows, as the best ridge is the larger the more there is to fit with less; the schedule
    `cosine` lets the rate fall to nothing over all `epochs`. `patience` counts epochs without a better
    validation loss. `class_weight` from 0 (every user counts the same) to 1 (every label does);
    `label_smoothing` is the share of a label's weight that is spread over all labels. `calibration` is fitted
    at the end, on who judges (engine.splits). With `averaging` what is judged and kept is an exponential mean
    of the parameters, of which that share is carried from step to step (Polyak, Juditsky 1992): it bears a
    larger rate, and so fewer epochs. `patience=None` means PATIENCE, or with `averaging` SMOOTH, but not less
    than the epochs that the mean goes back, as it shows what the last steps did only by and by. Raises
    EngineError for a setting out of range."""

    optimizer: str = "adam"
    learning_rate: float | None = None
    epochs: int = 200
    batch_size: int = 256
    patience: int | None = None
    seed: int = 0
    weight_decay: float | None = 1e-3
    schedule: str = "constant"
    label_smoothing: float = 0.0
    class_weight: float = 0.0
    averaging: float = 0.0
    calibration: str = "temperature"

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise EngineError(
                f"There is no optimizer {self.optimizer!r}: choose one of {', '.join(OPTIMIZERS)}."
            )
        for what, chosen, choices in (
            ("schedule", self.schedule, SCHEDULES),
            ("calibration", self.calibration, CALIBRATIONS),
        ):
            if chosen not in choices:
                raise EngineError(f"There is no {what} {chosen!r}: choose one of {', '.join(choices)}.")
        if self.learning_rate is not None:
            _within("learning_rate", self.learning_rate, float, 1e-6, 10)
        _within("epochs", self.epochs, int, 1, 100_000)
        _within("batch_size", self.batch_size, int, 1, 1_000_000)
        if self.patience is not None:
            _within("patience", self.patience, int, 1, 100_000)
        _within("seed", self.seed, int, 0, 2**32 - 1)
        if self.weight_decay is not None:
            _within("weight_decay", self.weight_decay, float, 0, 1)
        _within("label_smoothing", self.label_smoothing, float, 0, 0.5)
        _within("class_weight", self.class_weight, float, 0, 1)
        _within("averaging", self.averaging, float, 0, 0.9999)

    @property
    def rate(self) -> float:
        """The learning rate in force."""
        return OPTIMIZERS[self.optimizer] if self.learning_rate is None else self.learning_rate

    def waits(self, steps: int) -> int:
        """The patience in force where an epoch has so many steps."""
        if self.patience is not None:
            return self.patience
        return max(SMOOTH, math.ceil(1 / (1 - self.averaging) / steps)) if self.averaging else PATIENCE

    def decay(self, rows: int, inputs: int) -> float:
        """The weight decay in force where so many rows with so many encoded inputs are learnt from."""
        return min(1.0, PRIOR * inputs / rows) if self.weight_decay is None else self.weight_decay


def _within(name: str, value: Any, kind: type, least: float, most: float) -> None:
    right = isinstance(value, int if kind is int else int | float) and not isinstance(value, bool)
    if not right or not least <= value <= most:
        whole = "whole, " if kind is int else ""
        raise EngineError(
            f"The training setting {name} must be {whole}from {least:g} to {most:g}; it is {value!r}."
        )
