"""Notices: errors stay until they are read, each is copied with its details."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.usefixtures("network")


async def test_an_error_stays_until_it_is_read(shop, app_of, settle, press, shown):
    async with app_of(shop).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        app = pilot.app
        app.tell("The store is busy.", "error")
        app.tell("Copied.")
        await settle(pilot)
        stays = {each.message: each.timeout for each in app._notifications}
        assert stays["The store is busy."] > 3_600 > stays["Copied."]
        assert "!2" in shown(app)
        await press(pilot, "exclamation_mark")
        assert list(app._notifications) == []
        assert app.unread == 0
        assert "*" in shown(app), "the new ones are marked"
        await press(pilot, "j", "y")
        assert app.clipboard.startswith("2026-03-01 12:00:00 error: The store is busy.\nsegtui ")
        assert app.clipboard.endswith("shop.db as of now\npage segments")
        await press(pilot, "escape", "exclamation_mark")
        assert "*" not in shown(app).split("Notices")[1]


async def test_esc_takes_an_error_away_and_it_is_still_to_be_read(shop, app_of, settle, press):
    async with app_of(shop).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        pilot.app.tell("The store is busy.", "error")
        await press(pilot, "escape")
        assert list(pilot.app._notifications) == []
        assert pilot.app.unread == 1


async def test_an_error_covers_nothing_that_comes_after_it(shop, app_of, settle, press):
    async with app_of(shop).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        for key in ("5", "question_mark", "t", "slash", "colon", "R", "n"):
            pilot.app.clear_notifications()
            pilot.app.tell("The store is busy.", "error")
            pilot.app.tell("Copied.")
            await press(pilot, key)
            assert [each.message for each in pilot.app._notifications] == ["Copied."], key
            if key not in ("5", "R"):
                await press(pilot, "escape")
        assert pilot.app.unread == 14, "they are still to be read"


async def test_esc_takes_an_error_away_wherever_it_is_pressed(shop, app_of, settle, press):
    async with app_of(shop).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        for key in ("question_mark", "t", "slash", "n"):
            await press(pilot, key)
            pilot.app.tell("The store is busy.", "error")
            pilot.app.tell("Wait.", "warning")
            await press(pilot, "escape")
            assert list(pilot.app._notifications) == [], key
