"""Making a model current: the pending rescore, the edit, and its movers, in one commit."""

from __future__ import annotations

from typing import Any

from db import log, vocabulary
from db.store import Transaction
from segtui.operations.definitions import definitions
from segtui.operations.progress import Cancelled, Progress
from segtui.operations.rescoring import Edit, Plan, Run, last_rescore
from segtui.operations.session import Session

BACKFILL_TICKS = 90


def promote_in(
    s: Session, tx: Transaction, trained: dict[str, Any], progress: Progress, cancelled: Cancelled
) -> Run:
    """Appends the pending rescore, the promotion and the rescore it runs; the caller commits.

    The store's first model of future behaviour also goes back over the 90 ticks before now, in a new
    pass, so that its history can be looked at from the first day.
    """
    others = [each for each in definitions(s).segmentations.values() if each.name != trained["segmentation"]]
    first = (
        trained["previous"] is None
        and trained["horizon"] is not None
        and not any(each.model for each in others)
    )
    run = Run(s, tx, progress, cancelled)
    now = s.require_as_of()
    if last_rescore(s) is not None and not first:
        run.walk(run.pending(to=now))
    seq = tx.append_decision(
        "model_promoted",
        {
            "segmentation": trained["segmentation"],
            "model": trained["model"],
            "previous": trained["previous"],
            "labels": trained["labels"],
        },
    )
    edit = Edit("model", seq, trained["segmentation"])
    run.walk(_plan(s, run, now, first=first), edit=edit, marked=True)
    return run


def _plan(s: Session, run: Run, now: int, *, first: bool) -> Plan:
    if first:
        oldest = log.summary(s.store).first
        assert oldest is not None
        before_all = s.ticks.previous(s.ticks.end_holding(oldest))
        return run.backfill(start=max(before_all, s.ticks.shift(now, -BACKFILL_TICKS)), to=now)
    if last_rescore(s) is None:
        return Plan([now], None, None, 0, full=True)
    return Plan([now], now, s.ticks.previous(now), s.store.head())


def flows(s: Session, run: Run) -> list[list[Any]]:
    """[from, to, users] that the edit itself moved, largest first; pending moves are not its own."""
    names = vocabulary.texts(s.store, "label")
    counted = (
        run.edited()
        .group_by("from_label", "to_label")
        .len()
        .sort("len", "from_label", "to_label", descending=[True, False, False], nulls_last=True)
    )
    return [
        [None if left is None else names[left], None if to is None else names[to], count]
        for left, to, count in counted.iter_rows()
    ]
