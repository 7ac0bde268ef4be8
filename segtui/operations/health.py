"""How fresh and how usual a store is: what can be told without a model, each measure in words."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from db import log, projections, vocabulary
from segtui.operations import habit, words
from segtui.operations.definitions import definitions
from segtui.operations.plans import last_rescore
from segtui.operations.session import Session
from segtui.operations.stays import numbers_of

HOUR = 3_600_000_000
GAP_DAYS = 7
"""Days back in which a tick without events is looked for."""
FEWEST_EVENTS = 10
"""A habit of fewer events a tick than these says nothing."""
SMALL = 100
"""A segment smaller than this is held to have so many users: a few who come or go are no jump."""


@dataclass(frozen=True)
class Measured:
    """One measure: its value, None where there is nothing to measure, what that says, and what to do about
    it where it is too much."""

    name: str
    value: float | None
    says: str
    advice: str = ""
    more: list[dict[str, Any]] = field(default_factory=list)
    """What the value is the worst of, worst first."""


def quick(s: Session) -> list[Measured]:
    """What costs nothing to measure: freshness, scored, quarantine, sizes, backup."""
    return [freshness(s), scored(s), quarantine(s), sizes(s), backup(s)]


def freshness(s: Session) -> Measured:
    """Hours since the newest event; under a data clock, which stands still with it, since the last import."""
    summary = log.summary(s.store)
    if summary.last is None:
        return Measured("freshness", None, "Nothing was imported yet")
    if s.settings.clock == "data":
        newest = _newest(s, "imported")
        if newest is None:
            return Measured("freshness", None, "Events came in by no import")
        age, what = _hours(s, newest.recorded_at), "last import was"
    else:
        age, what = _hours(s, summary.last), "newest event is"
    return Measured("freshness", age, f"The {what} {_age(age)} ago", "import what came since")


def scored(s: Session) -> Measured:
    """Ticks that ended since the last rescore."""
    last, as_of = last_rescore(s), s.as_of()
    if last is None or as_of is None:
        return Measured("scored", None, "Nobody was ever scored")
    behind = len(s.ticks.between(last.as_of, as_of))
    return Measured(
        "scored", behind, f"{words.plural(behind, 'tick')} ended since the last rescore", "segtui rescore"
    )


def quarantine(s: Session) -> Measured:
    """The share of the newest import's rows that were quarantined."""
    newest = _newest(s, "imported")
    if newest is None:
        return Measured("quarantine", None, "Nothing was imported yet")
    rows, bad = newest.body["rows"], newest.body["quarantined"]
    share = round(bad / rows, 6) if rows else 0.0
    hint = f"{words.count(bad)} of {words.plural(rows, 'row')} of the newest import are in quarantine"
    return Measured("quarantine", share, hint, "'segtui quality' says why")


def sizes(s: Session) -> Measured:
    """The largest change of a label's users over the last day, as a share of those it had."""
    last = last_rescore(s)
    found: list[dict[str, Any]] = []
    if last is not None:
        names = vocabulary.texts(s.store, "label")
        day_before = s.ticks.days_before(last.as_of, 1)
        for name, each in definitions(s).segmentations.items():
            number = vocabulary.number(s.store, "segmentation", name)
            if number is None:
                continue
            history = projections.size_history(s.store, number, since=day_before)
            if history.is_empty() or history["as_of"][0] > day_before:
                continue
            then = history.filter(pl.col("as_of") == history["as_of"][0])
            called = numbers_of(s.store, each.became)
            before: Counter[int] = Counter()
            for label, users in then.select("label", "users").iter_rows():
                before[called.get(label, label)] += users
            now = projections.sizes(s.store, number)
            for label in sorted({*before, *now}):
                was, users = before.get(label, 0), now.get(label, 0)
                moved = round(abs(users - was) / max(was, SMALL), 6)
                found.append({"name": f"{name}={names[label]}", "value": moved, "from": was, "to": users})
    if not found:
        return Measured("sizes", None, "There are no sizes of a day before to compare with")
    found.sort(key=lambda each: (-each["value"], each["name"]))
    worst = found[0]
    hint = f"{worst['name']} went from {words.count(worst['from'])} to {words.count(worst['to'])} in a day"
    return Measured("sizes", worst["value"], hint, f"segtui why {worst['name']} --from -2d", found[:5])


def backup(s: Session) -> Measured:
    """Hours since the last backup; before the first, since the store was made."""
    newest = _newest(s, "backed_up")
    since = newest or _newest(s, "store_created")
    if since is None:
        return Measured("backup", None, "It is not known when the store was made")
    age = _hours(s, since.recorded_at)
    said = f"The last backup was made {_age(age)} ago" if newest else f"No backup in {_age(age)}"
    return Measured("backup", age, said, "segtui backup PATH")


def usual(s: Session) -> list[Measured]:
    """volume: the newest complete tick's events over the habit of its weekday and hour; gaps: ticks of the
    last seven days without an event that usually have some."""
    upto = _complete(s)
    if upto is None:
        nothing = "No tick is complete yet"
        return [Measured("volume", None, nothing), Measured("gaps", None, nothing)]
    ticks = habit.ticks(s, s.ticks.days_before(upto, GAP_DAYS), upto)
    newest = ticks[-1]
    shown = f"{words.plural(newest.events, 'event')} in the tick up to {s.iso(newest.end)}"
    if newest.usual < FEWEST_EVENTS:
        volume = Measured("volume", None, f"{shown}; the weeks before had too few to tell what is usual")
    else:
        says = f"{shown}, usually {words.count(round(newest.usual))}"
        value = round(newest.events / newest.usual, 6)
        volume = Measured("volume", value, says, "is an import missing or doubled?")
    empty = [s.iso(each.end) for each in ticks if each.events == 0 and each.usual > 0]
    says = f"No events in {words.plural(len(empty), 'tick')} of the last {GAP_DAYS} d that usually have some"
    more = [{"name": end} for end in empty]
    return [volume, Measured("gaps", len(empty), says, f"import up to {', '.join(empty)}", more)]


def _complete(s: Session) -> int | None:
    """The end of the last tick all of whose events may be expected to be here.

    One before the newest event; under a wall clock also one that ended before the last import.
    """
    newest = log.summary(s.store).last
    if newest is None:
        return None
    if s.settings.clock != "data":
        imported = _newest(s, "imported")
        newest = max(newest, 0 if imported is None else imported.recorded_at)
        newest = min(newest, s.wall())
    return s.ticks.at_or_before(newest)


def _newest(s: Session, kind: str) -> log.Decision | None:
    found = log.decisions(s.store, kinds=(kind,), newest_first=True, limit=1)
    return found[0] if found else None


def _hours(s: Session, instant: int) -> float:
    return round(max(0, s.wall() - instant) / HOUR, 3)


def _age(hours: float) -> str:
    return f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.0f} d"
