"""Ticks: the quantum of time, cut at local midnights or whole local hours of the store's zone.

Instants are microseconds since the Unix epoch, UTC. A tick is [start, end); an as-of is always a tick's end.
"""

from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import count
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from engine.errors import EngineError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def zone_of(name: str) -> ZoneInfo:
    """The IANA time zone called `name`; EngineError when there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise EngineError(
            f"Time zone {name!r} is not known; use an IANA name such as UTC or Europe/Paris."
        ) from None


def wall(instant: int, zone: ZoneInfo) -> datetime:
    """What a clock in `zone` shows at `instant`, without its zone."""
    try:
        return (EPOCH + timedelta(microseconds=instant)).astimezone(zone).replace(tzinfo=None)
    except OverflowError:
        raise EngineError(
            f"Instant {instant} is outside the years 1 to 9999; give microseconds since 1970-01-01 UTC."
        ) from None


def shift_of(instant: int, zone: str) -> int:
    """Microseconds by which clocks in `zone` are ahead of UTC at `instant`."""
    shown = wall(instant, zone_of(zone)).replace(tzinfo=UTC)
    return (shown - EPOCH) // MICROSECOND - instant


def instant_of(shown: datetime, zone: ZoneInfo) -> int:
    """The first instant at which a clock in `zone` shows `shown` or later.

    A time that is shown twice (clocks set back) means its first showing; one that is skipped (clocks set
    forward) means the instant of the jump.
    """
    shown = shown.replace(tzinfo=zone, fold=0)
    try:
        first = (shown.astimezone(UTC) - EPOCH) // MICROSECOND
        if wall(first, zone) == shown.replace(tzinfo=None):
            return first
        before = (shown.replace(fold=1).astimezone(UTC) - EPOCH) // MICROSECOND
    except OverflowError:
        raise EngineError(f"{shown:%Y-%m-%d} is outside the years 1 to 9999.") from None
    # In a gap the two folds stand on either side of the jump: halve towards it.
    after = first
    while after - before > 1:
        middle = (before + after) // 2
        if wall(middle, zone) < shown.replace(tzinfo=None):
            before = middle
        else:
            after = middle
    return after


@lru_cache(maxsize=32768)
def day_start(ordinal: int, zone: str) -> int:
    """The instant local day `ordinal` (proleptic Gregorian, as date.toordinal) starts."""
    try:
        midnight = datetime.combine(date.fromordinal(ordinal), time())
    except ValueError:
        raise EngineError(f"Day {ordinal} is outside the years 1 to 9999.") from None
    return instant_of(midnight, zone_of(zone))


def day_of(instant: int, zone: str) -> int:
    """The ordinal of the local day that holds `instant`: the last day that has started by then."""
    ordinal = wall(instant, zone_of(zone)).toordinal()
    # Clocks set back across midnight show yesterday's date again; the day has begun all the same.
    return ordinal + 1 if day_start(ordinal + 1, zone) <= instant else ordinal


def day_starts(first: int, last: int, zone: str) -> tuple[int, list[int]]:
    """The ordinal of the day that holds `first`, and the starts of that day to the one that holds `last`."""
    ordinal = day_of(first, zone)
    return ordinal, [day_start(day, zone) for day in range(ordinal, day_of(last, zone) + 1)]


@dataclass(frozen=True)
class Ticks:
    """The calendar of ticks of one store: `length` is Nd, or Nh with N dividing 24; 7d ends on Mondays.

    Ends stand at wall-clock times, so a tick over a change of clocks is shorter or longer than the others.
    """

    zone: str = "UTC"
    length: str = "1d"

    def __post_init__(self) -> None:
        zone_of(self.zone)
        number, unit = self.length[:-1], self.length[-1:]
        known = number.isascii() and number.isdigit() and 0 < int(number) <= 366
        if not known or unit not in ("d", "h") or (unit == "h" and 24 % int(number)):
            raise EngineError(
                f"Tick length {self.length!r} is none; use Nd, or Nh with N dividing 24, such as 1d or 6h."
            )

    @property
    def _number(self) -> int:
        return int(self.length[:-1])

    def _ends_of(self, ordinal: int) -> list[int]:
        """Tick ends that stand in local day `ordinal`, ascending; a skipped hour stands at the jump."""
        if self.length[-1] == "d":
            # Ordinal 1 (0001-01-01) is a Monday.
            return [day_start(ordinal, self.zone)] if (ordinal - 1) % self._number == 0 else []
        if self._number == 24:
            return [day_start(ordinal, self.zone)]
        return _hour_starts(ordinal, self.zone, self._number)

    def at_or_after(self, instant: int) -> int:
        """The first tick end that is not before `instant`."""
        for ordinal in count(day_of(instant, self.zone)):
            for end in self._ends_of(ordinal):
                if end >= instant:
                    return end
        raise AssertionError("days do not end")

    def at_or_before(self, instant: int) -> int:
        """The last tick end that is not after `instant`."""
        return self.previous(instant + 1)

    def end_holding(self, instant: int) -> int:
        """The end of the tick [start, end) that holds `instant`."""
        return self.at_or_after(instant + 1)

    def next(self, end: int) -> int:
        """The first tick end after `end`."""
        return self.at_or_after(end + 1)

    def previous(self, end: int) -> int:
        """The last tick end before `end`."""
        for ordinal in count(day_of(end, self.zone), -1):
            earlier = [other for other in self._ends_of(ordinal) if other < end]
            if earlier:
                return earlier[-1]
        raise AssertionError("days do not begin")

    def shift(self, end: int, n: int) -> int:
        """The tick end `n` ticks after `end`, before it where `n` is negative."""
        for _ in range(abs(n)):
            end = self.next(end) if n > 0 else self.previous(end)
        return end

    def between(self, start: int, to: int) -> list[int]:
        """Tick ends with start < end <= to, ascending."""
        ends: list[int] = []
        if to <= start:
            return ends
        for ordinal in range(day_of(start, self.zone), day_of(to, self.zone) + 1):
            ends += self._ends_of(ordinal)
        distinct = sorted(set(ends))
        return distinct[bisect_right(distinct, start) : bisect_right(distinct, to)]

    def days_before(self, as_of: int, days: int) -> int:
        """The instant `days` local calendar days before the end `as_of`: a window's start."""
        return days_before(as_of, days, self.zone)


@lru_cache(maxsize=2048)
def _hour_starts(ordinal: int, zone: str, hours: int) -> list[int]:
    day = datetime.combine(date.fromordinal(ordinal), time())
    starts = {instant_of(day + timedelta(hours=hour), zone_of(zone)) for hour in range(0, 24, hours)}
    return sorted(starts)


def days_before(as_of: int, days: int, zone: str) -> int:
    """The instant `days` local calendar days before the end `as_of`, at the same wall-clock time."""
    # The wall-clock time of an end is one step past the last instant inside: at a jump the clock shows more.
    shown = wall(as_of - 1, zone_of(zone)) + MICROSECOND
    return instant_of(shown - timedelta(days=days), zone_of(zone))
