"""Since which close each user has held the label of the last closed tick, for a minimum stay."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

import numpy as np
import polars as pl

from db import log
from db.store import Store
from engine.deciding import DecisionPolicy, decide
from engine.ticks import Ticks

NONE = -1


class Stays:
    """Closes of one segmentation, as arrays over sorted users.

    What was closed before is read from the log when it is first asked for, and no further back than asked.
    A policy without a minimum stay, or no policy, holds nobody.
    """

    def __init__(
        self, store: Store, segmentation: int, users: np.ndarray, ticks: Ticks, closed_at: int | None
    ) -> None:
        """`closed_at`: the last close before these began; None where there was none."""
        self._store = store
        self._segmentation = segmentation
        self._users = users
        self._ticks = ticks
        self._closed_at = closed_at
        self._known_from = closed_at
        self._since = np.zeros(len(users), np.int64)

    def close(self, as_of: int, moved: np.ndarray) -> None:
        """At `as_of` the users of bool[users] hold another label than at the close before."""
        self._since[moved] = as_of

    def hold(self, as_of: int, policy: DecisionPolicy | None, at: np.ndarray) -> np.ndarray | None:
        """bool[n] of the users at these places: whose label of the last close a stay still holds."""
        if policy is None or not policy.min_stay:
            return None
        held: np.ndarray = self._since_closes(as_of, policy)[at] > self._ticks.shift(as_of, -policy.min_stay)
        return held

    def over(self, as_of: int, policy: DecisionPolicy | None) -> np.ndarray:
        """The users whose minimum stay is over at `as_of` and was not a tick before, ascending."""
        if policy is None or not policy.min_stay:
            return np.zeros(0, np.int64)
        first = self._ticks.shift(as_of, -policy.min_stay)
        over: np.ndarray = self._users[self._since_closes(as_of, policy) == first]
        return over

    def lately(self, as_of: int, policy: DecisionPolicy | None, moved: np.ndarray) -> np.ndarray:
        """The users whose minimum stay may end after `as_of`, with those of bool[users] who just moved."""
        if policy is None or not policy.min_stay:
            return np.zeros(0, np.int64)
        first = self._ticks.shift(as_of, -policy.min_stay - 1)
        lately: np.ndarray = self._users[(self._since_closes(as_of, policy) > first) | moved]
        return lately

    def ended(
        self,
        as_of: int,
        policy: DecisionPolicy | None,
        labels: Sequence[str],
        before: np.ndarray,
        at: np.ndarray,
        decided: np.ndarray,
    ) -> np.ndarray:
        """The users at these places who move as decided because their minimum stay is over, ascending.

        `before` int32[users, labels]: the scores of the last rescore, zero where there were none.
        """
        over = np.isin(self._users[at], self.over(as_of, policy))
        if policy is None or not over.any():
            return np.zeros(0, np.int64)
        scores = before[at]
        ready = decide(scores, labels, policy, np.full(len(at), NONE)) == decided
        ended: np.ndarray = self._users[at[over & ready & scores.any(axis=1)]]
        return ended

    def copied(self) -> Stays:
        """The same, to go on from apart from this one."""
        other = copy(self)
        other._since = self._since.copy()
        return other

    def _since_closes(self, as_of: int, policy: DecisionPolicy) -> np.ndarray:
        """Since when, exact for whoever moved at one of the last closes that count; else older or 0."""
        first = self._ticks.shift(as_of, -policy.min_stay - 1)
        if self._closed_at is not None and self._known_from is not None and first < self._known_from:
            known = log.changes(
                self._store, segmentation=self._segmentation, as_of_from=first, as_of_to=self._closed_at
            )
            moves = moved_at(known)
            moves = moves.filter(pl.col("user").is_in(self._users.tolist()))
            at = np.searchsorted(self._users, moves["user"].to_numpy())
            older = self._since[at] == 0
            self._since[at[older]] = moves["as_of"].to_numpy()[older]
            self._known_from = first
        return self._since


def moved_at(changes: pl.DataFrame) -> pl.DataFrame:
    """user, as_of of the last close at which each user's label was another than at the close before.

    `changes` has columns of db.log.CHANGES; who moved and moved back within a tick did not move.
    """
    return (
        changes.sort("as_of", "seq")
        .group_by("user", "as_of", maintain_order=True)
        .agg(pl.col("from_label").first(), pl.col("to_label").last())
        .filter(pl.col("from_label").ne_missing(pl.col("to_label")))
        .group_by("user")
        .agg(pl.col("as_of").max())
        .sort("user")
    )
