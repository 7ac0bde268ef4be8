"""Event lines: one JSON object a line, as `ingest` and the simulator write them.

user, time and kind are required, of an alias or unalias also previous, the user's other id; other known
members may be missing or null; unknown members are dropped. Amounts are in major units, durations in seconds,
ratings in stars from 0 to 5. The amount of a refund is made negative, whatever its sign in the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from segtui.sources import mapped, ndjson, times
from segtui.sources.judging import Judge, told
from segtui.sources.mapping import parse
from segtui.sources.schema import Batch, Columns, Options

NAME = "events"
REQUIRED = ("user", "time", "kind")
MEMBERS = (
    *REQUIRED,
    *("item", "category", "order", "amount", "currency", "quantity", "rating", "duration"),
    *("platform", "device", "region", "session", "id", "previous"),
)
MAPPING = """\
format = "ndjson"
optional = [
    "previous",
    "item", "category", "order", "amount", "currency", "quantity", "rating", "duration",
    "platform", "device", "region", "session", "id",
]

[columns]
user = "user"
previous = "previous"
time = "time"
kind = "kind"
item = "item"
category = "category"
order = "order"
amount = "amount"
currency = "currency"
quantity = "quantity"
rating = "rating"
duration = "duration"
platform = "platform"
device = "device"
region = "region"
session = "session"
id = "id"
"""
TEXTS = ("order", "item", "category", "platform", "device", "region", "session", "id")


def recognise(members: list[str]) -> str | None:
    """Why an object with these members looks like an event, or None."""
    if set(REQUIRED) <= set(members):
        return "its lines are JSON objects with user, time and kind"
    return None


def columns(path: Path) -> Columns:
    """What becomes of the members: the user goes to the vault, unknown ones nowhere."""
    return Columns.among(ndjson.all_members(path), MEMBERS, ["user", "previous"])


def fields(path: Path) -> dict[str, str]:
    """Where each field comes from, as the mapping near this format says."""
    return mapped.fields(path, parse(MAPPING, path))


def read(path: Path, options: Options) -> Iterator[Batch]:
    """The events of a file."""
    checked = options.piece
    for chunk, texts in ndjson.read(path, MEMBERS, piece=options.piece):
        if not checked and chunk.rows.height:
            ndjson.require(path, chunk.rows, texts, REQUIRED, NAME)
            checked = True
        judge = Judge(chunk.rows, chunk.lines, options, texts)
        _user(judge, texts)
        judge.time(pl.col("raw:time"), times.iso(chunk.rows["time"], options.timezone))
        judge.kind(pl.col("raw:kind"))
        judge.previous(pl.col("raw:previous"))
        for name in TEXTS:
            judge.text(name, pl.col(f"raw:{name}"))
        judge.currency(pl.col("raw:currency"), pl.col("raw:amount"))
        judge.amount(judge.number("amount", pl.col("raw:amount"), "amount"))
        judge.quantity(pl.col("raw:quantity"))
        judge.rating(pl.col("raw:rating"))
        judge.duration(pl.col("raw:duration"))
        yield judge.batch(chunk.broken)


def _user(judge: Judge, texts: pl.Series) -> None:
    user = pl.col("raw:user")
    judge.user(user)
    odd = judge.series(user.str.contains(r"^\s*[\[{]").fill_null(False))
    if odd.any():
        # A text may begin as a list or an object does: only the line tells which it is.
        nested = [here and not ndjson.is_text(line, "user") for here, line in zip(odd, texts, strict=True)]
        judge.reject(pl.lit(pl.Series(nested)), told("user", user, "is not a text or a number"))
