"""Judging a model on a window that its training did not see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from db import log
from engine.labels import VALUE_LABELS, apply_thresholds, future_value
from segtui.operations.compilation import use_cache
from segtui.operations.deciders import Evidence, load_model
from segtui.operations.definitions import Definitions, definitions
from segtui.operations.errors import OperationError
from segtui.operations.judgement import probabilities
from segtui.operations.session import Session
from segtui.operations.tasks import TEST, TRAIN, latest_cutoff
from segtui.operations.times import day

if TYPE_CHECKING:
    from engine.evaluation import Sample
    from engine.model import Model


def evaluate(s: Session, *, model: str | None = None, cutoff: int | None = None) -> dict[str, Any]:
    """Metrics of a model of future value on outcomes that lie wholly after those it was trained on.

    The users are those its training never saw: its held-out users and everyone who came later. The
    baselines are judged on the same users and outcomes, and know what the model knew: they are fitted at
    the model's own cutoff on its training users. The default window is the last one of the model's horizon.
    Raises OperationError when there is none.
    """
    from engine.evaluation import baselines, calibration, confusion, metrics
    from engine.training import split

    body = _chosen(definitions(s), model)
    artefact = load_model(s.store, body["model"])
    if artefact.policy["label"] != "future_value":
        raise OperationError(
            f"Model {body['name']} learnt the given label {artefact.policy['attribute']!r}, which has no "
            "later window: its test metrics are in 'segtui models'."
        )
    use_cache()
    with s.store.reading():
        at, until = _window(s, body["name"], artefact, cutoff)
        evidence = Evidence(s.events(), s.identity(), s.attributes())
    learnt_from = _sample(s, artefact, _upto(evidence, body["position"]), int(artefact.policy["cutoff"]))
    users = learnt_from.frame["user"].to_numpy()
    parts = split(users, int(artefact.policy["seed"]))
    everyone = _sample(s, artefact, evidence, at)
    asked = everyone.frame["user"].to_numpy()
    judged = everyone.only(~np.isin(asked, users[parts != TEST]))
    given = probabilities(artefact, judged.frame, evidence, at)
    return {
        "model": body["model"],
        "name": body["name"],
        "window": {
            "cutoff": s.iso(at),
            "until": s.iso(until),
            "users": len(judged.labels),
            "newcomers": int((~np.isin(asked, users)).sum()),
        },
        "metrics": metrics(judged.labels, given, judged.value, VALUE_LABELS),
        "baselines": baselines(learnt_from.only(parts == TRAIN), judged, VALUE_LABELS),
        "confusion": confusion(judged.labels, given, VALUE_LABELS),
        "calibration": calibration(judged.labels, given, VALUE_LABELS),
    }


def _chosen(found: Definitions, model: str | None) -> dict[str, Any]:
    """The `model_trained` body of the model named, else of the current one, that of `value` first."""
    if model is not None:
        return found.find_model(model)
    current = [each for each in found.segmentations.values() if each.model]
    if not current:
        raise OperationError("There is no model to evaluate yet: train one with 'segtui train'.")
    chosen = next((each for each in current if each.name == "value"), current[0])
    return found.models[str(chosen.model)]


def _window(s: Session, name: str, model: Model, cutoff: int | None) -> tuple[int, int]:
    """Where the window begins and ends; refuses one that the model knows of or that is not over."""
    horizon, known_from = int(model.policy["horizon_days"]), int(model.policy["known_from"])
    end = s.data_end()
    assert end is not None
    latest = latest_cutoff(s.ticks, end, horizon)
    at = latest if cutoff is None else s.ticks.at_or_after(cutoff)
    if known_from <= at <= latest:
        return at, s.ticks.days_before(at, -horizon)
    zone = s.ticks.zone
    soonest = s.ticks.at_or_after(known_from)
    if soonest <= latest:
        remedy = f"use a --cutoff from {day(soonest, zone)} to {day(latest, zone)}"
    else:
        earlier = latest_cutoff(s.ticks, latest, horizon)
        remedy = "import later events"
        first = log.summary(s.store).first
        if first is not None and first < earlier:
            remedy += f", or train with --cutoff {day(earlier, zone)} or before"
    raise OperationError(
        f"No unseen window: {name} knows outcomes up to {day(known_from, zone)} and needs {horizon} d from a "
        f"cutoff after that, the data end is {day(end, zone)}: {remedy}."
    )


def _upto(evidence: Evidence, position: int) -> Evidence:
    """What the log told at `position`."""
    assert evidence.attributes is not None
    told = pl.col("seq") <= position
    return Evidence(evidence.events.filter(told), evidence.identity, evidence.attributes.filter(told))


def _sample(s: Session, model: Model, evidence: Evidence, at: int) -> Sample:
    """Everyone known at `at`, labelled by the model's policy from what followed."""
    from engine.evaluation import Sample

    until = s.ticks.days_before(at, -int(model.policy["horizon_days"]))
    frame = evidence.features(at, model.feature_spec)
    outcomes = future_value(evidence.events, evidence.identity, at, until, frame["user"].to_numpy())
    labels = apply_thresholds(outcomes, model.policy["thresholds"])
    return Sample(frame, labels, outcomes["spend"].to_numpy())
