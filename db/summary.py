"""Counts of the whole log, kept at each commit so that nobody has to scan for them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from db.store import Store

NAME = "summary"


@dataclass(frozen=True)
class Totals:
    """Behaviour up to `position`: events, distinct users, greatest user number, first and last time."""

    events: int = 0
    users: int = 0
    greatest_user: int = 0
    first: int | None = None
    last: int | None = None
    position: int = 0

    def extended(self, store: Store, rows: pl.DataFrame, position: int) -> Totals:
        """With rows that are about to be appended (user, occurred_at)."""
        users = rows["user"].unique()
        older = users.filter(users <= self.greatest_user).to_list()
        returning = 0
        if older:
            returning = store.rows(
                "SELECT count(*) FROM json_each(?) WHERE EXISTS (SELECT 1 FROM behaviour WHERE user = value)",
                (json.dumps(older),),
            )[0][0]
        span = rows.select(
            pl.col("occurred_at").min().alias("first"),
            pl.col("occurred_at").max().alias("last"),
            pl.col("user").max().alias("user"),
        ).row(0)
        return Totals(
            events=self.events + rows.height,
            users=self.users + users.len() - returning,
            greatest_user=max(self.greatest_user, span[2]),
            first=span[0] if self.first is None else min(self.first, span[0]),
            last=span[1] if self.last is None else max(self.last, span[1]),
            position=position,
        )

    def save(self, store: Store) -> None:
        """Keeps these totals in place of older ones."""
        store.connection.execute(
            "INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?)",
            (NAME, self.position, json.dumps(asdict(self)).encode()),
        )


def load(store: Store) -> Totals:
    """The totals as of the last commit with behaviour."""
    found = store.rows("SELECT payload FROM snapshots WHERE name = ?", (NAME,))
    return Totals(**json.loads(found[0][0])) if found else Totals()


def scan(store: Store) -> Totals:
    """The totals from the rows themselves."""
    row = store.rows(
        "SELECT count(*), count(DISTINCT user), coalesce(max(user), 0), min(occurred_at), max(occurred_at), "
        "coalesce(max(seq), 0) FROM behaviour"
    )[0]
    return Totals(*row)
