"""UCI Online Retail: invoice lines of a UK gift shop, as Parquet or CSV.

A line of an invoice whose number begins with C is a refund, the others are purchases. Lines without a
customer, with a quantity of 0 or less outside a cancellation, or with a price of 0 or less are rejected. The
amount is quantity times price, rounded half away from zero to pence: a line at 0.001 becomes 0.
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

NAME = "online-retail"
CURRENCY = "GBP"
COLUMNS = ["InvoiceNo", "StockCode", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country"]
MONTH_FIRST = "%m/%d/%Y %H:%M"  # as in the CSV made from UCI's spreadsheet

MAPPING = """\
[columns]
user = "CustomerID"
time = "InvoiceDate"
kind = "InvoiceNo"
order = "InvoiceNo"
item = "StockCode"
price = "UnitPrice"
quantity = "Quantity"
region = "Country"

[constants]
currency = "GBP"

[time]
format = ["iso", "%m/%d/%Y %H:%M"]

[kinds]
"C*" = "refund"
"c*" = "refund"
"*" = "purchase"

[negative]
quantity = "in refunds"
"""
BEYOND = "that a price or a quantity of 0 is no sale"


def recognise(names: list[str]) -> str | None:
    """Why the columns look like Online Retail, or None."""
    return "its columns are Online Retail's" if set(COLUMNS) <= set(names) else None


def columns(path: Path) -> Columns:
    """What becomes of the columns: the customer goes to the vault, unknown ones nowhere."""
    return Columns.among(Table(path).names, COLUMNS, ["CustomerID"])


def fields(path: Path) -> dict[str, str]:
    """Where each field comes from, as the mapping near this format says."""
    return mapped.fields(path, parse(MAPPING, path))


def read(path: Path, options: Options) -> Iterator[Batch]:
    """The invoice lines of a file."""
    table = Table(path)
    table.require(COLUMNS, "online-retail")
    for chunk in table.chunks():
        judge = Judge(chunk.rows, chunk.lines, options)
        invoice = pl.col("raw:InvoiceNo")
        judge.user(pl.col("raw:CustomerID"))
        judge.text("order", invoice)
        judge.reject(pl.col("order").is_null(), "no invoice number")
        judge.time(pl.col("raw:InvoiceDate"), _times(judge, options.timezone), "date")
        judge.put("refund", numbers.trimmed(invoice).str.contains("^[Cc]"))
        judge.quantity(pl.col("raw:Quantity"), signed=True)
        quantity, refund = pl.col("quantity"), pl.col("refund")
        judge.reject(quantity.is_null(), "no quantity")
        judge.reject(quantity == 0, "quantity is 0")
        judge.reject(~refund & (quantity < 0), "negative quantity outside a cancellation")
        price = judge.number("price", pl.col("raw:UnitPrice"), "price")
        judge.reject(price.is_null(), "no price")
        judge.reject(price < 0, "negative price")
        judge.reject(price == 0, "price is 0: a gift or a correction, not a sale")
        total = numbers.bounded(price).abs() * quantity.abs()
        judge.reject(numbers.too_large(total), told("quantity", pl.col("raw:Quantity"), "is too large"))
        sign = pl.when(refund).then(-1).otherwise(1)
        judge.put("amount", numbers.scaled(total, 100) * sign)
        judge.put("quantity", quantity.abs())
        judge.put("kind", pl.when(refund).then(pl.lit("refund")).otherwise(pl.lit("purchase")))
        judge.text("item", pl.col("raw:StockCode"))
        judge.text("region", pl.col("raw:Country"))
        judge.put("currency", pl.lit(CURRENCY))
        yield judge.batch(chunk.broken)


def _times(judge: Judge, zone: str) -> pl.Series:
    """Dates as ISO 8601, or month first as in the spreadsheet."""
    dates = judge.series(pl.col("raw:InvoiceDate"))
    if dates.dtype != pl.String:
        return times.typed(dates, zone)
    instants = times.iso(dates, zone)
    if instants.null_count() > dates.null_count():
        instants = instants.fill_null(times.formatted(dates, MONTH_FIRST, zone))
    return instants
