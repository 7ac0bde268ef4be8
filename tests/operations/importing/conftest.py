"""Event lines, and an empty store to import them into."""

import json
from datetime import UTC, datetime

import pytest

from segtui.operations.init import init


def lines(path, rows):
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def purchase(user, day, amount=10.0, **more):
    fields = {"user": user, "time": f"2026-01-{day:02}T10:00:00Z", "kind": "purchase", "amount": amount}
    return fields | {"currency": "EUR"} | more


def adds_up(told):
    parts = ("accepted", "duplicates", "changed", "suppressed", "quarantined")
    return told["rows"] == sum(told[part] for part in parts)


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("SEGTUI_NOW", str(int(datetime(2026, 2, 1, tzinfo=UTC).timestamp()) * 1_000_000))
    init(tmp_path / "a.db")
    return tmp_path / "a.db"
