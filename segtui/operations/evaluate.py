"""Judging a model on a window that its training did not see."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from engine.features import features
from engine.labels import VALUE_LABELS, apply_thresholds, future_value
from segtui.operations.compilation import use_cache
from segtui.operations.deciders import load_model
from segtui.operations.definitions import definitions
from segtui.operations.errors import OperationError
from segtui.operations.session import Session
from segtui.operations.train import TEST, Task, probabilities


def evaluate(s: Session, *, model: str | None = None, cutoff: int | None = None) -> dict[str, Any]:
    """Metrics of a model of future value on outcomes that lie wholly after those it was trained on.

    The users are those its training never saw: its held-out users and everyone who came later. The
    default window is the last one of the model's horizon. Raises OperationError when there is none.
    """
    from engine.evaluation import baselines, calibration, confusion, metrics
    from engine.training import split

    found = definitions(s)
    if model is None:
        current = [each for each in found.segmentations.values() if each.model]
        if not current:
            raise OperationError("There is no model to evaluate yet: train one with 'segtui train'.")
        chosen = next((each for each in current if each.name == "value"), current[0])
        body = found.models[str(chosen.model)]
    else:
        body = found.find_model(model)
    artefact = load_model(s.store, body["model"])
    if artefact.policy["label"] != "future_value":
        raise OperationError(
            f"Model {body['name']} learnt the given label {artefact.policy['attribute']!r}, which has no "
            "later window: its test metrics are in 'segtui models'."
        )
    use_cache()
    horizon, known_from = int(artefact.policy["horizon_days"]), int(artefact.policy["known_from"])
    end = s.data_end()
    assert end is not None
    at = s.ticks.days_before(end, horizon) if cutoff is None else s.ticks.at_or_after(cutoff)
    until = s.ticks.days_before(at, -horizon)
    if at < known_from or until > end:
        raise OperationError(
            f"No unseen window: {body['name']} knows outcomes up to {s.iso(known_from)[:10]} and needs "
            f"{horizon} d after a cutoff from then on, the data end is "
            f"{s.iso(end)[:10]}: import later events, or train with an earlier --cutoff."
        )
    events = s.events()
    past = events.filter(pl.col("occurred_at") < at)
    frame = features(past, s.identity(), at, artefact.feature_spec, s.attributes())
    users = frame["user"].to_numpy()
    outcomes = future_value(events, s.identity(), at, until, users)
    targets = apply_thresholds(outcomes, artefact.policy["thresholds"])
    trained_at = int(artefact.policy["cutoff"])
    first = past.group_by("user").agg(pl.col("occurred_at").min()).sort("user")
    newcomer = (first["occurred_at"] >= trained_at).to_numpy()
    parts = split(users, int(artefact.policy["seed"]))
    unseen = newcomer | (parts == TEST)
    parts = np.where(unseen, TEST, parts)
    value = outcomes["spend"].to_numpy()
    task = Task(
        segmentation=body["segmentation"],
        labels=VALUE_LABELS,
        users=users,
        targets=targets,
        parts=parts,
        frame=frame,
        events=past,
        spec=artefact.feature_spec,
        as_of=at,
        cutoff=at,
        horizon=horizon,
        known_from=until,
        thresholds=artefact.policy["thresholds"],
        value=value,
        policy=artefact.policy,
    )
    given = probabilities(artefact, task, unseen)
    return {
        "model": body["model"],
        "name": body["name"],
        "window": {
            "cutoff": s.iso(at),
            "until": s.iso(until),
            "users": int(unseen.sum()),
            "newcomers": int(newcomer.sum()),
        },
        "metrics": metrics(targets[unseen], given, value[unseen], VALUE_LABELS),
        "baselines": baselines(frame, targets, parts, value, VALUE_LABELS),
        "confusion": confusion(targets[unseen], given, VALUE_LABELS),
        "calibration": calibration(targets[unseen], given, VALUE_LABELS),
    }
