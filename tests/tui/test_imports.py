"""What an import met, on the screen."""

from __future__ import annotations

import pytest

from segtui.tui.screens.imports import ImportReport, report_text

pytestmark = pytest.mark.usefixtures("network")


async def test_the_newest_import_is_told_rule_by_rule(shop, app_of, settle, press):
    app = app_of(shop)
    async with app.run_test(size=(100, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "Q")
        assert isinstance(app.screen, ImportReport)
        told = app.screen.query_one("#import-report").render().plain
        assert told.startswith("shop, ")
        assert "1 of 1" in told
        assert [line.split() for line in told.splitlines() if "no time" in line] == [["2", "no", "time"]]
        await press(pilot, "comma", "escape")
        assert app.page.PAGE == "segments"


async def test_older_imports_are_a_key_away(shop, app_of, settle, press):
    def report(number):
        imports = [{"import": 9}, {"import": 5}]
        counts = dict.fromkeys(
            (
                "rows",
                "accepted",
                "duplicates",
                "changed",
                "suppressed",
                "quarantined",
                "late",
                "events",
                "users",
            ),
            0,
        )
        told = {
            "import": number or 9,
            "source": f"import {number or 9}",
            "recorded_at": "2026-03-01T10:00:00+00:00",
        }
        return told | counts | {"imports": imports, "format": "events", "rules": [], "fields": []}

    app = app_of(shop)
    async with app.run_test(size=(100, 40)) as pilot:
        await settle(pilot)
        app.push_screen(ImportReport(report))
        await settle(pilot)
        seen = []
        for key in ("comma", "comma", "full_stop", "full_stop"):
            await press(pilot, key)
            seen.append(app.screen.report["import"])
        assert seen == [5, 5, 9, 9]


def test_a_report_of_no_events_has_no_shares():
    told = {"import": 1, "source": "s", "recorded_at": "2026-03-01T10:00:00+00:00", "format": "events"}
    counts = dict.fromkeys(
        ("rows", "accepted", "duplicates", "changed", "suppressed", "quarantined", "late", "events", "users"),
        0,
    )
    fields = [{"name": "item", "filled": 0, "missing": 0}]
    text = report_text(told | counts | {"imports": [{"import": 1}], "rules": [], "fields": fields})
    assert "item" not in text.plain
    assert "none" in text.plain
