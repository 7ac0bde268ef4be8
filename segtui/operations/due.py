"""Who is evaluated at a step of a run of rescores, and what they are like then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from engine.features import longest_window
from engine.membership import due
from engine.ticks import Ticks
from segtui.operations.deciders import Decider, Evidence
from segtui.operations.recorded import Referred
from segtui.operations.steps import Step

NOBODY = np.zeros(0, np.int64)


@dataclass(frozen=True, eq=False)
class Due:
    """Who is evaluated at a step: everyone there is then (user, first, last, newest_seq), how many of them
    were asked for, and the features of those who have any."""

    step: Step
    eligible: pl.DataFrame
    asked: int
    frame: pl.DataFrame


def due_at(
    step: Step,
    decider: Decider,
    evidence: Evidence,
    last_events: pl.DataFrame,
    ticks: Ticks,
    referred: Sequence[Referred] = (),
    ended: np.ndarray = NOBODY,
) -> Due | None:
    """None where nobody is and no time passed.

    `referred`: the segmentations the decider reads, already decided for this as-of; who moved in one of them
    is due. `ended`: whom a minimum stay kept that is over, who may move though nothing else did.
    """
    eligible = last_events.filter(pl.col("first") < step.as_of)
    if step.who is not None:
        eligible = step.who.persons(eligible)
    if step.everyone:
        return Due(step, eligible, eligible.height, evidence.features(step.as_of, decider.spec))
    assert step.before is not None
    touched = step.fresh["user"].unique().to_numpy()
    if step.who is not None:
        joined = step.who.touched.filter(pl.col("user").is_in(eligible["user"].implode()))
        touched = np.union1d(touched, joined["user"].to_numpy())
    for other in referred:
        touched = np.union1d(touched, other.moved())
    if step.clock_moved:
        touched = np.union1d(touched, ended)
        wanted = due(eligible, touched, step.before, ticks, longest_window(decider.spec))
    else:
        wanted = np.sort(touched)
    if len(wanted) == 0 and not step.clock_moved:
        return None
    return Due(step, eligible, len(wanted), evidence.features(step.as_of, decider.spec, wanted))
