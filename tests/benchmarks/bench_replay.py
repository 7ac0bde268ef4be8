"""How fast a year that was scored at every tick is replayed, and how long any instant of it takes to reach.

Run as `python -m tests.benchmarks.bench_replay [--users N] [--days N] [--recompute TICKS] [--seeks N]
[--store DIR]`: prints a table, then the same as one JSON line. The simulated shop's model decides at all
ticks. Folding turns the changes, once read, into frames with their digests; its peer is a bare loop over the
ticks, on ready arrays, that keeps who holds what and the sizes and nothing else. A seek reads who holds what
in all segmentations at a random instant. With --store the store is kept there, and taken from
there the next time.
"""

import argparse
import tempfile
import time
from collections import deque
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

from db import log, projections, states, vocabulary
from engine.replay import frames
from segtui.operations.ingest import import_files
from segtui.operations.init import init
from segtui.operations.promotion import promotion
from segtui.operations.replay import replay
from segtui.operations.rescore import rescore_range
from segtui.operations.session import open_session
from segtui.operations.train import train
from segtui.operations.what_if import what_if
from segtui.simulator import files, simulate
from tests.benchmarks.shown import show

END = date(2026, 3, 1)
RUNS = 3
USERS, DAYS, RECOMPUTED, SEEKS = 100_000, 365, 30, 100


def make(folder, users, days, **training):
    """A store with the simulated shop, its model deciding at every tick; seconds of that, None if kept."""
    store = folder / "shop.db"
    if store.exists():
        return store, None
    folder.mkdir(parents=True, exist_ok=True)
    shop = simulate(users=users, days=days, seed=7, end=END)
    paths = files(shop, folder / "events", 0)
    del shop
    init(store, currency="EUR", clock="data")
    with open_session(store) as s:
        import_files(s, paths, format="events", source="demo")
        for path in paths:
            path.unlink()
        train(s, twin=False, promote=False, **training)
        trained = log.decisions(s.store, kinds=("model_trained",))[-1].body
        with s.store.transaction(actor="bench", source="train") as tx:
            tx.append_decision(*promotion(trained))
        began = time.perf_counter()
        for _ in rescore_range(s, s.ticks.previous(s.ticks.end_holding(log.summary(s.store).first))):
            pass
        return store, time.perf_counter() - began


def recorded(s):
    """Seconds from the store to the last frame, the best of some runs, and the last frame."""
    seconds = []
    for _ in range(RUNS):
        began = time.perf_counter()
        (last,) = deque(replay(s), maxlen=1)
        seconds.append(time.perf_counter() - began)
    return min(seconds), last


def ready(s):
    """The changes of the whole record, the ticks they fall in, and the words of their numbers."""
    changes = log.changes(s.store).with_columns(pl.col("backfilled", "hindsight").cast(pl.Boolean))
    first, last = int(changes["as_of"].min()), int(changes["as_of"].max())
    names = vocabulary.texts(s.store, "segmentation") | vocabulary.texts(s.store, "label")
    return changes, s.ticks.between(s.ticks.previous(first), last), names


def fold(changes, ticks, names, digest=None):
    """Seconds of the engine's fold over ready changes to frames; the sizes it ends with."""
    seconds = []
    for _ in range(RUNS):
        began = time.perf_counter()
        (last,) = deque(frames(changes, ticks, names=names, digest=digest), maxlen=1)
        seconds.append(time.perf_counter() - began)
    return min(seconds), last.sizes


def bare(changes, ticks, names):
    """Seconds of a bare NumPy loop over the ticks, its arrays ready; the sizes it ends with."""
    segmentations = changes["segmentation"].unique().sort().to_list()
    labels = pl.concat([changes["from_label"], changes["to_label"]]).drop_nulls().unique().sort().to_list()
    code = {number: at for at, number in enumerate(labels)} | {None: len(labels)}
    left, came = (
        changes[name].replace_strict(code, return_dtype=pl.Int64).to_numpy()
        for name in ("from_label", "to_label")
    )
    of = np.searchsorted(segmentations, changes["segmentation"].to_numpy())
    users, user = np.unique(changes["user"].to_numpy(), return_inverse=True)
    ends = np.searchsorted(changes["as_of"].to_numpy(), ticks, side="right")
    width = len(labels) + 1
    seconds = []
    for _ in range(RUNS):
        held = np.full((len(segmentations), len(users)), len(labels))
        sizes = np.zeros(len(segmentations) * width, np.int64)
        began, start = time.perf_counter(), 0
        for end in ends.tolist():
            rows = slice(start, end)
            held[of[rows], user[rows]] = came[rows]
            sizes += np.bincount(of[rows] * width + came[rows], minlength=len(sizes))
            sizes -= np.bincount(of[rows] * width + left[rows], minlength=len(sizes))
            start = end
        seconds.append(time.perf_counter() - began)
    return min(seconds), {
        names[segmentation]: {
            names[label]: int(size) for label, size in zip(labels, sizes[at * width :], strict=False)
        }
        for at, segmentation in enumerate(segmentations)
    }


def recompute(s, ticks):
    """Seconds of deciding the last ticks again, and the events they hold."""
    end = s.require_as_of()
    start = s.ticks.shift(end, -ticks)
    began = time.perf_counter()
    again = list(what_if(s, from_=start, to=end))
    seconds = time.perf_counter() - began
    assert len(again) == ticks
    return seconds, sum(frame["events"] for frame in again)


def seek(s, span, count):
    """Seconds of reading who holds what in all segmentations at each of some random instants."""
    draw = np.random.default_rng(3)
    seconds = []
    for instant in draw.integers(*span, count).tolist():
        began = time.perf_counter()
        with s.store.reading():
            for number in vocabulary.texts(s.store, "segmentation"):
                projections.memberships(s.store, number, as_of=s.ticks.at_or_after(instant))
        seconds.append(time.perf_counter() - began)
    return seconds


def bench(folder, *, users=USERS, days=DAYS, recomputed=RECOMPUTED, seeks=SEEKS, **training):
    """Measures and prints; returns changes/s folded, and a seek's p95 in seconds."""
    store, scored = make(folder, users, days, **training)
    with open_session(store) as s:
        changes, ticks, names = ready(s)
        count = changes.height
        whole, last = recorded(s)
        plain, sizes = fold(changes, ticks, names)
        own, same = fold(changes, ticks, names, states)
        peer, expected = bare(changes, ticks, names)
        assert sizes == same == expected
        assert {name: each for name, each in last["sizes"].items() if name in sizes} == sizes
        found = seek(s, (ticks[0], ticks[-1]), seeks)
        again, events = recompute(s, recomputed)
        p50, p95 = np.quantile(found, [0.5, 0.95]).tolist()
        total = log.summary(s.store).events
    rows = [
        (f"recorded, {count:,} changes folded", count / own, count / peer, "changes/s"),
        ("the same, without state digests", count / plain, count / peer, "changes/s"),
        ("the same, from the store, with its events counted", count / whole, count / peer, "changes/s"),
        (f"recomputed, the last {recomputed} ticks", events / again, None, "events/s"),
        ("seek, p50", 1e3 * p50, None, "ms"),
        ("seek, p95", 1e3 * p95, None, "ms"),
    ]
    if scored is not None:
        rows.insert(4, (f"scored, all {len(ticks)} ticks, commit included", total / scored, None, "events/s"))
    show(f"replay of {days} days of {users:,} simulated users, against a bare NumPy loop", rows)
    return count / own, p95


def main():
    """Parses and measures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=USERS)
    parser.add_argument("--days", type=int, default=DAYS)
    parser.add_argument("--recompute", type=int, default=RECOMPUTED, metavar="TICKS")
    parser.add_argument("--seeks", type=int, default=SEEKS)
    parser.add_argument("--store", type=Path, metavar="DIR")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        where = told.store or Path(folder)
        bench(where, users=told.users, days=told.days, recomputed=told.recompute, seeks=told.seeks)


if __name__ == "__main__":
    main()
