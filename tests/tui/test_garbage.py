"""What was loaded is not looked through for garbage again and again."""

from __future__ import annotations

import gc
import sys

import pytest

from segtui.garbage import LIBRARY, Held
from segtui.tui.app import SegtuiApp


@pytest.fixture
def held(monkeypatch):
    """How often what is left was held."""
    times = []
    monkeypatch.setattr("segtui.garbage.gc.freeze", lambda: times.append(1))
    return times


def test_what_is_left_is_held_when_a_library_has_come(held, monkeypatch):
    collected = Held()
    collected("start", {"generation": 2})
    collected("stop", {"generation": 1})
    assert held == [], "not everything has been looked through"
    collected("stop", {"generation": 2})
    collected("stop", {"generation": 2})
    assert len(held) == 1, "once: what is garbage by then stays"
    for number in range(LIBRARY):
        assert len(held) == 1
        monkeypatch.setitem(sys.modules, f"loaded_{number}", None)
        collected("stop", {"generation": 2})
    assert len(held) == 2


async def test_only_while_the_screens_are_there(shop, app_of, settle, held, monkeypatch):
    def told():
        return [each for each in gc.callbacks if isinstance(each, Held)]

    monkeypatch.setattr(SegtuiApp, "is_headless", False)
    async with app_of(shop).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert len(told()) == 1
    assert told() == []
