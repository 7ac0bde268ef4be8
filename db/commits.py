"""Which behaviour the commits of a source, or of some decisions, brought."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from db.store import Store


def of_source(store: Store, source: str, *, after_commit: int = 0) -> list[tuple[int, int]]:
    """The first and last seq of the behaviour of each commit of a source, in their order."""
    rows = store.rows(
        "SELECT behaviour_first, behaviour_last FROM commits "
        "WHERE id > ? AND source = ? AND behaviour_first IS NOT NULL ORDER BY id",
        (after_commit, source),
    )
    return [(first, last) for first, last in rows]


def newest(store: Store) -> int:
    """The number of the newest commit, 0 before the first."""
    return int(store.rows("SELECT coalesce(max(id), 0) FROM commits")[0][0])


def begun_with(store: Store, decisions: Sequence[int]) -> list[int]:
    """The first seq of the behaviour that was committed with each of the decisions, where there was any."""
    rows = store.rows(
        "SELECT c.behaviour_first FROM json_each(?) d JOIN commits c ON c.id = "
        "(SELECT id FROM commits WHERE decisions_last >= d.value ORDER BY decisions_last LIMIT 1) "
        "WHERE c.behaviour_first IS NOT NULL",
        (json.dumps([int(seq) for seq in decisions]),),
    )
    return [first for (first,) in rows]
