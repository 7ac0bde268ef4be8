"""Whether every membership change follows from the one before it, and has a cause and a reason in the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from db import log, vocabulary
from db.checks import Check
from db.passes import left_by, rescores

if TYPE_CHECKING:
    from db.store import Store

CLOCK = "clock"
FOLDED = ("segmentation", "user", "from_label", "to_label", "as_of", "pass", "seq")


def continuity(store: Store) -> Check:
    """Folds every change from zero, in each pass as it left them: each moves a user from the label held."""
    changes = log.changes(store, governing=False).select(FOLDED)
    scored = rescores(store)
    read = 0
    for number in changes["pass"].unique().sort():
        rows = left_by(changes, scored, number).sort("segmentation", "user", "as_of", "seq")
        held = pl.col("to_label").shift(1).over("segmentation", "user")
        broken = rows.filter(~pl.col("from_label").eq_missing(held))
        if broken.height:
            row = broken.sort("seq").row(0, named=True)
            name = vocabulary.text(store, row["segmentation"])
            told = f"change {row['seq']} of {name} moves user #{row['user']} from a label not held"
            return Check("continuity", False, told)
        read += rows.filter(pl.col("pass") == number).height
    return Check("continuity", True, f"{read:,} changes follow from one another")


def causes(store: Store) -> Check:
    """Every change's cause is an earlier row of the log or the clock, its reason and model are words."""
    changes = log.changes(store, governing=False)
    events = _seqs(store, "behaviour").extend(_seqs(store, "redactions")).unique()
    decisions = _seqs(store, "decisions")
    cause = pl.col("cause_seq")
    timed = pl.col("cause") == CLOCK
    known = cause.is_in(events.implode()) | cause.is_in(decisions.implode())
    bad = (
        (timed != cause.is_null())
        | (~timed & ~known.fill_null(False))
        | (cause >= pl.col("seq")).fill_null(False)
        | ~pl.col("reason").is_in(list(vocabulary.texts(store, "reason")))
        | ~pl.col("model").is_in(list(vocabulary.texts(store, "model"))).fill_null(True)
    )
    wrong = changes.filter(bad)
    if wrong.height:
        row = wrong.row(0, named=True)
        told = f"change {row['seq']}: {row['cause']} by {row['cause_seq']} is not in the log before it"
        return Check("causes", False, told)
    return Check("causes", True, f"{changes.height:,} changes have a cause and a reason in the log")


def _seqs(store: Store, table: str) -> pl.Series:
    sql = f"SELECT seq FROM {table}"  # noqa: S608 (own names)
    return store.frame(sql, (), {"seq": pl.Int64()})["seq"]
