"""Texts of the log as small integers: append-only, every new entry hashed into its commit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from db.errors import StoreDamaged

if TYPE_CHECKING:
    from db.store import Store

KINDS = (
    "kind",
    "order",
    "item",
    "category",
    "platform",
    "device",
    "region",
    "currency",
    "attribute:number",
    "attribute:text",
    "attribute:version",
    "attribute:other",
    "attribute_value",
    "segmentation",
    "label",
    "reason",
    "model",
)

REDACTED = "redacted"
"""The kind of an entry whose text is gone for good: its own number stands there instead."""

UNLINKING = "unalias"
LINKING = ("alias", "identify", UNLINKING)
"""The kinds of events that join two users, or end that: whom with, they carry as the attribute `other`.

An identify event may name nobody else; it then joins none.
"""

CORRECTION = "correction"
"""The kind of an event that stands for a changed row which moves no amount."""


def texts(store: Store, kind: str) -> dict[int, str]:
    """All texts of a kind by number."""
    return dict(store.rows("SELECT id, text FROM vocabulary WHERE kind = ? ORDER BY id", (kind,)))


def number(store: Store, kind: str, text: str) -> int | None:
    """The number of a text, None when the log has not met it."""
    found = store.rows("SELECT id FROM vocabulary WHERE kind = ? AND text = ?", (kind, text))
    return int(found[0][0]) if found else None


def text(store: Store, number: int) -> str:
    """The text of a number; raises StoreDamaged for a number nothing was ever given."""
    found = store.rows("SELECT text FROM vocabulary WHERE id = ?", (int(number),))
    if not found:
        raise StoreDamaged(f"{store.path} has no word number {number}: run 'segtui verify'.")
    return str(found[0][0])
