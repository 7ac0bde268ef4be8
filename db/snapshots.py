"""Memberships saved at a position, so that a fold starts there and not at zero.

Never a second truth: each can be dropped, is folded again when needed, and is compared with the log by
verification.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

import polars as pl

from db import log, passes
from db.folds import fold

if TYPE_CHECKING:
    from db.store import Store

PREFIX = "members"
EVERY_CHANGES = 50_000
"""So many changes make a snapshot worth its room, and no fewer than it has members."""


@dataclass(frozen=True)
class Snapshot:
    """A segmentation's memberships at `position`; `as_of` is that of the newest change they come from."""

    name: str
    segmentation: int
    position: int
    as_of: int


def held(store: Store) -> list[Snapshot]:
    """The snapshots of memberships there are, newest first; raises ValueError for a name nobody gave."""
    rows = store.rows("SELECT name, position FROM snapshots WHERE name GLOB ?", (f"{PREFIX}:*",))
    found = []
    for name, position in rows:
        segmentation, told, as_of = map(int, name.split(":")[1:])
        if told != position:
            raise ValueError(f"snapshot {name} stands at {position}")
        found.append(Snapshot(name, segmentation, position, as_of))
    return sorted(found, key=lambda each: each.position, reverse=True)


def load(store: Store, snapshot: Snapshot) -> pl.DataFrame:
    """user, label, probability, since, seq, pass, by user."""
    payload = store.rows("SELECT payload FROM snapshots WHERE name = ?", (snapshot.name,))[0][0]
    return pl.read_parquet(BytesIO(payload))


def folded(
    store: Store, segmentation: int, *, as_of: int | None = None, position: int | None = None
) -> pl.DataFrame:
    """Memberships at an as-of and a position (default: the end), from the nearest snapshot on.

    Returns user, label, probability, since, seq, pass; by user.
    """
    with store.reading():
        base = _base(store, segmentation, as_of, position)
        recorded = log.changes(
            store,
            segmentation=segmentation,
            as_of_to=as_of,
            position=position,
            after_seq=base.position if base else 0,
        )
        if base is None:
            return fold(recorded)
        before = _as_changes(load(store, base))
        return fold(pl.concat([before, recorded.select(before.columns)]))


def _base(store: Store, segmentation: int, as_of: int | None, position: int | None) -> Snapshot | None:
    """The newest snapshot from which the changes after it lead to the state asked for."""
    opened = passes.passes(store, segmentation, position)
    for each in held(store):
        if each.segmentation != segmentation or (position is not None and each.position > position):
            continue
        if as_of is not None and each.as_of > as_of:
            continue
        later = opened.filter(pl.col("seq") > each.position)
        # A pass that starts further back takes away changes that the snapshot already went past.
        if later.select((pl.col("from_as_of").fill_null(passes.FIRST_INSTANT) < each.as_of).any()).item():
            continue
        return each
    return None


def _as_changes(memberships: pl.DataFrame) -> pl.DataFrame:
    """Memberships as the changes they come from, as far as a fold reads them."""
    return memberships.select(
        "user",
        pl.col("label").alias("to_label"),
        "probability",
        pl.col("since").alias("as_of"),
        "seq",
        "pass",
    )


def take(store: Store, segmentation: int) -> None:
    """Saves the memberships at the head; the caller holds the writer's lock."""
    position = store.head()
    newest = store.rows("SELECT max(as_of) FROM membership_changes WHERE segmentation = ?", (segmentation,))[
        0
    ][0]
    memberships = folded(store, segmentation, position=position)
    if newest is None or memberships.is_empty():
        return
    payload = BytesIO()
    memberships.write_parquet(payload, compression="zstd")
    store.connection.execute(
        "INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?)",
        (f"{PREFIX}:{segmentation}:{position}:{newest}", position, payload.getvalue()),
    )


def keep_up(store: Store) -> None:
    """Takes the snapshots that are due; the caller holds the writer's lock."""
    newest = {each.segmentation: each.position for each in reversed(held(store))}
    for segmentation, members in store.rows(
        "SELECT segmentation, sum(users) FROM member_counts GROUP BY segmentation"
    ):
        after, enough = newest.get(segmentation, 0), max(EVERY_CHANGES, members)
        if _committed(store, after) < enough:
            continue
        since = store.rows(
            "SELECT count(*) FROM membership_changes WHERE seq > ? AND segmentation = ?",
            (after, segmentation),
        )[0][0]
        if since >= enough:
            take(store, segmentation)


def _committed(store: Store, after: int) -> int:
    """How many changes of all segmentations came after a position, from the commits: no row is counted."""
    return int(
        store.rows(
            "SELECT coalesce(sum(changes_last - changes_first + 1), 0) FROM commits WHERE changes_last > ?",
            (after,),
        )[0][0]
    )
