"""Times and durations as people write them, and as results carry them.

Inside, every instant is an int of microseconds since the Unix epoch, UTC; text lives at the edges only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from engine.errors import EngineError
from engine.ticks import EPOCH, MICROSECOND, Ticks, instant_of, zone_of
from segtui.operations.errors import OperationError

HOUR = 3_600_000_000
DURATION = re.compile(r"([0-9]{1,6})([dhw])")
DAY_WORDS = {"today": 0, "yesterday": -1}


class TimeError(OperationError):
    """The text is no time, duration or range: a slip of the pen, so the command was misused (exit 2)."""


@dataclass(frozen=True)
class Duration:
    """Calendar days, or exact microseconds: where clocks change, a day is not 24 hours."""

    days: int = 0
    microseconds: int = 0


def parse_time(
    text: str, ticks: Ticks, now: int | None, last_rescore: int | None, *, ending: bool = False
) -> int:
    """The instant that `text` names, in µs UTC.

    Reads ISO 8601 (without an offset: in the store's zone), a bare date (its midnight in that zone, so
    everything before that day), `now`, `today`, `yesterday` (their midnights), `-7d`, `-8w` (local calendar
    days before now), `-12h`, and `last-rescore`. `now` may be None while a data clock has no event. With
    `ending` an as-of is meant: days are counted back from the end of the tick that holds now, where sizes and
    windows count theirs from, so `-30d` is as many ticks whether or not now is a tick's first instant.
    Raises TimeError for anything else, OperationError where there is nothing yet to count from.
    """
    word = text.strip()
    if word == "last-rescore":
        if last_rescore is None:
            raise OperationError("There is no last rescore yet: run 'segtui rescore' first.")
        return last_rescore
    zone = zone_of(ticks.zone)
    if word == "now":
        return _known(now, word)
    if word in DAY_WORDS:
        today = _local(_known(now, word), zone).date()
        return instant_of(datetime.combine(_moved(today, DAY_WORDS[word], word), time()), zone)
    if word.startswith("-"):
        length = _duration(word[1:])
        if length is not None:
            known = _known(now, word)
            if not ending or length.microseconds:
                return _back(known, length, zone, word)
            try:
                return ticks.days_before(ticks.end_holding(known), length.days)
            except (OverflowError, EngineError) as error:
                raise _too_early(word) from error
    try:
        moment = datetime.fromisoformat(word)
        return instant_of(moment, zone) if moment.tzinfo is None else (moment - EPOCH) // MICROSECOND
    except (ValueError, OverflowError) as error:
        raise TimeError(
            f"{text!r} is not a time: write 2026-03-01, 2026-03-01T10:00, now, yesterday, -7d, last-rescore."
        ) from error


def microseconds(text: str, name: str) -> int:
    """A clock as a number of microseconds since 1970, which `name` was set to; raises TimeError."""
    try:
        return int(text)
    except ValueError:
        raise TimeError(
            f"{name} is {text!r}, which is no whole number: set it to microseconds since 1970, as "
            "1767225600000000, or leave it out."
        ) from None


def parse_duration(text: str) -> Duration:
    """`90d` and `8w` as calendar days, `12h` as microseconds; raises TimeError."""
    length = _duration(text.strip())
    if length is None:
        raise TimeError(f"{text!r} is not a duration: write 90d, 8w or 12h.")
    return length


def parse_days(text: str) -> int:
    """A duration that must be whole calendar days (`90d`, `8w`), at least one; raises TimeError."""
    length = _duration(text.strip())
    if length is None or length.days < 1:
        raise TimeError(f"{text!r} is not a number of days: write 90d or 8w.")
    return length.days


def iso(instant: int, zone: str) -> str:
    """The instant as ISO 8601 with the zone's offset, exact to the microsecond."""
    return _local(instant, zone_of(zone)).isoformat()


def day(instant: int, zone: str) -> str:
    """The instant as a bare date where that means it (a midnight of the zone), else as `iso`."""
    local = _local(instant, zone_of(zone))
    return local.date().isoformat() if local.time() == time() else local.isoformat()


def iso_or_none(instant: int | None, zone: str) -> str | None:
    """`iso`, passing None through."""
    return None if instant is None else iso(instant, zone)


def _known(now: int | None, word: str) -> int:
    if now is None:
        raise OperationError(f"{word!r} needs a clock, and this store's has no event yet: import some first.")
    return now


def _local(instant: int, zone: ZoneInfo) -> datetime:
    return (EPOCH + instant * MICROSECOND).astimezone(zone)


def _moved(day: date, days: int, word: str) -> date:
    try:
        return day + timedelta(days=days)
    except OverflowError as error:
        raise _too_early(word) from error


def _too_early(word: str) -> TimeError:
    return TimeError(f"{word!r} reaches back before the first day of the calendar.")


def _duration(text: str) -> Duration | None:
    found = DURATION.fullmatch(text)
    if found is None:
        return None
    number, unit = int(found[1]), found[2]
    if unit == "h":
        return Duration(microseconds=number * HOUR)
    return Duration(days=number * (7 if unit == "w" else 1))


def _back(now: int, length: Duration, zone: ZoneInfo, word: str) -> int:
    if length.days == 0:
        return now - length.microseconds
    local = _local(now, zone)
    return instant_of(datetime.combine(_moved(local.date(), -length.days, word), local.time()), zone)
