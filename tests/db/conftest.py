"""Small stores and frames for the tests of `db`."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from db import log
from db.store import Store
from db.transaction import Transaction

KEY = bytes(range(32))

Frame = Callable[..., pl.DataFrame]


@pytest.fixture(autouse=True)
def no_key_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEGTUI_KEY", raising=False)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store with a known key."""
    with Store.create(tmp_path / "shop.db", key=KEY) as made:
        yield made


def _frame(
    schema: dict[str, pl.DataType], defaults: dict[str, Any], rows: list[dict[str, Any]]
) -> pl.DataFrame:
    names = [name for name in schema if name != "seq"]
    data = {name: [row.get(name, defaults.get(name)) for row in rows] for name in names}
    return pl.DataFrame(data, schema={name: schema[name] for name in names})


@pytest.fixture(scope="session")
def events() -> Frame:
    """events(dict, dict, …) -> behaviour rows; what a dict leaves out is null or a plain value."""

    def build(*rows: dict[str, Any]) -> pl.DataFrame:
        return _frame(log.BEHAVIOUR, {"user": 1, "occurred_at": 1_000, "kind": 1, "late": 0}, list(rows))

    return build


@pytest.fixture(scope="session")
def moves() -> Frame:
    """moves(dict, dict, …) -> membership changes; what a dict leaves out is null or a plain value."""
    plain = {
        "segmentation": 1,
        "user": 1,
        "as_of": 10,
        "pass": 1,
        "cause": "event",
        "reason": 1,
        "backfilled": 0,
        "hindsight": 0,
    }

    def build(*rows: dict[str, Any]) -> pl.DataFrame:
        return _frame(log.CHANGES, plain, list(rows))

    return build


@pytest.fixture(scope="session")
def rescore() -> Callable[..., int]:
    """rescore(tx, as_of, …) records a rescore of segmentation 'value'; returns its seq."""

    def record(tx: Transaction, as_of: int, *, number: int = 1, start: int | None = None) -> int:
        body = {
            "segmentation": "value",
            "pass": number,
            "from": start,
            "as_of": as_of,
            "position": tx.next_seq - 1,
            "sizes": None,
        }
        return tx.append_decision("rescored", body)

    return record


@pytest.fixture(scope="session")
def tamper() -> Callable[[Path, str], None]:
    """tamper(path, sql) changes a store behind its triggers' back, and puts the triggers back."""

    def change(path: Path, *statements: str) -> None:
        connection = sqlite3.connect(path)
        kept = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        for name, _ in kept:
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            assert connection.execute(statement).rowcount != 0, statement
        for _, sql in kept:
            connection.execute(sql)
        connection.commit()
        connection.close()

    return change
