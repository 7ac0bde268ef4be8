"""CDNOW: purchases at a CD shop, whitespace columns; the master layout and the sample's.

Master: customer, date, CDs, dollars. Sample: the master's customer, the sample's own number, then the same.
A header line may stand first. Dates are days, read at midnight of the zone; rows at $0 are kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from segtui.sources import files, mapped, numbers, times
from segtui.sources.errors import SourceError
from segtui.sources.judging import Judge, broken
from segtui.sources.mapping import parse
from segtui.sources.schema import Batch, Columns, Options

NAME = "cdnow"
CURRENCY = "USD"
MASTER = ("customer_id", "date", "number_of_cds", "dollar_value")
SAMPLE = ("customer_id", "sample_id", "date", "number_of_cds", "dollar_value")

MAPPING = """\
# For the sample, whose file has no header line, add:
# names = ["customer_id", "sample_id", "date", "number_of_cds", "dollar_value"]
delimiter = "blanks"

[columns]
user = "customer_id"
time = "date"
quantity = "number_of_cds"
amount = "dollar_value"

[constants]
kind = "purchase"
currency = "USD"

[time]
format = "%Y%m%d"
"""
BEYOND = "that a customer is a number, and that nobody buys 0 CDs"


def recognise(lines: list[str]) -> str | None:
    """Why the first lines look like CDNOW, or None."""
    filled = [line.split() for line in lines if line.strip()][:10]
    if filled and filled[0] == list(MASTER):
        return "its header is CDNOW's"
    if filled and all(_like(cells) for cells in filled):
        return "its lines are customer, date, number and dollars between blanks"
    return None


def columns(path: Path) -> Columns:
    """What becomes of the columns: the customer goes to the vault, the sample's own number nowhere."""
    frames = (frame for frame in files.filled(path) if frame.height)
    names, _ = _layout(path, next(frames)["text"])
    return Columns.among(names, MASTER, ["customer_id"])


def fields(path: Path) -> dict[str, str]:
    """Where each field comes from, as the mapping near this format says."""
    return mapped.fields(path, parse(MAPPING, path))


def read(path: Path, options: Options) -> Iterator[Batch]:
    """The purchases of a file in either layout."""
    names: tuple[str, ...] | None = None
    for frame in files.filled(path):
        if names is None and frame.is_empty():
            continue
        if names is None:
            names, headed = _layout(path, frame["text"])
            frame = frame[1:] if headed else frame
        yield _batch(frame, names, options)


def _layout(path: Path, texts: pl.Series) -> tuple[tuple[str, ...], bool]:
    """The columns of the file, and whether its first line is a header."""
    first = texts[:3].to_list()
    headed = bool(first) and "customer_id" in first[0].split()
    for line in first[headed:]:
        for names in (MASTER, SAMPLE):
            if len(line.split()) == len(names) and _like(line.split()):
                return names, headed
    if headed and first[0].split() == list(MASTER):
        return MASTER, headed
    raise SourceError(
        f"{path}, line 1: not CDNOW, whose lines are customer, date (YYYYMMDD), number of CDs and dollars "
        "between blanks: choose another format or write a mapping file."
    )


def _like(cells: list[str]) -> bool:
    return (
        len(cells) in (len(MASTER), len(SAMPLE))
        and all(cell.isdigit() for cell in cells[:-1])
        and len(cells[-3]) == 8
        and cells[-1].replace(".", "", 1).isdigit()
    )


def _batch(frame: pl.DataFrame, names: tuple[str, ...], options: Options) -> Batch:
    shape = r"^\s*" + r"\s+".join(rf"(?<{name}>\S+)" for name in names) + r"\s*$"
    cells = frame["text"].str.extract_groups(shape).struct.unnest()
    fits = cells[names[0]].is_not_null()
    wrong = frame.filter(~fits)
    counts = wrong.select(
        pl.format(
            f"the line has {{}} columns, not {len(names)}", pl.col("text").str.count_matches(r"\S+")
        ).alias("reason")
    )
    judge = Judge(cells.filter(fits), frame["line"].filter(fits), options)
    customer, date = pl.col("raw:customer_id"), pl.col("raw:date")
    judge.user(customer)
    judge.reject(~customer.str.contains("^[0-9]+$"), pl.format("customer '{}' is not a number", customer))
    judge.time(date, times.formatted(judge.series(date), "%Y%m%d", options.timezone), "date")
    judge.quantity(pl.col("raw:number_of_cds"), "number of CDs")
    judge.reject(pl.col("quantity") == 0, "the number of CDs is 0")
    dollars = judge.number("amount", pl.col("raw:dollar_value"), "dollar value")
    judge.put("amount", numbers.scaled(dollars, 100))
    judge.reject(dollars < 0, "negative dollar value")
    judge.put("kind", pl.lit("purchase"))
    judge.put("currency", pl.lit(CURRENCY))
    return judge.batch(broken(wrong["line"], counts.to_series(), wrong["text"]))
