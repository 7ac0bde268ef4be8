"""Taobao's UserBehavior: what a shop's users did, as CSV without a header; it names no prices."""

from __future__ import annotations

import re

from segtui.sources.preset import Preset

NAME = "taobao"
COLUMNS = ("user_id", "item_id", "category_id", "behavior_type", "timestamp")
PRESET = Preset(
    NAME,
    """\
# The file has no header line: these are its columns.
names = ["user_id", "item_id", "category_id", "behavior_type", "timestamp"]
purchase_only = ["quantity"]

[columns]
user = "user_id"
time = "timestamp"
kind = "behavior_type"
item = "item_id"
category = "category_id"

[constants]
quantity = "1"

[time]
format = "seconds"

[kinds]
pv = "view"
cart = "add_to_cart"
fav = "add_to_wishlist"
buy = "purchase"
""",
)
LINE = re.compile(r"\s*\d+,\d+,\d+,(?:pv|cart|fav|buy),-?\d+\s*")


def recognise(names: list[str]) -> str | None:
    """Why the columns look like Taobao's, where a copy of the file names them, or None."""
    return "its columns are Taobao's" if set(COLUMNS) <= set(names) else None


def recognise_lines(lines: list[str]) -> str | None:
    """Why the first lines look like Taobao's, or None."""
    filled = [line for line in lines if line.strip()][:10]
    if filled and all(LINE.fullmatch(line) for line in filled):
        return "its lines are user, item, category, pv or cart or fav or buy, and seconds"
    return None
