"""The file that keeps every row an import could not take."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

SCHEMA = {"file": pl.String, "line": pl.Int64, "reason": pl.String, "row": pl.String}


def folder(store: Path) -> Path:
    """Where a store's quarantine files lie."""
    return store.with_name(store.name + ".quarantine")


def write(store: Path, source: str, rejected: pl.DataFrame, recorded_at: int) -> Path | None:
    """Writes the rejected rows as NDJSON with mode 0600; returns the file, or None without rows."""
    if rejected.is_empty():
        return None
    where = folder(store)
    where.mkdir(mode=0o700, exist_ok=True)
    stamp = datetime.fromtimestamp(recorded_at / 1e6, UTC).strftime("%Y%m%dT%H%M%S%f")
    safe = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in source)
    path = where / f"{stamp}-{safe}.ndjson"
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        rejected.select(list(SCHEMA)).write_ndjson(file)
    return path


def reasons(rejected: pl.DataFrame) -> dict[str, int]:
    """How often each reason occurred, values from the rows left out, most frequent first."""
    counts = (
        rejected.select(pl.col("reason").str.replace_all(r"'[^']*'", "'…'"))
        .group_by("reason")
        .len()
        .sort("len", "reason", descending=[True, False])
    )
    return dict(counts.iter_rows())
