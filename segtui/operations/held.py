"""The labels one user holds at a moment, and what decided each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from db import lookups, vocabulary
from engine.deciding import DecisionPolicy
from segtui.operations.definitions import definitions
from segtui.operations.moment import Moment, decided_by, moment, policy_then
from segtui.operations.session import Session


@dataclass(frozen=True)
class Held:
    """A label the user holds, since when, and what decided it."""

    user: int
    name: str
    number: int
    code: int
    label: str
    probability: int | None
    margin: int | None
    since: int
    model: str | None
    policy: DecisionPolicy
    when: Moment

    def worded(self, s: Session) -> dict[str, Any]:
        """As the result carries it."""
        return {
            "label": self.label,
            "probability": share(self.probability),
            "margin": share(self.margin),
            "since": s.iso(self.since),
        }


def held_labels(s: Session, surrogate: int, at: int | None, position: int | None) -> dict[str, Held]:
    """What a user holds, by segmentation."""
    labels = vocabulary.texts(s.store, "label")
    found = definitions(s, position=position)
    held = {}
    for number, name in vocabulary.texts(s.store, "segmentation").items():
        when = moment(s, number, at, position)
        row = lookups.member(s.store, number, surrogate, as_of=when.folded, position=when.position)
        if row is not None:
            held[name] = Held(
                user=surrogate,
                name=name,
                number=number,
                code=row["label"],
                label=labels[row["label"]],
                probability=row["probability"],
                margin=row["margin"],
                since=row["since"],
                model=decided_by(s, found.ever(name), when)[1],
                policy=policy_then(s, found.ever(name), when),
                when=when,
            )
    return held


def share(millionths: int | None) -> float | None:
    """Millionths as a part of 1."""
    return None if millionths is None else millionths / 1_000_000
