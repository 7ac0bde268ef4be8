"""Making a model current: the pending rescore, the edit, and its movers, in one commit."""

from __future__ import annotations

from typing import Any

import polars as pl

from db import projections, vocabulary
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
    run.walk(_plan(s, run, now, first=first), edit=edit)
    return run


def _plan(s: Session, run: Run, now: int, *, first: bool) -> Plan:
    if first:
        return run.backfill(start=s.ticks.shift(now, -BACKFILL_TICKS), to=now)
    if last_rescore(s) is None:
        return Plan([now], None, None, 0, full=True)
    return Plan([now], now, s.ticks.previous(now), s.store.head())


def net_flows(s: Session, segmentation: str, before: pl.DataFrame) -> list[list[Any]]:
    """[from, to, users] between a membership frame and the head, unmoved users left out."""
    number = vocabulary.number(s.store, "segmentation", segmentation)
    names = vocabulary.texts(s.store, "label")
    if number is None:
        return []
    after = projections.memberships(s.store, number).select("user", pl.col("label").alias("to"))
    moved = (
        before.select("user", pl.col("label").alias("from"))
        .join(after, on="user", how="full", coalesce=True)
        .filter(pl.col("from").ne_missing(pl.col("to")))
        .group_by("from", "to")
        .len()
        .sort("len", "from", "to", descending=[True, False, False])
    )
    return [
        [None if left is None else names[left], None if to is None else names[to], count]
        for left, to, count in moved.iter_rows()
    ]
