"""Cutting what is older than an operator keeps."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from db import forgetting, retention
from db.copies import kept_before
from engine.ticks import EPOCH, MICROSECOND, instant_of, zone_of
from segtui.operations.errors import OperationError
from segtui.operations.plans import Plan, last_rescore
from segtui.operations.progress import Cancelled, Progress, Stopped, never, quiet
from segtui.operations.rescore import rescore
from segtui.operations.rescoring import Edit, Run
from segtui.operations.session import Session
from segtui.operations.times import parse_days

YEARS = re.compile(r"([1-9][0-9]?)y")


def retain(
    s: Session,
    keep: str,
    *,
    dry_run: bool = False,
    progress: Progress = quiet,
    cancelled: Cancelled = never,
) -> dict[str, Any]:
    """Cuts the events that are older than `keep` (`3y`, `400d`, `60w` before now), and rescores what is left.

    Persons of whom nothing is left are forgotten, as if they had been erased, but may come back by an import.
    Aliases, consent and identify events stay; so do memberships, whose changes by the cut have the cause
    `decision`. With `dry_run` nothing is changed. Returns before, events, persons, changed, by_cause, seq,
    and asides: copies kept before a migration or a restore, which hold the old events still. Raises
    OperationError when nothing is that old, TimeError for another length, StoreError.
    """
    now = s.require_as_of()
    before = _before(s, keep, now)
    if _gone(s, _older(s, before), before):
        s.store.vault.require()
    if last_rescore(s) is not None and not dry_run:
        rescore(s, progress=progress, cancelled=cancelled)
    told: dict[str, Any] = {"seq": None, "changed": 0, "by_cause": {}}
    try:
        with s.store.transaction(actor=s.actor, source="retain") as tx:
            # Who is gone is known under the lock alone: an import before it may have brought somebody back.
            rows = _older(s, before)
            gone = _gone(s, rows, before)
            ended: pl.DataFrame | None = None
            if gone:
                progress("forgetting persons of whom nothing is left", None)
                ended = forgetting.take(tx, gone, purge=True, reason=forgetting.CUT).ended
            progress("cutting", None)
            own = rows.filter(~pl.col("user").is_in(gone))
            seq = retention.cut(tx, before, own, {"keep": keep, "persons": len(gone)})
            if last_rescore(s) is not None:
                run = Run(s, tx, progress, cancelled)
                plan = Plan([now], now, s.ticks.previous(now), s.store.head(), full=True)
                run.walk(plan, edit=Edit("decision", seq, None))
                totals = run.finish()
                told |= {"changed": totals["changed"], "by_cause": totals["by_cause"]}
            if ended is not None:
                tx.append_changes(ended)
            if dry_run:
                raise Stopped
            told["seq"] = seq
    except Stopped:
        if not dry_run:
            raise
    return {
        "before": s.iso(before),
        "events": rows.height,
        "persons": len(gone),
        **told,
        "dry_run": dry_run,
        "asides": [str(path) for path in kept_before(s.store.path)],
    }


def _older(s: Session, before: int) -> pl.DataFrame:
    """seq, user of the events to cut; raises OperationError for none."""
    origin = retention.origin(s.store)
    rows = retention.older(s.store, before)
    if rows.is_empty() or (origin is not None and before <= origin.before):
        raise OperationError(f"Nothing is older than {s.iso(before)}: there is nothing to cut.")
    return rows


def _before(s: Session, keep: str, now: int) -> int:
    """The last tick end at or before `keep` ago."""
    years = YEARS.fullmatch(keep.strip())
    if years is None:
        instant = s.ticks.days_before(now, parse_days(keep))
    else:
        zone = zone_of(s.ticks.zone)
        local = (EPOCH + now * MICROSECOND).astimezone(zone)
        instant = instant_of(_years_before(local.replace(tzinfo=None), int(years[1])), zone)
    end = s.ticks.at_or_after(instant)
    return end if end == instant else s.ticks.previous(end)


def _years_before(moment: datetime, years: int) -> datetime:
    try:
        return moment.replace(year=moment.year - years)
    except ValueError:
        # The 29th of February of a year that has none.
        return (moment + timedelta(days=1)).replace(year=moment.year - years)


def _gone(s: Session, rows: pl.DataFrame, before: int) -> list[int]:
    """Those of whom the cut leaves nothing, whichever of their numbers they are known by."""
    person = dict(s.identity().at().iter_rows())
    here = {person.get(user, user) for user in retention.present(s.store, before)}
    erased = set(forgetting.erased(s.store))
    asked = set(rows["user"].to_list()) - erased
    return sorted(user for user in asked if person.get(user, user) not in here)
