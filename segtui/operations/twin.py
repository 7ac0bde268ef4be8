"""The recipe's test on a window that nobody saw: a twin of the model, trained one horizon earlier."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.labels import apply_outcome
from segtui.operations.fitting import Recipe, Watch, fit
from segtui.operations.judgement import probabilities
from segtui.operations.session import Session
from segtui.operations.tasks import TEST, TRAIN, Task, earlier_task
from segtui.operations.times import iso_or_none


def twin(s: Session, task: Task, recipe: Recipe, origins: int, watch: Watch) -> dict[str, Any]:
    """What the same recipe, learnt one horizon before `task`, says of the task's own window, on users it
    never saw: {cutoff, window, metrics, baselines}, the baselines fitted on what the twin knew; or {why}
    where there is too little history for one.
    """
    from engine.evaluation import Sample, baselines, metrics

    if task.horizon is None or task.outcomes is None:
        return {"why": "a given label has no earlier window"}
    before = earlier_task(s, task, recipe.training.seed, recipe.choice, origins)
    if isinstance(before, str):
        return {"why": before}
    model, _, _ = fit(before, recipe, watch)
    new = (task.parts == TEST) | ~np.isin(task.users, before.users)
    users = task.users[new]
    frame = task.evidence.features(task.as_of, model.feature_spec, users)
    labels = apply_outcome(task.policy["label"], task.outcomes, before.thresholds)[new]
    judged = Sample(frame, labels, None if task.value is None else task.value[new])
    given = probabilities(model, frame, task.evidence, task.as_of)
    learnt = Sample(before.frame, before.targets, before.value).only(before.parts == TRAIN)
    zone = s.ticks.zone
    return {
        "cutoff": iso_or_none(before.cutoff, zone),
        "window": window(s, task, len(users)) | {"newcomers": int((~np.isin(users, before.users)).sum())},
        "metrics": metrics(labels, given, judged.value, task.labels),
        "baselines": baselines(learnt, judged, task.labels),
    }


def window(s: Session, task: Task, users: int) -> dict[str, Any]:
    """When the outcomes of a task lie, and how many users were judged on them."""
    zone = s.ticks.zone
    return {
        "cutoff": iso_or_none(task.cutoff, zone),
        "until": iso_or_none(task.known_from, zone),
        "users": users,
    }
