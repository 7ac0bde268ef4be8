"""A small shop, one of whose customers is to be forgotten."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from db import projections, vocabulary
from segtui.operations.ingest import import_files
from segtui.operations.rescore import rescore
from segtui.operations.session import Session
from segtui.operations.verify import verify

START = datetime(2026, 1, 5, tzinfo=UTC)
EMAIL = "zoe.planted@example.org"
WHO = "customer-Zoe-77"
DAYS = 6


def purchase(user: str, day: float, amount: float, **more: Any) -> dict[str, Any]:
    at = (START + timedelta(days=day)).isoformat()
    return {"user": user, "time": at, "kind": "purchase", "amount": amount, "currency": "EUR", **more}


def events() -> list[dict[str, Any]]:
    """A purchase a day of some customers, one of whom is WHO."""
    names = [*(f"customer-{number}" for number in range(11)), WHO]
    return [
        purchase(name, day + 0.01 * at, 5 + at * (day + 1), id=f"{name}-{day}", order=f"o-{at}-{day}")
        for at, name in enumerate(names)
        for day in range(DAYS)
    ]


BAD = [
    {"user": WHO, "time": "when?", "kind": "view", "note": f"write to {EMAIL}"},
    {"user": "customer-1", "time": "when?", "kind": "view"},
]


@pytest.fixture
def write(tmp_path_factory):
    """write(rows) -> a file of event lines, outside the store's folder."""
    folder = tmp_path_factory.mktemp("files")

    def writing(rows, name="rows.ndjson") -> Path:
        path = folder / name
        path.write_text(rows if isinstance(rows, str) else "".join(json.dumps(row) + "\n" for row in rows))
        return path

    return writing


@pytest.fixture
def first(write) -> Path:
    """The file everyone came with."""
    return write(events() + BAD, "first.ndjson")


@pytest.fixture
def peopled(lived_through, first):
    """A scored shop with WHO in it, one of whose rows is in quarantine with an e-mail in it."""

    def story(shop):
        shop.at(7.5)
        with shop.open() as s:
            import_files(s, [first], format="events")
            rescore(s)

    return lived_through(story)


def sound(s: Session) -> None:
    assert [check for check in verify(s, deep=True)["checks"] if not check["ok"]] == []


def holders(s) -> pl.DataFrame:
    number = vocabulary.number(s.store, "segmentation", "value")
    return projections.memberships(s.store, number).select("user", "label", "since", "seq")


def found(folder: Path, *texts: bytes) -> list[bytes]:
    """Which of these byte strings some file below the folder holds."""
    contents = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    return [text for text in texts if any(text in content for content in contents)]
