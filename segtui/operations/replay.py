"""Replaying recorded changes: one frame per tick."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import polars as pl

from db import log, projections, states, vocabulary
from engine.replay import Frame, State, frames
from segtui.operations.changes import worded
from segtui.operations.definitions import definitions
from segtui.operations.errors import OperationError
from segtui.operations.session import Session


def replay(
    s: Session,
    *,
    from_: int | None = None,
    to: int | None = None,
    position: int | None = None,
    feed: bool = False,
    watch: Callable[[State], None] | None = None,
) -> Iterator[dict[str, Any]]:
    """Folds the changes as they were decided, a frame per tick with from_ < as_of <= to.

    Without bounds: from the first recorded as-of to the last. With `feed` each frame also has the moves in
    words. `watch` is told the state after each frame, before that is given. Raises OperationError when
    nothing was recorded or the range holds no tick.
    """
    scored = projections.rescores(s.store, position=position)
    if scored.is_empty():
        raise OperationError("Nothing to replay yet: record memberships with 'segtui rescore' first.")
    first, last = int(scored["as_of"].min()), int(scored["as_of"].max())  # type: ignore[arg-type]  # polars types min() loosely
    start = s.ticks.previous(first) if from_ is None else s.ticks.at_or_after(from_)
    end = last if to is None else s.ticks.at_or_after(to)
    ticks = s.ticks.between(start, end)
    if not ticks:
        raise OperationError(f"No tick ends after {s.iso(start)} and up to {s.iso(end)}: widen the range.")
    names = vocabulary.texts(s.store, "segmentation") | vocabulary.texts(s.store, "label")
    changes = log.changes(s.store, as_of_from=start, as_of_to=end, position=position).with_columns(
        pl.col("backfilled", "hindsight").cast(pl.Boolean)
    )
    marks = _marks(s, scored)
    seen = max((at for as_of, (at, _, _) in marks.items() if as_of <= start), default=0)
    found = definitions(s, position=position)
    labels = {name: each.labels for name, each in (found.retired | found.segmentations).items()}
    for frame in frames(
        changes,
        ticks,
        _start(s, start, position),
        names=names,
        events=_events(s, start, ticks, position),
        digest=states,
        watch=watch,
    ):
        seen, backfilled, hindsight = marks.get(frame.as_of, (seen, False, False))
        yield _worded(s, frame, labels, seen, backfilled, hindsight) | (
            {"feed": worded(s, frame.changes)} if feed else {}
        )


def _start(s: Session, as_of: int, position: int | None) -> pl.DataFrame:
    """segmentation, user, label held at an as-of."""
    held = [
        projections.memberships(s.store, number, as_of=as_of, position=position).select(
            pl.lit(number, dtype=pl.Int64).alias("segmentation"), "user", "label"
        )
        for number in vocabulary.texts(s.store, "segmentation")
    ]
    empty = pl.DataFrame(schema={"segmentation": pl.Int64, "user": pl.Int64, "label": pl.Int64})
    return pl.concat([empty, *held])


def _events(s: Session, start: int, ticks: list[int], position: int | None) -> dict[int, int]:
    """Events by the tick they occurred in."""
    rows = log.behaviour(s.store, since=start, before=ticks[-1], position=position, columns=["occurred_at"])
    edges = np.array([start, *ticks]) - start
    # Bins of one width are counted faster than ticks are looked up; zones differ by whole minutes.
    width = np.gcd.reduce(edges)
    binned = np.zeros(edges[-1] // width, np.int64)
    for chunk in rows["occurred_at"].get_chunks():
        binned += np.bincount((chunk.to_numpy() - start) // width, minlength=len(binned))
    return dict(zip(ticks, np.add.reduceat(binned, edges[:-1] // width).tolist(), strict=True))


def _marks(s: Session, scored: pl.DataFrame) -> dict[int, tuple[int, bool, bool]]:
    """position, backfilled, hindsight of the rescore that governs each as-of."""
    governing = set(
        scored.filter(pl.col("pass") == pl.col("pass").max().over("segmentation", "as_of"))["seq"].to_list()
    )
    marks: dict[int, tuple[int, bool, bool]] = {}
    for decision in log.decisions(s.store, kinds=("rescored",)):
        if decision.seq in governing:
            body = decision.body
            position, backfilled, hindsight = marks.get(body["as_of"], (0, False, False))
            marks[body["as_of"]] = (
                max(position, body["position"]),
                backfilled or body["backfilled"],
                hindsight or body["hindsight"],
            )
    return marks


def _others(sizes: dict[str, int], labels: tuple[str, ...]) -> list[str]:
    """Labels that somebody holds though they are no longer the segmentation's."""
    return sorted(label for label, users in sizes.items() if users and label not in labels)


def _worded(
    s: Session,
    frame: Frame,
    labels: dict[str, tuple[str, ...]],
    position: int,
    backfilled: bool,
    hindsight: bool,
) -> dict[str, Any]:
    return {
        "as_of": s.iso(frame.as_of),
        "position": position,
        "events": frame.events,
        "changes": frame.changes.height,
        "by_cause": frame.by_cause,
        "sizes": {
            name: {label: sizes.get(label, 0) for label in [*labels[name], *_others(sizes, labels[name])]}
            for name, sizes in frame.sizes.items()
        },
        "flows": [list(flow) for flow in frame.flows],
        "frame_digest": frame.frame_digest,
        "state_digest": frame.state_digest,
        "backfilled": backfilled,
        "hindsight": hindsight,
    }
