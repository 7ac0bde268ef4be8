"""Rescoring: bringing memberships up to now, or going over past ticks again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import polars as pl

from db import projections, retention, vocabulary
from segtui.operations.errors import OperationError
from segtui.operations.plans import beginning, last_rescore, over, pending
from segtui.operations.progress import Cancelled, Progress, Stopped, never, quiet
from segtui.operations.rescoring import Run
from segtui.operations.session import Session
from segtui.operations.times import iso


def rescore(
    s: Session,
    *,
    at: int | None = None,
    full: bool = False,
    preview: bool = False,
    progress: Progress = quiet,
    cancelled: Cancelled = never,
) -> dict[str, Any]:
    """Closes each tick that ended since the last rescore, then scores the open one.

    `at` (µs) picks the first tick end at or after it and cannot lie past the current as-of. Twice in a
    row records nothing new. A `preview` tells the same and writes nothing. Raises OperationError when there
    are no events or nothing to decide with.
    """
    now = s.require_as_of()
    to = now if at is None else s.ticks.at_or_after(at)
    if to > now:
        raise OperationError(
            f"{iso(to, s.settings.timezone)} lies past the current as-of "
            f"({iso(now, s.settings.timezone)}): wait for it, or leave --at out."
        )
    told: dict[str, Any] = {}
    started = time.monotonic()
    try:
        with s.store.transaction(actor=s.actor, source="rescore") as tx:
            run = Run(s, tx, progress, cancelled, narrow=True)
            run.walk(pending(s, to=to, full=full))
            told = _told(s, run, to) | {"preview": preview}
            if preview:
                raise Stopped
    except Stopped:
        if not told:
            raise
    return told | {"seconds": round(time.monotonic() - started, 3)}


def _told(s: Session, run: Run, to: int) -> dict[str, Any]:
    """What a run up to the as-of `to` leaves, once its changes are appended."""
    totals = run.finish()
    return {
        "as_of": iso(to, s.settings.timezone),
        "position": s.store.head() if not run.steps else run.steps[-1]["position"],
        **totals,
        "flows": _flows(s, run.changes),
        "state_digest": projections.state_digest(s.store),
        "hindsight": any(step["hindsight"] for step in run.steps),
        "ticks": [_worded(s, step) for step in run.steps],
    }


def _flows(s: Session, changes: list[pl.DataFrame]) -> list[list[Any]]:
    """[segmentation, from, to, changes], most frequent first; None for no label."""
    if not changes:
        return []
    labels, names = (vocabulary.texts(s.store, kind) for kind in ("label", "segmentation"))
    keys = ["segmentation", "from_label", "to_label"]
    counted = pl.concat(changes).group_by(keys).len()
    counted = counted.sort("len", *keys, descending=[True, False, False, False], nulls_last=True)
    return [
        [names[number], labels.get(left), labels.get(to), moved]
        for number, left, to, moved in counted.iter_rows()
    ]


def rescore_range(
    s: Session,
    from_: int,
    to: int | None = None,
    *,
    full: bool = False,
    progress: Progress = quiet,
    cancelled: Cancelled = never,
) -> Iterator[dict[str, Any]]:
    """Backfills one rescore per tick with from_ < as_of <= to; one dict per tick, after the commit.

    A range that starts at or before the last recorded as-of opens a new pass and runs on to that as-of, after
    the pending rescore; one that starts after it is the pending rescore: the ticks before it are closed too,
    and nothing is marked. Ticks before the first event are none to go over.
    """
    now = s.require_as_of()
    start = s.ticks.at_or_after(from_)
    end = now if to is None else min(s.ticks.at_or_after(to), now)
    origin = retention.origin(s.store)
    if origin is not None and start < origin.before:
        raise OperationError(
            f"Events before {s.iso(origin.before)} were cut by 'segtui retain': start at or after that."
        )
    if start >= end:
        raise OperationError(
            f"The range from {iso(start, s.settings.timezone)} to {iso(end, s.settings.timezone)} "
            "holds no tick: give an earlier --from or a later --to."
        )
    begins = beginning(s)
    if begins is not None:
        if end <= begins:
            raise OperationError(
                f"Nobody did anything before {s.iso(begins)}, where the log begins: give a later --to."
            )
        start = max(start, begins)
    with s.store.transaction(actor=s.actor, source="rescore") as tx:
        run = Run(s, tx, progress, cancelled)
        plan = over(s, start=start, to=end, full=full)
        if plan.opens_pass and last_rescore(s) is not None:
            run.walk(pending(s, to=plan.as_ofs[-1]), keep=start)
        before = len(run.steps)
        run.walk(plan)
        run.finish()
    return iter([_worded(s, step) for step in run.steps[before:] if step["as_of"] > start])


def _worded(s: Session, step: dict[str, Any]) -> dict[str, Any]:
    return step | {"as_of": iso(step["as_of"], s.settings.timezone)}
