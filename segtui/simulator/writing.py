"""The shop's event files: the NDJSON that `import --format events` reads, spoilt rows included."""

from __future__ import annotations

import gzip
import io
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import IO

import polars as pl

from engine.exact import quotient

DAY = 86_400_000_000
ROWS_AT_ONCE = 100_000
MEMBERS = (
    *("user", "time", "kind", "item", "category", "order", "amount", "currency", "quantity", "rating"),
    *("duration", "platform", "device", "region", "session"),
)
BAD_NUMBER = '"quantity":"two"'


def write_events(frame: pl.DataFrame, path: Path) -> None:
    """Writes events as of simulate, in their order, one JSON object a line; gzip when path ends with .gz.

    Amounts in major units (two decimals; those of refunds without sign), ratings in stars, durations in
    seconds; null members are left out. A `fault` spoils its row. The same frame gives the same bytes.
    """
    with _opened(path) as file:
        for rows in frame.iter_slices(ROWS_AT_ONCE):
            file.write("\n".join([*_lines(rows), ""]).encode())


def files(frame: pl.DataFrame, folder: Path, batches: int, *, days: int = 1) -> list[Path]:
    """Splits a history by arrival into a first large file and `batches` following ones of `days` days each.

    The last file ends with the day of the last arrival. Returns the paths in the order of arrival; late
    events stand in a later file than their day. ValueError when the history is too short.
    """
    first, last = frame["recorded_at"].min(), frame["recorded_at"].max()
    if not isinstance(first, int) or not isinstance(last, int):
        raise ValueError("There are no events to split.")
    end = (last // DAY + 1) * DAY
    cuts = [end - number * days * DAY for number in range(batches, -1, -1)]
    if cuts[0] <= first:
        raise ValueError("The history is too short for that many files.")
    folder.mkdir(parents=True, exist_ok=True)
    arrived = pl.col("recorded_at")
    paths = [folder / "000-history.ndjson.gz"]
    write_events(frame.filter(arrived < cuts[0]), paths[0])
    for number, (start, stop) in enumerate(pairwise(cuts), start=1):
        day = datetime.fromtimestamp(start / 1e6, UTC).date() + timedelta(days=days - 1)
        paths.append(folder / f"{number:03d}-{day.isoformat()}.ndjson")
        write_events(frame.filter(arrived.is_between(start, stop, closed="left")), paths[-1])
    return paths


def _opened(path: Path) -> AbstractContextManager[IO[bytes]]:
    if path.suffix != ".gz":
        return path.open("wb")
    return io.BufferedWriter(gzip.GzipFile(path, "wb", compresslevel=3, mtime=0))


def _lines(rows: pl.DataFrame) -> list[str]:
    fault = pl.col("fault").fill_null("")
    moment = pl.from_epoch("time", time_unit="us")
    instant = moment.dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ")
    told = rows.select(
        pl.when(fault != "user").then("user").alias("user"),
        pl.when(fault == "time").then(moment.dt.strftime("%Y-13-%d")).otherwise(instant).alias("time"),
        "kind",
        "item",
        "category",
        "order",
        quotient(rows["amount"].abs(), 100),
        "currency",
        pl.when(fault != "number").then("quantity").alias("quantity"),
        quotient(rows["rating"], 100),
        quotient(rows["duration"], 1_000),
        "platform",
        "device",
        "region",
        "session",
        fault.alias("fault"),
    )
    line = pl.struct(MEMBERS).struct.json_encode().str.replace_all(r',"[a-z]+":null', "")
    spoilt = line.str.replace(r"\}$", f",{BAD_NUMBER}}}")
    return (
        told.select(pl.when(pl.col("fault") == "number").then(spoilt).otherwise(line)).to_series().to_list()
    )
