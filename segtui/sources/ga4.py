"""Google Analytics 4, as exported from BigQuery: one event a row with nested items, JSON lines or Parquet.

view_item_list, view_item and select_item are view_list, view and click, other events keep their names. Each
item that is viewed, clicked, put into the cart or the wish list, taken out, bought or refunded is a row; its
revenue (item_revenue, item_refund) is the amount, else its price times its quantity, else, where no item has
either, its even share of the event's revenue. The user is user_id, or else user_pseudo_id; where a file first
tells both, an identify row more joins the two. Parameters not read here are dropped.
"""

from __future__ import annotations

import polars as pl

from segtui.sources import ndjson, nested

NAME = "ga4"
NEEDED = ("event_timestamp", "event_name", "user_pseudo_id")
ITEM = (
    *("item_id", "item_name", "item_category", "price", "quantity"),
    *("item_revenue", "item_refund"),
)
ECOMMERCE = ("transaction_id", "purchase_revenue", "refund_value")
VALUE = ("string_value", "int_value", "double_value", "float_value")
PARAMETERS = (
    *("currency", "ga_session_id", "engagement_time_msec"),
    *("transaction_id", "value"),
)
PER_ITEM = (
    *("view_item", "select_item", "add_to_cart", "remove_from_cart", "add_to_wishlist"),
    *("purchase", "refund"),
)


def _texts(*names: str) -> dict[str, pl.DataType]:
    return dict.fromkeys(names, pl.String())


SCHEMA: ndjson.Schema = {
    **_texts("event_timestamp", "event_name", "user_id", "user_pseudo_id", "platform"),
    "event_params": pl.List(pl.Struct(_texts("key") | {"value": pl.Struct(_texts(*VALUE))})),
    "device": pl.Struct(_texts("category")),
    "geo": pl.Struct(_texts("country")),
    "ecommerce": pl.Struct(_texts(*ECOMMERCE)),
    "items": pl.List(pl.Struct(_texts(*ITEM))),
}
MAPPING = """\
purchase_only = ["order", "amount", "price", "quantity", "currency"]

[columns]
user = ["user_id", "user_pseudo_id"]
previous = "#other"
time = "event_timestamp"
kind = "event_name"
order = "transaction_id"
item = ["item_id", "item_name"]
category = "item_category"
amount = "amount"
price = "price"
quantity = "quantity"
currency = "currency"
session = "ga_session_id"
duration = "engagement_time_msec"
platform = "platform"
device = "device"
region = "country"

[time]
format = "microseconds"

[kinds]
view_item_list = "view_list"
view_item = "view"
select_item = "click"

[numbers]
duration = "milliseconds"

[order]
by = "#line"
unpriced = "cost"
"""


def recognise(members: list[str]) -> str | None:
    """Why an event with these members looks like one of GA4's, or None."""
    return "its events are GA4's, as exported from BigQuery" if set(NEEDED) <= set(members) else None


def _parameter(name: str) -> pl.Expr:
    """The value of an event's parameter, whatever its type."""
    value = pl.element().struct.field("value")
    texts = [value.struct.field(one) for one in VALUE]
    found = pl.coalesce(texts).filter(pl.element().struct.field("key") == name)
    return pl.col("event_params").list.eval(found).list.first()


def _flat(rows: pl.DataFrame) -> pl.DataFrame:
    """Each event, and each item that something was done with, as one row."""
    parameters = {f"told:{name}": _parameter(name) for name in PARAMETERS}
    told = rows.select(
        nested.LINE,
        nested.TEXT,
        *("event_timestamp", "event_name", "user_id", "user_pseudo_id", "items"),
        pl.col("platform").str.to_lowercase(),
        pl.col("device").struct.field("category").alias("device"),
        pl.col("geo").struct.field("country"),
        pl.col("ecommerce").struct.unnest(),
        **parameters,
    )
    flat = nested.exploded(told, "items", pl.col("event_name").is_in(list(PER_ITEM)))
    refund = pl.col("event_name") == "refund"
    own = pl.when(refund).then("item_refund").otherwise("item_revenue")
    event = pl.when(refund).then("refund_value").otherwise("purchase_revenue")
    price = nested.filled(pl.col("price"))
    at_most_one = pl.col(nested.LENGTH) <= 1
    cost = nested.filled(event, pl.col("told:value"))
    whole = pl.when(at_most_one & price.is_null()).then(cost)
    # The time is the event's: on each item's row it would count as often as there are items.
    first = pl.col(nested.PLACE) == 1
    time = pl.when(first).then(nested.filled(pl.col("told:engagement_time_msec")))
    return flat.with_columns(
        nested.filled(pl.col("transaction_id"), pl.col("told:transaction_id")).alias("transaction_id"),
        *(nested.filled(pl.col(name)).alias(name) for name in ("item_id", "item_name", "item_category")),
        nested.filled(own, whole).alias("amount"),
        cost.alias("cost"),
        pl.coalesce(
            nested.filled(pl.col("quantity")), pl.when(pl.col(nested.LENGTH) > 0).then(pl.lit("1"))
        ).alias("quantity"),
        pl.col("told:currency").alias("currency"),
        pl.col("told:ga_session_id").alias("ga_session_id"),
        pl.when(time != "0").then(time).alias("engagement_time_msec"),
    )


BEYOND = "its parameters and items are nested in each event"
FORMAT = nested.Nested(
    *(NAME, SCHEMA, NEEDED, _flat, ("user_id", "user_pseudo_id"), MAPPING),
    joins=("user_id", "user_pseudo_id", "event_timestamp", "event_name"),
)
