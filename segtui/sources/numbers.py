"""Number texts to exact integers, as Polars expressions; null where a text is not the number meant.

Numbers travel as Int128 billionths: exact to 9 decimals, later decimals are rounded into the ninth. No
binary float is involved. Final roundings go half away from zero (2.345 to 2.35, -2.345 to -2.35).
"""

from __future__ import annotations

from functools import cache

import polars as pl
from babel.numbers import get_currency_precision, list_currencies

DECIMALS = 9
ONE = 10**DECIMALS
LARGEST = 10**12  # the largest number a row may hold: amounts fit in minor units, sums in Int128


def trimmed(texts: pl.Expr) -> pl.Expr:
    """Texts without surrounding white space; empty ones are null."""
    stripped = texts.cast(pl.String).str.strip_chars()
    return pl.when(stripped != "").then(stripped)


def plain_id(texts: pl.Expr) -> pl.Expr:
    """Ids as they were meant: `17850.0`, which a float column makes of 17850, loses its `.0`."""
    return trimmed(texts).str.replace(r"^([0-9]+)\.0$", "$1")


def billionths(texts: pl.Expr) -> pl.Expr:
    """Decimal texts (`12`, `-3.5`, `1e3`) to Int128 billionths; null for no number."""
    decimals = texts.cast(pl.String).str.strip_chars().cast(pl.Decimal(38, DECIMALS), strict=False)
    return decimals.to_physical()


def too_large(numbers: pl.Expr) -> pl.Expr:
    """Whether the magnitude of billionths passes LARGEST."""
    return numbers.abs().gt(LARGEST * ONE)


def bounded(numbers: pl.Expr) -> pl.Expr:
    """Billionths, those beyond LARGEST as null."""
    return pl.when(~too_large(numbers)).then(numbers)


def rounded(numerators: pl.Expr, denominator: int) -> pl.Expr:
    """numerators / denominator as Int64, halves away from zero."""
    size = (numerators.abs() + denominator // 2) // denominator
    return (size * numerators.sign()).cast(pl.Int64)


def whole(numbers: pl.Expr) -> pl.Expr:
    """Billionths as whole Int64 numbers; null where there is a fraction or too much."""
    return pl.when(numbers % ONE == 0).then(rounded(bounded(numbers), ONE))


def scaled(numbers: pl.Expr, factor: int) -> pl.Expr:
    """Billionths times a factor, as whole Int64 numbers: minor units, hundredths, milliseconds."""
    return rounded(bounded(numbers) * factor, ONE)


def minor_units(numbers: pl.Expr, currency: pl.Expr) -> pl.Expr:
    """Billionths of major units to minor units, by the digits ISO 4217 gives each currency."""
    digits = {code: 10 ** precision(code) for code in currencies()}
    factor = currency.replace_strict(digits, default=None, return_dtype=pl.Int128)
    return rounded(bounded(numbers) * factor, ONE)


@cache
def currencies() -> frozenset[str]:
    """The ISO 4217 codes known, former ones included."""
    return frozenset(list_currencies())


@cache
def precision(currency: str) -> int:
    """The number of decimals of a currency's minor unit: 2 for EUR, 0 for JPY, 3 for KWD."""
    return int(get_currency_precision(currency))
