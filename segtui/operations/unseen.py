"""Who is new to a model, and who may still teach one: nobody is judged whom it met under another id.

A link changes whom an id stands for, and one that comes after a cutoff makes one person of two users known by
then. So whoever was ever joined, now or then, counts as one here, and everything that splits users asks here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from db import retention
from engine.feature_spec import longest_window
from engine.schema import canonical
from engine.splits import EARLIER, TEST, TRAIN, VALID, split
from segtui.operations.deciders import Evidence, load_model
from segtui.operations.definitions import definitions
from segtui.operations.persons import NOBODY, Persons
from segtui.operations.session import Session

KEPT = 0.9
"""The share of those known at a model's cutoff that must be left for the log to tell what it learnt from."""


def cut_since(s: Session, body: dict[str, Any], left: int) -> str | None:
    """Why the log cannot tell any more what the model of a `model_trained` body learnt from, as the end of a
    sentence; None where it can. `left`: users known at the model's cutoff, as the log tells it now."""
    model, origin, known = load_model(s.store, body["model"]), retention.origin(s.store), int(body["users"])
    if origin is not None and origin.seq > body["position"]:
        read_from = s.ticks.days_before(int(model.policy["cutoff"]), longest_window(model.feature_spec))
        if origin.before > read_from:
            return (
                f"events before {s.iso(origin.before):.10}, which {body['name']} learnt from, were cut since"
            )
    if left >= KEPT * known:
        return None
    return f"of the {known:,} users known when {body['name']} learnt, events of {left:,} are left"


BY_PERSON = "person"


def drawn(persons: Persons) -> dict[str, str]:
    """What the policy of a model says of how its parts were drawn: nothing where nobody was ever joined, and
    a draw by person is one by id."""
    return {"drawn": BY_PERSON} if persons else {}


def parts_of(persons: Persons, users: np.ndarray, seed: int) -> np.ndarray:
    """The part of each of the users, int8[n], by a draw that is one for all who are or were joined."""
    return split(persons.families(users), seed)


def parts_then(policy: dict[str, Any], persons: Persons, users: np.ndarray) -> np.ndarray:
    """The parts, int8[n], that a model with this policy had users in; earlier ones were drawn by id."""
    by_person = policy.get("drawn") == BY_PERSON
    return parts_of(persons if by_person else NOBODY, users, int(policy["seed"]))


def earlier_parts(persons: Persons, earlier: np.ndarray, users: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """The parts of users of an `earlier` cutoff, int8[n], by the `parts` of the `users` of the latest one.

    Whoever is kin to a test user is one, else whoever is kin to a validation user.
    """
    found = np.full(len(earlier), TRAIN, np.int8)
    for part in (VALID, TEST):
        found[persons.among(earlier, users[parts == part])] = part
    return found


@dataclass(frozen=True, eq=False)
class Past:
    """Whom a model, and those that it went on from, knew: `users` int[n] as they were called at each cutoff,
    their parts int8[n] then, and who stood for their families then."""

    users: np.ndarray
    parts: np.ndarray
    families: np.ndarray

    @property
    def shown(self) -> np.ndarray:
        """Whom they learnt from or were chosen by, int[n]."""
        found: np.ndarray = self.users[self.parts != TEST]
        return found


def past(s: Session, body: dict[str, Any], evidence: Evidence) -> Past:
    """What the model of a `model_trained` body knew when it was trained; `evidence` reaches to its cutoff.

    Where events were cut since (`retain`), nobody can tell whom it knew: anyone may have been.
    """
    found, origin = definitions(s).models, retention.origin(s.store)
    steps: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    while True:
        policy, position = load_model(s.store, body["model"]).policy, body.get("position")
        cutoff, known = policy.get("cutoff"), evidence.events
        cut = origin is not None and (position is None or origin.seq > position)
        if position is not None and not cut:
            known = known.filter(pl.col("seq") <= position)
        if cutoff is not None and not cut:
            known = known.filter(pl.col("occurred_at") < cutoff)
        persons = evidence.identity.until(position)
        users = canonical(known, persons.at(cutoff)).unique().to_numpy()
        if cut:
            # Of an id that was linked since nothing may be left but the link.
            users = evidence.identity.kin(users)
        steps.append((users, parts_then(policy, persons, users), persons.families(users)))
        # Without links, who was learnt from by the former model is so by this one: the seed is the same.
        if "warm" not in policy or not evidence.identity:
            return Past(*map(np.concatenate, zip(*steps, strict=True)))
        body = found[policy["warm"]["from"]]


def parts_going_on(
    persons: Persons, users: np.ndarray, parts: np.ndarray, before: Past, members: int
) -> np.ndarray:
    """The `parts` of a task's `users`, int8[n], for a model of so many members that goes on from another.

    Whom that one has met and this one would be judged on teaches and judges nobody.
    """
    met = (parts == TEST) & persons.among(users, before.shown)
    if members == 1:
        met |= (parts == VALID) & persons.among(users, before.users[before.parts == TRAIN])
    else:
        # Another fold is theirs, so that a member would be judged by whom it learnt from.
        moved = before.users[persons.families(before.users) != before.families]
        met |= (parts != TEST) & persons.among(users, moved)
    return np.where(met, np.int8(TRAIN + EARLIER), parts)
