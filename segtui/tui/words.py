"""Numbers, times and causes as these screens write them; colour never carries a meaning alone."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from textual.content import Content

from segtui.operations import words

DIM = "$muted"
KEY = "bold $accent"
CHOSEN = "bold $primary"
RISE = "$success"
FALL = "$error"
WARN = "$warning"
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
BLANK = Content("")

CAUSE_STYLES = {
    "clock": "$secondary",
    "event": "$primary",
    "late_event": "$warning",
    "identity": "$accent",
    "erasure": "$error",
    "consent": "$error",
    "model": "$success",
    "definition": "$success",
    "label": "$success",
    "decision": "$success",
    "manual": "$accent",
}


def day(text: str) -> str:
    """`2026-03-01` of an ISO time."""
    return text[:10]


def minute(text: str) -> str:
    """`2026-03-01 10:03` of an ISO time."""
    return f"{text[:10]} {text[11:16]}"


def moment(text: str, zone: str) -> str:
    """`Sun 2026-03-01 00:00 CET` of an ISO time with an offset."""
    instant = datetime.fromisoformat(text).astimezone(ZoneInfo(zone))
    # Not %a: that would follow the locale.
    return f"{WEEKDAYS[instant.weekday()]} {instant:%Y-%m-%d %H:%M} {instant.tzname()}"


def microseconds(text: str) -> int:
    """An ISO time with an offset as µs UTC."""
    return round(datetime.fromisoformat(text).timestamp()) * 1_000_000


def delta(number: int | None) -> Content:
    """`▲ 214` in green, `▼ 12` in red, `0`; a dot where nothing was recorded then."""
    if number is None:
        return Content.styled("·", DIM)
    style = RISE if number > 0 else FALL if number < 0 else DIM
    return Content.styled(words.change(number), style)


def cause(name: str, width: int = 0) -> Content:
    """A cause in its colour: `late event`."""
    return Content.styled(name.replace("_", " ").ljust(width), CAUSE_STYLES.get(name, ""))


def label(name: str | None) -> str:
    """A label's name; `(none)` for holding none."""
    return "(none)" if name is None else name


def probability(number: float | None) -> str:
    """`0.41`, `-0.02`, or a dot where a rule decided without one."""
    # Adding zero turns a rounded -0.0 into 0.0.
    return "·" if number is None else f"{round(number, 2) + 0:.2f}"


def who(change: dict[str, Any]) -> str:
    """The user of a change; whoever was erased is nobody any more."""
    return "(erased)" if change["erased"] else str(change["user"])


def move(change: dict[str, Any], width: int = 0, *, named: bool = False) -> Content:
    """`high > low` of a change, both in columns of `width`; `(new)` comes from nowhere.

    `named`: `lapsing: out > in`, where there are labels of other segmentations beside.
    """
    start = "(new)" if change["from"] is None else str(change["from"])
    return Content.assemble(
        (f"{change['segmentation']}: " if named else "", DIM),
        (_padded(start, width), DIM),
        (" > ", DIM),
        (_padded(label(change["to"]), width), "bold"),
    )


def cut(text: str, width: int) -> str:
    """The text in so many cells: whole words, and a sign where some are left out."""
    if Content(text).cell_length <= width:
        return text
    kept, *rest = text.split(" ")
    for word in rest:
        if Content(f"{kept} {word}…").cell_length > width:
            break
        kept = f"{kept} {word}"
    return f"{kept}…"


def _padded(text: str, width: int) -> str:
    """The text with blanks up to `width` cells; a Chinese character takes two."""
    return text + " " * max(0, width - Content(text).cell_length)


def event(row: dict[str, Any], currency: str | None) -> str:
    """What an event says besides its kind: `sku-118   61.20 EUR   order 4411   4.5 stars`."""
    parts = [row["item"] or row["category"] or ""]
    if row["amount"] is not None:
        parts.append(words.money(row["amount"], currency))
    if row["order"]:
        parts.append(f"order {row['order']}")
    if row["rating"] is not None:
        parts.append(f"{row['rating']:g} stars")
    return "   ".join(part for part in parts if part)
