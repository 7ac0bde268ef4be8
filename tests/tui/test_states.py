"""Every page in its states, as text: nothing there, on its way, refused, narrow, wide, in wide characters.

A state is one walk through all pages; `--snapshot-update` accepts new texts after a look at them.
"""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from rich.cells import cell_len

from db.errors import StoreLocked
from segtui.tui.data import Data

WALK = {
    "segments": ("1",),
    "members": ("enter",),
    "user": ("enter",),
    "replay": ("4",),
    "changes": ("5",),
    "rules": ("R",),
    "models": ("M",),
    "transitions": ("X",),
    "overlap": ("O",),
    "data": ("Q",),
    "checks": ("H",),
    "log": ("L",),
    "settings": ("colon", "'settings", "enter"),
}
NARROW, NORMAL, WIDE = (60, 20), (80, 24), (200, 60)
BUSY = "Process 4711 (segtui import) holds the store since 12:00: try again later, or use --wait SECONDS."

pytestmark = pytest.mark.usefixtures("steady", "network")


class Answers(Data):
    """A store that is asked through one place."""

    def __getattribute__(self, name):
        found = super().__getattribute__(name)
        if name.startswith("_") or name == "watch" or not callable(found):
            return found
        return super().__getattribute__("_asked")(found)


class SilentData(Answers):
    """A store that does not answer before it is let go."""

    def __init__(self, path):
        super().__init__(path)
        self.let_go = threading.Event()

    def _asked(self, found):
        def answer(*given):
            self.let_go.wait()
            return found(*given)

        return answer


class RefusingData(Answers):
    """A store that is busy."""

    def _asked(self, _found):
        def answer(*_given):
            raise StoreLocked(BUSY)

        return answer


@pytest.fixture
def opened(request, monkeypatch, app_of):
    """opened("shop"): an app over the store of that name, its path told as its name alone."""

    def opened(name, data=Data):
        path = request.getfixturevalue(name)
        monkeypatch.chdir(path.parent)
        return app_of(Path(path.name), poll=3600, data=data(Path(path.name)))

    return opened


async def pictures(app, size, settle, press, shown):
    """What stands on each page of a walk through all of them, under its name."""
    told = {}
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        for page, keys in WALK.items():
            await press(pilot, *keys)
            if page != pilot.app.page.PAGE:
                pilot.app.visit(page)
                await settle(pilot)
            told[page] = shown(pilot.app)
    return "\n".join(f"{page}\n{text}" for page, text in told.items())


@pytest.mark.parametrize(
    ("store", "size"),
    [("shop", NARROW), ("shop", WIDE), ("empty", NORMAL), ("chinese", NORMAL)],
    ids=["narrow", "wide", "empty", "chinese"],
)
async def test_every_page(snapshot, opened, settle, press, shown, store, size):
    told = await pictures(opened(store), size, settle, press, shown)
    assert max(map(cell_len, told.splitlines())) <= size[0]
    assert told == snapshot


async def test_every_page_of_a_busy_store(snapshot, opened, settle, press, shown):
    told = await pictures(opened("shop", RefusingData), NORMAL, settle, press, shown)
    assert told.count("That did not work.") >= len(WALK) - 2
    assert told == snapshot


async def test_every_page_before_its_answer(snapshot, opened, shown):
    told, app = [], opened("shop", SilentData)
    try:
        async with app.run_test(size=NORMAL) as pilot:
            for page in WALK:
                pilot.app.visit(page)
                await pilot.pause()
                await pilot.pause()
                told.append(shown(pilot.app))
    finally:
        app.data.let_go.set()
    assert "\n".join(told) == snapshot
