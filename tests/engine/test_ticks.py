"""Ticks end at local midnights and hours, whatever the clocks do."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import EngineError
from engine.ticks import Ticks, day_of, day_start, days_before, instant_of, wall, zone_of

HOUR = 3_600_000_000
DAY = 24 * HOUR
ODD_ZONES = (
    "UTC",
    "Europe/Paris",
    "America/Sao_Paulo",  # clocks went forward at midnight
    "America/Havana",  # and back at 01:00 to midnight
    "Australia/Lord_Howe",  # by half an hour
    "Pacific/Apia",  # 2011-12-30 never was
    "America/St_Johns",  # clocks went back at 00:01 to 23:01
    "Asia/Kathmandu",
)
# 1985 to 2029.
instants = st.integers(15 * 365 * DAY, 60 * 365 * DAY)
lengths = st.sampled_from(("1d", "2d", "7d", "30d", "24h", "12h", "6h", "1h"))


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("UTC", "2024-03-31", 24),
        ("Europe/Paris", "2024-03-31", 23),
        ("Europe/Paris", "2024-10-27", 25),
        ("Australia/Lord_Howe", "2024-10-06", 23.5),
        ("America/Sao_Paulo", "2018-11-04", 23),
        ("America/Havana", "2024-11-03", 25),
    ],
)
def test_a_day_is_as_long_as_the_clocks_make_it(zone, day, hours, instant):
    noon = instant(f"{day}T12:00", zone)
    ticks = Ticks(zone)
    end = ticks.end_holding(noon)
    assert end - ticks.previous(end) == hours * HOUR


def test_leap_day_is_a_tick(instant):
    ticks = Ticks("Europe/Paris")
    days = ticks.between(instant("2024-02-28", "Europe/Paris"), instant("2024-03-02", "Europe/Paris"))
    assert [str(wall(end, zone_of("Europe/Paris")).date()) for end in days] == [
        "2024-02-29",
        "2024-03-01",
        "2024-03-02",
    ]


def test_a_midnight_that_is_skipped_is_the_jump(instant):
    jump = instant("2018-11-04T03:00+00:00")
    assert Ticks("America/Sao_Paulo").at_or_after(jump - 1) == jump
    assert wall(jump, zone_of("America/Sao_Paulo")).hour == 1


def test_a_jump_over_midnight_starts_the_day_at_the_jump(instant):
    # Toronto's clocks went from 23:30 to 00:30 on 1919-03-30.
    jump = instant("1919-03-31T04:30+00:00")
    assert day_start(date(1919, 3, 31).toordinal(), "America/Toronto") == jump


def test_a_day_that_has_begun_does_not_end_when_clocks_go_back_over_midnight(instant):
    # St. John's clocks went from 00:01 back to 23:01 on 2010-11-07.
    zone = "America/St_Johns"
    begun = instant("2010-11-07T00:00", zone)
    again = begun + 60_000_000
    assert wall(again, zone_of(zone)) == datetime(2010, 11, 6, 23, 1)
    assert day_of(again, zone) == day_of(begun, zone) == date(2010, 11, 7).toordinal()
    assert Ticks(zone).end_holding(again) == instant("2010-11-08", zone)


def test_a_day_that_never_was_is_no_tick():
    ticks = Ticks("Pacific/Apia")
    shown = [wall(end, zone_of("Pacific/Apia")).date().day for end in _around(ticks, datetime(2011, 12, 29))]
    assert shown == [28, 29, 31, 1, 2]


def _around(ticks, day):
    middle = instant_of(day, zone_of(ticks.zone))
    return [ticks.shift(middle, n) for n in range(-1, 4)]


def test_week_ticks_end_on_mondays():
    end = Ticks("UTC", "7d").at_or_after(0)
    assert wall(end, zone_of("UTC")) == datetime(1970, 1, 5)


@pytest.mark.parametrize(("day", "ends"), [("2024-06-01", 24), ("2024-03-31", 23), ("2024-10-27", 24)])
def test_hour_ticks_stand_at_each_hour_the_clock_shows(day, ends, instant):
    # In autumn the hour that is shown twice is one tick of two hours.
    zone = "Europe/Paris"
    after = (date.fromisoformat(day) + timedelta(days=1)).isoformat()
    assert len(Ticks(zone, "1h").between(instant(day, zone), instant(after, zone))) == ends


@given(zone=st.sampled_from(ODD_ZONES), length=lengths, at=instants)
def test_a_tick_holds_its_instants(zone, length, at):
    ticks = Ticks(zone, length)
    end = ticks.end_holding(at)
    start = ticks.previous(end)
    assert start <= at < end
    assert ticks.next(start) == end
    assert ticks.at_or_after(end) == ticks.at_or_before(end) == end
    assert ticks.at_or_after(start + 1) == end
    assert ticks.at_or_before(at) == start
    assert ticks.end_holding(start) == end
    assert ticks.end_holding(end - 1) == end


@given(zone=st.sampled_from(ODD_ZONES), length=lengths, at=instants, n=st.integers(0, 20))
def test_shifting_is_stepping_and_goes_back(zone, length, at, n):
    ticks = Ticks(zone, length)
    end = ticks.end_holding(at)
    later = ticks.shift(end, n)
    assert ticks.shift(later, -n) == end
    assert ticks.between(end, later) == [ticks.shift(end, step) for step in range(1, n + 1)]
    assert ticks.between(later, end) == []


@given(zone=st.sampled_from(ODD_ZONES), at=instants)
def test_a_local_day_holds_its_instants(zone, at):
    day = day_of(at, zone)
    assert day_start(day, zone) <= at < day_start(day + 1, zone)


@given(zone=st.sampled_from(ODD_ZONES), at=instants, days=st.integers(1, 400))
def test_days_before_a_midnight_is_a_midnight(zone, at, days):
    end = Ticks(zone).end_holding(at)
    before = days_before(end, days, zone)
    earlier = date.fromordinal(day_of(end - 1, zone) + 1 - days)
    assert before == day_start(earlier.toordinal(), zone)


@pytest.mark.parametrize(
    ("zone", "as_of", "days", "start"),
    [
        ("Europe/Paris", "2024-04-01", 7, "2024-03-25"),
        ("Europe/Paris", "2024-04-01T06:00", 1, "2024-03-31T06:00"),
        ("Europe/Paris", "2024-03-01", 1, "2024-02-29"),
        ("Europe/Paris", "2025-03-01", 366, "2024-02-29"),
        ("UTC", "2024-03-01", 365, "2023-03-02"),
        # Where the as-of's own midnight was skipped, a window still starts at midnight.
        ("America/Sao_Paulo", "2018-11-04", 7, "2018-10-28"),
    ],
)
def test_windows_start_at_the_same_time_of_day(zone, as_of, days, start, instant):
    assert Ticks(zone).days_before(instant(as_of, zone), days) == instant(start, zone)


@given(zone=st.sampled_from(ODD_ZONES), at=instants)
def test_the_first_instant_that_shows_a_time_is_the_first(zone, at):
    shown = wall(at, zone_of(zone))
    first = instant_of(shown, zone_of(zone))
    assert first <= at
    assert wall(first, zone_of(zone)) == shown
    assert wall(first, ZoneInfo(zone)) > wall(first - 1, ZoneInfo(zone))


@pytest.mark.parametrize("length", ["", "d", "0d", "1w", "5h", "25h", "-1d", "1.5d", "d1", "²d", "367d"])
def test_lengths_that_are_none_are_refused(length):
    with pytest.raises(EngineError, match="Tick length"):
        Ticks("UTC", length)


@pytest.mark.parametrize("zone", ["", "Europe/Atlantis", "../etc/passwd", "/etc/passwd", "a\0b", "Europe"])
def test_zones_that_are_none_are_refused(zone):
    with pytest.raises(EngineError, match="Time zone"):
        Ticks(zone)


@pytest.mark.parametrize("at", [-(10**18), 10**18])
def test_instants_beyond_the_calendar_are_refused(at):
    with pytest.raises(EngineError, match="years 1 to 9999"):
        Ticks("Europe/Paris").end_holding(at)
