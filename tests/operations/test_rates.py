"""Mixed currencies: brought to the store's by the rate of their day, or quarantined."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from db import log, vocabulary
from segtui.operations.ingest import import_files
from segtui.operations.init import init
from segtui.operations.quality import quality
from segtui.operations.session import Session, open_session


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEGTUI_NOW", "1772000000000000")
    (tmp_path / "rates.csv").write_text("date,currency,rate\n2026-01-05,USD,0.925\n2026-01-07,USD,0.5\n")
    return tmp_path


def shop(folder: Path, name: str = "shop.db", **options: str) -> Path:
    init(folder / name, **options)
    return folder / name


def rows(folder: Path, *told: tuple[str, float | None, int]) -> Path:
    """Purchases in a currency, for an amount, on a day of January."""
    path = folder / "rows.ndjson"
    lines = [
        {
            "user": "u",
            "time": f"2026-01-{day:02}T10:00:00Z",
            "kind": "purchase",
            "currency": code,
            "amount": amount,
        }
        for code, amount, day in told
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def amounts(s: Session) -> list[tuple[str, int | None]]:
    codes = vocabulary.texts(s.store, "currency")
    logged = log.behaviour(s.store, columns=["currency", "amount"])
    return [(codes[code], amount) for code, amount in logged.rows()]


def test_amounts_are_brought_to_the_stores_currency_by_the_rate_of_their_day(folder: Path) -> None:
    path = rows(folder, ("EUR", 1, 5), ("USD", 9.95, 5), ("USD", 9.95, 6), ("USD", 9.95, 8), ("USD", 1, 4))
    with open_session(shop(folder, currency="EUR")) as s:
        told = import_files(s, [path], rates=folder / "rates.csv")
        assert amounts(s) == [("EUR", 100), ("EUR", 920), ("EUR", 920), ("EUR", 498)]
        assert told["reasons"] == {"currency '…' has no rate to EUR on its day or before": 1}
        assert told["converted"] == {"USD": 3}
        assert quality(s)["converted"] == {"USD": 3}
        again = import_files(s, [path], rates=folder / "rates.csv")
        assert (again["accepted"], again["duplicates"]) == (0, 4)


def test_without_rates_other_currencies_are_quarantined(folder: Path) -> None:
    path = rows(folder, ("EUR", 1, 5), ("USD", 9.95, 5))
    with open_session(shop(folder, currency="EUR")) as s:
        told = import_files(s, [path])
        assert (told["accepted"], told["quarantined"], told["converted"]) == (1, 1, {})


def test_a_currency_without_any_rate_is_quarantined(folder: Path) -> None:
    with open_session(shop(folder, currency="EUR")) as s:
        told = import_files(s, [rows(folder, ("CHF", 1, 5), ("USD", 2, 5))], rates=folder / "rates.csv")
        assert amounts(s) == [("EUR", 185)]
        assert told["quarantined"] == 1


def test_a_first_import_settles_on_the_currency_that_has_no_rates(folder: Path) -> None:
    path = rows(folder, ("USD", 2, 5), ("USD", 4, 5), ("EUR", 1, 5))
    with open_session(shop(folder)) as s:
        told = import_files(s, [path], rates=folder / "rates.csv")
        assert (told["currency"], told["converted"]) == ("EUR", {"USD": 2})
        assert sorted(amounts(s)) == [("EUR", 100), ("EUR", 185), ("EUR", 370)]


def test_refunds_are_brought_to_the_stores_currency_with_their_rows(folder: Path) -> None:
    path = folder / "orders.csv"
    path.write_text(
        "Name,Email,Financial Status,Currency,Total,Created at,"
        "Lineitem quantity,Lineitem name,Lineitem price,Refunded Amount\n"
        "#1,a@b.c,partially_refunded,USD,10.00,2026-01-05,1,Mug,10.00,4.00\n"
    )
    with open_session(shop(folder, currency="EUR")) as s:
        import_files(s, [path], rates=folder / "rates.csv")
        assert amounts(s) == [("EUR", 925), ("EUR", -370)]


def test_what_gets_too_large_is_quarantined(folder: Path) -> None:
    (folder / "rates.csv").write_text("date,currency,rate\n2026-01-05,KWD,1000000\n")
    path = rows(folder, ("KWD", 999_999_999_999, 5), ("KWD", 1, 5), ("KWD", None, 5))
    with open_session(shop(folder, currency="EUR")) as s:
        told = import_files(s, [path], rates=folder / "rates.csv")
        assert told["reasons"] == {"amount '…' is too large in EUR": 1}
        assert amounts(s) == [("EUR", 100_000_000), ("EUR", None)]
