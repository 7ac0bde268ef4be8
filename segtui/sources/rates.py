"""Exchange rates: amounts of other currencies in the store's, exactly.

A rate is what one unit of a currency was worth in the store's currency from its day on: the nearest earlier
day counts, the day itself included. Rates have up to 12 decimals; an amount is multiplied in whole numbers
and rounded once, to the minor unit, halves away from zero.
"""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import cached_property
from pathlib import Path

import polars as pl

from segtui.sources import numbers
from segtui.sources.errors import SourceError

DECIMALS = 12
LARGEST = 10**6
SMALLEST = Decimal("1e-12")
HEADER = ["date", "currency", "rate"]


@dataclass(frozen=True)
class Rates:
    """Rates by currency and day, as whole numbers of 10**-DECIMALS."""

    known: dict[tuple[str, date], int]

    @property
    def currencies(self) -> frozenset[str]:
        """The currencies that there are rates of."""
        return frozenset(currency for currency, _ in self.known)

    @cached_property
    def _frame(self) -> pl.DataFrame:
        rows = [(currency, day, rate) for (currency, day), rate in self.known.items()]
        schema = {"currency": pl.String, "day": pl.Date, "rate": pl.Int128}
        return pl.DataFrame(rows, schema=schema, orient="row").sort("day")

    def amounts(self, rows: pl.DataFrame, currency: str, zone: str) -> pl.Series:
        """Each row's amount in the currency's minor units, Int128, null where there is no rate.

        `rows` has currency, amount (minor units) and time (µs); days are those of the zone.
        """
        local = pl.from_epoch("time", "us").dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
        asked = rows.select("currency", "amount", local.dt.date().alias("day")).with_row_index("at")
        told = asked.sort("day", maintain_order=True).join_asof(
            self._frame, on="day", by="currency", strategy="backward", check_sortedness=False
        )
        digits = {code: 10 ** numbers.precision(code) for code in numbers.currencies()}
        unit = pl.col("currency").replace_strict(digits, default=None, return_dtype=pl.Int128)
        numerator = pl.col("amount").cast(pl.Int128) * pl.col("rate") * digits[currency]
        denominator = unit * 10**DECIMALS
        size = (numerator.abs() + denominator // 2) // denominator
        return told.select("at", (size * numerator.sign()).alias("amount")).sort("at")["amount"]


def load(path: Path) -> Rates:
    """Reads a CSV with the columns date, currency, rate, or a TOML file with a table of days per currency.

    Raises SourceError, naming line or entry.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise SourceError(f"There is no file of rates {path}: check its name and folder.") from None
    except UnicodeDecodeError:
        raise SourceError(f"The file of rates {path} is not UTF-8 text: save it as UTF-8.") from None
    except OSError as error:
        raise SourceError(f"The file of rates {path} cannot be read ({error.strerror}).") from error
    known: dict[tuple[str, date], int] = {}
    for where, day, currency, rate in _toml(path, text) if path.suffix == ".toml" else _csv(path, text):
        key = (_currency(where, currency), _day(where, day))
        if key in known:
            raise SourceError(f"{where}: {key[0]} has two rates on {key[1]}: remove one.")
        known[key] = _rate(where, rate)
    if not known:
        raise SourceError(f"{path} holds no rates: write a line for each, as 2026-01-05,USD,0.92.")
    return Rates(known)


Entry = tuple[str, object, str, object]


def _csv(path: Path, text: str) -> Iterator[Entry]:
    rows = csv.reader(text.splitlines())
    header = [name.strip().lower() for name in next(rows, [])]
    if sorted(header) != sorted(HEADER):
        raise SourceError(
            f"{path}, line 1: the columns are {', '.join(header) or 'none'}: name them {','.join(HEADER)}."
        )
    for number, row in enumerate(rows, start=2):
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(header):
            raise SourceError(
                f"{path}, line {number}: {len(row)} columns, not {len(header)}: correct the line."
            )
        told = dict(zip(header, (cell.strip() for cell in row), strict=True))
        yield f"{path}, line {number}", told["date"], told["currency"], told["rate"]


def _toml(path: Path, text: str) -> Iterator[Entry]:
    try:
        content = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise SourceError(f"The file of rates {path} is not TOML: {error}; correct that line.") from None
    for currency, days in content.items():
        if not isinstance(days, dict):
            raise SourceError(
                f"{path}: {currency} is a table of days: write [{currency}], then 2026-01-05 = 0.92."
            )
        for day, rate in days.items():
            yield f"{path}, [{currency}] {day}", day, currency, rate


def _currency(where: str, text: str) -> str:
    if text.upper() not in numbers.currencies():
        raise SourceError(f"{where}: currency '{text}' is not an ISO 4217 code, like EUR.")
    return text.upper()


def _day(where: str, text: object) -> date:
    try:
        return date.fromisoformat(str(text))
    except ValueError:
        raise SourceError(f"{where}: '{text}' is not a date, like 2026-01-05.") from None


def _rate(where: str, given: object) -> int:
    try:
        rate = Decimal(str(given)) if not isinstance(given, bool) else Decimal("NaN")
    except InvalidOperation:
        rate = Decimal("NaN")
    if not rate.is_finite() or not SMALLEST <= rate <= LARGEST:
        raise SourceError(f"{where}: rate '{given}' is not a number from {SMALLEST:f} to {LARGEST:,}.")
    whole, _, decimals = format(rate, "f").partition(".")
    decimals = decimals.rstrip("0")
    if len(decimals) > DECIMALS:
        raise SourceError(f"{where}: rate '{given}' has more than {DECIMALS} decimals: round it.")
    return int(whole + decimals.ljust(DECIMALS, "0"))
