"""What silence alone will do: the ticks to come, decided for users none of whom does anything any more."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from db import projections, vocabulary
from segtui.operations.deciders import Decider, Evidence
from segtui.operations.deciding import decider_of
from segtui.operations.definitions import Definitions, definitions
from segtui.operations.moment import Moment
from segtui.operations.persons import Persons
from segtui.operations.plans import governing_rescore
from segtui.operations.progress import Progress, quiet
from segtui.operations.session import Session
from segtui.operations.stays import Stays, numbers_of

AHEAD = 60
"""Ticks looked at, where nobody says how far."""
NONE = -1


@dataclass(frozen=True)
class Leaving:
    """The first tick end at which silence alone moves a user, and to which label; None for no label."""

    as_of: int
    to: str | None

    def worded(self, s: Session) -> dict[str, Any]:
        """As results carry it."""
        return {"as_of": s.iso(self.as_of), "to": self.to}


def until(s: Session, as_of: int, days: int | None = None) -> int:
    """The last tick end looked at: AHEAD ticks after `as_of`, or `days` calendar days."""
    return s.ticks.shift(as_of, AHEAD) if days is None else s.ticks.days_before(as_of, -days)


def leaving(
    s: Session,
    segmentation: str,
    users: Iterable[int],
    when: Moment,
    last: int,
    *,
    evidence: Evidence | None = None,
    progress: Progress = quiet,
) -> dict[int, Leaving]:
    """Who leaves the label held at a moment by a tick end up to `last`, if nothing happens until then.

    `users` are canonical; those who hold nothing are left out. Each tick is decided as a rescore would, by
    what decides now (at a past moment: by what decided then), after the segmentations that it reads.
    `evidence`: theirs, where it is known already.
    """
    assert when.as_of is not None
    found = in_force(s, segmentation, when)
    if found.ever(segmentation).kind == "list" or segmentation in found.retired:
        return {}
    asked = np.unique(np.fromiter(users, np.int64))
    known = evidence or _evidence(s, asked, when)
    walk = _Silence(s, found, segmentation, asked, when, _until(known, when.as_of))
    ends = s.ticks.between(when.as_of, last)
    gone: dict[int, Leaving] = {}
    for index, as_of in enumerate(ends):
        if not len(walk.users):
            break
        progress("looking ahead", index / len(ends))
        gone |= {user: Leaving(as_of, to) for user, to in walk.step(as_of).items()}
    return gone


def in_force(s: Session, segmentation: str, when: Moment) -> Definitions:
    """What decides at the moment: now, or at the rescore that is read for it."""
    then = governing_rescore(s, segmentation, when.as_of or 0, when.position) if when.past else None
    return definitions(s, position=when.position if then is None else then.seq)


def _evidence(s: Session, users: np.ndarray, when: Moment) -> Evidence:
    persons = s.identity(position=when.position)
    own = persons.kin(users).tolist()
    return Evidence(
        s.events(before=when.as_of, position=when.position, users=own),
        persons,
        s.attributes(position=when.position, users=own),
    )


def _until(evidence: Evidence, as_of: int) -> Evidence:
    """The same without what happens at or after an as-of: the ticks to come are silent."""
    before = pl.col("occurred_at") < as_of
    links, attributes = evidence.identity.links, evidence.attributes
    return Evidence(
        evidence.events.filter(before),
        Persons(links.filter(before)),
        None if attributes is None else attributes.filter(before),
    )


class _Silence:
    """The labels of some users in one segmentation and in those it reads, from tick to tick."""

    def __init__(
        self,
        s: Session,
        found: Definitions,
        segmentation: str,
        users: np.ndarray,
        when: Moment,
        evidence: Evidence,
    ) -> None:
        self.target = segmentation
        self.evidence = evidence
        self.deciders: dict[str, Decider] = {}
        for name in reversed(found.in_order()):
            if name == segmentation or any(name in each.refers for each in self.deciders.values()):
                self.deciders[name] = decider_of(s.store, s.ticks.zone, found.segmentation(name))
        self.deciders = dict(reversed(self.deciders.items()))
        texts = vocabulary.texts(s.store, "label")
        self.held: dict[str, np.ndarray] = {}
        self.users = users
        self._asked = len(users)
        self._at = np.arange(len(users))
        """Where the users still looked at stand among those asked about."""
        self._stays: dict[str, Stays] = {}
        self._numbers: dict[str, np.ndarray] = {}
        for name, decider in self.deciders.items():
            became = found.segmentation(name).became
            codes = {
                number: decider.labels.index(text) for number, text in texts.items() if text in decider.labels
            }
            self._numbers[name] = np.array(
                [*(vocabulary.number(s.store, "label", label) or 0 for label in decider.labels), 0], np.int64
            )
            number = vocabulary.number(s.store, "segmentation", name)
            held = np.full(len(users), NONE, np.int32)
            if number is not None:
                frame = projections.memberships(
                    s.store, number, as_of=when.folded, position=when.position, users=users.tolist()
                )
                at = np.searchsorted(users, frame["user"].to_numpy())
                held[at] = [codes.get(label, NONE) for label in frame["label"].to_list()]
            self.held[name] = held
            if number is not None:
                kept = numbers_of(s.store, became)
                self._stays[name] = Stays(s.store, number, users, s.ticks, when.as_of, kept)
        self._keep(self.held[segmentation] != NONE)

    def step(self, as_of: int) -> dict[int, str | None]:
        """Decides the tick that ends at `as_of`; whom it moves, and where to, is no longer looked at."""
        before = self.held[self.target]
        for name, decider in self.deciders.items():
            frame = self.evidence.features(as_of, decider.spec, self.users)
            frame = frame.with_columns(self._texts(other) for other in decider.refers)
            held, stays = self.held[name], None
            if name in self._stays:
                stays = self._stays[name].hold(as_of, decider.policy, self._at)
            _, self.held[name] = decider.decide(frame, self.evidence, as_of, held, stays)
            if name in self._stays:
                left, came = np.zeros((2, self._asked), np.int64)
                left[self._at], came[self._at] = (
                    self._numbers[name][held],
                    self._numbers[name][self.held[name]],
                )
                self._stays[name].close(as_of, left, came)
        moved = self.held[self.target] != before
        labels = [*self.deciders[self.target].labels, None]
        gone = {
            int(user): labels[code]
            for user, code in zip(self.users[moved], self.held[self.target][moved], strict=True)
        }
        self._keep(~moved)
        return gone

    def _keep(self, kept: np.ndarray) -> None:
        if kept.all():
            return
        self.users, self._at = self.users[kept], self._at[kept]
        self.held = {name: held[kept] for name, held in self.held.items()}

    def _texts(self, name: str) -> pl.Series:
        """The labels of a segmentation that a rule reads; null for none."""
        names = pl.Series([*self.deciders[name].labels, None], dtype=pl.String)
        codes = self.held[name]
        return names.gather(np.where(codes == NONE, len(names) - 1, codes)).alias(name)
