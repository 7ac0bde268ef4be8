"""Who is evaluated at a step of a run of rescores, and what they are like then, before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from engine.features import longest_window
from engine.membership import due
from engine.ticks import Ticks
from segtui.operations.deciders import Decider, Evidence
from segtui.operations.moved_by import Featured
from segtui.operations.recorded import Referred
from segtui.operations.steps import Coming, Step

MOST_KEPT = 200_000
"""Of more users than these a walk keeps the features of one step alone: of a million they take 300 MB."""


@dataclass(frozen=True, eq=False)
class Due:
    """Who is evaluated at a step: everyone there is then (user, first, last, newest_seq), how many of them
    were asked for, and the features of those who have any."""

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
    ended: np.ndarray | None = None,
) -> Due | None:
    """None where nobody is and no time passed.

    `referred`: the segmentations the decider reads, already decided for this as-of; who moved in one of them
    is due. `ended`: whom a minimum stay kept that is over, who may move though nothing else did.
    """
    eligible = last_events.filter(pl.col("first") < step.as_of)
    if step.who is not None:
        eligible = step.who.persons(eligible)
    if step.everyone:
        return Due(eligible, eligible.height, evidence.features(step.as_of, decider.spec))
    assert step.before is not None
    touched = step.fresh["user"].unique().to_numpy()
    if step.who is not None:
        joined = step.who.touched.filter(pl.col("user").is_in(eligible["user"].implode()))
        touched = np.union1d(touched, joined["user"].to_numpy())
    for other in referred:
        touched = np.union1d(touched, other.moved())
    if step.clock_moved:
        if ended is not None:
            touched = np.union1d(touched, ended)
        wanted = due(eligible, touched, step.before, ticks, longest_window(decider.spec))
    else:
        wanted = np.sort(touched)
    if len(wanted) == 0 and not step.clock_moved:
        return None
    return Due(eligible, len(wanted), evidence.features(step.as_of, decider.spec, wanted))


class Evaluated:
    """Whom a walk over a plan evaluates in one segmentation, step by step."""

    def __init__(self, coming: Coming, evidence: Evidence, last_events: pl.DataFrame, ticks: Ticks) -> None:
        self.evidence = evidence
        self._coming = coming
        self._last_events = last_events
        self._ticks = ticks
        self._ahead: Due | None = None
        self._now: Featured | None = None
        self.former: Featured | None = None
        """What was known at the step before, where there was one and it was kept."""

    def due(
        self, step: Step, decider: Decider, referred: Sequence[Referred], ended: np.ndarray | None
    ) -> Due | None:
        """As `due_at`, found before or now."""
        found, self._ahead = self._ahead, None
        if found is None:
            found = due_at(step, decider, self.evidence, self._last_events, self._ticks, referred, ended)
        if found is not None:
            self.former, self._now = self._now, None
            if found.frame.height <= MOST_KEPT:
                self._now = Featured(step.as_of, decider.spec, self.evidence, found.frame)
        return found

    def look_ahead(self, index: int, decider: Decider) -> None:
        """Finds who is due at the step of that number, where that does not hang on the one before."""
        stays = decider.policy is not None and decider.policy.min_stay
        if index in self._coming and not stays and self._last_events.height <= MOST_KEPT:
            step = self._coming.step(index)
            self._ahead = due_at(step, decider, self.evidence, self._last_events, self._ticks)
