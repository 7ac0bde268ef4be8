"""How fast files come into the log against a bare ADBC ingest of the same columns, and in how much memory.

Run as `python tests/benchmarks/bench_import.py [--rows N] [--large N] [--users N] [--runs N]`: prints a
table, then one JSON line. Every import runs in a process of its own, which tells its peak memory; the bare
ingest goes into a table without index, chain or vocabulary, its columns ready in memory.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
from rich.console import Console
from rich.table import Table

CHUNK = 1_000_000
VISIT = 6
START, DAYS = 1_740_000_000, 365
COLUMNS = (
    *("user", "time", "kind", "order", "item", "category", "platform", "device", "region", "session"),
    *("amount", "quantity", "duration"),
)
MAP = "[columns]\n" + "".join(f'{name} = "{name}"\n' for name in COLUMNS) + '[constants]\ncurrency = "EUR"\n'


def events(first, count, rows, users, draw):
    """Some of `rows` events of `users` over a year in the order of time: visits of a few events each."""
    visits = -(-count // VISIT)
    begin = START + np.linspace(first / rows, (first + count) / rows, visits) * DAYS * 86_400
    visit = np.repeat(np.arange(visits), VISIT)[:count]
    user = draw.integers(0, users, visits)
    seconds = np.sort(begin[visit] + draw.integers(0, 1_800, count)).astype(np.int64)
    item = draw.integers(0, 5_000, count)
    kind = draw.choice(["view", "add_to_cart", "purchase"], count, p=[0.7, 0.15, 0.15])
    name = pl.Series(user[visit]).cast(pl.String) + "-" + pl.Series(first // VISIT + visit).cast(pl.String)
    frame = pl.DataFrame(
        {
            "user": pl.Series(user[visit]).cast(pl.String),
            "time": pl.Series(seconds * 1_000_000, dtype=pl.Datetime("us")).dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "kind": kind,
            "order": "o-" + name,
            "item": pl.Series(item).cast(pl.String),
            "category": pl.Series(item % 40).cast(pl.String),
            "platform": draw.choice(["web", "app"], visits)[visit],
            "device": draw.choice(["phone", "desktop", "tablet"], visits)[visit],
            "region": draw.choice(["FR", "DE", "IT", "ES"], visits)[visit],
            "session": "s-" + name,
            "amount": (draw.integers(100, 20_000, count) / 100).round(2),
            "quantity": draw.integers(1, 4, count),
            "duration": (draw.integers(100, 60_000, count) / 1_000).round(3),
        }
    )
    bought = pl.col("kind") == "purchase"
    return frame.with_columns(pl.when(bought).then(name) for name in ("order", "amount", "quantity"))


def make(path, rows, users):
    """Writes the events to a Parquet or CSV file, a part at a time."""
    from pyarrow.parquet import ParquetWriter

    draw = np.random.default_rng(1)
    writer = None
    with path.open("wb") as file:
        for first in range(0, rows, CHUNK):
            frame = events(first, min(CHUNK, rows - first), rows, users, draw)
            if path.suffix == ".csv":
                frame.write_csv(file, include_header=first == 0)
                continue
            table = frame.to_arrow()
            writer = writer or ParquetWriter(file, table.schema)
            writer.write_table(table)
        if writer is not None:
            writer.close()


def once(data, folder):
    """Imports a file into a new store; prints seconds, CPU seconds and the peak of memory in bytes."""
    from segtui.operations.ingest import import_files
    from segtui.operations.init import init
    from segtui.operations.session import open_session

    mapping = folder / "map.toml"
    mapping.write_text(MAP)
    init(folder / "shop.db", clock="data")
    began, used = time.perf_counter(), time.process_time()
    with open_session(folder / "shop.db") as s:
        told = import_files(s, [data], mapping=mapping)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    cpu = time.process_time() - used
    print(json.dumps({"rows": told["accepted"], "seconds": seconds, "cpu": cpu, "peak": peak}))


def bare(data, folder):
    """An ADBC ingest of the file's columns into a new SQLite file; prints seconds and CPU seconds."""
    import adbc_driver_sqlite.dbapi

    table = pl.read_parquet(data).to_arrow()
    began, used = time.perf_counter(), time.process_time()
    with (
        adbc_driver_sqlite.dbapi.connect(str(folder / "bare.db"), autocommit=True) as connection,
        connection.cursor() as cursor,
    ):
        cursor.adbc_ingest("rows", table, mode="create")
    print(json.dumps({"seconds": time.perf_counter() - began, "cpu": time.process_time() - used}))


STEPS = {"make": make, "import": once, "bare": bare}


def apart(step, path, *more):
    """Takes a step in a process of its own, whose peak of memory is then not this one's; what it printed."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        rest = more or (folder,)
        command = [sys.executable, __file__, "--step", step, path, *rest]
        done = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1]) if done.stdout else None


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument(
        "--large", type=int, default=10_000_000, help="for the peak of memory; 0 leaves it out"
    )
    parser.add_argument("--users", type=int, default=200_000)
    parser.add_argument("--runs", type=int, default=3, help="the best of so many counts, on both sides")
    parser.add_argument("--step", nargs="+", help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.step:
        step, path, *rest = told.step
        STEPS[step](Path(path), *(int(each) if each.isdigit() else Path(each) for each in rest))
        return
    with tempfile.TemporaryDirectory() as folder:
        parquet, csv = Path(folder) / "events.parquet", Path(folder) / "events.csv"
        for path in (parquet, csv):
            apart("make", path, told.rows, told.users)
        peers, ours = [], {parquet: [], csv: []}
        for _ in range(told.runs):
            peers.append(apart("bare", parquet))
            for path, runs in ours.items():
                runs.append(apart("import", path))
        peer = told.rows / min(run["seconds"] for run in peers)
        small = max(run["peak"] for runs in ours.values() for run in runs) / 1e6
        rows = [
            (
                f"import, {told.rows:,} rows, {path.suffix[1:]}",
                told.rows / min(run["seconds"] for run in runs),
                peer,
                "rows/s",
            )
            for path, runs in ours.items()
        ]
        used = min(run["cpu"] for run in ours[parquet])
        rows.append(("processor time, parquet", used, min(run["cpu"] for run in peers), "s"))
        if told.large:
            csv.unlink()
            apart("make", parquet, told.large, told.users)
            large = apart("import", parquet)
            rows += [
                (f"import, {told.large:,} rows, parquet", large["rows"] / large["seconds"], peer, "rows/s"),
                (f"peak memory, {told.large:,} rows against {told.rows:,}", large["peak"] / 1e6, small, "MB"),
            ]
        else:
            rows.append((f"peak memory, {told.rows:,} rows", small, None, "MB"))
    show(f"Import against a bare ADBC ingest, {len(COLUMNS)} columns, {os.cpu_count()} cores", rows)


def show(title, rows):
    """Prints rows of (what, ours, peer, unit), as a table and as JSON."""
    table = Table(title=title)
    for name in ("what", "ours", "peer", "ratio", "unit"):
        table.add_column(name, justify="left" if name in ("what", "unit") else "right")
    for what, ours, peer, unit in rows:
        ratio = f"{ours / peer:.3f}" if peer else "-"
        table.add_row(what, f"{ours:,.4g}", "-" if peer is None else f"{peer:,.4g}", ratio, unit)
    Console(width=130).print(table)
    told = [dict(zip(("what", "ours", "peer", "unit"), row, strict=True)) for row in rows]
    print(json.dumps({"benchmark": title, "rows": told}))


if __name__ == "__main__":
    main()
