"""Rescoring: bringing memberships up to now, or going over past ticks again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from db import projections, retention
from segtui.operations.errors import OperationError
from segtui.operations.plans import last_rescore, over, pending
from segtui.operations.progress import Cancelled, Progress, never, quiet
from segtui.operations.rescoring import Run
from segtui.operations.session import Session
from segtui.operations.times import iso


def rescore(
    s: Session,
    *,
    at: int | None = None,
    full: bool = False,
    progress: Progress = quiet,
    cancelled: Cancelled = never,
) -> dict[str, Any]:
    """Closes each tick that ended since the last rescore, then scores the open one.

    `at` (µs) picks the first tick end at or after it and cannot lie past the current as-of. Twice in a
    row records nothing new. Raises OperationError when there are no events or nothing to decide with.
    """
    started = time.monotonic()
    now = s.require_as_of()
    to = now if at is None else s.ticks.at_or_after(at)
    if to > now:
        raise OperationError(
            f"{iso(to, s.settings.timezone)} lies past the current as-of "
            f"({iso(now, s.settings.timezone)}): wait for it, or leave --at out."
        )
    with s.store.transaction(actor=s.actor, source="rescore") as tx:
        run = Run(s, tx, progress, cancelled, narrow=True)
        run.walk(pending(s, to=to, full=full))
        totals = run.finish()
        position = s.store.head() if not run.steps else run.steps[-1]["position"]
        hindsight = any(step["hindsight"] for step in run.steps)
    return {
        "as_of": iso(to, s.settings.timezone),
        "position": position,
        **totals,
        "state_digest": projections.state_digest(s.store),
        "hindsight": hindsight,
        "seconds": round(time.monotonic() - started, 3),
        "ticks": [_worded(s, step) for step in run.steps],
    }


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
    and nothing is marked.
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
