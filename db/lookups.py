"""Single rows and pages, found by index: what a screen asks for while a person scrolls."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from db import log, projections
from db.store import Store

MEMBER_ORDERS = {
    "user": "user",
    "probability": "probability",
    "margin": "margin",
    "since": "since",
    "cause": "change_seq",
}

MEMBER_COLUMNS: dict[str, pl.DataType] = dict.fromkeys(
    ("user", "label", "probability", "margin", "since", "seq"), pl.Int64()
)


@dataclass(frozen=True)
class Cause:
    """What made a membership change happen."""

    cause: str
    cause_seq: int | None
    reason: int
    backfilled: bool


def causes(store: Store, seqs: Sequence[int]) -> dict[int, Cause]:
    """The causes of membership changes by their seq; unknown seqs are left out."""
    rows = store.rows(
        "SELECT seq, cause, cause_seq, reason, backfilled FROM membership_changes "
        "WHERE seq IN (SELECT value FROM json_each(?))",
        (json.dumps([int(seq) for seq in seqs]),),
    )
    return {
        seq: Cause(cause, cause_seq, reason, bool(backfilled))
        for seq, cause, cause_seq, reason, backfilled in rows
    }


def member(
    store: Store, segmentation: int, user: int, *, as_of: int | None = None, position: int | None = None
) -> dict[str, Any] | None:
    """label, probability, margin, since, seq of one user; None when not a member.

    At a past as-of or position the probability is that of the change, and the margin unknown.
    """
    if as_of is None and position is None:
        rows = store.rows(
            "SELECT label, probability, margin, since, change_seq FROM members "
            "WHERE segmentation = ? AND user = ?",
            (segmentation, user),
        )
        if not rows:
            return None
        return dict(zip(("label", "probability", "margin", "since", "seq"), rows[0], strict=True))
    own = log.changes(store, segmentation=segmentation, users=[user], as_of_to=as_of, position=position)
    held = projections.fold(own)
    return held.row(0, named=True) | {"margin": None} if held.height else None


def member_page(
    store: Store,
    segmentation: int,
    label: int,
    *,
    order: str = "user",
    descending: bool = False,
    limit: int | None = None,
    offset: int = 0,
) -> pl.DataFrame:
    """user, label, probability, margin, since, seq of one page of a label's members at the head.

    `order` is one of MEMBER_ORDERS; users without a value come last, ties are by user.
    """
    column = MEMBER_ORDERS[order]
    direction = "DESC" if descending else "ASC"
    read = store.whole if limit is None else store.frame
    return read(
        "SELECT user, label, probability, margin, since, change_seq FROM members "  # noqa: S608 (own names)
        f"WHERE segmentation = ? AND label = ? ORDER BY {column} {direction} NULLS LAST, user "
        "LIMIT ? OFFSET ?",
        (segmentation, label, -1 if limit is None else limit, offset),
        MEMBER_COLUMNS,
    )


def spread_members(store: Store, segmentation: int, label: int, count: int) -> list[int]:
    """At most `count` of a label's members at the head, spread evenly over the surrogates, by index alone."""
    few = store.rows(
        "SELECT user FROM members WHERE segmentation = ? AND label = ? ORDER BY user LIMIT ?",
        (segmentation, label, count + 1),
    )
    if len(few) <= count:
        return [user for (user,) in few]
    first = few[0][0]
    last = store.rows(
        "SELECT max(user) FROM members WHERE segmentation = ? AND label = ?", (segmentation, label)
    )[0][0]
    marks = [first + (last - first) * step // (count - 1) for step in range(count)]
    found = store.rows(
        "SELECT DISTINCT (SELECT min(user) FROM members WHERE segmentation = ? AND label = ? "
        "AND user >= mark.value) FROM json_each(?) AS mark",
        (segmentation, label, json.dumps(marks)),
    )
    return [user for (user,) in found]


def known_before(store: Store, users: Sequence[int], instant: int, *, at_most: int) -> int:
    """How many of these users have an event before `instant` (µs UTC), counted up to `at_most`."""
    found = store.rows(
        "SELECT count(*) FROM (SELECT 1 FROM json_each(?) AS one WHERE EXISTS "
        "(SELECT 1 FROM behaviour WHERE user = one.value AND occurred_at < ?) LIMIT ?)",
        (json.dumps([int(user) for user in users]), instant, at_most),
    )
    return int(found[0][0])


def event(store: Store, seq: int) -> dict[str, Any] | None:
    """One behaviour row by its position, None when there is none."""
    frame = log.behaviour(store, after_seq=seq - 1, position=seq)
    return frame.row(0, named=True) if frame.height else None


def texts_of(store: Store, numbers: Sequence[int]) -> dict[int, str]:
    """The texts of these vocabulary numbers."""
    return dict(
        store.rows(
            "SELECT id, text FROM vocabulary WHERE id IN (SELECT value FROM json_each(?))",
            (json.dumps([int(number) for number in numbers]),),
        )
    )


def last_behaviour_seq(store: Store) -> int:
    """The position of the newest behaviour event, 0 when there is none."""
    return int(store.rows("SELECT coalesce(max(seq), 0) FROM behaviour")[0][0])


def count_events(
    store: Store, users: Sequence[int], *, position: int | None = None, before: int | None = None
) -> int:
    """How many events some users have up to a position and before an instant (µs)."""
    condition, value = log.among("user", users)
    rows = store.rows(
        f"SELECT count(*) FROM behaviour WHERE {condition} "  # noqa: S608 (own names)
        "AND seq <= coalesce(?, seq) AND occurred_at < coalesce(?, occurred_at + 1)",
        (value, position, before),
    )
    return int(rows[0][0])
