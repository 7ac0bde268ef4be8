"""Choosing a kind of model by what it says of the validation users, within a budget of time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from segtui.operations.fitting import Recipe, Watch, fit
from segtui.operations.tasks import Task

if TYPE_CHECKING:
    from engine.model import Model
    from engine.training import Trained

AUTO = "auto"
ORDER = ("logistic", "mlp", "fused", "cnn", "gru")
"""The order in which kinds are tried: what is cheap, and what mostly wins, comes first."""
BUDGET = 60
"""Seconds."""


@dataclass(frozen=True, eq=False)
class Chosen:
    """The recipe that did best, what it gave, and how it was chosen."""

    recipe: Recipe
    model: Model
    fitted: Trained
    preparation: dict[str, Any]
    told: dict[str, Any]


def choose(
    task: Task,
    recipe_of: Callable[[str], Recipe],
    budget: float,
    watch: Watch,
    clock: Callable[[], float] = time.monotonic,
) -> Chosen:
    """Fits every kind that `task` allows, in ORDER, and takes the one of least loss on the validation users
    that judged every kind.

    The test users play no part. Of an ensemble each user was judged by the one member that left it out, so
    what the mean gains is not counted. After `budget` seconds the kind at work keeps its best epoch and
    no other begins; the first always gets an epoch.
    """
    began = clock()

    def over() -> bool:
        return clock() - began >= budget

    tried: list[Chosen] = []
    lines: list[dict[str, Any]] = []
    skipped: list[dict[str, str]] = []
    for kind in ORDER:
        if not _readable(kind, task):
            skipped.append({"kind": kind, "why": "the log has no behaviour over time"})
            continue
        if tried and over():
            skipped.append({"kind": kind, "why": "the time was over"})
            continue
        recipe, start = recipe_of(kind), clock()
        own = replace(watch, cancelled=lambda: watch.cancelled() or over(), doing=f"{kind}, ")
        model, fitted, preparation = fit(task, recipe, own)
        lines.append(
            {
                "kind": kind,
                "epochs": fitted.epochs,
                "finished": not fitted.cancelled,
                "seconds": round(clock() - start, 3),
            }
        )
        tried.append(Chosen(recipe, model, fitted, preparation, {}))
        if watch.cancelled():
            break
    losses = np.stack([each.fitted.losses for each in tried])
    found = losses[:, np.isfinite(losses).all(axis=0)].mean(axis=1)
    best = tried[int(found.argmin())]
    lines = [line | {"valid_loss": round(float(loss), 6)} for line, loss in zip(lines, found, strict=True)]
    why = f"{best.recipe.kind} has the least validation loss of " + ", ".join(
        f"{line['kind']} {line['valid_loss']:.4f}" for line in lines
    )
    told = {"chosen": best.recipe.kind, "why": why, "budget": budget, "tried": lines, "skipped": skipped}
    return replace(best, told=told)


def _readable(kind: str, task: Task) -> bool:
    from engine.models import KINDS
    from engine.sequences import sequence_spec_for

    return not KINDS[kind].reads_sequences or bool(sequence_spec_for(task.spec).channels)
