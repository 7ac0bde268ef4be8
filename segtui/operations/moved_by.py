"""Why those moved whom a rescore found to hold another label: reason codes, and the events behind them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from db.log import CHANGES
from engine.feature_names import kinds_read
from engine.feature_spec import FeatureSpec
from segtui.operations.deciders import Decider, Evidence, Look
from segtui.operations.steps import Step

EVENTS = ("event", "late_event")
"""Causes that are an event of the user's own."""
NOTHING = ("model", "rule")
"""Codes of a comparison that finds nothing to name."""
Why = tuple[pl.Series, pl.DataFrame]
"""A reason code per mover, and their causes (as engine.membership.causes) as the reasons tell them."""


@dataclass(frozen=True, eq=False)
class Featured:
    """The features of those evaluated at a step, which the next one compares with."""

    as_of: int
    spec: FeatureSpec
    evidence: Evidence
    frame: pl.DataFrame

    def of(self, users: np.ndarray, step: Step, spec: FeatureSpec, evidence: Evidence) -> pl.DataFrame:
        """Of these users what a comparison with the last rescore asks for; nobody where it asks for more than
        was known then."""
        same = step.seen is None and self.as_of == step.before
        if not same or self.spec != spec or self.evidence is not evidence:
            return self.frame.clear()
        return self.frame.filter(pl.col("user").is_in(users.tolist()))


@dataclass(frozen=True, eq=False)
class Moves:
    """Who moved at a step, and all that is needed to say why: later, while the walk goes on.

    `rows` are as the log's changes but for seq, cause and reason, `caused` as engine.membership.causes, a row
    of each per mover. `codes` object[n] are reason codes where no look at anybody is needed; of all others,
    who are `asked` (bool[n]), the label codes `moved_from` and `moved_to`, the labels of segmentations
    referred to as they were at the last rescore (`former`), the features that some of them had there, where
    they are at hand (`featured`), and what the decider was given now (`frame`).
    """

    rows: pl.DataFrame
    caused: pl.DataFrame
    step: Step
    decider: Decider
    evidence: Evidence
    codes: np.ndarray
    asked: np.ndarray
    moved_from: np.ndarray
    moved_to: np.ndarray
    former: pl.DataFrame
    featured: pl.DataFrame
    frame: pl.DataFrame

    @property
    def number(self) -> int:
        """How many moved."""
        return self.rows.height


def whys(several: Sequence[Moves]) -> list[Why]:
    """Why those moved who did, at several steps; reads nothing of the store, so that another thread may ask.

    Those of all steps are compared in one go, as a few cost a decider as much as many.
    """
    codes = [moves.codes.copy() for moves in several]
    by_decider: dict[int, list[int]] = {}
    for at, moves in enumerate(several):
        if moves.asked.any():
            by_decider.setdefault(id(moves.decider), []).append(at)
    for own in by_decider.values():
        for at, found in zip(own, _reasons([several[at] for at in own]), strict=True):
            codes[at][several[at].asked] = found
    told = [pl.Series("reason", own.tolist(), pl.String) for own in codes]
    return [
        (own, telling(moves.caused, own, moves.step, moves.decider.spec))
        for own, moves in zip(told, several, strict=True)
    ]


def changes(rows: pl.DataFrame, why: Why, number_of: Callable[[str, pl.Series], pl.Series]) -> pl.DataFrame:
    """The rows of some Moves as those of the log, but for seq."""
    codes, caused = why
    told = rows.with_columns(number_of("reason", codes).alias("reason"))
    joined = told.join(caused, on="user", how="left", maintain_order="left")
    return joined.select([name for name in CHANGES if name != "seq"])


@dataclass(frozen=True)
class Outcome:
    """What a step did."""

    due: int
    evaluated: int
    moves: Moves
    by_cause: dict[str, int]
    hindsight: bool


def _reasons(several: Sequence[Moves]) -> list[np.ndarray]:
    """object[n] of each: a reason code for each of those asked for, who held a label before.

    Who moved by an event is compared with who they would be at the same as-of without what came since the
    last rescore: time that passed beside it is not what the cause says. All others, and those of whom that
    tells nothing, with who they were at the last rescore.
    """
    asked = [_Asked(moves) for moves in several]
    codes = [np.empty(len(each.movers), object) for each in asked]
    looks = []
    for each, own in zip(asked, codes, strict=True):
        first, rest = np.flatnonzero(each.by_event), np.flatnonzero(~each.by_event)
        if len(first):
            looks.append(_Compared(each, own, first, each.without_news(first), True))
        if len(rest):
            looks.append(_Compared(each, own, rest, each.former(rest), False))
    _compare(looks)
    again = []
    for each, own in zip(asked, codes, strict=True):
        whom = np.flatnonzero(each.by_event & np.isin(own, NOTHING))
        if len(whom):
            again.append(_Compared(each, own, whom, each.former(whom), False))
    _compare(again)
    return codes


class _Asked:
    """Those of some moves of whom a reason is asked for."""

    def __init__(self, moves: Moves) -> None:
        self.moves = moves
        self.movers = moves.frame["user"].to_numpy()
        self.by_event = moves.caused["cause"].is_in(EVENTS).to_numpy()[moves.asked]
        self._now = moves.evidence.only(self.movers)
        self.now = moves.decider.look(moves.frame, self._now, moves.step.as_of)

    def without_news(self, whom: np.ndarray) -> Look:
        """As they would be now without what came since the last rescore."""
        step = self.moves.step
        at = self._now.without(step.fresh["seq"])
        return self._look(whom, at.features(step.as_of, self._spec, self.movers[whom]), at, step.as_of)

    def former(self, whom: np.ndarray) -> Look:
        """As they were at the last rescore."""
        step = self.moves.step
        assert step.before is not None
        at = self._now
        if step.seen is not None:
            at = self.moves.evidence.only(self.movers, position=step.seen)
        known = self.moves.featured
        missing = np.setdiff1d(self.movers[whom], known["user"].to_numpy())
        if len(missing):
            asked = at.features(step.before, self._spec, missing)
            known = pl.concat([known, asked]) if known.height else asked
        return self._look(whom, known, at, step.before)

    @property
    def _spec(self) -> FeatureSpec:
        return self.moves.decider.spec

    def _look(self, whom: np.ndarray, features: pl.DataFrame, at: Evidence, as_of: int) -> Look:
        own = self.moves.former[whom].join(features, on="user", how="left", maintain_order="left")
        return self.moves.decider.look(own, at, as_of)


@dataclass(frozen=True, eq=False)
class _Compared:
    """Some of those asked (`whom`, rows) as they were; where their codes go, and whether a change that does
    not speak for the move is none (see Decider.reasons)."""

    asked: _Asked
    codes: np.ndarray
    whom: np.ndarray
    before: Look
    speaking: bool


def _compare(several: Sequence[_Compared]) -> None:
    """Fills the codes in; all are moves of one decider."""
    if not several:
        return
    found = several[0].asked.moves.decider.reasons(
        Look.stack([each.before for each in several]),
        Look.stack([each.asked.now.take(each.whom) for each in several]),
        np.concatenate([each.asked.moves.moved_from[each.whom] for each in several]),
        np.concatenate([each.asked.moves.moved_to[each.whom] for each in several]),
        np.concatenate([np.full(len(each.whom), each.speaking) for each in several]),
    )
    start = 0
    for each in several:
        each.codes[each.whom] = found[start : start + len(each.whom)]
        start += len(each.whom)


def telling(caused: pl.DataFrame, codes: pl.Series, step: Step, spec: FeatureSpec) -> pl.DataFrame:
    """The causes (as engine.membership.causes, a row per code), an event being the newest of a kind that the
    reason speaks of, where there is one."""
    kinds = {
        code: kinds_read(code.removeprefix("sequence:").partition(":")[0], spec) for code in codes.unique()
    }
    spoken = pl.DataFrame(
        [(code, kind) for code, read in kinds.items() for kind in read],
        schema={"code": pl.String, "kind": pl.String},
        orient="row",
    )
    coded = caused.with_columns(codes.alias("code")).filter(pl.col("cause").is_in(EVENTS))
    if coded.is_empty() or spoken.is_empty():
        return caused
    late = pl.col("late").cast(pl.Boolean) & (pl.col("occurred_at") < step.before)
    fresh = step.fresh.filter(pl.col("user").is_in(coded["user"].implode()))
    found = (
        coded.join(spoken, on="code")
        .join(fresh.with_columns(pl.col("kind").cast(pl.String), late=late), on=["user", "kind"])
        .filter(pl.col("late") == (pl.col("cause") == "late_event"))
        .group_by("user")
        .agg(telling=pl.col("seq").max())
    )
    told: pl.DataFrame = (
        caused.join(found, on="user", how="left", maintain_order="left")
        .with_columns(cause_seq=pl.coalesce("telling", "cause_seq"))
        .drop("telling")
    )
    return told
