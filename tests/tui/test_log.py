"""The log page: decisions as an operator reads them, and taking one back."""

from __future__ import annotations

import pytest

from segtui.operations.definitions import definitions
from segtui.operations.session import open_session
from segtui.tui.screens.dialogs import Confirm

pytestmark = pytest.mark.usefixtures("network")


async def to_log(pilot, press, settle):
    await settle(pilot)
    await press(pilot, "colon", "'log", "enter")


async def test_decisions_are_listed_newest_first_without_what_follows_from_them(
    shop, app_of, settle, press, shown
):
    async with app_of(shop).run_test(size=(100, 30)) as pilot:
        await to_log(pilot, press, settle)
        page = pilot.app.page
        assert page.PAGE == "log"
        rows = [page.rows.row(n) for n in range(page.rows.total)]
        assert [row["seq"] for row in rows] == sorted((row["seq"] for row in rows), reverse=True)
        assert "rescored" not in {row["kind"] for row in rows}
        assert "shop: " in shown(pilot.app)
        await press(pilot, *"fff")
        assert "rescored" in {page.rows.row(n)["kind"] for n in range(page.rows.total)}


async def test_a_decision_is_shown_in_full(shop, app_of, settle, press, shown):
    async with app_of(shop).run_test(size=(100, 30)) as pilot:
        await to_log(pilot, press, settle)
        await press(pilot, "G")
        screen = shown(pilot.app)
        assert "store created, position" in screen
        assert "Europe/Paris" in screen


async def test_what_cannot_be_taken_back_says_so(shop, app_of, settle, press):
    async with app_of(shop).run_test(size=(100, 30)) as pilot:
        await to_log(pilot, press, settle)
        await press(pilot, "G", "z")
        assert "Nothing takes back this store created" in pilot.app.notices[-1].text
        assert pilot.app.screen is pilot.app.page


async def test_an_edit_is_taken_back_after_a_look_at_who_moves(ruled, app_of, settle, press, shown):
    async with app_of(ruled).run_test(size=(100, 30)) as pilot:
        await to_log(pilot, press, settle)
        assert pilot.app.page.rows.item["kind"] == "segmentation_defined"
        await press(pilot, "z")
        assert "Undo: segment new" in shown(pilot.app)
        assert "in       > (none)" in shown(pilot.app)
        with open_session(ruled) as s:
            assert "lapsing" in definitions(s).segmentations, "a preview writes nothing"
        await press(pilot, "y")
        assert "Taken back by decision" in pilot.app.notices[-1].text
        with open_session(ruled) as s:
            assert "lapsing" not in definitions(s).segmentations
        assert pilot.app.page.rows.row(0)["kind"] == "segmentation_retired"


async def test_what_was_previewed_before_the_store_moved_on_is_previewed_again(
    ruled, app_of, settle, press, moved_on
):
    async with app_of(ruled).run_test(size=(100, 30)) as pilot:
        await to_log(pilot, press, settle)
        await press(pilot, "z")
        await moved_on(pilot, ruled)
        await press(pilot, "y")
        assert "previewing again" in [notice.text for notice in pilot.app.notices][-1]
        assert isinstance(pilot.app.screen, Confirm)
        with open_session(ruled) as s:
            assert "lapsing" in definitions(s).segmentations
