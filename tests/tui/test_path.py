"""An operator's first day by keys: an import arrives, a model is trained, and what follows is looked into."""

from __future__ import annotations

import csv
import json
import random
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from segtui.operations.ingest import import_files
from segtui.operations.members import members
from segtui.operations.session import open_session
from segtui.tui.questions import Filter

DOC = Path(__file__).parents[2] / "docs" / "ui.md"
QUESTION = re.compile(r"^\| (.+\?|The list as a file) \| (.*`.*) \|$", re.MULTILINE)
FEWEST = 6
TRAINING = "logistic epochs=3 horizon=60d"
DAYS, USERS = 210, 650


@pytest.fixture
def orders(tmp_path):
    """A file of half a year of a shop's orders, each customer buying at a pace of their own."""
    draw = random.Random(5)
    path = tmp_path / "orders.ndjson"
    begun = datetime(2026, 3, 1, tzinfo=UTC) - timedelta(days=DAYS)
    with path.open("w") as file:
        for user in range(USERS):
            pace, day, number = draw.uniform(8, 70), draw.uniform(0, 60), 0
            while day < DAYS:
                line = {"user": f"c-{user}", "time": f"{begun + timedelta(days=day):%Y-%m-%dT%H:%M:%SZ}"}
                line |= {"kind": "purchase", "item": f"sku-{number % 9}", "order": f"{user}-{number}"}
                line |= {"amount": round(draw.uniform(5, 20 + 2 * (70 - pace)), 2), "currency": "EUR"}
                file.write(json.dumps(line) + "\n")
                day, number = day + draw.expovariate(1 / pace), number + 1
    return path


def questions():
    """What docs/ui.md asks, and the keys it tells."""
    return {asked: re.findall("`([^`]+)`", keys) for asked, keys in QUESTION.findall(DOC.read_text())}


async def answered(pilot, press, shown, asked, keys):
    """Presses the keys of a question from the first screen; what stands there then answers it."""
    app = pilot.app
    app.visit("segments")
    await press(pilot, "g", "j", *keys)
    page, screen = app.page, " ".join(shown(app).split())
    if asked == "Who is in high value?":
        assert (page.PAGE, page.segment) == ("members", "value=high")
        with open_session(app.store) as s:
            assert page.total == members(s, "value=high")["total"] == page.rows.total > 0
    elif asked == "Who just left it?":
        assert (page.PAGE, page.wanted) == ("changes", Filter(segment="value=high", way="out"))
        assert {page.rows.row(n)["from"] for n in range(min(page.rows.total, 50))} == {"high"}
    elif asked == "Why did this user move?":
        row = page.rows.item
        assert f"{row['from']} > {row['to']}" in screen
        assert row["reason"] in screen
    elif asked == "What if the threshold were higher?":
        assert "would move:" in screen
        assert "high from 0.55 on" in screen
        await press(pilot, "escape", "escape")
    elif asked == "The list as a file":
        with Path("value-high.csv").open() as file, open_session(app.store) as s:
            assert len(list(csv.DictReader(file))) == members(s, "value=high")["total"]
    else:
        raise AssertionError(f"nothing is known of {asked!r}")


async def test_from_the_import_to_the_export(empty, orders, app_of, settle, press, shown, monkeypatch):
    monkeypatch.chdir(orders.parent)
    # Other tests run beside this one, and what stands back for all of them takes minutes.
    monkeypatch.setattr("segtui.tui.apart.NICE", 0)
    async with app_of(empty).run_test(size=(110, 36)) as pilot:
        app = pilot.app
        await settle(pilot)
        assert "No users yet" in shown(app)
        with open_session(empty) as s:
            import_files(s, [orders])
        for _ in range(100):
            await settle(pilot)
            if f"{USERS} users" in shown(app):
                break
        assert f"{USERS} users, but nobody is in a segment yet" in shown(app)

        await press(pilot, "M", "n", f"'{TRAINING}", "enter")
        assert "decides now" in app.notices[-1].text
        await press(pilot, "1")
        assert "decided by logistic" in shown(app)

        await press(pilot, "4", *["plus"] * 6)
        replay = app.page
        assert len(replay.frames) > 60
        await pilot.press("space")
        while replay.index < 20:
            await pilot.pause(0.02)
        await press(pilot, "space", "n")
        assert replay._film is None

        await press(pilot, "5", "w")
        row = app.page.rows.item
        assert row["from"] is not None
        assert row["reason"] in shown(app)

        await press(pilot, "R", "n", "'loyal", "enter", "'orders_365d >= 4", "enter")
        assert "users would be in" in " ".join(shown(app).split())
        await press(pilot, "y")
        held = app.page.rows.item["users"]
        await press(pilot, "e", "ctrl+u", "'orders_365d >= 6", "enter")
        assert "users would be in" in " ".join(shown(app).split())
        await press(pilot, "y")
        assert 0 < app.page.rows.item["users"] < held

        await press(pilot, "enter", "x", "enter")
        with Path("loyal.csv").open() as file:
            assert len(list(csv.DictReader(file))) == app.page.total

        asked = questions()
        assert len(asked) == 5
        for question, keys in asked.items():
            assert len(keys) <= FEWEST
            await answered(pilot, press, shown, question, keys)
