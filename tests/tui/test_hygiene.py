"""What the first paint may load, and how the screens write numbers."""

from __future__ import annotations

import subprocess
import sys

import pytest

from segtui.tui import words

FIRST_PAINT = """
import asyncio, sys
from pathlib import Path
from segtui.tui.app import SegtuiApp

async def main():
    async with SegtuiApp(Path(sys.argv[1])).run_test(size=(80, 24)) as pilot:
        while not pilot.app.page.rows.total:
            await pilot.pause(0.02)
        await pilot.press("enter")
        while not pilot.app.page.PAGE == "members" or not pilot.app.page.rows.total:
            await pilot.pause(0.02)

asyncio.run(main())
heavy = {"jax", "flax", "optax", "sklearn"} & {name.partition(".")[0] for name in sys.modules}
assert not heavy, heavy
"""


def test_the_screens_are_there_before_the_store_is_loaded():
    code = "import sys, segtui.tui.app; assert not {'polars', 'numpy', 'sqlite_utils'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]


def test_segments_and_members_are_painted_without_jax(shop):
    done = subprocess.run(
        [sys.executable, "-c", FIRST_PAINT, str(shop)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize(
    ("number", "text"),
    [(None, "·"), (0.414, "0.41"), (-0.001, "0.00"), (-0.02, "-0.02"), (1.0, "1.00"), (0, "0.00")],
)
def test_probability(number, text):
    assert words.probability(number) == text


@pytest.mark.parametrize(("number", "text"), [(None, "·"), (0, "0"), (214, "▲ 214"), (-12, "▼ 12")])
def test_delta_has_a_sign_besides_its_colour(number, text):
    assert words.delta(number).plain == text


def test_moments_are_written_in_the_stores_zone():
    assert words.moment("2026-02-28T23:00:00+00:00", "Europe/Paris") == "Sun 2026-03-01 00:00 CET"
    assert words.moment("2026-07-01T00:00:00+02:00", "Europe/Paris") == "Wed 2026-07-01 00:00 CEST"


def test_moves_stand_in_columns_whatever_the_script():
    wide, narrow = (words.move({"from": left, "to": "低"}, 6) for left in ("高价值", "high"))
    assert wide.cell_length == narrow.cell_length == 15
    assert wide.plain == "高价值 > 低    "


def test_moves_from_nowhere_and_to_nowhere():
    assert words.move({"from": None, "to": "low"}).plain == "(new) > low"
    assert words.move({"from": "high", "to": None}).plain == "high > (none)"
