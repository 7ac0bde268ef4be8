"""WooCommerce's orders: as CSV, a row per line item or per order, or as its REST API's JSON, an order a line.

An order is a state that a later export changes, as in `shopify_orders`. Customer 0 is a guest, known by the
e-mail. Export plugins name their columns differently; those known are told by NAMES.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from segtui.sources import mapped, ndjson, nested
from segtui.sources.errors import SourceError
from segtui.sources.mapping import Mapping
from segtui.sources.nearest import missing
from segtui.sources.preset import Preset
from segtui.sources.schema import Batch, Columns, Options
from segtui.sources.tabular import Table

NAME = "woocommerce"
COLUMNS = ("order_id", "status", "order_date", "customer_id", "billing_email", "order_total")
MAPPING = """\
optional = ["item_product_id", "item_refunded", "refunded_total", "shipping_country", "billing_country"]
# Customer 0 is a guest.
nobody = ["0"]

[columns]
user = "customer_id"
email = "billing_email"
time = "order_date"
kind = "status"
order = "order_id"
item = ["item_sku", "item_product_id", "item_name"]
amount = "item_total"
quantity = "item_quantity"
refunded = "item_refunded"
currency = "order_currency"
region = ["shipping_country", "billing_country"]
id = "item_id"

[constants]
platform = "web"

[time]
format = ["iso", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M"]

[kinds]
"*pending*" = "order_placed"
"*Pending*" = "order_placed"
"*n-hold" = "order_placed"
"*n hold" = "order_placed"
"*draft" = "order_placed"
"*Draft" = "order_placed"
"*ailed" = "order_cancelled"
"*ancelled" = "order_cancelled"
"*trash" = "order_cancelled"
"*" = "purchase"

[order]
total = "order_total"
refunded = "refunded_total"
all_refunded = ["refunded", "wc-refunded", "Refunded"]
unpaid = ["order_placed", "order_cancelled"]
known_by_place = true
"""

NAMES = {
    "order": ("order_id", "id", "order_number", "number"),
    "kind": ("status", "order_status"),
    "time": ("order_date", "date_created", "date", "order_date_created"),
    "user": ("customer_id", "customer_user", "customer_user_id", "user_id"),
    "email": ("billing_email", "email_billing", "customer_email"),
    "currency": ("order_currency", "currency"),
    "item": ("item_sku", "sku", "item_product_id", "product_id", "item_name", "product_name"),
    "quantity": ("item_quantity", "quantity", "qty"),
    "amount": ("item_total", "line_total", "order_line_total"),
    "price": ("item_price", "item_cost"),
    "refunded": ("item_refunded", "line_refunded"),
    "region": ("shipping_country", "billing_country", "country_code_shipping", "country_code_billing"),
    "id": ("item_id", "order_item_id", "line_item_id"),
}
"""Field to the columns it may stand in, in snake_case, the most telling first."""
UTC_NAMES = ("date_created_gmt", "order_date_gmt", "date_gmt")
TOTALS = {
    "total": ("order_total", "total", "order_total_amount"),
    "refunded": ("refunded_total", "order_refund_amount", "total_refunded", "refund_total"),
    "shipping": ("shipping_total", "order_shipping_amount"),
    "tax": ("tax_total", "total_tax", "order_total_tax_amount"),
}
SEVERAL = ("item", "region")


ITEM = ("id", "product_id", "sku", "name", "quantity", "total")


def _texts(*names: str) -> dict[str, pl.DataType]:
    return dict.fromkeys(names, pl.String())


SCHEMA: ndjson.Schema = {
    **_texts("id", "status", "customer_id", "date_created_gmt", "date_created", "currency"),
    **_texts("total", "shipping_total", "total_tax"),
    "billing": pl.Struct(_texts("email", "country")),
    "shipping": pl.Struct(_texts("country")),
    "line_items": pl.List(pl.Struct(_texts(*ITEM))),
    "refunds": pl.List(pl.Struct(_texts("total"))),
}
BEYOND = "orders of the REST API, whose line items are nested, and the names that other plugins give columns"
NEEDED = ("id", "status", "customer_id", "line_items")


def recognise(names: list[str]) -> str | None:
    """Why the columns look like an export of WooCommerce's orders, or None."""
    mapping = _mapping(names)
    if {"order", "kind", "time", "email"} <= set(mapping.columns) and _is_there(names, "user"):
        return "its columns are those of WooCommerce's orders, with customer, status and billing e-mail"
    return None


def recognise_members(members: list[str]) -> str | None:
    """Why an object with these members looks like an order of WooCommerce's REST API, or None."""
    if set(NEEDED) <= set(members):
        return "its lines are orders of WooCommerce's REST API, with customer_id and line_items"
    return None


def columns(path: Path) -> Columns:
    """What becomes of the columns."""
    if mapped.format_of(path) == "ndjson":
        return JSON.columns(path)
    return mapped.columns(path, _mapping(Table(path).names))


def fields(path: Path) -> dict[str, str]:
    """Where each field comes from."""
    if mapped.format_of(path) == "ndjson":
        return JSON.fields(path)
    return mapped.fields(path, _mapping(Table(path).names))


def read(path: Path, options: Options) -> Iterator[Batch]:
    """The line items, or the orders, of a file."""
    if mapped.format_of(path) == "ndjson":
        return JSON.read(path, options)
    names = Table(path).names
    mapping = _mapping(names)
    lacking = [COLUMNS_OF[field] for field in COLUMNS_OF if field not in mapping.columns]
    if lacking:
        raise SourceError(
            f"{path}, line 1: {NAME} needs {missing(lacking, names)}: "
            "choose another format or write a mapping file."
        )
    return mapped.read(path, options, mapping)


COLUMNS_OF = {
    "order": "order_id",
    "kind": "status",
    "time": "order_date",
    "email": "billing_email",
    "amount": "item_total",
}


def _plain(name: str) -> str:
    """A column's name in snake_case: `Email (Billing)` is email_billing."""
    return re.sub("[^a-z0-9]+", "_", name.lower()).strip("_")


def _is_there(names: Sequence[str], field: str) -> bool:
    return bool({_plain(name) for name in names} & set(NAMES[field]))


def _mapping(names: Sequence[str]) -> Mapping:
    """The preset for the columns that a file has.

    Without a column for a line's amount, each row is an order: its total without shipping and tax.
    """
    there = {_plain(name): name for name in reversed(names)}

    def among(known: Sequence[str]) -> tuple[str, ...]:
        return tuple(there[name] for name in known if name in there)

    found = {field: among(known) for field, known in NAMES.items()}
    found = {field: some if field in SEVERAL else some[:1] for field, some in found.items() if some}
    totals = {field: next(iter(among(known)), None) for field, known in TOTALS.items()}
    if "price" in found and "quantity" not in found:
        del found["price"]
    if not {"amount", "price"} & set(found) and totals["total"] is not None:
        found["amount"] = (totals["total"],)
        less = tuple(name for name in (totals["shipping"], totals["tax"]) if name is not None)
        found |= {"less": less} if less else {}
    utc = among(UTC_NAMES)
    if utc:
        found["time"] = utc[:1]
    preset = PRESET.mapping
    assert preset.order is not None
    orders = replace(preset.order, total=totals["total"], refunded=totals["refunded"])
    return replace(preset, columns=found, order=orders, zone="UTC" if utc else None)


def _flat(rows: pl.DataFrame) -> pl.DataFrame:
    """Each line item as one row, under the names of the preset."""
    back = pl.element().struct.field("total").cast(pl.Decimal(38, 9), strict=False).abs()

    def figure(name: str) -> pl.Expr:
        return pl.col(name).cast(pl.Decimal(38, 9), strict=False)

    taken = figure("shipping_total").fill_null(0) + figure("total_tax").fill_null(0)
    told = rows.select(
        nested.LINE,
        nested.TEXT,
        pl.col("id").alias("order_id"),
        "status",
        "customer_id",
        pl.col("billing").struct.field("email").alias("billing_email"),
        pl.col("billing").struct.field("country").alias("billing_country"),
        pl.col("shipping").struct.field("country").alias("shipping_country"),
        pl.coalesce(nested.filled(pl.col("date_created_gmt")) + "Z", pl.col("date_created")).alias(
            "order_date"
        ),
        pl.col("currency").alias("order_currency"),
        pl.col("total").alias("order_total"),
        pl.coalesce((figure("total") - taken).cast(pl.String), "total").alias("order_cost"),
        pl.col("refunds").list.eval(back).list.sum().cast(pl.String).alias("refunded_total"),
        pl.lit(None, dtype=pl.String).alias("item_refunded"),
        "line_items",
    )
    flat = nested.exploded(told, "line_items").rename({name: f"item_{name}" for name in ITEM})
    # An order of fees alone has no line items: it is one row at what it cost.
    without = pl.col(nested.LENGTH) == 0
    return flat.with_columns(pl.when(without).then("order_cost").otherwise("item_total").alias("item_total"))


PRESET = Preset(NAME, MAPPING)
JSON = nested.Nested(NAME, SCHEMA, NEEDED, _flat, ("customer_id", "billing"), MAPPING)
