"""Who is new to a model, and who may still teach one: nobody is judged whom it met under another id.

Parts and folds are drawn by id, and a link between two cutoffs changes whom an id stands for. So whoever was
ever joined, now or then, counts as one here, and everything that splits users over several cutoffs asks here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from engine.schema import canonical
from engine.splits import EARLIER, TEST, TRAIN, VALID, split
from segtui.operations.deciders import Evidence, load_model
from segtui.operations.definitions import definitions
from segtui.operations.persons import Persons
from segtui.operations.session import Session


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
    """What the model of a `model_trained` body knew when it was trained; `evidence` reaches to its cutoff."""
    found = definitions(s).models
    steps: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    while True:
        policy, position = load_model(s.store, body["model"]).policy, body.get("position")
        cutoff, known = policy.get("cutoff"), evidence.events
        if position is not None:
            known = known.filter(pl.col("seq") <= position)
        if cutoff is not None:
            known = known.filter(pl.col("occurred_at") < cutoff)
        persons = evidence.identity.until(position)
        users = canonical(known, persons.at(cutoff)).unique().to_numpy()
        steps.append((users, split(users, int(policy["seed"])), persons.families(users)))
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
