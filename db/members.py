# ruff: noqa: S608  (the names put into SQL are this package's own; values are always bound)
"""Writing the projections: the head's memberships and their counts, sizes per tick, rescores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from db import states
from db.bulk import BULK_ROWS, Staging

if TYPE_CHECKING:
    from db.store import Store

MEMBERS: dict[str, pl.DataType] = {
    "user": pl.Int64(),
    "label": pl.Int64(),
    "probability": pl.Int64(),
    "margin": pl.Int64(),
    "scores": pl.Binary(),
    "since": pl.Int64(),
    "change_seq": pl.Int64(),
}
SIZES: dict[str, pl.DataType] = {
    "segmentation": pl.Int64(),
    "pass": pl.Int64(),
    "as_of": pl.Int64(),
    "label": pl.Int64(),
    "users": pl.Int64(),
    "expected": pl.Float64(),
}


def keep_rescore(store: Store, seq: int, segmentation: int, body: dict[str, Any]) -> None:
    """Keeps what folds need of a `rescored` decision."""
    store.connection.execute(
        "INSERT OR REPLACE INTO rescores VALUES (?, ?, ?, ?, ?, ?)",
        (seq, segmentation, body["pass"], body.get("from"), body["as_of"], body["position"]),
    )


def save(store: Store, staging: Staging, segmentation: int, frame: pl.DataFrame) -> None:
    """Upserts `frame` (columns of MEMBERS) and keeps the counts per label and the state's sum in step."""
    if frame.is_empty():
        return
    rows = frame.select(pl.col(name).cast(dtype) for name, dtype in MEMBERS.items())
    connection = store.connection
    if rows.height >= BULK_ROWS and not staging.full:
        table = staging.table(rows)
    else:
        connection.execute(
            "CREATE TEMP TABLE IF NOT EXISTS incoming (user INTEGER PRIMARY KEY, label INTEGER, "
            "probability INTEGER, margin INTEGER, scores BLOB, since INTEGER, change_seq INTEGER)"
        )
        connection.execute("DELETE FROM incoming")
        connection.executemany("INSERT INTO incoming VALUES (?, ?, ?, ?, ?, ?, ?)", rows.iter_rows())
        table = "temp.incoming"
    key = {"segmentation": segmentation}
    total, moves = states.at_head(store), states.moved(store, segmentation, table)
    _count(store, table, key, sign=-1)
    connection.execute(
        f"DELETE FROM members WHERE segmentation = :segmentation AND user IN "
        f"(SELECT user FROM {table} WHERE label IS NULL)",
        key,
    )
    # A WHERE is needed: without one SQLite takes ON for a join's.
    connection.execute(
        "INSERT INTO members (segmentation, user, label, probability, margin, scores, since, change_seq) "
        "SELECT :segmentation, s.user, s.label, s.probability, s.margin, s.scores, "
        "coalesce(s.since, m.since), coalesce(s.change_seq, m.change_seq) "
        f"FROM {table} s LEFT JOIN members m ON m.segmentation = :segmentation AND m.user = s.user "
        "WHERE s.label IS NOT NULL "
        "ON CONFLICT (segmentation, user) DO UPDATE SET label = excluded.label, "
        "probability = excluded.probability, margin = excluded.margin, scores = excluded.scores, "
        "since = excluded.since, change_seq = excluded.change_seq",
        key,
    )
    _count(store, table, key, sign=1)
    states.move(store, total, moves)


def _count(store: Store, table: str, key: dict[str, int], *, sign: int) -> None:
    """Adds (or takes away) the users of `table` to the counts of the labels they hold now."""
    # CROSS JOIN keeps the staged rows outside and looks members up by key: the planner chose the
    # other way round, which is quadratic.
    store.connection.execute(
        "INSERT INTO member_counts SELECT :segmentation, m.label, :sign * count(*) "
        f"FROM {table} s CROSS JOIN members m ON m.segmentation = :segmentation AND m.user = s.user "
        "GROUP BY m.label "
        "ON CONFLICT (segmentation, label) DO UPDATE SET users = users + excluded.users",
        {**key, "sign": sign},
    )
    store.connection.execute("DELETE FROM member_counts WHERE users = 0")


def save_sizes(store: Store, frame: pl.DataFrame) -> None:
    """Keeps the sizes of ticks (columns of SIZES) in place of those kept for the same pass and tick."""
    rows = frame.select(pl.col(name).cast(dtype) for name, dtype in SIZES.items())
    store.connection.executemany(
        'DELETE FROM sizes WHERE segmentation = ? AND "pass" = ? AND as_of = ?',
        rows.select("segmentation", "pass", "as_of").unique().rows(),
    )
    store.connection.executemany("INSERT INTO sizes VALUES (?, ?, ?, ?, ?, ?)", rows.rows())
