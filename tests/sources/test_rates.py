"""Exchange rates: read exactly, found by day, multiplied in whole numbers."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segtui import sources
from segtui.sources import numbers
from segtui.sources.rates import DECIMALS, Rates, load

DAY = date(2026, 1, 5)


def rates(tmp_path: Path, text: str, name: str = "rates.csv") -> Rates:
    path = tmp_path / name
    path.write_text(text)
    return load(path)


def test_csv_and_toml_tell_the_same(tmp_path: Path) -> None:
    told = rates(
        tmp_path,
        "currency,rate,date\nUSD,0.92,2026-01-05\n\nusd,0.930000000001,2026-01-06\nJPY,0.0061,2026-01-05\n",
    )
    text = '[USD]\n2026-01-05 = 0.92\n"2026-01-06" = "0.930000000001"\n[JPY]\n2026-01-05 = 6.1e-3\n'
    assert rates(tmp_path, text, "rates.toml") == told
    assert told.known["USD", date(2026, 1, 6)] == 930_000_000_001
    assert told.currencies == {"USD", "JPY"}


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.csv", "", "line 1: the columns are none: name them date,currency,rate"),
        ("a.csv", "day,currency,rate\n", "line 1: the columns are day, currency, rate"),
        ("a.csv", "date,currency,rate\n", "holds no rates"),
        ("a.csv", "date,currency,rate\n2026-01-05,USD\n", "line 2: 2 columns, not 3"),
        ("a.csv", "date,currency,rate\n5.1.26,USD,1\n", "line 2: '5.1.26' is not a date"),
        ("a.csv", "date,currency,rate\n2026-01-05,XYZ,1\n", "line 2: currency 'XYZ' is not an ISO 4217 code"),
        ("a.csv", "date,currency,rate\n2026-01-05,USD,-1\n", "line 2: rate '-1' is not a number from"),
        ("a.csv", "date,currency,rate\n2026-01-05,USD,0\n", "line 2: rate '0' is not a number from"),
        ("a.csv", "date,currency,rate\n2026-01-05,USD,NaN\n", "line 2: rate 'NaN' is not a number from"),
        ("a.csv", "date,currency,rate\n2026-01-05,USD,1e999999999\n", "is not a number from"),
        ("a.csv", "date,currency,rate\n2026-01-05,USD,1e-999999999\n", "is not a number from"),
        ("a.csv", "date,currency,rate\n2026-01-05,USD,one\n", "line 2: rate 'one' is not a number from"),
        ("a.csv", "date,currency,rate\n2026-01-05,USD,0.1234567890123\n", "more than 12 decimals: round it"),
        (
            "a.csv",
            "date,currency,rate\n2026-01-05,USD,1\n2026-01-05,usd,1\n",
            "line 3: USD has two rates on 2026-01-05",
        ),
        ("a.toml", "[USD\n", "is not TOML"),
        ("a.toml", "USD = 1\n", r"USD is a table of days: write \[USD\]"),
        ("a.toml", "[USD]\nfifth = 1\n", r"\[USD\] fifth: 'fifth' is not a date"),
        ("a.toml", "[USD]\n2026-01-05 = true\n", "rate 'True' is not a number from"),
    ],
)
def test_mistakes_in_rates_are_told_in_a_sentence(tmp_path: Path, name: str, text: str, words: str) -> None:
    with pytest.raises(sources.SourceError, match=words) as error:
        rates(tmp_path, text, name)
    assert str(error.value).endswith(".")
    assert str(tmp_path / name) in str(error.value)


def test_rates_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(sources.SourceError, match="There is no file of rates"):
        load(tmp_path / "none.csv")
    with pytest.raises(sources.SourceError, match="cannot be read"):
        load(tmp_path)
    (tmp_path / "latin.csv").write_bytes(b"\xe9")
    with pytest.raises(sources.SourceError, match="not UTF-8"):
        load(tmp_path / "latin.csv")


KNOWN = st.dictionaries(
    st.tuples(
        st.sampled_from(["USD", "JPY", "KWD"]), st.integers(0, 20).map(lambda n: DAY + timedelta(days=n))
    ),
    st.integers(1, 10 ** (6 + DECIMALS)),
    min_size=1,
    max_size=12,
)
ROWS = st.lists(
    st.tuples(
        st.sampled_from(["USD", "JPY", "KWD", "CHF"]),
        st.one_of(st.none(), st.integers(-(10**15), 10**15)),
        st.integers(0, 25 * 86_400),
    ),
    max_size=8,
)


@given(known=KNOWN, rows=ROWS, target=st.sampled_from(["EUR", "JPY", "KWD"]))
def test_amounts_are_those_of_decimal_arithmetic(
    known: dict[tuple[str, date], int], rows: list[tuple[str, int | None, int]], target: str
) -> None:
    start = datetime(2026, 1, 4, tzinfo=UTC)
    times = [int((start + timedelta(seconds=seconds)).timestamp()) * 1_000_000 for _, _, seconds in rows]
    frame = pl.DataFrame(
        {"currency": [row[0] for row in rows], "amount": [row[1] for row in rows], "time": times},
        schema={"currency": pl.String, "amount": pl.Int64, "time": pl.Int64},
    )
    told = Rates(known).amounts(frame, target, "UTC").to_list()
    for (currency, amount, seconds), got in zip(rows, told, strict=True):
        day = (start + timedelta(seconds=seconds)).date()
        earlier = [one for code, one in known if code == currency and one <= day]
        if amount is None or not earlier:
            assert got is None
            continue
        rate = Decimal(known[currency, max(earlier)]).scaleb(-DECIMALS)
        major = Decimal(amount).scaleb(-numbers.precision(currency))
        exact = (major * rate).scaleb(numbers.precision(target))
        assert got == int(exact.to_integral_value(ROUND_HALF_UP))


def test_the_day_is_that_of_the_zone() -> None:
    known = {("USD", DAY): 10**DECIMALS, ("USD", DAY + timedelta(days=1)): 2 * 10**DECIMALS}
    late = int(datetime(2026, 1, 5, 23, 30, tzinfo=UTC).timestamp()) * 1_000_000
    frame = pl.DataFrame({"currency": ["USD"], "amount": [100], "time": [late]})
    assert Rates(known).amounts(frame, "EUR", "UTC").to_list() == [100]
    assert Rates(known).amounts(frame, "EUR", "Europe/Paris").to_list() == [200]
