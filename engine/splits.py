"""Who learns and who judges: the parts of users, and the folds of an ensemble."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from engine.errors import EngineError

TRAIN, VALID, TEST = 0, 1, 2
EARLIER = 4
"""Added to the part of a row that says what a user was at an earlier cutoff: it teaches and judges nobody."""
FOLDS_PER_MEMBER = 2
"""So a member learns from almost everybody, and half of all users are judged by one that never met them."""


def split(
    users: np.ndarray, seed: int, shares: tuple[float, float, float] = (0.70, 0.15, 0.15)
) -> np.ndarray:
    """Which part (0 train, 1 validation, 2 test) each user is in: int8[n].

    By a hash of user and seed, so that a user's part can be computed again, whoever else is there.
    """
    if min(shares) < 0 or not math.isclose(sum(shares), 1):
        raise EngineError(f"The shares of training, validation and test must add up to 1; they are {shares}.")
    # The upper 53 bits make an exact double in [0, 1).
    share = (_drawn(users, seed) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    parts: np.ndarray = np.digitize(share, np.cumsum(shares)[:2]).astype(np.int8)
    return parts


@dataclasses.dataclass(frozen=True, eq=False)
class Held:
    """Rows to learn from, int[n]; whether each counts for each member, bool[n, members]; and the rows that
    judge each member, of users it does not learn from."""

    learners: np.ndarray
    counts: np.ndarray
    judges: list[np.ndarray]


def learnt_parts(members: int) -> tuple[int, ...]:
    """The parts that so many networks learn from."""
    return (TRAIN,) if members == 1 else (TRAIN, VALID)


def held_out(parts: np.ndarray, labelled: np.ndarray, users: np.ndarray, seed: int, members: int) -> Held:
    """What each member of an ensemble learns from and is judged on; `labelled` bool[n] are rows to use.

    One network learns from the training users and is judged on the validation users. Several share both:
    each leaves out a fold of its own, drawn by user, so that all that is known is learnt from and a larger
    part of it judges (cross-validated committees; Parmanto, Munro, Doyle 1996). Raises EngineError where
    several are left without anybody who judges.
    """
    shared = learnt_parts(members)
    learners = np.flatnonzero(np.isin(parts, [*shared, *(part + EARLIER for part in shared)]) & labelled)
    if members == 1:
        judges = [np.flatnonzero((parts == VALID) & labelled)]
        return Held(learners, np.ones((len(learners), 1), bool), judges)
    fold = folds(users[learners], seed, FOLDS_PER_MEMBER * members)[:, None] == np.arange(members)
    judging = np.isin(parts[learners], shared)
    judges = [learners[judging & fold[:, member]] for member in range(members)]
    if not any(map(len, judges)):
        raise EngineError(f"No user is left to judge any of {members} networks: more users are needed.")
    return Held(learners, ~fold, judges)


def folds(users: np.ndarray, seed: int, number: int) -> np.ndarray:
    """Which of `number` folds each user is in, int[n]: by a hash that has nothing to do with the parts."""
    drawn: np.ndarray = (_hash(_drawn(users, seed)) % np.uint64(number)).astype(int)
    return drawn


def _drawn(users: np.ndarray, seed: int) -> np.ndarray:
    return _hash(users.astype(np.int64).view(np.uint64) ^ _hash(np.array([seed], np.uint64)))


def _hash(values: np.ndarray) -> np.ndarray:
    """SplitMix64's finaliser over uint64 (Steele, Lea, Flood 2014)."""
    mixed = values + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
