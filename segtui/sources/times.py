"""Time texts to microseconds since the epoch, UTC; null where a text is not a time."""

from __future__ import annotations

import re
import zoneinfo

import polars as pl

from segtui.sources import numbers
from segtui.sources.errors import SourceError

DAY = 86_400_000_000
EARLIEST = 631_152_000_000_000  # 1990 began, in UTC: no shop's events are older
FARTHEST = 10**18  # µs: beyond any year, well inside Int64

_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_OFFSET = "[+-](?:0[0-9]|1[0-4]):?[0-5][0-9]"  # no place on Earth is further from UTC
_FAR = r"[+\-−](?:1[5-9]|2[0-3])\s*:?\s*[0-5][0-9]"  # what Polars takes for an offset all the same
_ZONE = rf" ?(?:Z|z|UTC|{_OFFSET})"
_PLAIN = rf"^{_DATE}[T ][0-9]{{2}}:[0-9]{{2}}:[0-5][0-9](?:\.[0-9]{{3}}|\.[0-9]{{6}})?(?:Z| UTC)?$"
_ISO = (
    rf"^(?<date>{_DATE})(?:[T ](?<clock>[0-9]{{2}}:[0-9]{{2}})(?::(?<seconds>[0-5][0-9])"
    rf"(?:[.,](?<fraction>[0-9]{{1,9}}))?)?(?<zone>{_ZONE})?)?$"
)
_DIRECTIVES = "YymbBdHIMSfpz"
_UNITS = {"seconds": 1_000_000, "milliseconds": 1_000, "microseconds": 1}


def check_zone(name: str) -> None:
    """Raises SourceError when there is no time zone of that name."""
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise SourceError(f"'{name}' is not a time zone: use a name like UTC or Europe/Paris.") from None


def check_format(format: str, where: str) -> None:
    """Raises SourceError unless a format tells a date; `where` names the file that asks for it."""
    directives = re.findall(r"%(.?)", format.replace("%%", ""))
    unknown = [letter for letter in directives if letter not in _DIRECTIVES or not letter]
    dated = all(set(directives) & set(part) for part in ("Yy", "mbB", "d"))
    fraction = "f" in directives and ".%f" not in format
    if format != "iso" and format not in _UNITS and (unknown or not dated or fraction):
        raise SourceError(
            f"{where}: time format '{format}' does not tell a date: use iso, {', '.join(_UNITS)}, "
            "or one like %d.%m.%Y %H:%M:%S.%f with day, month and year."
        )


def iso(texts: pl.Series, zone: str) -> pl.Series:
    """ISO 8601 dates and times, with or without zone; those without stand in `zone`, dates at midnight."""
    texts = texts.cast(pl.String).str.strip_chars()
    usual = texts.str.contains(_PLAIN).fill_null(True)
    if usual.all():
        return _plain(texts, zone)
    instants = _plain(texts.set(~usual, None), zone)
    return instants.scatter(usual.not_().arg_true(), _general(texts.filter(~usual), zone))


def _plain(texts: pl.Series, zone: str) -> pl.Series:
    """Dates with seconds, and perhaps milliseconds or microseconds, in UTC or in `zone`."""
    utc = texts.str.ends_with("Z") | texts.str.ends_with("UTC")
    clock = texts.str.replace("(?:Z| UTC)$", "").str.replace(" ", "T", literal=True)
    whole = (clock.str.len_bytes() == 19).all()
    shape = "%Y-%m-%dT%H:%M:%S" if whole else "%Y-%m-%dT%H:%M:%S%.f"
    naive = clock.str.strptime(pl.Datetime("us"), shape, strict=False)
    return _instants(naive, pl.select(pl.when(utc).then(0)).to_series(), zone)


def _general(texts: pl.Series, zone: str) -> pl.Series:
    """Everything _ISO allows: dates alone, times to the minute, fractions, offsets."""
    part = texts.str.extract_groups(_ISO).struct.unnest()
    seconds = pl.col("seconds").fill_null("00")
    micros = pl.col("fraction").str.pad_end(6, "0").str.head(6).cast(pl.Int64).fill_null(0)
    offset = pl.col("zone").str.strip_chars().str.replace(":", "", literal=True)
    size = (
        (offset.str.slice(1, 2).cast(pl.Int64, strict=False) * 60)
        + offset.str.slice(3, 2).cast(pl.Int64, strict=False)
    ) * 60_000_000
    parsed = part.select(
        (
            pl.format("{}T{}:{}", "date", pl.col("clock").fill_null("00:00"), seconds).str.strptime(
                pl.Datetime("us"), "%Y-%m-%dT%H:%M:%S", strict=False
            )
            + pl.duration(microseconds=micros)
        ).alias("naive"),
        pl.when(offset.str.starts_with("-"))
        .then(-size)
        .when(offset.str.starts_with("+"))
        .then(size)
        .when(offset.is_not_null())
        .then(0)
        .alias("offset"),
    )
    return _instants(parsed["naive"], parsed["offset"], zone)


def formatted(texts: pl.Series, format: str, zone: str) -> pl.Series:
    """Times in a strftime format of the field; `iso`, or Unix `seconds`, `milliseconds`, `microseconds`."""
    if format == "iso":
        return iso(texts, zone)
    texts = texts.cast(pl.String).str.strip_chars()
    if format in _UNITS:
        count = numbers.billionths(pl.col("t"))
        micros = pl.when(count.abs() <= FARTHEST * numbers.ONE).then(count) * _UNITS[format]
        near = pl.when(micros.abs() <= FARTHEST * numbers.ONE).then(micros)
        return texts.to_frame("t").select(numbers.rounded(near, numbers.ONE)).to_series()
    strptime = format.replace(".%f", "%.f")
    if "%z" in format:
        aware = texts.str.replace("Z$", "+0000").str.strptime(
            pl.Datetime("us", "UTC"), strptime, strict=False
        )
        far = rf"{_FAR}$" if format.endswith("%z") else rf"(?:^|\s){_FAR}(?:\s|$)"
        return aware.to_physical().set(texts.str.contains(far).fill_null(False), None)
    naive = texts.str.strptime(pl.Datetime("us"), strptime, strict=False)
    return _instants(naive, pl.Series([None], dtype=pl.Int64).new_from_index(0, len(naive)), zone)


def typed(times: pl.Series, zone: str) -> pl.Series:
    """Dates and datetimes of a Parquet column; those without a zone stand in `zone`."""
    if isinstance(times.dtype, pl.Datetime) and times.dtype.time_zone is not None:
        return times.dt.convert_time_zone("UTC").dt.cast_time_unit("us").to_physical()
    naive = times.cast(pl.Datetime("us"))
    return _instants(naive, pl.Series([None], dtype=pl.Int64).new_from_index(0, len(naive)), zone)


def _instants(naive: pl.Series, offset: pl.Series, zone: str) -> pl.Series:
    """Wall clock times less their offset, or read in `zone` where they carry none.

    A time that a change of the clocks repeats is the first of the two; one that it skips is read with
    the offset before the change.
    """
    wall = naive.to_physical()
    if zone == "UTC":
        return wall - offset.fill_null(0)
    here = naive.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    if here.null_count() > naive.null_count():
        day = pl.duration(days=1)
        before = naive.to_frame("t").select(
            (pl.col("t") - day).dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
        )
        shifted = before.to_series().dt.convert_time_zone("UTC").to_physical() + DAY
        local = here.dt.convert_time_zone("UTC").to_physical().fill_null(shifted)
    else:
        local = here.dt.convert_time_zone("UTC").to_physical()
    return (wall - offset).fill_null(local)
