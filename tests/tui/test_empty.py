"""What the pages say when there is nothing to show, and what becomes of a store that cannot be read."""

from __future__ import annotations

import pytest

from segtui.tui.actions import PAGES


@pytest.mark.parametrize("key", ["1", "2", "3", "4", "5"])
async def test_without_users_every_page_says_how_to_import(empty, app_of, settle, press, shown, key):
    async with app_of(empty).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, key)
        assert "segtui import FILE" in shown(pilot.app)
        assert "segtui demo" in shown(pilot.app)


async def test_there_is_no_command_to_copy_for_members_of_nothing(empty, app_of, settle, press):
    async with app_of(empty).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "2", "Y")
        assert "nothing to copy" in pilot.app.notices[-1].text
        assert not pilot.app.clipboard


@pytest.mark.parametrize("key", ["1", "2", "4", "5"])
async def test_before_the_first_rescore_every_page_says_what_to_press(
    unscored, app_of, settle, press, shown, key
):
    async with app_of(unscored).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, key)
        assert "48 users, but nobody is in a segment yet" in shown(pilot.app)
        assert "segtui train" in shown(pilot.app)


async def test_the_first_rescore_fills_the_page(unscored, app_of, settle, press, shown):
    async with app_of(unscored).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "r", "y")
        screen = shown(pilot.app)
        assert "starter rule" in screen
        assert "segtui train" in screen
        await press(pilot, "enter", "enter")
        assert "A rule decides, without" in shown(pilot.app)


async def test_a_store_that_is_gone_is_a_sentence_and_not_a_traceback(tmp_path, app_of, settle, press, shown):
    async with app_of(tmp_path / "gone.db").run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert "There is no store at" in shown(pilot.app)
        await press(pilot, "5", "1", "r", "y")
        assert pilot.app.is_running


async def test_a_file_that_is_no_store_is_a_sentence(tmp_path, app_of, settle, shown):
    path = tmp_path / "notes.db"
    path.write_text("not a database, and long enough to look at: " + "x" * 200)
    async with app_of(path).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert "That did not work." in shown(pilot.app)
        assert "Traceback" not in shown(pilot.app)


@pytest.mark.usefixtures("network")
@pytest.mark.parametrize("size", [(60, 20), (40, 12), (20, 5)])
async def test_small_terminals_do_not_crash(shop, app_of, settle, press, shown, size):
    async with app_of(shop).run_test(size=size) as pilot:
        await settle(pilot)
        for key in ("enter", "enter", "w", "4", "full_stop", "5", "w", "question_mark", "escape"):
            await press(pilot, key)
        assert PAGES[4] == pilot.app.page.PAGE
        assert pilot.app.is_running
        await pilot.resize_terminal(100, 30)
        await settle(pilot)
        assert "5 Changes" in shown(pilot.app)
