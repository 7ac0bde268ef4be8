"""Number texts become exact integers."""

from decimal import ROUND_HALF_UP, Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segtui.sources import numbers


def applied(texts: list[str], expression: pl.Expr) -> list[int | None]:
    return pl.DataFrame({"t": pl.Series(texts, dtype=pl.String)}).select(expression).to_series().to_list()


T = pl.col("t")
decimals = st.decimals(min_value=-(10**11), max_value=10**11, places=5, allow_nan=False)


@given(st.lists(decimals, min_size=1, max_size=20))
def test_cents_are_exact_and_round_half_away_from_zero(values: list[Decimal]) -> None:
    cents = applied([str(value) for value in values], numbers.scaled(numbers.billionths(T), 100))
    assert cents == [int((value * 100).to_integral_value(ROUND_HALF_UP)) for value in values]


@pytest.mark.parametrize(
    ("text", "cents"),
    [
        ("1.005", 101),
        ("-1.005", -101),
        ("2.675", 268),
        ("0.285", 29),
        ("59.900000000000006", 5990),
        (" 12 ", 1200),
        ("+5", 500),
        (".5", 50),
        ("5.", 500),
        ("1e3", 100_000),
        ("1.5E-2", 2),
        ("999999999999.99", 99_999_999_999_999),
    ],
)
def test_texts_that_are_numbers(text: str, cents: int) -> None:
    assert applied([text], numbers.scaled(numbers.billionths(T), 100)) == [cents]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "two",
        "1,5",
        "1_000",
        "0x10",
        "--5",
        "-",
        ".",
        "nan",
        "inf",
        "-Infinity",
        "1.2.3",
        "١٢",
        "１２",
        "1e",
    ],
)
def test_texts_that_are_no_numbers(text: str) -> None:
    assert applied([text], numbers.billionths(T)) == [None]


def test_what_is_too_large_is_null_and_said_so() -> None:
    texts = ["1000000000000", "1000000000000.1", "-1e20", "1e28"]
    assert applied(texts, numbers.too_large(numbers.billionths(T))) == [False, True, True, True]
    assert applied(texts, numbers.scaled(numbers.billionths(T), 100)) == [10**14, None, None, None]


def test_whole_numbers_may_be_written_with_a_fraction_of_nothing() -> None:
    assert applied(["3", "3.0", "-4.000", "3.5", "0.000000001"], numbers.whole(numbers.billionths(T))) == [
        *(3, 3, -4),
        *(None, None),
    ]


@pytest.mark.parametrize(("currency", "minor"), [("EUR", 1235), ("JPY", 12), ("KWD", 12345), ("CLF", 123450)])
def test_minor_units_have_the_digits_of_their_currency(currency: str, minor: int) -> None:
    assert applied(["12.345"], numbers.minor_units(numbers.billionths(T), pl.lit(currency))) == [minor]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("17850.0", "17850"),
        (" 17850 ", "17850"),
        ("v1.0", "v1.0"),
        ("1.00", "1.00"),
        ("", None),
        ("007", "007"),
    ],
)
def test_ids_lose_the_fraction_a_float_column_gave_them(text: str, meant: str | None) -> None:
    assert applied([text], numbers.plain_id(T)) == [meant]
