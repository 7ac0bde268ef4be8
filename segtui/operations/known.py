"""The recorded past with all that is known now: late events, merges and corrections where they belong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from db import log, projections
from segtui.operations.deciders import Decider
from segtui.operations.definitions import Definitions, definitions
from segtui.operations.errors import OperationError
from segtui.operations.plans import Plan, governing_rescore, last_rescore
from segtui.operations.progress import Cancelled, Progress, Stopped, never, quiet
from segtui.operations.recompute import decider_then
from segtui.operations.rescoring import Run
from segtui.operations.session import Session
from segtui.operations.what_if import DEFAULT_TICKS, beside


def known_now(
    s: Session,
    *,
    from_: int | None = None,
    to: int | None = None,
    feed: bool = False,
    progress: Progress = quiet,
    cancelled: Cancelled = never,
) -> Iterator[dict[str, Any]]:
    """Frames as `replay` gives them, each decided again by what decided then, from what is known now.

    Nothing is written to the log. `differs` counts by segmentation who holds another label than recorded,
    `corrections` says how: [segmentation, recorded, label now, users]. Lists, segments that were defined
    inside the range or are retired by now, and what only the log knows are taken as recorded. Default range:
    the last 90 ticks that were scored. Other writers wait meanwhile. Raises OperationError as `replay` does.
    """
    last = last_rescore(s)
    if last is None:
        raise OperationError("Nothing to replay yet: record memberships with 'segtui rescore' first.")
    first = s.ticks.previous(int(projections.rescores(s.store)["as_of"].min()))  # type: ignore[arg-type]  # polars types min() loosely
    asked = s.ticks.shift(last.as_of, -DEFAULT_TICKS) if from_ is None else s.ticks.at_or_after(from_)
    start = max(asked, first)
    end = last.as_of if to is None else min(s.ticks.at_or_after(to), last.as_of)
    if start >= end:
        raise OperationError(f"No tick ends after {s.iso(start)} and up to {s.iso(end)}: widen the range.")
    position = s.store.head()
    told: list[dict[str, Any]] = []
    try:
        with s.store.transaction(actor=s.actor, source="replay") as tx:
            spans = _spans(s, s.ticks.between(start, last.as_of))
            names = sorted(spans[0].deciders)
            run = Run(s, tx, progress, cancelled)
            held_at, before = start, start if start > first else None
            for span in spans if names else []:
                plan = Plan(
                    span.ticks,
                    before,
                    held_at,
                    0,
                    opens_pass=True,
                    full=True,
                    backfilled=True,
                    only=frozenset(names),
                )
                run.walk(plan, keep=span.ticks[-1], deciders=span.deciders)
                held_at = before = span.ticks[-1]
            run.finish()
            told = beside(s, start, end, position, names, feed=feed, corrections=True)
            raise Stopped
    except Stopped:
        if not told:
            raise
    return iter(told)


@dataclass(frozen=True)
class _Span:
    """Ticks in a row at which the same decided, and what."""

    ticks: list[int]
    deciders: dict[str, Decider]


def _spans(s: Session, ticks: list[int]) -> list[_Span]:
    """The ticks by what decided, of the segmentations there were at the first and are today."""
    folded: dict[int, Definitions] = {}
    today = definitions(s)
    names = [name for name, each in today.segmentations.items() if each.decided and each.kind != "list"]
    found: list[tuple[int, tuple[Any, ...], dict[str, log.Decision]]] = []
    for tick in ticks:
        then = {name: governing_rescore(s, name, tick) for name in names}
        # A rescore that lies before the range decided at a tick that had none of its own.
        at = {name: each for name, each in then.items() if each is not None}
        if not found:
            names = [name for name in names if name in at]
        for each in at.values():
            if each.seq not in folded:
                folded[each.seq] = definitions(s, position=each.seq)
        key = tuple(_key(folded[at[name].seq], name, at[name].body) for name in names)
        found.append((tick, key, {name: at[name] for name in names}))
    spans = []
    for _, group in groupby(found, key=lambda each: each[1]):
        own = list(group)
        by_name = {
            name: decider_then(s, folded[each.seq].segmentations.get(name), each.body)
            for name, each in own[0][2].items()
        }
        deciders = {name: each for name, each in by_name.items() if each is not None}
        spans.append(_Span([tick for tick, _, _ in own], deciders))
    return spans


def _key(found: Definitions, name: str, body: dict[str, Any]) -> tuple[Any, ...]:
    """What tells two deciders of a segmentation apart."""
    known = found.segmentations.get(name)
    own = None if known is None else (known.defined, known.fitted_at, repr(known.policy))
    return body["model"], own
