"""Who moved back and forth: users that left a label and soon came back to it."""

from __future__ import annotations

from typing import Any

import polars as pl

from db import vocabulary
from engine.flapping import net_moves, returns
from engine.membership import EDITS
from segtui.operations.changes import change_frame
from segtui.operations.definitions import definitions
from segtui.operations.errors import OperationError
from segtui.operations.plans import last_rescore
from segtui.operations.session import Session
from segtui.operations.stays import numbers_of
from segtui.operations.times import parse_days

DEFAULT_DAYS = 90


def flapping(
    s: Session,
    segmentation: str = "value",
    *,
    within: str = "14d",
    from_: int | None = None,
    to: int | None = None,
    limit: int | None = None,
) -> dict[str, Any]:
    """Returns to a label within so many days, at closed ticks with from_ < as_of <= to (default: 90 days).

    Moves inside the open tick do not count, nor do those that an edit of a model, rule or policy made, and
    a label goes on under a new name: both ways of a return were time's and customers'. Moves before the
    range are not looked at. Returns segmentation, within_days, from, to, closes, moves, returns, users, pairs
    ([left, gone to, returns], most frequent first) and members (user, returns, last, label, other; most
    returns first, at most `limit`).
    Raises OperationError for a segmentation that is none and a range without a closed tick.
    """
    days = parse_days(within)
    became = numbers_of(s.store, definitions(s).ever(segmentation).became)
    last, now = last_rescore(s), s.now()
    if last is None or now is None:
        raise OperationError("Nobody was ever scored: record memberships with 'segtui rescore' first.")
    closed = min(last.as_of, s.ticks.at_or_before(now))
    end = closed if to is None else min(s.ticks.at_or_after(to), closed)
    start = s.ticks.days_before(end, DEFAULT_DAYS) if from_ is None else from_
    start = s.ticks.at_or_after(start)
    if start >= end:
        raise OperationError(f"No tick closed after {s.iso(start)} and up to {s.iso(end)}: widen the range.")
    changes = change_frame(s, from_=start, to=end, segment=segmentation, first=True)
    changes = changes.with_columns(pl.col("from_label", "to_label").replace(became))
    moves = net_moves(changes)
    found = returns(moves, lambda as_of: s.ticks.days_before(as_of, days))
    moved = pl.col("from_label").ne_missing(pl.col("to_label"))
    edits = changes.filter(moved & pl.col("cause").is_in(EDITS)).select("user", "as_of").unique()
    for way in ("left_at", "back_at"):
        found = found.join(edits, left_on=["user", way], right_on=["user", "as_of"], how="anti")
    labels = vocabulary.texts(s.store, "label")
    pairs = (
        found.group_by("label", "other").len().sort("len", "label", "other", descending=[True, False, False])
    )
    members = (
        found.sort("back_at", "user")
        .group_by("user")
        .agg(pl.len().alias("returns"), pl.col("back_at", "label", "other").last())
        .sort("returns", "back_at", "user", descending=[True, True, False])
    )
    shown = members if limit is None else members.head(limit)
    names = s.external(shown["user"].to_list())
    return {
        "segmentation": segmentation,
        "within_days": days,
        "from": s.iso(start),
        "to": s.iso(end),
        "closes": len(s.ticks.between(start, end)),
        "moves": moves.filter(pl.col("from_label").is_not_null()).height,
        "returns": found.height,
        "users": members.height,
        "pairs": [[labels[label], labels[other], count] for label, other, count in pairs.iter_rows()],
        "members": [
            {
                "user": names[user],
                "returns": count,
                "last": s.iso(back_at),
                "label": labels[label],
                "other": labels[other],
            }
            for user, count, back_at, label, other in shown.iter_rows()
        ],
    }
