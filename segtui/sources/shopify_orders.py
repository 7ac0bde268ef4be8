"""Shopify's order export: a row per line item, the order's own fields on its first row only.

An order is a state that a later export changes: lines cost their share of the subtotal, less what was given
back, so a refund that appears lowers the amounts. The customer is known by the e-mail.
"""

from __future__ import annotations

from segtui.sources.preset import Preset

NAME = "shopify-orders"
COLUMNS = (
    *("Name", "Email", "Financial Status", "Created at"),
    *("Lineitem quantity", "Lineitem name", "Lineitem price"),
)
PRESET = Preset(
    NAME,
    """\
optional = [
    "Currency", "Subtotal", "Total", "Refunded Amount",
    "Lineitem sku", "Lineitem discount", "Shipping Country", "Source",
]
# An order's own fields stand on its first row; these count for its other rows too.
fill_down = ["Email", "Financial Status", "Currency", "Created at", "Shipping Country", "Source"]

[columns]
email = "Email"
time = "Created at"
kind = "Financial Status"
order = "Name"
item = ["Lineitem sku", "Lineitem name"]
price = "Lineitem price"
quantity = "Lineitem quantity"
less = "Lineitem discount"
currency = "Currency"
region = "Shipping Country"
platform = "Source"

[kinds]
pending = "order_placed"
authorized = "order_placed"
expired = "order_cancelled"
voided = "order_cancelled"
"*" = "purchase"

[order]
subtotal = "Subtotal"
total = "Total"
refunded = "Refunded Amount"
all_refunded = ["refunded"]
unpaid = ["order_placed", "order_cancelled"]
known_by_place = true
""",
)


def recognise(names: list[str]) -> str | None:
    """Why the columns look like Shopify's order export, or None."""
    return "its columns are those of Shopify's order export" if set(COLUMNS) <= set(names) else None
