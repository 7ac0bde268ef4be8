"""Time texts become instants."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segtui.sources import SourceError, times

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def micros(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


def utc(*parts: int) -> int:
    return micros(datetime(*parts, tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-01-05T10:00:00Z", utc(2026, 1, 5, 10)),
        ("2026-01-05 10:00:00 UTC", utc(2026, 1, 5, 10)),
        ("2026-01-05T10:00:00+01:00", utc(2026, 1, 5, 9)),
        ("2026-01-05T10:00:00-0330", utc(2026, 1, 5, 13, 30)),
        ("2026-01-05T10:00:00+14:59", utc(2026, 1, 4, 19, 1)),
        ("2026-01-05T10:00:00-14:59", utc(2026, 1, 6, 0, 59)),
        ("2026-01-05T10:00:00", utc(2026, 1, 5, 9)),
        ("2026-07-05 10:00", utc(2026, 7, 5, 8)),
        ("2026-01-05", utc(2026, 1, 4, 23)),
        ("2026-01-05T10:00:00.5Z", utc(2026, 1, 5, 10, 0, 0, 500_000)),
        ("2026-01-05T10:00:00.1234567Z", utc(2026, 1, 5, 10, 0, 0, 123_456)),
        ("2026-10-25T02:30:00", utc(2026, 10, 25, 0, 30)),  # the first of the two
        ("2026-03-29T02:30:00", utc(2026, 3, 29, 1, 30)),  # a time that was skipped: the offset before
    ],
)
@pytest.mark.parametrize("beside", ["2026-02-01T00:00:00Z", "2026-02-01"])
def test_iso_times_in_a_zone(text: str, instant: int, beside: str) -> None:
    assert times.iso(pl.Series([beside, text, None]), "Europe/Berlin").to_list()[1:] == [instant, None]


@pytest.mark.parametrize(
    "text",
    [
        *("1997-13-01", "1997-02-29", "2026-01-05T24:00:00", "2026-01-05T10:60", "2026-01-05T10:00:60"),
        *("2026-01-05T10:00:00+99:99", "2026-01-05T10:00-15:00", "2026-01-05T10:00+02:60"),
        *("97-01-01", "+2026-01-05", "20260105", "yesterday", "", "2026-01-05T10:00:00ZZ", "2026-01-05x"),
    ],
)
def test_texts_that_are_no_time(text: str) -> None:
    assert times.iso(pl.Series(["2026-01-01T00:00:00Z", text]), "UTC").to_list()[1] is None


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.datetimes(datetime(1990, 1, 1), datetime(2035, 1, 1)), min_size=1, max_size=5),
    st.sampled_from(["Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"]),
)
def test_local_times_agree_with_zoneinfo(walls: list[datetime], zone: str) -> None:
    instants = times.iso(pl.Series([wall.isoformat(sep=" ") for wall in walls]), zone)
    assert instants.to_list() == [micros(wall.replace(tzinfo=ZoneInfo(zone))) for wall in walls]


@pytest.mark.parametrize(
    ("text", "format", "instant"),
    [
        ("05.01.2026 10:30", "%d.%m.%Y %H:%M", utc(2026, 1, 5, 10, 30)),
        ("1/5/2026 8:26", "%m/%d/%Y %H:%M", utc(2026, 1, 5, 8, 26)),
        ("19970101", "%Y%m%d", utc(1997, 1, 1)),
        ("2026-01-05 10:30:00.250", "%Y-%m-%d %H:%M:%S.%f", utc(2026, 1, 5, 10, 30, 0, 250_000)),
        ("05 Jan 2026 10:30 PM", "%d %b %Y %I:%M %p", utc(2026, 1, 5, 22, 30)),
        ("2026-01-05T10:30:00 +0200", "%Y-%m-%dT%H:%M:%S %z", utc(2026, 1, 5, 8, 30)),
        ("2026-01-05T10:00+1459", "%Y-%m-%dT%H:%M%z", utc(2026, 1, 4, 19, 1)),
        ("2026-01-05T10:00-15:00", "%Y-%m-%dT%H:%M%z", None),
        ("10:00 -2359 2026-01-05", "%H:%M %z %Y-%m-%d", None),
        ("10:00 +0200 05-01-2026", "%H:%M %z %d-%m-%Y", utc(2026, 1, 5, 8)),
        ("05-01-2026 10:00 Z", "%d-%m-%Y %H:%M %z", utc(2026, 1, 5, 10)),
        ("1767607200", "seconds", utc(2026, 1, 5, 10)),
        ("1767607200.25", "seconds", utc(2026, 1, 5, 10, 0, 0, 250_000)),
        ("1767607200000", "milliseconds", utc(2026, 1, 5, 10)),
        ("1767607200000000", "microseconds", utc(2026, 1, 5, 10)),
        ("1e40", "seconds", None),
        ("soon", "seconds", None),
        ("31.02.2026 10:30", "%d.%m.%Y %H:%M", None),
    ],
)
def test_times_in_a_format(text: str, format: str, instant: int | None) -> None:
    times.check_format(format, "map.toml")
    assert times.formatted(pl.Series([text]), format, "UTC").to_list() == [instant]


@pytest.mark.parametrize("format", ["%H:%M", "%d.%m", "hello", "%Q-%Y-%m-%d", "%Y-%m-%d %", "%Y%m%d%f", ""])
def test_a_format_without_a_date_is_refused(format: str) -> None:
    with pytest.raises(SourceError, match=r"map\.toml: time format .* does not tell a date"):
        times.check_format(format, "map.toml")


def test_typed_times_keep_their_instant() -> None:
    naive = pl.Series([datetime(2026, 1, 5, 10)])
    assert times.typed(naive, "Europe/Paris").to_list() == [utc(2026, 1, 5, 9)]
    assert times.typed(naive.dt.replace_time_zone("America/New_York"), "Europe/Paris").to_list() == [
        utc(2026, 1, 5, 15)
    ]
    assert times.typed(naive.cast(pl.Date), "Europe/Paris").to_list() == [utc(2026, 1, 4, 23)]
    assert times.typed(naive.cast(pl.Datetime("ns")), "UTC").to_list() == [utc(2026, 1, 5, 10)]


def test_an_unknown_zone_is_refused() -> None:
    with pytest.raises(SourceError, match="'Mars/Olympus' is not a time zone"):
        times.check_zone("Mars/Olympus")
