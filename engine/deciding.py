"""From probabilities to labels: the policy of a segmentation, and the label it gives each user. No JAX.

Everything is compared on integers, so that a label never depends on how a float was summed or stored.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from engine.errors import EngineError

MILLION = 1_000_000
RULES = ("argmax", "min", "share", "cost")
UNIT_COST = 1_000
"""Costs are kept in thousandths; a mistake whose cost is not told costs this much."""
HIGHEST_COST = 1_000 * UNIT_COST
NEVER = -2 * MILLION
"""The offset with which a label is given to nobody."""
MOST_SWEEPS = 10_000


@dataclasses.dataclass(frozen=True)
class DecisionPolicy:
    """How probabilities become labels, in millionths unless told otherwise.

    `rule`: "argmax" takes the likeliest label; "min" the one that most exceeds its own of `minimum`, else
    the likeliest of the labels without one; "share" the likeliest once `offsets` (fitted so that `shares`
    of everyone get the labels they name) are added; "cost" the one whose expected cost is least, where
    `costs` (thousandths) are of (true, given). `margin`: by how much a label must then be preferred to the
    one held at the last closed tick to take its place. `min_stay`: for how many closed ticks a label is
    held at least. `anew`: an as-of at which nobody is held back by either, since the rule is new then; None
    for never. Raises EngineError when out of range.
    """

    rule: str = "argmax"
    margin: int = 50_000
    min_stay: int = 0
    minimum: Mapping[str, int] = dataclasses.field(default_factory=dict)
    shares: Mapping[str, int] = dataclasses.field(default_factory=dict)
    offsets: Mapping[str, int] = dataclasses.field(default_factory=dict)
    costs: Mapping[tuple[str, str], int] = dataclasses.field(default_factory=dict)
    anew: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.margin <= MILLION:
            raise EngineError(f"The margin must be from 0 to 1; it is {self.margin / MILLION:g}.")
        if self.min_stay < 0:
            raise EngineError(f"The minimum stay must be 0 ticks or more; it is {self.min_stay}.")
        for what, values in (("minimum", self.minimum), ("share", self.shares)):
            for label, value in values.items():
                if not 0 <= value <= MILLION:
                    raise EngineError(
                        f"The {what} of {label} must be from 0 to 1; it is {value / MILLION:g}."
                    )
        if sum(self.shares.values()) > MILLION:
            told = sum(self.shares.values()) / MILLION
            raise EngineError(f"The shares add up to {told:g}: they can be 1 at most.")
        for (true, given), cost in self.costs.items():
            if true == given:
                raise EngineError(f"{true}:{given} is no mistake: a cost is of one label given for another.")
            if not 0 <= cost <= HIGHEST_COST:
                raise EngineError(
                    f"The cost of {true}:{given} must be from 0 to {HIGHEST_COST // UNIT_COST}; "
                    f"it is {cost / UNIT_COST:g}."
                )

    @property
    def weighs(self) -> tuple[Any, ...]:
        """What the label preferred depends on: equal where two policies differ in holding back alone."""
        return self.rule, self.minimum, self.shares, self.offsets, self.costs

    def of(self, labels: Sequence[str]) -> DecisionPolicy:
        """The policy for these labels: what it says of others falls away; with nothing left it is argmax."""
        known = set(labels)
        minimum, shares, offsets = (
            {label: value for label, value in values.items() if label in known}
            for values in (self.minimum, self.shares, self.offsets)
        )
        costs = {pair: cost for pair, cost in self.costs.items() if known.issuperset(pair)}
        rule = self.rule if minimum or offsets or costs else "argmax"
        return dataclasses.replace(
            self, rule=rule, minimum=minimum, shares=shares, offsets=offsets, costs=costs
        )

    def renamed(self, became: Mapping[str, str]) -> DecisionPolicy:
        """The same policy of labels that were called otherwise."""

        def now(label: str) -> str:
            return became.get(label, label)

        return dataclasses.replace(
            self,
            minimum={now(label): value for label, value in self.minimum.items()},
            shares={now(label): value for label, value in self.shares.items()},
            offsets={now(label): value for label, value in self.offsets.items()},
            costs={(now(true), now(given)): cost for (true, given), cost in self.costs.items()},
        )

    def without(self, labels: Collection[str]) -> DecisionPolicy:
        """The same policy without what it says of these labels."""
        return dataclasses.replace(
            self,
            minimum={label: value for label, value in self.minimum.items() if label not in labels},
            shares={label: value for label, value in self.shares.items() if label not in labels},
            offsets={label: value for label, value in self.offsets.items() if label not in labels},
            costs={pair: cost for pair, cost in self.costs.items() if not set(pair) & set(labels)},
        )

    def to_json(self) -> dict[str, Any]:
        """As JSON values, what does not apply left out."""
        told: dict[str, Any] = {"rule": self.rule, "margin": self.margin, "min_stay": self.min_stay}
        for name in ("minimum", "shares", "offsets"):
            if getattr(self, name):
                told[name] = dict(sorted(getattr(self, name).items()))
        if self.costs:
            told["costs"] = [[*pair, cost] for pair, cost in sorted(self.costs.items())]
        return told if self.anew is None else told | {"anew": self.anew}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> DecisionPolicy:
        """The policy that was written as this."""
        costs = {(true, given): cost for true, given, cost in told.get("costs", [])}
        return cls(**{**told, "costs": costs})


DEFAULT_POLICY = DecisionPolicy()


def preferences(scores: np.ndarray, labels: Sequence[str], policy: DecisionPolicy) -> np.ndarray:
    """How much each user's every label is preferred: int64[n, k], the highest is given.

    `scores` int32[n, k] millionths. A difference of two is what the margin is compared with: of
    probabilities, of what they exceed their minimum by, or of expected costs in units.
    """
    given = scores.astype(np.int64)
    if policy.rule == "share":
        return given + np.array([policy.offsets.get(label, 0) for label in labels], np.int64)
    if policy.rule == "cost":
        costs = [
            [0 if true == to else policy.costs.get((true, to), UNIT_COST) for to in labels] for true in labels
        ]
        expected: np.ndarray = given @ np.array(costs, np.int64) // UNIT_COST
        return -expected
    if policy.rule == "min":
        bound = np.array([label in policy.minimum for label in labels])
        given -= np.array([policy.minimum.get(label, 0) for label in labels], np.int64)
        if len(scores) and not bound.all():
            given[:, ~bound] -= given[:, ~bound].max(axis=1, keepdims=True)
    return given


def decide(
    scores: np.ndarray,
    labels: Sequence[str],
    policy: DecisionPolicy,
    closed: np.ndarray,
    stays: np.ndarray | None = None,
) -> np.ndarray:
    """The label each user is given, as its number among `labels`: int32[n].

    `scores` int32[n, k] millionths; `closed` int[n], the label held at the last closed tick, -1 for none;
    `stays` bool[n], whether it is held for less than the minimum stay (read only under one). A first label
    is the one preferred, the earlier one on a tie, but one that reaches its minimum before one that has
    none. Then only a label preferred to the one held by more than the margin takes its place.
    """
    preferred = preferences(scores, labels, policy)
    order = np.array(sorted(range(len(labels)), key=lambda code: (labels[code] not in policy.minimum, code)))
    top = order[preferred[:, order].argmax(axis=1)] if len(scores) else np.zeros(0, np.int64)
    rows = np.arange(len(scores))
    has = closed >= 0
    lead = preferred[rows, top] - preferred[rows, np.where(has, closed, top)]
    kept = has & (lead <= policy.margin)
    if policy.min_stay and has.any():
        if stays is None:
            raise EngineError("A minimum stay needs to know for how long each label has been held.")
        kept |= has & stays
    return np.where(kept, closed, top).astype(np.int32)


def margins(preferred: np.ndarray, held: np.ndarray) -> np.ndarray:
    """By how much the label held (int[n]) is preferred to the best of the others: int64[n], negative where
    another is preferred. `preferred` int64[n, k] as from `preferences`."""
    own = np.take_along_axis(preferred, held[:, None], 1)[:, 0]
    others = preferred.copy()
    np.put_along_axis(others, held[:, None], np.iinfo(np.int64).min, 1)
    if preferred.shape[1] < 2:
        return own
    found: np.ndarray = own - others.max(axis=1)
    return found


def fit_shares(scores: np.ndarray, labels: Sequence[str], shares: Mapping[str, int]) -> dict[str, int]:
    """Offsets (millionths) by label that give each label of `shares` (millionths) its share of the users.

    `scores` int32[n, k] millionths, of at least one user. Of all ways to give the labels those shares it is
    the one with the highest sum of probabilities: a user gets a label before others for whom it leads by
    less. Users with the same scores are not divided, so each share is met up to those at its edge; it
    depends neither on the order of the users nor on that of the shares. Labels without a share take the
    rest, likeliest first; where every label has one they must add up to 1. Raises EngineError.
    """
    if not len(scores):
        raise EngineError("Shares are fitted to users, and nobody has a probability yet.")
    wanted = {
        code: shares[label] * len(scores) / MILLION for code, label in enumerate(labels) if label in shares
    }
    total = sum(shares.values())
    if len(wanted) == len(labels) and total != MILLION:
        raise EngineError(
            f"Every label has a share, and they add up to {total / MILLION:g}: leave one label out."
        )
    rows, counts = np.unique(scores, axis=0, return_counts=True)
    known = rows.astype(np.int64)
    offsets = np.zeros(len(labels), np.int64)
    if total == MILLION:
        # Nothing is left for the labels without a share, and one share follows from the others.
        offsets[[code for code in range(len(labels)) if code not in wanted]] = NEVER
        del wanted[max(wanted, key=lambda code: (wanted[code], -code))]
    offsets[list(wanted)] = NEVER
    given = [code for code in wanted if wanted[code] > 0]
    for _ in range(MOST_SWEEPS):
        # Raising one label takes users from the others, which then have to be raised in turn. So offsets only
        # rise, and no further than to the least at which everyone can be given what is asked.
        before = offsets.copy()
        for code in given:
            needed, users = _gains(known, counts, offsets, code, tied=0)
            offsets[code] = max(offsets[code], needed[np.searchsorted(users, wanted[code])])
        if (offsets == before).all():
            break
    for code in given:
        needed, users = _gains(known, counts, offsets, code, tied=1)
        offsets[code] = _nearest(needed, users, wanted[code])
    return {
        label: int(offset) for label, offset in zip(labels, offsets, strict=True) if offset or label in shares
    }


def _gains(
    scores: np.ndarray, counts: np.ndarray, offsets: np.ndarray, code: int, *, tied: int
) -> tuple[np.ndarray, np.ndarray]:
    """The offsets at which a label gains users, ascending, and how many users it has from each on.

    `tied`: by how much it must be preferred to an earlier label.
    """
    shifted = scores + offsets
    shifted[:, :code] += tied
    others = np.delete(shifted, code, axis=1).max(axis=1)
    needed, where = np.unique(others - scores[:, code], return_inverse=True)
    gained = np.zeros(len(needed), np.int64)
    np.add.at(gained, where, counts)
    return needed, gained.cumsum()


def _nearest(needed: np.ndarray, users: np.ndarray, wanted: float) -> int:
    """The offset, halfway between those that would change a thing, whose users are nearest to `wanted`."""
    at = int(np.searchsorted(users, wanted))
    fewer = int(users[at - 1]) if at else 0
    if wanted - fewer <= users[at] - wanted:
        at -= 1
    if at < 0:
        return int(needed[0]) - 1
    last = at + 1 == len(needed)
    return int(needed[at]) if last else int(needed[at] + needed[at + 1] - 1) // 2
