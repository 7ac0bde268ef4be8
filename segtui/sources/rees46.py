"""REES46: the clickstream of a multi-category shop, as CSV or Parquet.

`cart` is add_to_cart. A row is one unit: a purchase has quantity 1 and its price as amount, and the purchases
of one session are one order, for the file names none. The prices of other rows are dropped.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from segtui.sources import mapped, numbers, times
from segtui.sources.judging import Judge, told
from segtui.sources.mapping import parse
from segtui.sources.schema import Batch, Columns, Options
from segtui.sources.tabular import Table

NAME = "rees46"
CURRENCY = "USD"
COLUMNS = [
    *("event_time", "event_type", "product_id", "category_id", "category_code", "price"),
    *("user_id", "user_session"),
]
KINDS = {
    "view": "view",
    "cart": "add_to_cart",
    "remove_from_cart": "remove_from_cart",
    "purchase": "purchase",
}

MAPPING = """\
purchase_only = ["order", "price", "quantity", "currency"]

[columns]
user = "user_id"
time = "event_time"
kind = "event_type"
item = "product_id"
category = ["category_code", "category_id"]
order = "user_session"
session = "user_session"
price = "price"

[constants]
quantity = "1"
currency = "USD"

[time]
zone = "UTC"

[kinds]
cart = "add_to_cart"
"""
BEYOND = (
    "that amounts are in the store's currency where it has one, and that no other kinds of events are known"
)


def recognise(names: list[str]) -> str | None:
    """Why the columns look like REES46, or None."""
    return "its columns are REES46's" if set(COLUMNS) <= set(names) else None


def columns(path: Path) -> Columns:
    """What becomes of the columns: the customer goes to the vault, unknown ones nowhere."""
    return Columns.among(Table(path).names, COLUMNS, ["user_id"])


def fields(path: Path) -> dict[str, str]:
    """Where each field comes from, as the mapping near this format says."""
    return mapped.fields(path, parse(MAPPING, path))


def read(path: Path, options: Options) -> Iterator[Batch]:
    """The events of a file."""
    table = Table(path)
    table.require(COLUMNS, "rees46")
    for chunk in table.chunks():
        judge = Judge(chunk.rows, chunk.lines, options)
        judge.user(pl.col("raw:user_id"))
        stamps = chunk.rows["event_time"]
        instants = times.typed(stamps, "UTC") if stamps.dtype.is_temporal() else times.iso(stamps, "UTC")
        judge.time(pl.col("raw:event_time"), instants)
        kind = numbers.trimmed(pl.col("raw:event_type"))
        judge.put("kind", kind.replace_strict(KINDS, default=None, return_dtype=pl.String))
        judge.reject(
            pl.col("kind").is_null(),
            told("event_type", kind, "is not view, cart, remove_from_cart or purchase"),
        )
        bought = pl.col("kind") == "purchase"
        price = judge.number("price", pl.col("raw:price"), "price")
        judge.reject(bought & price.is_null(), "no price")
        judge.reject(price < 0, "negative price")
        judge.put("currency", pl.when(bought).then(pl.lit(options.currency or CURRENCY)))
        judge.put("amount", pl.when(bought).then(numbers.minor_units(price, pl.col("currency"))))
        judge.put("quantity", pl.when(bought).then(1))
        judge.text("item", pl.col("raw:product_id"))
        judge.text("session", pl.col("raw:user_session"))
        judge.put("order", pl.when(bought).then(pl.col("session")))
        code = numbers.trimmed(pl.col("raw:category_code"))
        judge.text("category", pl.coalesce(code, numbers.trimmed(pl.col("raw:category_id"))))
        yield judge.batch(chunk.broken)
