"""Fitting a model to a task: encoding, sequences, the epochs, and what was done to the data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from engine.splits import EARLIER, TRAIN
from segtui.operations.errors import OperationError
from segtui.operations.preparing import Choice
from segtui.operations.progress import Cancelled, Progress, never, quiet
from segtui.operations.tasks import Task

if TYPE_CHECKING:
    from engine.encoding import Encoder
    from engine.model import Model
    from engine.training import Epoch, Trained
    from engine.training_spec import TrainingSpec

Heard = Callable[[float, float], None]
"""Called with the training and the validation loss of each epoch as it ends."""


def unheard(_train: float, _valid: float) -> None:
    """Losses nobody looks at."""


@dataclass(frozen=True)
class Recipe:
    """How a model is made of a task: its kind, how it is trained, its options, what it reads; and the model
    whose parameters it starts from, if any, whose encoding it then keeps."""

    kind: str
    training: TrainingSpec
    structure: dict[str, Any]
    choice: Choice
    start: Model | None = None


@dataclass(frozen=True)
class Watch:
    """Who looks on while a model is fitted."""

    progress: Progress = quiet
    cancelled: Cancelled = never
    heard: Heard = unheard
    doing: str = ""

    def epoch(self, epoch: Epoch, of: int) -> None:
        """Tells of an epoch that ended."""
        self.heard(epoch.train_loss, epoch.valid_loss)
        told = f"epoch {epoch.epoch}: train loss {epoch.train_loss:.4f}, validation {epoch.valid_loss:.4f}"
        self.progress(self.doing + told, epoch.epoch / of)


def fit(task: Task, recipe: Recipe, watch: Watch) -> tuple[Model, Trained, dict[str, Any]]:
    """The model, how its training went, and what was done to the data first.

    Raises OperationError for a kind that reads sequences where there are none, EngineError where there is
    nothing to learn.
    """
    from engine.model import Model
    from engine.models import KINDS
    from engine.training import Inputs, train

    kind, training = recipe.kind, recipe.training
    parts, dropped = _distinct(task, recipe.choice)
    encoder, prepared = _encoder(task, recipe, parts, dropped)
    sequence_spec, binned = None, None
    if KINDS[kind].reads_sequences:
        from engine.sequences import sequence_spec_for, sequences

        sequence_spec = sequence_spec_for(task.spec)
        if not sequence_spec.channels:
            raise OperationError(
                f"A {kind} reads sequences of behaviour and the log has none, only attributes: "
                "train an mlp or a logistic model."
            )
        binned = np.concatenate(
            [
                sequences(task.evidence.events, task.evidence.identity.at(as_of), as_of, sequence_spec, users)
                for as_of, users in (
                    (task.as_of, task.users),
                    *((each.as_of, each.users) for each in task.earlier),
                )
            ]
        )

    fitted = train(
        kind,
        Inputs(encoder.transform(pl.concat([task.frame, *(each.frame for each in task.earlier)])), binned),
        np.concatenate([task.targets, *(each.targets for each in task.earlier)]),
        np.concatenate([parts, *(each.parts + EARLIER for each in task.earlier)]),
        len(task.labels),
        training,
        on_epoch=lambda epoch: watch.epoch(epoch, training.epochs),
        cancelled=watch.cancelled,
        options=recipe.structure,
        start=None if recipe.start is None else recipe.start.parameters,
        # A member that leaves somebody out must not meet them under an id of an earlier cutoff.
        users=task.evidence.identity.families(
            np.concatenate([task.users, *(each.users for each in task.earlier)])
        ),
    )
    policy = task.policy | {
        "segmentation": task.segmentation,
        "thresholds": task.thresholds,
        "seed": training.seed,
    }
    return (
        Model(
            kind=kind,
            labels=task.labels,
            feature_spec=task.spec,
            sequence_spec=sequence_spec,
            encoder=encoder,
            policy=policy,
            options=recipe.structure,
            parameters=fitted.parameters,
        ),
        fitted,
        prepared,
    )


def _encoder(task: Task, recipe: Recipe, parts: np.ndarray, dropped: int) -> tuple[Encoder, dict[str, Any]]:
    """The encoder, fitted on the training users or taken over, and the report of what it does."""
    from engine.encoding import Encoder
    from engine.models import KINDS
    from engine.prepare import report

    choice = recipe.choice
    known, labels = task.frame.filter(pl.Series(parts == TRAIN)), task.targets[parts == TRAIN]
    names = [name for name in task.frame.columns if name != "user"]
    if recipe.start is None:
        encoder = Encoder.fit(
            known,
            names,
            kind=choice.encoding or KINDS[recipe.kind].encoding,
            preparation=choice.preparation,
            labels=labels,
        )
    else:
        encoder = recipe.start.encoder
    return encoder, {
        "settings": choice.preparation.to_json(),
        "duplicates": dropped,
        "features": report(encoder, known, names),
    }


def _distinct(task: Task, choice: Choice) -> tuple[np.ndarray, int]:
    """Each user's part, -1 for a training user that repeats another where those are dropped; and how many."""
    from engine.prepare import repeated

    parts = task.parts.copy()
    if choice.preparation.duplicates == "drop":
        learners = np.flatnonzero(parts == TRAIN)
        again = repeated(task.frame[learners], task.targets[learners])
        parts[learners[again]] = -1
    return parts, int((parts < 0).sum())
