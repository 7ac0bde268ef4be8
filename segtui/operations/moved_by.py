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
class Moves:
    """Who moved at a step, and all that is needed to say why: later, while the walk goes on.

    `rows` are as the log's changes but for seq, cause and reason, `caused` as engine.membership.causes, a row
    of each per mover. `codes` object[n] are reason codes where no look at anybody is needed; of all others,
    who are `asked` (bool[n]), the label codes `moved_from` and `moved_to`, the labels of segmentations
    referred to as they were at the last rescore (`former`), and what the decider was given now (`frame`).
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
    frame: pl.DataFrame

    @property
    def number(self) -> int:
        """How many moved."""
        return self.rows.height

    def why(self) -> Why:
        """Reads nothing of the store, so that another thread may ask."""
        codes = self.codes.copy()
        if self.asked.any():
            by_event = self.caused["cause"].is_in(EVENTS).to_numpy()[self.asked]
            codes[self.asked] = _reasons(self, by_event)
        told = pl.Series("reason", codes.tolist(), pl.String)
        return told, telling(self.caused, told, self.step, self.decider.spec)


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


def _reasons(moves: Moves, by_event: np.ndarray) -> np.ndarray:
    """object[n]: a reason code for each of those asked for, who held a label before.

    Who moved by an event (bool[n]) is compared with who they would be at the same as-of without what came
    since the last rescore: time that passed beside it is not what the cause says. All others, and those of
    whom that tells nothing, with who they were at the last rescore.
    """
    step, decider, frame = moves.step, moves.decider, moves.frame
    assert step.before is not None
    movers = frame["user"].to_numpy()
    now = moves.evidence.only(movers)
    then = now if step.seen is None else moves.evidence.only(movers, position=step.seen)
    after = decider.look(frame, now, step.as_of)

    def before(whom: np.ndarray, at: Evidence, as_of: int) -> Look:
        known = at.features(as_of, decider.spec, movers[whom])
        own = moves.former[whom].join(known, on="user", how="left", maintain_order="left")
        return decider.look(own, at, as_of)

    def compare(whom: np.ndarray, looks: Sequence[Look], speaking: np.ndarray) -> list[str]:
        pair = moves.moved_from[whom], moves.moved_to[whom]
        return decider.reasons(Look.stack(looks), after.take(whom), *pair, speaking)

    first, rest = np.flatnonzero(by_event), np.flatnonzero(~by_event)
    looks = []
    if len(first):
        looks.append(before(first, now.without(step.fresh["seq"]), step.as_of))
    if len(rest):
        looks.append(before(rest, then, step.before))
    whom = np.concatenate([first, rest])
    codes = np.empty(len(movers), object)
    codes[whom] = compare(whom, looks, by_event[whom])
    again = first[np.isin(codes[first], NOTHING)]
    if len(again):
        codes[again] = compare(again, [before(again, then, step.before)], np.zeros(len(again), bool))
    return codes


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
