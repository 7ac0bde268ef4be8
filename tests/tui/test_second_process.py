"""What another process commits shows by itself."""

from __future__ import annotations

import subprocess
import sys

import pytest

from segtui.tui.app import SegtuiApp

pytestmark = pytest.mark.usefixtures("network")

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
