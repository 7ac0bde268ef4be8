"""How much of the store a run of rescores reads: everyone, or only those whom anything can move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
import polars as pl

from db import forgetting, log, projections, states
from segtui.operations.deciders import Evidence
from segtui.operations.plans import Plan, last_rescore
from segtui.operations.session import Session
from segtui.operations.steps import Rest

EVERYTHING_SHARE = 0.2
"""Above this share of due users the whole log is scanned instead of looking users up one by one."""
FEW_USERS = 2_000
"""So many are looked up whatever their share."""
WITHOUT_MOVES = ("exported", "imported", "key_rotated", "model_trained", "rescored")
"""Decisions that leave every label as it is."""

Digested = Mapping[str, Mapping[str, np.ndarray]]
"""Surrogates by label by segmentation."""


class Reach:
    """Everyone; what is read is read once."""

    def __init__(self, s: Session) -> None:
        self.s = s
        self.erased = forgetting.erased(s.store)

    @cached_property
    def last_events(self) -> pl.DataFrame:
        """user, first, last, newest_seq, by user."""
        return self.s.last_events()

    @cached_property
    def everyone(self) -> np.ndarray:
        """Who can hold a label, ascending: whoever has an event, or is one person with somebody."""
        own: np.ndarray = self.last_events["user"].to_numpy()
        named = self.s.identity().named()
        return np.union1d(own, named).astype(np.int64) if len(named) else own

    def evidence(self, since: int | None, position: int, kept: Sequence[np.ndarray] = ()) -> Evidence:
        """What is known of those `kept`, and of those with events from `since` on (None: ever), or after
        `position`."""
        identity, attributes = self.s.identity(), self.s.attributes()
        if since is not None:
            due = self.last_events.filter((pl.col("last") >= since) | (pl.col("newest_seq") > position))
            users = identity.kin(np.unique(np.concatenate([due["user"].to_numpy(), *kept])))
            if len(users) < EVERYTHING_SHARE * self.last_events.height:
                return Evidence(self.s.events(users=users.tolist()), identity, attributes)
        return Evidence(self.s.events(), identity, attributes)

    def shown(self, segmentation: int) -> pl.DataFrame:
        """The memberships at the head, see db.projections."""
        return projections.memberships(self.s.store, segmentation)

    def held(self, segmentation: int, as_of: int | None) -> pl.DataFrame:
        """The memberships at an as-of, of those who were not erased since."""
        found = projections.memberships(self.s.store, segmentation, as_of=as_of)
        return found.filter(~pl.col("user").is_in(self.erased))

    def rest(self, segmentation: int, labels: Sequence[int], shown: pl.DataFrame) -> Rest:
        """What those hold who are not read, `labels` being those with scores: nobody."""
        return Rest()

    def digest(self, now: Digested, walked: Sequence[str], as_of: int) -> str:
        """The state digest at `as_of` when those read hold what `now` says.

        Only `walked` segmentations are decided there; others, such as lists, stood as the log tells them.
        """
        decided = {name: now[name] for name in walked}
        return projections.digest_of(projections.states_of(self.s.store, as_of, without=walked) | decided)

    def begun(self, loaded: Digested) -> None:
        """Takes note of what the users read hold before the first step."""


class Touched(Reach):
    """Those whom events since the last rescore name; nobody else can move before the tick ends."""

    def __init__(self, s: Session, users: np.ndarray, as_of: int) -> None:
        super().__init__(s)
        self._users: list[int] = users.tolist()
        self._as_of = as_of
        self._rest = states.at_head(s.store)

    @cached_property
    def last_events(self) -> pl.DataFrame:
        """user, first, last, newest_seq, by user."""
        return self.s.last_events(users=self._users)

    @cached_property
    def everyone(self) -> np.ndarray:
        """Those of them who can hold a label, ascending."""
        named = np.intersect1d(self.s.identity().named(), self._users)
        return np.union1d(self.last_events["user"].to_numpy(), named).astype(np.int64)

    def evidence(self, since: int | None, position: int, kept: Sequence[np.ndarray] = ()) -> Evidence:
        """What is known of them."""
        events, attributes = self.s.events(users=self._users), self.s.attributes(users=self._users)
        return Evidence(events, self.s.identity(), attributes)

    def shown(self, segmentation: int) -> pl.DataFrame:
        """Their memberships at the head."""
        return projections.memberships(self.s.store, segmentation, users=self._users)

    def held(self, segmentation: int, as_of: int | None) -> pl.DataFrame:
        """Their memberships at an as-of, of those who were not erased since."""
        found = projections.memberships(self.s.store, segmentation, as_of=as_of, users=self._users)
        return found.filter(~pl.col("user").is_in(self.erased))

    def rest(self, segmentation: int, labels: Sequence[int], shown: pl.DataFrame) -> Rest:
        """What all others hold: what everyone does, less what those read do."""
        store = self.s.store
        users = projections.sizes(store, segmentation)
        for label, count in shown.group_by("label").len().iter_rows():
            users[label] -= count
        sums = projections.expected(store, segmentation, self._as_of)
        own = projections.scores(shown, len(labels)).sum(axis=0, dtype=np.int64)
        expected = {
            label: sums[label] - int(mine) for label, mine in zip(labels, own, strict=True) if label in sums
        }
        return Rest(users, expected)

    def begun(self, loaded: Digested) -> None:
        """Takes what those read hold out of the sum over everyone."""
        self._rest = self._rest - states.sum_of(loaded)

    def digest(self, now: Digested, walked: Sequence[str], as_of: int) -> str:
        """The state digest when the users read hold what `now` says; the rest is as it stands."""
        return states.told(self._rest + states.sum_of(now))


def reach(s: Session, plan: Plan, segmentations: Sequence[int]) -> Reach:
    """Whom the only walk of a run has to read, over segmentations (vocabulary numbers).

    Inside a tick silence changes nothing: where all were scored in the open one, and nothing was decided
    since, an event is all that moves anyone.
    """
    last = last_rescore(s)
    if last is None or plan.full or plan.opens_pass or plan.as_ofs != [plan.before]:
        return Reach(s)
    if any(not projections.scored_at(s.store, each, last.as_of) for each in segmentations):
        return Reach(s)
    if set(log.kinds_decided(s.store, after_seq=last.seq)) - set(WITHOUT_MOVES):
        return Reach(s)
    users = s.identity().kin(log.users_since(s.store, plan.position).to_numpy())
    if len(users) > max(FEW_USERS, EVERYTHING_SHARE * log.summary(s.store).users):
        return Reach(s)
    return Touched(s, users, last.as_of)
