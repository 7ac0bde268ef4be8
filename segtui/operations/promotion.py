"""Making a model current: the pending rescore, the edit, and its movers, in one commit."""

from __future__ import annotations

from typing import Any

import polars as pl

from db import log, vocabulary
from db.store import Transaction
from segtui.operations.plans import Plan, backfill, last_rescore, pending
from segtui.operations.progress import Cancelled, Progress
from segtui.operations.rescoring import Edit, Run
from segtui.operations.session import Session

BACKFILL_TICKS = 90


class Promotion:
    """A model made current inside a transaction that the caller commits."""

    def __init__(
        self, s: Session, tx: Transaction, trained: dict[str, Any], progress: Progress, cancelled: Cancelled
    ) -> None:
        """Appends the pending rescore, the promotion and the rescore it runs.

        A segmentation's first model of future behaviour also goes back over the 90 ticks before now, in a
        new pass, so that its history can be looked at from the first day.
        """
        self._s = s
        self._name: str = trained["segmentation"]
        self._run = Run(s, tx, progress, cancelled)
        first = trained["previous"] is None and trained["horizon"] is not None
        now = s.require_as_of()
        start = _backfill_start(s, now) if first else None
        scored = last_rescore(s) is not None
        if scored:
            self._run.walk(pending(s, to=now), keep=start)
        self._before = self._run.memberships(self._name)
        seq = tx.append_decision(
            "model_promoted",
            {
                "segmentation": self._name,
                "model": trained["model"],
                "previous": trained["previous"],
                "labels": trained["labels"],
            },
        )
        if start is not None:
            plan = backfill(s, start=start, to=now, only=self._name)
        elif scored:
            plan = Plan([now], now, s.ticks.previous(now), s.store.head(), only=self._name)
        else:
            plan = Plan([now], None, None, 0, full=True)
        self._run.walk(plan, edit=Edit("model", seq, self._name))

    def finish(self) -> dict[str, Any]:
        """Appends the changes; returns the totals of the run."""
        return self._run.finish()

    def flows(self) -> list[list[Any]]:
        """[from, to, users] between the pending rescore and now, largest first."""
        names = vocabulary.texts(self._s.store, "label")
        after = self._run.memberships(self._name)
        counted = (
            self._before.join(after, on="user", how="full", suffix="_after", coalesce=True)
            .filter(pl.col("label").ne_missing(pl.col("label_after")))
            .group_by("label", "label_after")
            .len()
            .sort("len", "label", "label_after", descending=[True, False, False], nulls_last=True)
        )
        return [
            [None if left is None else names[left], None if to is None else names[to], count]
            for left, to, count in counted.iter_rows()
        ]


def _backfill_start(s: Session, now: int) -> int:
    """The tick end 90 ticks before now, or the one before the log's first event."""
    oldest = log.summary(s.store).first
    assert oldest is not None
    return max(s.ticks.previous(s.ticks.end_holding(oldest)), s.ticks.shift(now, -BACKFILL_TICKS))
