"""What another process commits shows by itself."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from db.store import Store
from segtui.tui.app import SegtuiApp
from segtui.tui.data import Data

pytestmark = pytest.mark.usefixtures("network")


class LateData(Data):
    """A store that is watched only after the first page has read it, and another process committed."""

    def __init__(self, path):
        super().__init__(path)
        self.read = threading.Event()

    def segments(self, at):
        found = super().segments(at)
        self.read.set()
        return found

    def watch(self, *given):
        assert self.read.wait(10)
        with Store.open(self.path) as store, store.transaction(actor="another process") as tx:
            tx.append_decision("exported", {})
        super().watch(*given)


COMMIT = """
import sys
from pathlib import Path
from db.store import Store
with Store.open(Path(sys.argv[1])) as store, store.transaction(actor="another process") as tx:
    tx.append_decision("exported", {})
"""


async def test_a_commit_of_another_process_reloads_the_page(shop, settle):
    app = SegtuiApp(shop)
    assert app.poll <= 0.5
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        before = app.revision
        done = subprocess.run([sys.executable, "-c", COMMIT, str(shop)], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        for _ in range(200):
            await settle(pilot)
            if app.revision > before:
                break
        assert app.revision == before + 1
        await settle(pilot)


async def test_a_commit_before_the_watch_began_is_not_missed(shop, app_of, settle):
    async with app_of(shop, data=LateData(shop), poll=3600).run_test(size=(100, 30)) as pilot:
        app = pilot.app
        for _ in range(100):
            await settle(pilot)
            if app.revision:
                break
        await settle(pilot)
        with Store.open(shop) as store:
            assert app.status["position"] == store.head()
        assert app.revision == 1
