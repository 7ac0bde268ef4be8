"""How fast models train, score and are replayed, each beside a yardstick in the same run.

Run as `python tests/benchmarks/bench_training.py [--quick]`: prints a table, then one JSON line. Figures are
by processor time of the whole process where both sides do the same work, and by wall time beside it, because
what else a machine does can only add to that.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import polars as pl
from flax import nnx
from model_cases import DATA, cases
from rich.console import Console
from rich.table import Table
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from engine.encoding import Encoder
from engine.model import Model
from engine.models import KINDS, build
from engine.replay import CHANGES, frames
from engine.scoring import Scorer
from engine.splits import TRAIN, VALID
from engine.training import Inputs, train
from engine.training_spec import TrainingSpec

CONSOLE = Console(width=130)
BATCH = 256


class Clock:
    """Wall and processor seconds since it was made."""

    def __init__(self):
        self.wall, self.processor = time.perf_counter(), time.process_time()

    def seconds(self):
        return np.array([time.perf_counter() - self.wall, time.process_time() - self.processor])


def least(work, repeats=3):
    """The least wall and the least processor seconds of some runs, as `work` tells them or as they took."""
    found = []
    for _ in range(repeats):
        clock = Clock()
        said = work()
        found.append(clock.seconds() if said is None else said)
    return np.min(found, axis=0)


def epochs_after_the_first(kind, inputs, labels, parts, epochs, options):
    """Seconds of `epochs` epochs after the first, which compiles."""
    ends, clock = [], Clock()

    def mark(_):
        ends.append(clock.seconds())

    spec = TrainingSpec(epochs=epochs + 1, patience=epochs + 1, batch_size=BATCH)
    train(kind, inputs, labels, parts, 3, spec, options, on_epoch=mark)
    return ends[-1] - ends[0]


def mlp_epochs(n, epochs, width=64):
    """Epochs/s of Adam on a 64-32 network without dropout or early stopping: ours, scikit-learn's."""
    draw = np.random.default_rng(0)
    inputs = draw.normal(size=(n, width)).astype(np.float32)
    labels = np.digitize(inputs[:, 0] + draw.normal(size=n), [-0.5, 0.5]).astype(np.int32)
    parts = np.full(n, TRAIN, np.int8)
    parts[:BATCH] = VALID
    options = {"dropout": 0.0, "members": 1}

    def ours():
        return epochs_after_the_first("mlp", Inputs(inputs), labels, parts, epochs, options)

    def peer():
        model = MLPClassifier(
            (64, 32), batch_size=BATCH, max_iter=epochs, n_iter_no_change=epochs + 1, tol=0, random_state=0
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(inputs[BATCH:], labels[BATCH:])

    # Threads that wait for each other on a busy machine can only slow small products down.
    with threadpool_limits(1):
        alone = least(peer)
    return epochs / least(ours), epochs / np.minimum(alone, least(peer, 1))


def cnn_users(n, epochs, bins=52, channels=2):
    """Users/s of CNN training: ours, and a bare loop of a jitted step over batches that are ready."""
    draw = np.random.default_rng(0)
    cells = (draw.random((n, bins, channels)) < 0.1).astype(np.float32) * 3
    labels = np.digitize(cells[:, -13:].sum(axis=(1, 2)), [6, 9]).astype(np.int32)
    parts = np.full(n, TRAIN, np.int8)
    parts[:BATCH] = VALID
    shape = {"features": 0, "bins": bins, "channels": channels, "labels": 3}
    graph, state = nnx.split(build("cnn", **shape, seed=0, options={"dropout": 0.0}))
    rule = optax.adam(1e-3)

    def loss(state, x, y):
        logits = nnx.merge(graph, state)(None, x, None)
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

    @jax.jit
    def step(state, moments, x, y):
        gradients = jax.grad(loss)(state, x, y)
        updates, moments = rule.update(gradients, moments, state)
        return optax.apply_updates(state, updates), moments

    batches = [
        (jnp.asarray(cells[at : at + BATCH]), jnp.asarray(labels[at : at + BATCH]))
        for at in range(BATCH, n - BATCH + 1, BATCH)
    ]

    def bare():
        carried = (state, rule.init(state))
        for _ in range(epochs):
            for x, y in batches:
                carried = step(*carried, x, y)
        jax.block_until_ready(carried)

    bare()

    def ours():
        return epochs_after_the_first("cnn", Inputs(None, cells), labels, parts, epochs, {"dropout": 0.0})

    return epochs * (n - BATCH) / least(ours), epochs * len(batches) * BATCH / least(bare)


def trained_cold():
    """Seconds of `segtui train` on CDNOW, its first training, as a new process that finds nothing compiled:
    wall and processor; None without the data."""
    path = DATA / "CDNOW_master.txt.gz"
    if not path.exists():
        return None
    with tempfile.TemporaryDirectory() as folder:
        store = ["--store", f"{folder}/shop.db", "--quiet"]
        segtui = [sys.executable, "-m", "segtui"]
        environment = os.environ | {"SEGTUI_CACHE": f"{folder}/compiled"}
        for command in (["init", "--clock", "data"], ["import", str(path), "--format", "cdnow"]):
            subprocess.run([*segtui, *command, *store], check=True, capture_output=True)
        wall, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([*segtui, "train", *store], check=True, capture_output=True, env=environment)
        wall, after = time.perf_counter() - wall, resource.getrusage(resource.RUSAGE_CHILDREN)
        processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return np.array([wall, processor])


def users_scored(case, n):
    """Scores of n users from a frame of features, against a bare loop of the jitted network over ready
    arrays."""
    split = case.split(0)
    frame = split.latest.frame
    encoder = Encoder.fit(frame, [name for name in frame.columns if name != "user"], kind="piecewise")
    ready = encoder.transform(frame)
    spec = TrainingSpec(epochs=1)
    trained = train("mlp", Inputs(ready), split.labels, split.parts, len(case.names), spec)
    scorer = Scorer(Model("mlp", case.names, case.spec, None, encoder, {}, {}, trained.parameters))
    rows = np.arange(n) % frame.height
    frame, ready = frame[rows].rechunk(), ready[rows]
    shape = {"features": ready.shape[1], "bins": 0, "channels": 0, "labels": len(case.names)}
    graph, state = nnx.split(build("mlp", **shape, seed=0, options={}))
    network = jax.jit(lambda state, x: nnx.merge(graph, state)(x))
    tile = KINDS["mlp"].tile

    def bare():
        jax.block_until_ready([network(state, ready[at : at + tile]) for at in range(0, n - tile + 1, tile)])

    def ours():
        scorer.scores(frame)

    bare()
    ours()
    return n / least(ours), n / least(bare)


def changes_folded(n, users, ticks):
    """Recorded changes/s folded into frames."""
    draw = np.random.default_rng(0)
    as_of = np.sort(draw.integers(1, ticks + 1, n))
    user, came = draw.integers(0, users, n), draw.integers(0, 3, n)
    order = np.lexsort((np.arange(n), user))
    left = np.full(n, -1)
    same = user[order][1:] == user[order][:-1]
    left[order[1:][same]] = came[order[:-1][same]]
    columns = {
        "seq": np.arange(n),
        "segmentation": np.full(n, 9),
        "user": user,
        "as_of": as_of,
        "cause_seq": as_of,
    } | dict.fromkeys(("to_label", "probability", "reason", "model"), came)
    changes = pl.DataFrame(columns).with_columns(
        pl.when(pl.Series(left) >= 0).then(pl.Series(left)).alias("from_label"),
        cause=pl.lit("clock"),
        backfilled=pl.lit(False),
        hindsight=pl.lit(False),
    )
    names = {0: "high", 1: "medium", 2: "low", 9: "value"}
    fold = changes.select(CHANGES)

    def ours():
        list(frames(fold, list(range(1, ticks + 1)), names=names))

    return n / least(ours), None


def show(rows):
    """Rows of (what, (wall, processor) of ours, of the peer or None, unit); ratio = ours / peer."""
    table = Table(title="Speed, per second of wall time and of processor time")
    for head in ("what", "ours", "peer", "ratio", "ours, CPU", "peer, CPU", "ratio, CPU", "unit"):
        table.add_column(head, justify="left" if head in ("what", "unit") else "right")
    told = []
    for what, ours, peer, unit in rows:
        line, row = [what], {"what": what, "unit": unit}
        for i, clock in enumerate(("wall", "processor")):
            figure = None if peer is None else float(peer[i])
            ratio = None if peer is None else float(ours[i] / peer[i])
            row |= {f"ours_{clock}": float(ours[i]), f"peer_{clock}": figure, f"ratio_{clock}": ratio}
            shown = ("-", "-") if peer is None else (f"{figure:,.4g}", f"{ratio:.2f}")
            line += [f"{ours[i]:,.4g}", *shown]
        table.add_row(*line, unit)
        told.append(row)
    CONSOLE.print(table)
    print(json.dumps({"benchmark": "Speed", "rows": told}))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small arrays: does it run at all")
    quick = parser.parse_args().quick
    n = 20_000 if quick else 100_000
    rows = [
        ("MLP 64-32, 64 inputs, batch 256", *mlp_epochs(n, 3 if quick else 5), "epochs"),
        ("CNN 16-32, 52 bins, batch 256", *cnn_users(n // 2, 2), "users"),
    ]
    if (case := cases()["cdnow"]()) is not None:
        rows.append(("full scoring from features", *users_scored(case, 10 * n), "users"))
    rows.append(("recorded replay, 90 ticks", *changes_folded(10 * n, n, 90), "changes"))
    show(rows)
    if (seconds := trained_cold()) is not None:
        wall, processor = seconds
        CONSOLE.print(f"segtui train of CDNOW, cold: {wall:.1f} s, {processor:.1f} s of processor time.")
        print(json.dumps({"benchmark": "cold training", "wall": wall, "processor": processor}))


if __name__ == "__main__":
    main()
