"""Why those moved whom a rescore found to hold another label: reason codes, and the events behind them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from engine.feature_names import kinds_read
from engine.feature_spec import FeatureSpec
from segtui.operations.deciders import Decider, Evidence
from segtui.operations.recorded import Referred
from segtui.operations.steps import Step

EVENTS = ("event", "late_event")
"""Causes that are an event of the user's own."""
NOTHING = ("model", "rule")
"""Codes of a comparison that finds nothing to name."""


def reasons(
    step: Step,
    decider: Decider,
    evidence: Evidence,
    referred: Sequence[Referred],
    movers: np.ndarray,
    moved_from: np.ndarray,
    moved_to: np.ndarray,
    by_event: np.ndarray,
) -> list[str]:
    """A reason code per mover who held a label before.

    Who moved by an event (bool[n]) is compared with who they would be at the same as-of without what came
    since the last rescore: time that passed beside it is not what the cause says. All others, and those of
    whom that tells nothing, with who they were at the last rescore.
    """
    assert step.before is not None
    codes = np.full(len(movers), NOTHING[0], object)
    now = evidence.only(movers)

    def compare(then: Evidence, as_of: int, whom: np.ndarray, *, speaking: bool) -> None:
        users = movers[whom]
        codes[whom] = decider.reasons(
            (then, as_of),
            (now, step.as_of),
            users,
            moved_from[whom],
            moved_to[whom],
            (
                pl.DataFrame([other.texts(users, earlier=True) for other in referred]),
                pl.DataFrame([other.texts(users) for other in referred]),
            ),
            speaking=speaking,
        )

    if by_event.any():
        compare(now.without(step.fresh["seq"]), step.as_of, by_event, speaking=True)
    rest = np.isin(codes, NOTHING)
    if rest.any():
        then = now if step.seen is None else evidence.only(movers, position=step.seen)
        compare(then, step.before, rest, speaking=False)
    return codes.tolist()


def telling(caused: pl.DataFrame, codes: Sequence[str], step: Step, spec: FeatureSpec) -> pl.DataFrame:
    """The causes (as engine.membership.causes, a row per code), an event being the newest of a kind that the
    reason speaks of, where there is one."""
    kinds = {code: kinds_read(code.removeprefix("sequence:").partition(":")[0], spec) for code in set(codes)}
    spoken = pl.DataFrame(
        [(code, kind) for code, read in kinds.items() for kind in read],
        schema={"code": pl.String, "kind": pl.String},
        orient="row",
    )
    coded = caused.with_columns(code=pl.Series(codes, dtype=pl.String)).filter(pl.col("cause").is_in(EVENTS))
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
