"""Segment's spec: one call a line, as its archives keep them.

A `track` call is an event under its name, the shop's names under ours (Order Completed is a purchase); a
`page` or `screen` call is a page_view or screen_view, an `alias` call joins previousId to the user. Each
product of an order is a row: its price times its quantity, lowered together to the order's subtotal or
revenue where that is less; where no product has a price, its even share of what the order cost. The user is
userId, else anonymousId. Traits, and properties not named here, are dropped.
"""

from __future__ import annotations

import polars as pl

from segtui.sources import ndjson, nested, numbers

NAME = "segment"
NEEDED = ("type", "timestamp")
CALL = ("type", "event", "userId", "anonymousId", "previousId", "messageId", "timestamp", "channel")
ORDER = ("order_id", "revenue", "subtotal", "total", "currency")
PRODUCT = ("product_id", "sku", "category", "price", "quantity")
OTHERS = ("rating", "session_id")


def _texts(*names: str) -> dict[str, pl.DataType]:
    return dict.fromkeys(names, pl.String())


SCHEMA: ndjson.Schema = {
    **_texts(*CALL),
    "properties": pl.Struct(
        _texts(*ORDER, *PRODUCT, *OTHERS) | {"products": pl.List(pl.Struct(_texts(*PRODUCT)))}
    ),
    "context": pl.Struct(
        {"device": pl.Struct(_texts("type")), "location": pl.Struct(_texts("country"))},
    ),
}
KINDS = {
    "product list viewed": "view_list",
    "product viewed": "view",
    "product clicked": "click",
    "products searched": "search",
    "product added": "add_to_cart",
    "product removed": "remove_from_cart",
    "product added to wishlist": "add_to_wishlist",
    "checkout started": "begin_checkout",
    "order completed": "purchase",
    "order refunded": "refund",
    "order cancelled": "refund",
    "product reviewed": "review",
    "product shared": "share",
    "cart shared": "share",
}
CALLS = {
    "page": "page_view",
    "screen": "screen_view",
    "identify": "identify",
    "group": "group",
    "alias": "alias",
}
MAPPING = """\
purchase_only = ["order", "amount", "price", "quantity", "currency"]

[columns]
user = ["userId", "anonymousId"]
previous = "previousId"
time = "timestamp"
kind = "kind"
order = "order_id"
item = ["product_id", "sku"]
category = "category"
amount = "amount"
price = "price"
quantity = "quantity"
currency = "currency"
rating = "rating"
session = "session_id"
platform = "channel"
device = "device"
region = "country"
id = "id"

[order]
by = "#line"
subtotal = "subtotal"
unpriced = "cost"
"""


def recognise(members: list[str]) -> str | None:
    """Why an object with these members looks like one of Segment's calls, or None."""
    if set(NEEDED) <= set(members) and {"userId", "anonymousId"} & set(members):
        return "its lines are Segment's calls, with type, timestamp and userId or anonymousId"
    return None


def _flat(rows: pl.DataFrame) -> pl.DataFrame:
    """Each call, and each product of an order, as one row."""
    told = rows.select(
        nested.LINE,
        nested.TEXT,
        pl.col(CALL).exclude("previousId"),
        pl.col("properties").struct.unnest(),
        _kind().alias("kind"),
        _other().alias("previousId"),
        pl.col("context").struct.field("device").struct.field("type").alias("device"),
        pl.col("context").struct.field("location").struct.field("country"),
    )
    own = {f"own:{name}": pl.col(name) for name in PRODUCT}
    listed = told.with_columns(**own).drop(PRODUCT)
    flat = nested.exploded(listed, "products", pl.col("kind").is_in(["purchase", "refund"]))
    lone = pl.col(nested.LENGTH) == 0
    several = pl.col(nested.LENGTH) > 1
    place = pl.format("{}/{}", "messageId", nested.PLACE)
    price = nested.filled(pl.col("price"))
    cost = nested.filled(*(pl.col(name) for name in ORDER[1:4]))
    return flat.with_columns(
        *(pl.when(lone).then(f"own:{name}").otherwise(name).alias(name) for name in PRODUCT),
    ).with_columns(
        pl.when(lone).then(cost).alias("amount"),
        cost.alias("cost"),
        pl.coalesce(nested.filled(pl.col("quantity")), pl.when(price.is_not_null()).then(pl.lit("1"))).alias(
            "quantity"
        ),
        nested.filled(pl.col("subtotal"), pl.col("revenue")).alias("subtotal"),
        pl.when(several).then(place).otherwise("messageId").alias("id"),
    )


def _kind() -> pl.Expr:
    """The kind of a call: of a track call its event's name, in snake_case."""
    event = numbers.trimmed(pl.col("event"))
    shop = event.str.to_lowercase().replace_strict(KINDS, default=None, return_dtype=pl.String)
    snake = (
        event.str.replace_all("([a-z0-9])([A-Z])", "${1}_${2}")
        .str.to_lowercase()
        .str.replace_all("[^a-z0-9]+", "_")
        .str.strip_chars("_")
    )
    call = pl.col("type").replace_strict(CALLS, default=pl.col("type"), return_dtype=pl.String)
    return pl.when(pl.col("type") == "track").then(pl.coalesce(shop, snake)).otherwise(call)


def _other() -> pl.Expr:
    """The other id of an alias, or the anonymous one that an identify call joins to its user."""
    known = numbers.trimmed(pl.col("userId")).is_not_null()
    anonymous = pl.when(known & (pl.col("type") == "identify")).then("anonymousId")
    return pl.coalesce(numbers.trimmed(pl.col("previousId")), anonymous)


BEYOND = "its products are nested in each line"
FORMAT = nested.Nested(NAME, SCHEMA, NEEDED, _flat, ("userId", "anonymousId", "previousId"), MAPPING)
