"""Bulk reads through the columnar copies, against the same rows through sqlite3."""

import sqlite3
import time
from contextlib import closing

import polars as pl
import pytest

from db import log
from db.store import Store

COLUMNS = ["seq", "user", "occurred_at", "kind", "item", "amount"]
RUNS = 3


def best(read):
    """Seconds of the quickest of several runs, and the rows it gave."""
    times = []
    for _ in range(RUNS):
        started = time.perf_counter()
        rows = read()
        times.append(time.perf_counter() - started)
    return min(times), rows


@pytest.mark.bench
@pytest.mark.timeout(900)
def test_bulk_reads_of_the_log(million, report):
    def through_sqlite():
        with closing(sqlite3.connect(million)) as connection:
            rows = connection.execute(f"SELECT {', '.join(COLUMNS)} FROM behaviour ORDER BY seq").fetchall()
        return pl.DataFrame(rows, schema=dict.fromkeys(COLUMNS, pl.Int64), orient="row")

    def through_copies():
        with Store.open(million) as store:
            return log.behaviour(store, columns=COLUMNS)

    peer, expected = best(through_sqlite)
    ours, rows = best(through_copies)
    assert rows.equals(expected)
    count = rows.height
    report(
        f"bulk reads, {count:,} rows of {len(COLUMNS)} columns (hold: 5 times)",
        [("columnar copies, against sqlite3's fetchall into a frame", count / ours, count / peer, "rows/s")],
    )
    assert peer / ours >= 5
