"""Pictures of every screen at 80x24 and 120x40; `--snapshot-update` accepts new ones after a look at them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SCREENS = {
    "segments": (),
    "members": ("enter", "s", "j"),
    "user": ("enter", "enter"),
    "replay": ("4", "t", "'2026-02-19", "enter"),
    "changes": ("5", "slash", "'value=high", "enter", "o", "j"),
    "why": ("c", "j", "w"),
    "time_travel": ("t", "'2026-02-10", "enter"),
    "help": ("question_mark",),
    "palette": ("colon",),
    "rules": ("n", "'loyal", "enter", "'orders_90d >= 2 AND rec"),
    "log": ("colon", "'log", "enter"),
    "export": ("x",),
}
FURTHER = {"models": "M", "transitions": "X", "overlap": "O", "data": "Q"}
SIZES = [(80, 24), (120, 40)]
SCREENSHOT = Path(__file__).parents[2] / "docs" / "segments.svg"

pytestmark = pytest.mark.usefixtures("network")


def at(size):
    return f"{size[0]}x{size[1]}"


@pytest.mark.parametrize("size", SIZES, ids=at)
@pytest.mark.parametrize("name", SCREENS)
def test_screen(snap_compare, shop, app_of, settle, press, name, size, monkeypatch):
    # An export tells the folder it would be in.
    monkeypatch.chdir("/")

    async def walk(pilot):
        await settle(pilot)
        await press(pilot, *SCREENS[name])

    assert snap_compare(app_of(shop, poll=3600), terminal_size=size, run_before=walk)


@pytest.mark.parametrize("name", FURTHER)
def test_further(snap_compare, shop, app_of, settle, press, name):
    async def walk(pilot):
        await settle(pilot)
        await press(pilot, FURTHER[name])

    assert snap_compare(app_of(shop, poll=3600), terminal_size=(80, 24), run_before=walk)


@pytest.mark.parametrize("size", SIZES, ids=at)
def test_nothing_imported(snap_compare, empty, app_of, settle, size):
    assert snap_compare(app_of(empty, poll=3600), terminal_size=size, run_before=settle)


@pytest.mark.parametrize("size", SIZES, ids=at)
def test_nothing_scored(snap_compare, unscored, app_of, settle, size):
    assert snap_compare(app_of(unscored, poll=3600), terminal_size=size, run_before=settle)


def test_rescore(snap_compare, unscored, app_of, settle, press):
    async def walk(pilot):
        await settle(pilot)
        await press(pilot, "r")

    assert snap_compare(app_of(unscored, poll=3600), terminal_size=(80, 24), run_before=walk)


def test_narrow(snap_compare, shop, app_of, settle):
    assert snap_compare(app_of(shop, poll=3600), terminal_size=(60, 20), run_before=settle)


async def test_the_screenshot_of_the_readme_is_current(shop, app_of, settle):
    app = app_of(shop, poll=3600)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        picture = app.export_screenshot(title="segtui")
    if os.environ.get("SEGTUI_UPDATE_SCREENSHOT") == "1":
        SCREENSHOT.parent.mkdir(exist_ok=True)
        SCREENSHOT.write_text(picture)
    assert SCREENSHOT.read_text() == picture, "look at it, then: SEGTUI_UPDATE_SCREENSHOT=1 pytest tests/tui"
