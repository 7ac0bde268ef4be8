"""How long the first look takes at a log of ten million events."""

import os
import shutil
import statistics
import subprocess
import sys
import time

import numpy as np
import polars as pl
import pytest

from db import log
from segtui.operations.init import init
from segtui.operations.rescore import rescore
from segtui.operations.session import open_session

EVENTS, COMMITS, USERS = 10_000_000, 10, 200_000
YEAR, FIRST = 365 * 86_400_000_000, 1_740_000_000_000_000
ALLOWED = 1.0
RUNS = 7
# As in a shell of anyone who uses it: modules compiled once, by the first run.
SHELL = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
FIRST_SCREEN = """
import asyncio, sys, time
from pathlib import Path
from segtui.tui.app import SegtuiApp

async def look():
    app = SegtuiApp(Path(sys.argv[1]))
    async with app.run_test(size=(120, 40)) as pilot:
        while not app.page.rows.total:
            await pilot.pause(0.005)
        print(time.time())

asyncio.run(look())
"""


@pytest.fixture
def long_log(tmp_path_factory):
    """A store of ten million events over a year in ten commits, scored at its last eight ticks."""
    folder = tmp_path_factory.mktemp("long")
    path = folder / "long.db"
    init(path, clock="data", currency="EUR")
    draw = np.random.default_rng(1)
    names = pl.Series([f"customer-{user}" for user in range(USERS)])
    rows = EVENTS // COMMITS
    with open_session(path) as s:
        for part in range(COMMITS):
            with s.store.transaction(actor="bench", source="made") as tx:
                users = tx.surrogates(names).to_numpy()
                kinds = tx.numbers("kind", pl.Series(["view", "add_to_cart", "purchase"])).to_numpy()
                items = tx.numbers("item", pl.Series([f"item-{item}" for item in range(5_000)])).to_numpy()
                known = {
                    "user": users[draw.integers(0, USERS, rows)],
                    "occurred_at": FIRST + np.sort(draw.integers(0, YEAR, rows) + part * YEAR) // COMMITS,
                    "kind": draw.choice(kinds, rows, p=[0.7, 0.15, 0.15]),
                    "item": items[draw.integers(0, len(items), rows)],
                    "currency": np.full(rows, tx.number("currency", "EUR")),
                    "amount": draw.integers(100, 20_000, rows),
                    "late": np.zeros(rows, np.int64),
                }
                tx.append_behaviour(
                    pl.DataFrame(known).select(
                        pl.col(name) if name in known else pl.lit(None, dtype=dtype).alias(name)
                        for name, dtype in log.BEHAVIOUR.items()
                        if name != "seq"
                    )
                )
        end = s.require_as_of()
        rescore(s, at=s.ticks.shift(end, -7))
        rescore(s)
    yield path
    shutil.rmtree(folder)


def until_said(command):
    """The median of several runs: from the start of a process to the moment it prints."""
    times = []
    for _ in range(RUNS + 1):
        started = time.time()
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=SHELL)
        times.append(float(done.stdout) - started)
    return statistics.median(times[1:])


def until_done(command):
    """The median of several runs of a whole process."""
    times = []
    for _ in range(RUNS + 1):
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, env=SHELL)
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])


@pytest.mark.bench
@pytest.mark.timeout(3_600)
def test_a_first_look_at_ten_million_events(long_log, report):
    command = [sys.executable, "-m", "segtui", "segments", "--json", "--store", str(long_log)]
    screen = until_said([sys.executable, "-c", FIRST_SCREEN, str(long_log)])
    report(
        f"{EVENTS:,} events of {USERS:,} users, from the shell, against the second they may take",
        [
            ("the terminal UI, to its first screen", screen, ALLOWED, "s"),
            ("segtui segments --json", until_done(command), ALLOWED, "s"),
        ],
    )
