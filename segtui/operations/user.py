"""One user: labels, features, events, moves with their causes, and what decides."""

from __future__ import annotations

from typing import Any

import polars as pl

from db import lookups, projections
from engine.catalogue import catalogue
from engine.features import FeatureSpec, spec_for
from segtui.operations.changes import worded
from segtui.operations.deciders import Evidence, ModelDecider, model_decider
from segtui.operations.errors import OperationError
from segtui.operations.explaining import explain
from segtui.operations.held import Held, held_labels
from segtui.operations.moment import shown_as_of
from segtui.operations.session import Session
from segtui.operations.silence import leaving, until
from segtui.operations.smallest import smallest_change

EVENTS_SHOWN = 200


def user(
    s: Session, id: str, *, at: int | None = None, position: int | None = None, history: int = 0
) -> dict[str, Any]:
    """Profile, tags, newest events, history with causes, explanation.

    `history` asks for the probabilities at that many past ticks. `leaves` says when and to what the user
    moves if silent, within 60 ticks, for each label and for that of `value`. `smallest_change` is the
    smallest thing they could do now that would move them. Before the last
    rescore, or at a position behind the head, each label's probability is that of the user's last change,
    and its margin null; features and `probabilities` are computed for the moment, by the model of the time.
    """
    surrogate = s.user(id)
    as_of = shown_as_of(s, at, position)
    if as_of is None:
        raise OperationError(f"{s.store.path} holds no events yet: import some with 'segtui import FILE'.")
    persons = s.identity(position=position)
    surrogate, own = persons.canonical(surrogate, as_of), persons.one(surrogate, as_of)
    timeline = s.events(before=as_of, position=position, users=own, corrections=True)
    events = s.events(before=as_of, position=position, users=own)
    if events.is_empty():
        known = "" if position is None else f" at position {position}"
        raise OperationError(f"User {id!r} has no event before {s.iso(as_of)}{known}: look at a later --at.")
    attributes = s.attributes(position=position, users=own)
    evidence = Evidence(events, persons, attributes)
    held = held_labels(s, surrogate, at, position)
    chosen = _told(held)
    if chosen is not None and chosen.model:
        spec = model_decider(s.store, str(chosen.model)).spec
    else:
        spec = _own_spec(s, as_of, position)
    leaves = {name: _leaves(s, each, surrogate, evidence) for name, each in held.items()}
    row = evidence.features(as_of, spec).row(0, named=True)
    moves = projections.history(s.store, surrogate, position=position).filter(pl.col("as_of") <= as_of)
    result: dict[str, Any] = {
        "user": s.external([surrogate])[surrogate],
        "surrogate": surrogate,
        "as_of": s.iso(as_of),
        "labels": {name: each.worded(s) | {"leaves": leaves[name]} for name, each in held.items()},
        "tags": [f"{name}={each.label}" for name, each in held.items()],
        "features": {name: value for name, value in row.items() if name != "user"},
        "units": {name: each.unit for name, each in catalogue(spec).items()},
        "currency": s.settings.currency,
        "events": _events(s, timeline),
        "changes": worded(s, moves),
        "explanation": None,
        "probabilities": None,
        "leaves": None if chosen is None else leaves[chosen.name],
        "smallest_change": None if chosen is None else smallest_change(s, chosen, evidence),
        "history": [],
    }
    if chosen is not None and chosen.model:
        result |= _modelled(s, chosen, evidence, as_of, history)
    return result


def _told(held: dict[str, Held]) -> Held | None:
    """The label told most of: that of `value`, but a model's before a rule's."""
    modelled = [each for each in held.values() if each.model]
    value = held.get("value")
    return value if value is not None and (value.model or not modelled) else next(iter(modelled), None)


def _leaves(s: Session, held: Held, user: int, evidence: Evidence) -> dict[str, Any] | None:
    """When and to what silence alone will move the user."""
    assert held.when.as_of is not None
    last = until(s, held.when.as_of)
    gone = leaving(s, held.name, [user], held.when, last, evidence=evidence)
    return gone[user].worded(s) if user in gone else None


def _own_spec(s: Session, as_of: int, position: int | None) -> FeatureSpec:
    """The features that the log fills, where no model says which it reads."""
    events = s.events(before=as_of, position=position)
    return spec_for(events, s.settings.timezone, s.attributes(position=position))


def _events(s: Session, events: pl.DataFrame) -> list[dict[str, Any]]:
    """The newest events with texts for numbers, newest first; amounts in minor units."""
    newest = events.sort("occurred_at", "seq").tail(EVENTS_SHOWN).reverse()
    texts = {
        name: lookups.texts_of(s.store, newest[name].drop_nulls().unique().to_list())
        for name in ("order", "item", "category", "platform", "device", "region")
    }
    return [
        {
            "seq": row["seq"],
            "occurred_at": s.iso(row["occurred_at"]),
            "kind": row["kind"],
            **{name: known.get(row[name]) for name, known in texts.items()},
            "amount": row["amount"],
            "quantity": row["quantity"],
            "rating": None if row["rating"] is None else row["rating"] / 100,
            "duration": None if row["duration"] is None else row["duration"] / 1000,
            "late": bool(row["late"]),
        }
        for row in newest.iter_rows(named=True)
    ]


def _modelled(s: Session, held: Held, evidence: Evidence, as_of: int, history: int) -> dict[str, Any]:
    decider = model_decider(s.store, str(held.model), held.policy)
    scores = _probabilities(decider, evidence, as_of)
    return {
        "probabilities": dict(zip(decider.labels, scores, strict=True)),
        "explanation": explain(s, decider, held, scores, evidence, as_of),
        "history": _past(s, decider, evidence, as_of, history),
    }


def _probabilities(decider: ModelDecider, evidence: Evidence, as_of: int) -> list[float]:
    """In the order of the model's labels."""
    scores = decider.scores(evidence.features(as_of, decider.spec), evidence, as_of)
    return [int(each) / 1_000_000 for each in scores[0]]


def _past(
    s: Session,
    decider: ModelDecider,
    evidence: Evidence,
    as_of: int,
    ticks: int,
) -> list[dict[str, Any]]:
    """Probabilities at past ticks, oldest first, from the first tick the user has an event before."""
    first = int(evidence.events["occurred_at"].min())  # type: ignore[arg-type]  # polars types min() loosely
    points = []
    for back in range(ticks - 1, -1, -1):
        at = s.ticks.shift(as_of, -back)
        if at > first:
            scores = _probabilities(decider, evidence, at)
            points.append(
                {"as_of": s.iso(at), "probabilities": dict(zip(decider.labels, scores, strict=True))}
            )
    return points
