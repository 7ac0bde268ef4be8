"""Going on from a model after a month of new data, beside training anew: log-loss and time.

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

from segtui.operations.ingest import import_files
from segtui.operations.init import init
from segtui.operations.session import open_session
from segtui.operations.times import parse_time
from segtui.operations.train import train
from segtui.simulator import files, simulate


def timed(work):
    """What it gave, with the processor seconds it took until it was judged."""
    began = time.process_time()
    told = work()
    return told, time.process_time() - began


def judged(title, sources, form, before, after, horizon):
    """A model learnt at `before` goes on at `after`; another learns at `after` anew."""
    folder = Path(tempfile.mkdtemp())
    try:
        init(folder / "shop.db", clock="data")
        with open_session(folder / "shop.db") as s:
            import_files(s, sources(folder), format=form)
            at = {text: parse_time(text, s.ticks, None, None) for text in (before, after)}
            common = {"horizon": horizon, "twin": False}
            first = train(s, **common, cutoff=at[before], promote=True)
            warm, warm_seconds = timed(lambda: train(s, **common, cutoff=at[after], promote=False, warm=True))
            scratch, scratch_seconds = timed(lambda: train(s, **common, cutoff=at[after], promote=False))
            former, new = warm["warm"]["windows"]
            return {
                "set": title,
                "kind": first["kind"],
                "warm_log_loss": warm["metrics"]["test"]["log_loss"],
                "scratch_log_loss": scratch["metrics"]["test"]["log_loss"],
                "warm_seconds": warm["seconds"],
                "scratch_seconds": scratch["seconds"],
                "warm_cpu_seconds": warm_seconds,
                "scratch_cpu_seconds": scratch_seconds,
                "former_before": former["before"],
                "former_after": former["after"],
                "new_before": new["before"],
                "epochs": [warm["epochs"], scratch["epochs"]],
            }
    finally:
        shutil.rmtree(folder)


def simulated(folder):
    shop = simulate(users=5_000, days=400, seed=7, end=date(2026, 3, 1))
    return files(shop, folder / "events", 1)


def main():
    told = []
    if (path := DATA / "CDNOW_master.txt.gz").exists():
        told.append(judged("CDNOW", lambda _: [path], "cdnow", "1998-01-01", "1998-02-01", "90d"))
    else:
        print(f"{path.name} is not in {DATA}: set SEGTUI_TEST_DATA to the folder that holds it.")
    told.append(judged("simulated shop", simulated, "events", "2025-10-01", "2025-11-01", "90d"))
    table = Table(title="A month later: going on, against training anew")
    heads = ("set", "log-loss", "anew", "apart", "CPU s", "anew", "ratio", "former window", "after")
    for head in heads:
        table.add_column(head, justify="left" if head == "set" else "right")
    for row in told:
        table.add_row(
            row["set"],
            f"{row['warm_log_loss']:.4f}",
            f"{row['scratch_log_loss']:.4f}",
            f"{row['warm_log_loss'] - row['scratch_log_loss']:+.4f}",
            f"{row['warm_cpu_seconds']:.1f}",
            f"{row['scratch_cpu_seconds']:.1f}",
            f"{row['warm_cpu_seconds'] / row['scratch_cpu_seconds']:.2f}",
            f"{row['former_before']:.4f}",
            f"{row['former_after']:.4f}",
        )
    Console(width=120).print(table)
    print(json.dumps({"benchmark": "warm", "rows": told}))


if __name__ == "__main__":
    main()
