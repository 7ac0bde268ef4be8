"""Judging a model on a window that its training did not see."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from db import log
from engine.labels import apply_outcome, future_value
from engine.schema import canonical
from engine.splits import TEST
from segtui.operations.compilation import use_cache
from segtui.operations.deciders import Evidence, load_model
from segtui.operations.definitions import Definitions, definitions
from segtui.operations.errors import OperationError
from segtui.operations.judgement import probabilities
from segtui.operations.session import Session
from segtui.operations.tasks import latest_beginning, latest_cutoff
from segtui.operations.times import day
from segtui.operations.unseen import cut_since, parts_then, past

if TYPE_CHECKING:
    from engine.evaluation import Sample
    from engine.model import Model


MEANS = ("log_loss", "brier", "accuracy")
"""Metrics that are means over users, so that two models can be compared user by user."""
EDITED = {"grown", "cut", "merged"}
"""What a model's policy tells of edits of its labels."""
TENURES = (0, 30, 90, 365, math.inf)
MIN_PER_SLICE = 50
DAY = 86_400_000_000


def evaluate(s: Session, *, model: str | None = None, cutoff: int | None = None) -> dict[str, Any]:
    """Metrics of a model of future behaviour on outcomes that lie wholly after those it was trained on.

    The users are those its training never saw: its held-out users and everyone who came later. The
    baselines are judged on the same users and outcomes, and know what the model knew: they are fitted at
    the model's own cutoff on its training users; there are none, and `baselines_why` says so, where events
    were cut of too many of those since. The default window is the last one of the model's horizon. Raises
    OperationError when there is none.
    """
    use_cache()
    judged = _Judged(s, [_chosen(definitions(s), model)], cutoff)
    return judged.told(0)


def compare(s: Session, one: str, other: str, *, cutoff: int | None = None) -> dict[str, Any]:
    """What `evaluate` says of `one`, on a window and users that are new to `other` too, beside the other.

    `differences` holds for each mean over users the other's less the first's, its 95 % interval by bootstrap
    in pairs, and who wins: a name, or None where the interval holds zero. Labels are by the first's
    thresholds. Raises OperationError where the two answer different questions.
    """
    use_cache()
    found = definitions(s)
    judged = _Judged(s, [found.find_model(one), found.find_model(other)], cutoff)
    return judged.told(0) | {"other": judged.beside(), "differences": judged.differences()}


def realised(s: Session, body: dict[str, Any]) -> dict[str, dict[str, float]]:
    """By label: the share expected and the one observed over the last window that the model (a
    `model_trained` body) knew nothing of, on users it never saw, and how far apart they are.

    Raises OperationError while there is no such window, or nobody in it.
    """
    judged = _Judged(s, [body], None)
    users, told = len(judged.sample.labels), {}
    for code, label in enumerate(judged.models[0].labels):
        expected = float(judged.given[0][:, code].mean())
        observed = int((judged.sample.labels == code).sum()) / users
        apart = round(abs(expected - observed), 6)
        told[label] = {"expected": round(expected, 6), "observed": round(observed, 6), "apart": apart}
    return told


class _Judged:
    """Models of one question, and what they say at one later window of the users new to all of them."""

    def __init__(self, s: Session, bodies: Sequence[dict[str, Any]], cutoff: int | None) -> None:
        self.s, self.bodies = s, bodies
        self.models = [load_model(s.store, body["model"]) for body in bodies]
        for body, model in zip(bodies, self.models, strict=True):
            _require_future(body, model)
        if len(bodies) > 1:
            _require_one_question(bodies, self.models)
        with s.store.reading():
            self.at, self.until = _window(s, bodies, self.models, cutoff)
            evidence = Evidence(s.events(), s.identity(), s.attributes())
        everyone = _sample(s, self.models[0], evidence, self.at)
        users = everyone.frame["user"].to_numpy()
        seen, known = np.zeros(len(users), bool), np.zeros(len(users), bool)
        for body in bodies:
            met = past(s, body, evidence)
            seen |= evidence.identity.among(users, met.shown)
            known |= evidence.identity.among(users, met.users)
        if seen.all():
            names = " and ".join(body["name"] for body in bodies)
            raise OperationError(
                f"Nobody new to {names} was known when the window began: import later events."
            )
        self.evidence = evidence
        self.sample = everyone.only(~seen)
        self.newcomers = int((~known).sum())
        self.tenure = _tenure(evidence, self.at, users[~seen])
        self.given = []
        for model in self.models:
            frame = evidence.features(self.at, model.feature_spec, users[~seen])
            self.given.append(probabilities(model, frame, evidence, self.at))

    def told(self, which: int) -> dict[str, Any]:
        """What `evaluate` says of one of the models."""
        from engine.evaluation import calibration, confusion, each_users, interval

        names = self.models[which].labels
        labels, given = self.sample.labels, self.given[which]
        return {
            **self._named(which),
            "window": {
                "cutoff": self.s.iso(self.at),
                "until": self.s.iso(self.until),
                "users": len(labels),
                "newcomers": self.newcomers,
            },
            **self._baselines(which),
            "confusion": confusion(labels, given, names),
            "calibration": calibration(labels, given, names),
            "intervals": {metric: list(interval(each)) for metric, each in each_users(labels, given).items()},
            "slices": self._slices(which),
        }

    def _baselines(self, which: int) -> dict[str, Any]:
        from engine.evaluation import baselines

        body, model = self.bodies[which], self.models[which]
        then = _upto(self.evidence, body["position"])
        known = _sample(self.s, model, then, int(model.policy["cutoff"]))
        why = cut_since(self.s, body, len(known.labels))
        if why is not None:
            return {"baselines": {}, "baselines_why": f"There is nothing to fit baselines on: {why}."}
        users = known.frame["user"].to_numpy()
        learnt = known.only(parts_then(model.policy, then.identity, users) != TEST)
        return {"baselines": baselines(learnt, self.sample, model.labels, boosted=True)}

    def _slices(self, which: int) -> list[dict[str, Any]]:
        """log_loss and its 95 % interval by how long the users had been known, where they are enough."""
        from engine.evaluation import interval, losses

        lost = losses(self.sample.labels, self.given[which])
        found = []
        for low, high in pairwise(TENURES):
            chosen = (self.tenure >= low) & (self.tenure < high)
            if chosen.sum() >= MIN_PER_SLICE:
                found.append(
                    {
                        "tenure_days": [low, None if math.isinf(high) else high],
                        "users": int(chosen.sum()),
                        "log_loss": float(lost[chosen].mean()),
                        "interval": list(interval(lost[chosen])),
                    }
                )
        return found

    def beside(self) -> dict[str, Any]:
        """The second model's name and metrics."""
        return self._named(1)

    def differences(self) -> dict[str, dict[str, Any]]:
        """By metric: the second model's mean less the first's, its interval, and the winner's name."""
        from engine.evaluation import each_users, interval

        one, other = (each_users(self.sample.labels, given) for given in self.given)
        found = {}
        for metric in MEANS:
            apart = other[metric] - one[metric]
            low, high = interval(apart)
            sign = 0 if low <= 0 <= high else 1 if low > 0 else -1
            better = sign if metric == "accuracy" else -sign
            found[metric] = {
                "difference": float(apart.mean()),
                "low": low,
                "high": high,
                "winner": {1: self.bodies[1]["name"], 0: None, -1: self.bodies[0]["name"]}[better],
            }
        return found

    def _named(self, which: int) -> dict[str, Any]:
        from engine.evaluation import metrics

        body, sample = self.bodies[which], self.sample
        told = metrics(sample.labels, self.given[which], sample.value, self.models[which].labels)
        return {"model": body["model"], "name": body["name"], "metrics": told}


def _tenure(evidence: Evidence, at: int, users: np.ndarray) -> np.ndarray:
    """Whole days of 24 hours since each user's first event, int[users]."""
    past = evidence.events.filter(pl.col("occurred_at") < at)
    past = past.with_columns(canonical(past, evidence.identity.at(at)).alias("user"))
    firsts = past.group_by("user").agg(pl.col("occurred_at").min())
    asked = pl.DataFrame({"user": users}).join(firsts, on="user", how="left", maintain_order="left")
    tenure: np.ndarray = (at - 1 - asked["occurred_at"].to_numpy()) // DAY
    return tenure


def _require_future(body: dict[str, Any], model: Model) -> None:
    if model.policy["label"] == "discovered":
        raise OperationError(
            f"Model {body['name']} was discovered: it groups users and predicts nothing that could be judged."
        )
    if EDITED & model.policy.keys():
        raise OperationError(
            f"The labels of model {body['name']} were added, cut or merged by hand: no outcome tells who "
            "should hold them. Name the model it was made from, as 'segtui models' lists it."
        )
    if model.policy["label"] == "given":
        raise OperationError(
            f"Model {body['name']} learnt the given label {model.policy['attribute']!r}, which has no "
            "later window: its test metrics are in 'segtui models'."
        )


def _require_one_question(bodies: Sequence[dict[str, Any]], models: Sequence[Model]) -> None:
    asked = [f"{model.policy['label']} within {model.policy['horizon_days']} d" for model in models]
    if asked[0] != asked[1]:
        raise OperationError(
            f"{bodies[0]['name']} predicts {asked[0]} and {bodies[1]['name']} {asked[1]}: "
            "compare two models of one question."
        )


def _chosen(found: Definitions, model: str | None) -> dict[str, Any]:
    """The `model_trained` body of the model named, else of the current one, that of `value` first."""
    if model is not None:
        return found.find_model(model)
    current = [each for each in found.segmentations.values() if each.model]
    if not current:
        raise OperationError("There is no model to evaluate yet: train one with 'segtui train'.")
    chosen = next((each for each in current if each.name == "value"), current[0])
    return found.models[str(chosen.model)]


def _window(
    s: Session, bodies: Sequence[dict[str, Any]], models: Sequence[Model], cutoff: int | None
) -> tuple[int, int]:
    """Where the window begins and ends; refuses one that a model knows of or that is not over."""
    horizon = int(models[0].policy["horizon_days"])
    known_from, name = max(
        (int(model.policy["known_from"]), body["name"]) for body, model in zip(bodies, models, strict=True)
    )
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
        if first is not None and first <= latest_beginning(s.ticks, earlier, horizon):
            remedy += f", or train with --cutoff {day(earlier, zone)} or before"
    raise OperationError(
        f"No unseen window: {name} knows outcomes up to {day(known_from, zone)} and needs {horizon} d from a "
        f"cutoff after that, the data end is {day(end, zone)}: {remedy}."
    )


def _upto(evidence: Evidence, position: int) -> Evidence:
    """What the log told at `position`."""
    assert evidence.attributes is not None
    told = pl.col("seq") <= position
    persons = evidence.identity.until(position)
    return Evidence(evidence.events.filter(told), persons, evidence.attributes.filter(told))


def _sample(s: Session, model: Model, evidence: Evidence, at: int) -> Sample:
    """Everyone known at `at`, labelled by the model's policy from what followed."""
    from engine.evaluation import Sample

    until = s.ticks.days_before(at, -int(model.policy["horizon_days"]))
    frame = evidence.features(at, model.feature_spec)
    who = evidence.identity.at(at)
    outcomes = future_value(evidence.events, who, at, until, frame["user"].to_numpy())
    labels = apply_outcome(model.policy["label"], outcomes, model.policy["thresholds"])
    return Sample(frame, labels, outcomes["spend"].to_numpy())
