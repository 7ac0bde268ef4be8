"""Times as people write them: zones, days that are not 24 hours, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.ticks import Ticks
from segtui.operations.errors import OperationError
from segtui.operations.times import (
    HOUR,
    Duration,
    TimeError,
    iso,
    iso_or_none,
    parse_days,
    parse_duration,
    parse_time,
)

BERLIN = Ticks(zone="Europe/Berlin", length="1d")
UTC_TICKS = Ticks(zone="UTC", length="1d")


def us(*parts: int, zone: str = "UTC") -> int:
    moment = datetime(*parts, tzinfo=ZoneInfo(zone))
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


NOW = us(2026, 3, 30, 10, 15, zone="Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-01", us(2026, 2, 28, 23)),
        ("2026-07-01", us(2026, 6, 30, 22)),
        ("2026-03-01T10:00", us(2026, 3, 1, 9)),
        ("2026-03-01 10:00:00.000001", us(2026, 3, 1, 9) + 1),
        ("2026-03-01T10:00:00Z", us(2026, 3, 1, 10)),
        ("2026-03-01T10:00:00-05:00", us(2026, 3, 1, 15)),
        ("  2026-03-01 ", us(2026, 2, 28, 23)),
        ("1969-12-31T23:59:59Z", -1_000_000),
        ("now", NOW),
        ("today", us(2026, 3, 30, zone="Europe/Berlin")),
        ("yesterday", us(2026, 3, 29, zone="Europe/Berlin")),
        ("-0d", NOW),
        ("-7d", us(2026, 3, 23, 10, 15, zone="Europe/Berlin")),
        ("-2w", us(2026, 3, 16, 10, 15, zone="Europe/Berlin")),
        ("-12h", NOW - 12 * HOUR),
        ("last-rescore", 42),
    ],
)
def test_a_time_is_read_in_the_stores_zone(text: str, expected: int) -> None:
    assert parse_time(text, BERLIN, NOW, 42) == expected


@pytest.mark.parametrize("now", [us(2026, 3, 30), us(2026, 3, 30) + 1, us(2026, 3, 30, 23, 59)])
def test_days_back_from_a_tick_are_as_many_ticks_whenever_now_is_in_it(now: int) -> None:
    end = us(2026, 3, 31)
    assert parse_time("-30d", UTC_TICKS, now, None, ending=True) == us(2026, 3, 1)
    assert len(UTC_TICKS.between(parse_time("-2w", UTC_TICKS, now, None, ending=True), end)) == 14
    assert parse_time("-0d", UTC_TICKS, now, None, ending=True) == end
    assert parse_time("-12h", UTC_TICKS, now, None, ending=True) == now - 12 * HOUR
    with pytest.raises(TimeError, match="before the first day"):
        parse_time("-999999d", UTC_TICKS, now, None, ending=True)


def test_days_back_end_at_a_midnight_also_where_clocks_skip_it() -> None:
    ticks = Ticks(zone="America/Sao_Paulo", length="1d")
    now = us(2018, 11, 3, 12, zone="America/Sao_Paulo")
    assert parse_time("-1d", ticks, now, None, ending=True) == us(2018, 11, 3, zone="America/Sao_Paulo")


def test_days_back_are_calendar_days_and_hours_back_are_hours() -> None:
    # clocks went forward on 2026-03-29: a calendar day back over that night is 23 hours
    day = parse_time("-1d", BERLIN, us(2026, 3, 29, 12, zone="Europe/Berlin"), None)
    hours = parse_time("-24h", BERLIN, us(2026, 3, 29, 12, zone="Europe/Berlin"), None)
    assert day == us(2026, 3, 28, 12, zone="Europe/Berlin")
    assert hours == day - HOUR


def test_a_midnight_that_clocks_skip_is_the_instant_of_the_jump() -> None:
    ticks = Ticks(zone="America/Sao_Paulo", length="1d")
    midnight = parse_time("2018-11-04", ticks, NOW, None)
    assert midnight == us(2018, 11, 4, 3)
    assert ticks.at_or_after(midnight) == midnight


@pytest.mark.parametrize(
    "text",
    ["", "soon", "2026-13-01", "2026-02-30", "10:00", "-7", "-7m", "7d", "-1.5d", "-٧d", "-999999d", "Now"],
)
def test_what_is_no_time_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(TimeError) as refused:
        parse_time(text, BERLIN, NOW, 42)
    sentence = str(refused.value)
    assert repr(text) in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize("text", ["now", "today", "yesterday", "-7d", "-12h"])
def test_relative_times_need_a_now(text: str) -> None:
    with pytest.raises(OperationError, match="no event yet"):
        parse_time(text, BERLIN, None, None)
    assert parse_time("2026-03-01", UTC_TICKS, None, None) == us(2026, 3, 1)


def test_last_rescore_needs_one() -> None:
    with pytest.raises(OperationError, match="no last rescore") as refused:
        parse_time("last-rescore", BERLIN, NOW, None)
    assert not isinstance(refused.value, TimeError)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90d", Duration(days=90)),
        ("8w", Duration(days=56)),
        ("12h", Duration(microseconds=12 * HOUR)),
        (" 0d ", Duration()),
    ],
)
def test_durations(text: str, expected: Duration) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize("text", ["", "d", "90", "-90d", "1.5d", "90 d", "90D", "1y", "1d2h"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(TimeError, match="not a duration"):
        parse_duration(text)


def test_whole_days_refuse_hours_and_nothing() -> None:
    assert parse_days("8w") == 56
    for text in ("24h", "0d", "0w", "x"):
        with pytest.raises(TimeError, match="number of days"):
            parse_days(text)


def test_iso_shows_the_zones_offset_of_that_day() -> None:
    assert iso(us(1998, 2, 1), "UTC") == "1998-02-01T00:00:00+00:00"
    assert iso(us(2026, 7, 1), "Europe/Berlin") == "2026-07-01T02:00:00+02:00"
    assert iso(us(2026, 1, 1) + 1, "UTC") == "2026-01-01T00:00:00.000001+00:00"
    assert iso(-1, "UTC") == "1969-12-31T23:59:59.999999+00:00"
    assert iso_or_none(None, "UTC") is None
    assert iso_or_none(0, "UTC") == "1970-01-01T00:00:00+00:00"


@given(
    st.integers(us(1900, 1, 2), us(2200, 1, 1)), st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kathmandu"])
)
def test_what_is_printed_reads_back_to_the_microsecond(instant: int, zone: str) -> None:
    assert parse_time(iso(instant, zone), UTC_TICKS, 0, None) == instant
