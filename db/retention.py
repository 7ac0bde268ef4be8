# ruff: noqa: S608  (the names put into SQL are this package's own; values are always bound)
"""Cutting events that are older than an operator keeps; what was cut from stays provable.

Rows cut are listed as redacted, and the leaves they were part of are kept, so the chain still holds. What is
left of a leaf is proven by the decision that cut it, see `redactions.rest`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from db import content, log, redactions, summary, vocabulary

if TYPE_CHECKING:
    from db.store import Store
    from db.transaction import Transaction

DECISION = "retained"
LASTING = (*vocabulary.LINKING, "consent")
"""Kinds of events that say who somebody is or what they agreed to: not a past to be cut."""


@dataclass(frozen=True)
class Origin:
    """Where the log's events begin since they were cut: `before` (µs UTC), by the decision `seq`."""

    before: int
    seq: int


def origin(store: Store) -> Origin | None:
    """The origin that the newest cut left; None for a log that was never cut."""
    newest = log.decisions(store, kinds=(DECISION,), newest_first=True, limit=1)
    return Origin(newest[0].body["before"], newest[0].seq) if newest else None


def older(store: Store, before: int) -> pl.DataFrame:
    """seq, user of the events that occurred before an instant, by seq; what lasts is not among them."""
    return store.frame(
        f"SELECT seq, user FROM behaviour WHERE occurred_at < ? AND {_passing()} ORDER BY seq",
        (before, *LASTING),
        {"seq": pl.Int64(), "user": pl.Int64()},
    )


def present(store: Store, since: int) -> pl.Series:
    """The users with an event at or after an instant that says what they did."""
    return store.frame(
        f"SELECT DISTINCT user FROM behaviour WHERE occurred_at >= ? AND {_passing()} ORDER BY user",
        (since, *LASTING),
        {"user": pl.Int64()},
    )["user"]


def _passing() -> str:
    marks = ",".join("?" * len(LASTING))
    return f"kind NOT IN (SELECT id FROM vocabulary WHERE kind = 'kind' AND text IN ({marks}))"


def cut(tx: Transaction, before: int, rows: pl.DataFrame, told: dict[str, Any]) -> int:
    """Removes the rows (seq, user) for good inside the open transaction, and records that; returns the seq.

    `told`: what else the decision says. Totals and the content digest begin anew from what is left. What is
    left of the rows in the write-ahead log goes when the transaction has ended, see `forgetting.wipe`.
    """
    store = tx.store
    body = told | {"before": before, "events": rows.height} | redactions.cut(store, rows)
    seq = tx.append_decision(DECISION, body)
    content.forget(store)
    summary.scan(store).save(store)
    store.connection.execute("INSERT OR REPLACE INTO meta VALUES ('to_wipe', 1)")
    return seq
