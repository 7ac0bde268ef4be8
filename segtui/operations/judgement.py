"""Judging a model on users that its training never saw: by itself, and against the current model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from engine.splits import TEST
from segtui.operations.deciders import Evidence, load_model, ready
from segtui.operations.session import Session
from segtui.operations.tasks import Task
from segtui.operations.unseen import past

if TYPE_CHECKING:
    from engine.model import Model

MIN_COMPARED = 100
"""Fewer users than these say nothing on which of two models is better."""


@dataclass(frozen=True)
class Comparison:
    """Whether a model is not worse than the current one, or why that cannot be told.

    `difference` is the mean over `users` of the model's log-loss less the current one's; None where they
    were not compared.
    """

    not_worse: bool
    why: str
    users: int = 0
    difference: float | None = None


def judge(model: Model, task: Task) -> dict[str, Any]:
    """Metrics on the task's test users, and the baselines' on the same users."""
    from engine.evaluation import Sample, baselines, metrics

    everyone = Sample(task.frame, task.targets, task.value)
    test = everyone.only(task.parts == TEST)
    given = probabilities(model, test.frame, task.evidence, task.as_of)
    return {
        "test": metrics(test.labels, given, test.value, task.labels),
        "baselines": baselines(everyone.only(task.parts != TEST), test, task.labels),
    }


def probabilities(model: Model, frame: pl.DataFrame, evidence: Evidence, as_of: int) -> np.ndarray:
    """float64[users, labels] of the users in `frame`, which holds the model's own features at `as_of`."""
    decider = ready(model)
    binned = decider.sequences(evidence, as_of, frame["user"].to_numpy())
    return decider.scorer.scores(frame, binned) / 1_000_000


def compare(s: Session, body: dict[str, Any], model: Model, task: Task) -> Comparison:
    """The model that learnt `task` beside the current one (its `model_trained` body), on test users new to
    both.

    The labels asked for are the new model's. They are not compared where they answer different questions,
    where the new one learnt from an older past, or where too few users are new to both.
    """
    current, called = load_model(s.store, body["model"]), body["name"]
    apart = _another_question(current, called, model)
    if apart is not None:
        return Comparison(False, apart)
    shown = past(s, body, task.evidence).shown
    unseen = (task.parts == TEST) & ~task.evidence.identity.among(task.users, shown)
    users = int(unseen.sum())
    if users < MIN_COMPARED:
        hint = ""
        if current.policy["seed"] != model.policy["seed"]:
            hint = f" (with --seed {current.policy['seed']} there would be more)"
        why = f"only {users} users are new to both it and {called}, {MIN_COMPARED} are needed{hint}"
        return Comparison(False, why, users)
    from engine.evaluation import losses

    evidence = task.evidence.only(task.users[unseen])
    own, other = (
        losses(
            task.targets[unseen],
            probabilities(
                each,
                evidence.features(task.as_of, each.feature_spec, task.users[unseen]),
                evidence,
                task.as_of,
            ),
        )
        for each in (model, current)
    )
    difference = float((own - other).mean())
    why = (
        f"log-loss {own.mean():.4f} against {other.mean():.4f} of {called}, on the {users:,} users "
        "that neither learnt from"
    )
    return Comparison(difference <= 0, why, users, difference)


def _another_question(current: Model, called: str, model: Model) -> str | None:
    """Why the two cannot be compared, None where they can."""
    asked = [(each.policy["label"], each.policy.get("attribute"), each.labels) for each in (current, model)]
    if asked[0] != asked[1]:
        return f"{called} has other labels, so the two cannot be compared"
    ahead = [each.policy.get("horizon_days") for each in (current, model)]
    if ahead[0] != ahead[1]:
        return f"{called} looks {ahead[0]} d ahead and not {ahead[1]}, so the two cannot be compared"
    cutoffs = [each.policy.get("cutoff") or 0 for each in (current, model)]
    if cutoffs[1] < cutoffs[0]:
        return f"{called} has learnt from a later past, so the two cannot be compared"
    return None
