"""Going on from a model after a month of new data, beside training anew: log-loss and time, over seeds.

The time is the processor's: of the whole command, from reading the log to the metrics, and of the fit in it.
What comes before and after the fit is the same for both, and most of it where users are few.

Run as `python tests/benchmarks/bench_warm.py`: prints a table, then one JSON line. CDNOW is found through
SEGTUI_TEST_DATA; the simulated shop needs nothing.
"""

import json
import shutil
import tempfile
import time
from datetime import date
from pathlib import Path

from model_cases import DATA
from rich.console import Console
from rich.table import Table

from segtui.operations import train as training
from segtui.operations.ingest import import_files
from segtui.operations.init import init
from segtui.operations.session import open_session
from segtui.operations.times import parse_time
from segtui.simulator import files, simulate

SEEDS = (0, 1, 2)


class Timed:
    """Calls of a function, and the processor seconds of the last one."""

    def __init__(self, work):
        self.work, self.seconds = work, 0.0

    def __call__(self, *given, **named):
        began = time.process_time()
        told = self.work(*given, **named)
        self.seconds = time.process_time() - began
        return told


def judged(title, sources, form, before, after, horizon):
    """Models learnt at `before` go on at `after`, others learn at `after` anew: a row for each seed."""
    folder = Path(tempfile.mkdtemp())
    try:
        init(folder / "shop.db", clock="data")
        with open_session(folder / "shop.db") as s:
            import_files(s, sources(folder), format=form)
            at = {text: parse_time(text, s.ticks, None, None) for text in (before, after)}
            common = {"horizon": horizon, "twin": False}
            # Nobody is told of the first: what it compiles, others find.
            seeds = (SEEDS[-1] + 1, *SEEDS)
            return [compared(s, title, common, at[before], at[after], seed) for seed in seeds][1:]
    finally:
        shutil.rmtree(folder)


def compared(s, title, common, before, after, seed):
    """One seed's row."""
    whole, fit = Timed(training.train), Timed(training.fit)
    training.fit = fit
    try:
        training.train(s, **common, cutoff=before, promote=True, seed=seed)
        seconds, told = {}, {}
        for name, how in (("scratch", {"seed": seed}), ("warm", {"warm": True})):
            told[name] = whole(s, **common, cutoff=after, promote=False, **how)
            seconds |= {f"{name}_cpu_seconds": whole.seconds, f"{name}_fit_cpu_seconds": fit.seconds}
    finally:
        training.fit = fit.work
    former, new = told["warm"]["warm"]["windows"]
    return {
        "set": title,
        "seed": seed,
        "warm_log_loss": told["warm"]["metrics"]["test"]["log_loss"],
        "scratch_log_loss": told["scratch"]["metrics"]["test"]["log_loss"],
        **seconds,
        "former_before": former["before"],
        "former_after": former["after"],
        "new_before": new["before"],
        "epochs": [told["warm"]["epochs"], told["scratch"]["epochs"]],
    }


def simulated(folder):
    shop = simulate(users=5_000, days=400, seed=7, end=date(2026, 3, 1))
    return files(shop, folder / "events", 1)


def main():
    told = []
    if (path := DATA / "CDNOW_master.txt.gz").exists():
        told += judged("CDNOW", lambda _: [path], "cdnow", "1998-01-01", "1998-02-01", "90d")
    else:
        print(f"{path.name} is not in {DATA}: set SEGTUI_TEST_DATA to the folder that holds it.")
    told += judged("simulated shop", simulated, "events", "2025-10-01", "2025-11-01", "90d")
    table = Table(title="A month later: going on, against training anew")
    heads = (
        "set",
        "seed",
        "log-loss",
        "anew",
        "apart",
        "CPU s",
        "anew",
        "ratio",
        "of the fit",
        "former",
        "after",
    )
    for head in heads:
        table.add_column(head, justify="left" if head == "set" else "right")
    for row in told:
        table.add_row(
            row["set"],
            str(row["seed"]),
            f"{row['warm_log_loss']:.4f}",
            f"{row['scratch_log_loss']:.4f}",
            f"{row['warm_log_loss'] - row['scratch_log_loss']:+.4f}",
            f"{row['warm_cpu_seconds']:.1f}",
            f"{row['scratch_cpu_seconds']:.1f}",
            f"{row['warm_cpu_seconds'] / row['scratch_cpu_seconds']:.2f}",
            f"{row['warm_fit_cpu_seconds'] / row['scratch_fit_cpu_seconds']:.2f}",
            f"{row['former_before']:.4f}",
            f"{row['former_after']:.4f}",
        )
    Console(width=120).print(table)
    print(json.dumps({"benchmark": "warm", "rows": told}))


if __name__ == "__main__":
    main()
