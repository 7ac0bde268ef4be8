"""Since which close each user has held the label of the last closed tick, for a minimum stay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy

import numpy as np
import polars as pl

from db import log, vocabulary
from db.store import Store
from engine.deciding import DecisionPolicy, decide
from engine.ticks import Ticks

NONE = -1


class Closes:
    """Who held another label at the close of a tick than at the close before: vocabulary numbers, 0 for none.

    A label that was renamed or merged since is the one it became, so that keeping it is no move.
    """

    def __init__(self, users: int, became: Mapping[int, int]) -> None:
        """`became`: the number of the label that another one goes on as."""
        self.since = np.zeros(users, np.int64)
        """The as-of of the last such close of each user, 0 where none is known."""
        self.became = dict(became)
        self._closes: list[tuple[int, np.ndarray, np.ndarray, np.ndarray]] = []

    def add(self, as_of: int, places: np.ndarray, left: np.ndarray, came: np.ndarray) -> None:
        """At `as_of` the users at these places hold `came` and held `left`."""
        moved = left != came
        if moved.any():
            self._closes.append((as_of, places[moved], left[moved], came[moved]))
            self._count(*self._closes[-1])

    def succeed(self, became: Mapping[int, int]) -> None:
        """Other labels go on as others now: counts what is known again."""
        if became != self.became:
            self.became = dict(became)
            self.since[:] = 0
            for close in self._closes:
                self._count(*close)

    def copied(self) -> Closes:
        """The same, to go on from apart from this one."""
        other = copy(self)
        other.since, other._closes = self.since.copy(), list(self._closes)
        return other

    def _count(self, as_of: int, places: np.ndarray, left: np.ndarray, came: np.ndarray) -> None:
        moved = succeeded(left, self.became) != succeeded(came, self.became)
        self.since[places[moved]] = as_of


def numbers_of(store: Store, became: Mapping[str, str]) -> dict[int, int]:
    """What former labels go on as, in vocabulary numbers; of those that the log knows."""
    numbers = {label: number for number, label in vocabulary.texts(store, "label").items()}
    return {
        numbers[former]: numbers[label]
        for former, label in became.items()
        if former in numbers and label in numbers
    }


def succeeded(numbers: np.ndarray, became: Mapping[int, int]) -> np.ndarray:
    """The labels' numbers, those of labels that became others replaced by theirs."""
    if not became:
        return numbers
    given = numbers.copy()
    for former, number in became.items():
        given[numbers == former] = number
    return given


class Stays:
    """Closes of one segmentation, as arrays over sorted users.

    What was closed before is read from the log when it is first asked for, and no further back than asked.
    A policy without a minimum stay, or no policy, holds nobody.
    """

    def __init__(
        self,
        store: Store,
        segmentation: int,
        users: np.ndarray,
        ticks: Ticks,
        closed_at: int | None,
        became: Mapping[int, int],
    ) -> None:
        """`closed_at`: the last close before these began; None where there was none. `became`: see Closes."""
        self._store = store
        self._segmentation = segmentation
        self._users = users
        self._ticks = ticks
        self._closed_at = closed_at
        self._known_from = closed_at
        self._closes = Closes(len(users), became)

    def close(self, as_of: int, left: np.ndarray, came: np.ndarray) -> None:
        """At `as_of` everyone holds `came` and held `left` at the close before: label numbers, 0 for none."""
        moved = np.flatnonzero(left != came)
        self._closes.add(as_of, moved, left[moved], came[moved])

    def succeed(self, became: Mapping[int, int]) -> None:
        """Other labels go on as others now; what was read before has to be read again."""
        if became != self._closes.became:
            self._closes.succeed(became)
            self._known_from = self._closed_at

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
        other._closes = self._closes.copied()
        return other

    def _since_closes(self, as_of: int, policy: DecisionPolicy) -> np.ndarray:
        """Since when, exact for whoever moved at one of the last closes that count; else older or 0."""
        first, since = self._ticks.shift(as_of, -policy.min_stay - 1), self._closes.since
        if self._closed_at is not None and self._known_from is not None and first < self._known_from:
            known = log.changes(
                self._store, segmentation=self._segmentation, as_of_from=first, as_of_to=self._closed_at
            )
            moves = moved_at(known, self._closes.became)
            moves = moves.filter(pl.col("user").is_in(self._users.tolist()))
            at = np.searchsorted(self._users, moves["user"].to_numpy())
            older = since[at] == 0
            since[at[older]] = moves["as_of"].to_numpy()[older]
            self._known_from = first
        return since


def moved_at(changes: pl.DataFrame, became: Mapping[int, int]) -> pl.DataFrame:
    """user, as_of of the last close at which each user's label was another than at the close before.

    `changes` has columns of db.log.CHANGES; who moved and moved back within a tick did not move, nor did who
    holds what the label before became.
    """
    now = dict(became)
    return (
        changes.sort("as_of", "seq")
        .group_by("user", "as_of", maintain_order=True)
        .agg(pl.col("from_label").first().replace(now), pl.col("to_label").last().replace(now))
        .filter(pl.col("from_label").ne_missing(pl.col("to_label")))
        .group_by("user")
        .agg(pl.col("as_of").max())
        .sort("user")
    )
