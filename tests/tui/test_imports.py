"""The imports page: what each import met, and the rows it refused."""

from __future__ import annotations

import json

import pytest

from segtui.operations.ingest import import_files
from segtui.operations.session import open_session
from segtui.tui.screens.imports import report_text

pytestmark = pytest.mark.usefixtures("network")


async def test_an_import_is_told_rule_by_rule(shop, app_of, settle, press, shown):
    async with app_of(shop).run_test(size=(100, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "Q")
        assert pilot.app.page.PAGE == "data"
        screen = shown(pilot.app)
        assert [line.split() for line in screen.splitlines() if "no time" in line] == [["2", "no", "time"]]
        await press(pilot, "escape")
        assert pilot.app.page.PAGE == "segments"


async def test_refused_rows_are_shown_with_their_reasons(shop, tmp_path, app_of, settle, press, shown):
    rows = [
        {"user": "u1", "time": "2026-02-28T10:00:00Z", "kind": "view"},
        {"user": "u2", "time": "never", "kind": "view"},
    ]
    file = tmp_path / "tonight.ndjson"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with open_session(shop) as s:
        import_files(s, [file], format="events")
    async with app_of(shop).run_test(size=(100, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "Q", "enter")
        screen = shown(pilot.app)
        assert "Quarantined rows" in screen
        assert "line 2" in screen
        assert "never" in screen
        await press(pilot, "escape", "j", "enter")
        assert "is not in" in pilot.app.notices[-1].text, "the older import's file was never written"


async def test_before_the_first_import_the_page_says_how(empty, app_of, settle, press, shown):
    async with app_of(empty).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "Q")
        assert "segtui import FILE" in shown(pilot.app)


def test_a_report_of_no_events_has_no_shares():
    counts = dict.fromkeys(
        ("rows", "accepted", "duplicates", "changed", "suppressed", "quarantined", "late", "events", "users"),
        0,
    )
    fields = [{"name": "item", "filled": 0, "missing": 0}]
    text = report_text(counts | {"rules": [], "fields": fields})
    assert "item" not in text.plain
    assert "none" in text.plain
