"""Retailrocket: the events of a shop's visitors, as CSV or Parquet; it names no prices."""

from __future__ import annotations

from segtui.sources.preset import Preset

NAME = "retailrocket"
COLUMNS = ("timestamp", "visitorid", "event", "itemid", "transactionid")
PRESET = Preset(
    NAME,
    """\
purchase_only = ["order", "quantity"]

[columns]
user = "visitorid"
time = "timestamp"
kind = "event"
item = "itemid"
order = "transactionid"

[constants]
quantity = "1"

[time]
format = "milliseconds"

[kinds]
addtocart = "add_to_cart"
transaction = "purchase"
""",
)


def recognise(names: list[str]) -> str | None:
    """Why the columns look like Retailrocket, or None."""
    return "its columns are Retailrocket's" if set(COLUMNS) <= set(names) else None
