"""How quick the terminal UI is over a store of a million users and ten million events, at a real terminal.

Run as `python -m tests.benchmarks.bench_ui [--users N] [--store DIR] [--runs N] [--keys N]`: prints a table,
then one JSON line. First paint against that of an empty Textual app; seconds from a key to the paint that
shows what it brought, in the list of members, alone, while a replay is folded and while a model is trained in
the same process; a replay at full speed. With --store the store is kept there, and taken from there the next
time.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from db import projections
from segtui.operations.definitions import definitions
from segtui.operations.rescore import rescore
from segtui.operations.session import open_session
from segtui.operations.train import train
from tests.benchmarks.bench_rescore import give, make, promoted
from tests.benchmarks.shown import show

ROOT = Path(__file__).parents[2]
SMALL = 10_000
TICKS = 30
FIRST, FACTOR, KEY, PICTURES = 1.0, 2.5, 0.1, 20
"""Seconds to the first paint, times an empty app's, seconds of a key at the 95th percentile, pictures/s."""
BESIDE = ("nothing", "replay", "training")
# As in a shell of anyone who uses it: modules compiled once, by the first run.
SHELL = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def made(folder, users):
    """A store with so many users, a model trained on a small one deciding, its last ticks rescored."""
    small, store = make(folder / str(SMALL), SMALL), make(folder / str(users), users)
    with open_session(small) as s:
        if not definitions(s).models:
            train(s, promote=False)
    promoted(small)
    if store != small:
        give(small, store)
    with open_session(store) as s:
        end = s.require_as_of()
        if projections.rescores(s.store).height < TICKS:
            rescore(s, at=s.ticks.shift(end, -TICKS))
            rescore(s)
    return store


def operator(*arguments):
    """What a run of `ui_operator` tells, a process of its own, and when it began."""
    began = time.time()
    with tempfile.TemporaryDirectory() as home:
        own = SHELL | {"XDG_STATE_HOME": home, "XDG_CONFIG_HOME": home}
        done = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.ui_operator", *map(str, arguments)],
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env=own,
            text=True,
            check=False,
        )
    if done.stdout[:1] not in ("{", "["):
        raise RuntimeError(f"ui_operator {arguments}: {done.stdout or 'told nothing'}")
    return json.loads(done.stdout), began


def first_paints(store, runs):
    """Median seconds to the first paint of an empty app, of ours, and until the sizes are shown in one."""
    found = {"empty": [], "first": [], "sizes": []}
    for _ in range(runs + 1):
        told, began = operator("empty")
        found["empty"].append(told["first"] - began)
        told, began = operator("first", store)
        for name, at in told.items():
            found[name].append(at - began)
    return {name: statistics.median(each[1:]) for name, each in found.items()}


def bench(folder, *, users, runs, keys, seconds):
    """Measures everything; returns the rows that were printed, by what they tell."""
    store = made(folder, users)
    paints = first_paints(store, runs)
    rows = [
        (
            f"first paint, {users:,} users, against an empty Textual app",
            paints["first"],
            paints["empty"],
            "s",
        ),
        ("sizes of the segments shown, against an empty Textual app", paints["sizes"], paints["empty"], "s"),
    ]
    for beside in BESIDE:
        told, _ = operator("keys", store, beside, keys)
        for what, times in told.items():
            rows += [
                (f"{what}, {name}; beside: {beside}", float(np.quantile(times, share)), KEY, "s")
                for name, share in (("p50", 0.5), ("p95", 0.95))
                if len(times) > 1 or name == "p50"
            ]
    told, _ = operator("film", store, seconds, keys // 2)
    rows += [
        ("replay at full speed", told["pictures_s"], PICTURES, "pictures/s"),
        ("frames that went by", told["frames"], None, "frames"),
        ("of them dropped", told["dropped"], None, "frames"),
    ]
    for what, times in (("a line of its feed", told["step"]), ("space to paused", told["pause"])):
        rows += [
            (f"{what}, {name}", float(np.quantile(times, share)), KEY, "s")
            for name, share in (("p50", 0.5), ("p95", 0.95))
            if times
        ]
    show(f"the terminal UI, {users:,} users; the peer is what is allowed, or an empty app", rows)
    return {what: (ours, peer) for what, ours, peer, _ in rows}


def main():
    """Parses and measures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--store", type=Path)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--keys", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=10.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench(
            given.store or Path(folder),
            users=given.users,
            runs=given.runs,
            keys=given.keys,
            seconds=given.seconds,
        )


if __name__ == "__main__":
    main()
