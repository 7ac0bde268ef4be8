"""Who is in a segment."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import polars as pl

from db import lookups, projections, vocabulary
from segtui.operations.asked import Asked
from segtui.operations.definitions import require_segment
from segtui.operations.errors import OperationError
from segtui.operations.like import ids_of, like
from segtui.operations.moment import Moment, moment, refuse_unrecorded
from segtui.operations.progress import Progress, quiet
from segtui.operations.session import Session
from segtui.operations.silence import Leaving, leaving, until

LEAVES = "leaves"
"""An order of members that no table knows."""


def members(
    s: Session,
    segment: str,
    *,
    where: str | None = None,
    part: str | None = None,
    at: int | None = None,
    position: int | None = None,
    limit: int | None = 50,
    offset: int = 0,
    order: str | None = None,
    leaves: bool = False,
    leaving_within: int | None = None,
    progress: Progress = quiet,
) -> dict[str, Any]:
    """One page of a segment's members, and how many there are in all.

    `where` is an expression over the catalogue's features, other segments, probability and margin; `part`
    a part of the id, or with ! what is none (see `like`); `order` a field or -field. Before the last rescore,
    or at a position behind the head, `recorded` is "at the last change": there each probability is that of
    the user's last change, the margin is null, and neither can be filtered or ordered by. Only the page asked
    for is put into words.

    `leaves`: also says of everyone on the page when silence alone will move them, and to which label, within
    60 ticks. `leaving_within` keeps those only whom it will move within so many calendar days. `order` may be
    by leaves too, whoever stays coming last. Otherwise `leaves` is null: it asks what decides about every
    tick to come.
    """
    field, descending = field_of(order)
    known, label = require_segment(s, segment, position=position)
    number = vocabulary.number(s.store, "segmentation", known.name)
    code = vocabulary.number(s.store, "label", label)
    when = moment(s, number, at, position)
    silent: dict[int, Leaving] = {}
    if leaving_within is not None or field == LEAVES:
        known_order = None if field == LEAVES else order
        frame, when = member_frame(
            s, segment, where=where, part=part, at=at, position=position, order=known_order
        )
        silent = _ahead(s, known.name, frame, when, leaving_within, progress)
        if leaving_within is not None:
            frame = frame.filter(pl.col("user").is_in(list(silent)))
        frame = _by_leaving(frame, silent, descending=descending) if field == LEAVES else frame
        page, total = frame.slice(offset, limit), frame.height
    elif where is None and not part and not when.past and number is not None and code is not None:
        total = projections.sizes(s.store, number).get(code, 0)
        page = _page(s, number, code, total, field, descending, offset, limit)
    else:
        frame, _ = member_frame(s, segment, where=where, part=part, at=at, position=position, order=order)
        page, total = frame.slice(offset, limit), frame.height
    if leaves and leaving_within is None and field != LEAVES:
        silent = _ahead(s, known.name, page, when, None, progress)
    return {
        "segment": segment,
        "as_of": None if when.as_of is None else s.iso(when.as_of),
        "recorded": "at the last change" if when.past else "at the last rescore",
        "total": total,
        "members": rows(s, page, silent),
    }


def _page(
    s: Session,
    number: int,
    code: int,
    total: int,
    field: str,
    descending: bool,
    offset: int,
    limit: int | None,
) -> pl.DataFrame:
    """One page at the head; by user, in whose order the index stands, from whichever end is nearer."""
    after = 0 if limit is None else max(0, total - offset - limit)
    if field != "user" or limit is None or offset <= after:
        return lookups.member_page(
            s.store, number, code, order=field, descending=descending, limit=limit, offset=offset
        )
    count = max(0, min(limit, total - offset))
    page = lookups.member_page(s.store, number, code, descending=not descending, limit=count, offset=after)
    return pl.DataFrame(page.rows()[::-1], schema=page.schema, orient="row")


def _ahead(
    s: Session, name: str, frame: pl.DataFrame, when: Moment, days: int | None, progress: Progress
) -> dict[int, Leaving]:
    """Who of these silence alone will move, within so many days."""
    if when.as_of is None or frame.is_empty():
        return {}
    return leaving(s, name, frame["user"], when, until(s, when.as_of, days), progress=progress)


def _by_leaving(frame: pl.DataFrame, silent: dict[int, Leaving], *, descending: bool) -> pl.DataFrame:
    """By the tick at which each leaves, then by user; whoever stays comes last."""
    at = {user: each.as_of for user, each in silent.items()}
    ends = pl.col("user").replace_strict(at, default=None, return_dtype=pl.Int64)
    return frame.sort(ends, "user", descending=[descending, False], nulls_last=[True, False])


def member_frame(
    s: Session,
    segment: str,
    *,
    where: str | None = None,
    part: str | None = None,
    at: int | None = None,
    position: int | None = None,
    order: str | None = None,
) -> tuple[pl.DataFrame, Moment]:
    """user, label, probability, margin, since, seq of all members in the order asked for, and when."""
    field, descending = field_of(order)
    known, label = require_segment(s, segment, position=position)
    number = vocabulary.number(s.store, "segmentation", known.name)
    code = vocabulary.number(s.store, "label", label)
    when = moment(s, number, at, position)
    refuse_unrecorded(s, when, field)
    if number is None or code is None:
        frame = pl.DataFrame(schema=lookups.MEMBER_COLUMNS)
    elif when.past:
        frame = _past(s, number, code, when, field, descending=descending)
    else:
        frame = lookups.member_page(s.store, number, code, order=field, descending=descending)
    frame = frame.filter(like(ids_of(s, frame["user"]), part)) if part else frame
    return (frame.filter(Asked(s, when, frame).holds(s, where)) if where else frame), when


def rows(s: Session, page: pl.DataFrame, silent: Mapping[int, Leaving]) -> list[dict[str, Any]]:
    """A page of members with names for numbers, and when each leaves if silent."""
    names = s.external(page["user"].to_list())
    causes = lookups.causes(s.store, page["seq"].to_list())
    iso = cache(s.iso)
    return [
        {
            "user": names[row["user"]],
            "probability": _share(row["probability"]),
            "margin": _share(row["margin"]),
            "since": iso(row["since"]),
            "cause": causes[row["seq"]].cause if row["seq"] in causes else None,
            "backfilled": causes[row["seq"]].backfilled if row["seq"] in causes else False,
            "leaves": silent[row["user"]].worded(s) if row["user"] in silent else None,
        }
        for row in page.iter_rows(named=True)
    ]


def _past(s: Session, number: int, code: int, when: Moment, field: str, *, descending: bool) -> pl.DataFrame:
    """The members at a past moment, folded from the log."""
    held = projections.memberships(s.store, number, as_of=when.folded, position=when.position)
    unknown = pl.lit(None, dtype=pl.Int64).alias("margin")
    frame = held.filter(pl.col("label") == code).with_columns(unknown).select(list(lookups.MEMBER_COLUMNS))
    column = "seq" if field == "cause" else field
    return frame.sort(column, "user", descending=[descending, False])


def field_of(order: str | None) -> tuple[str, bool]:
    """The field an order names, without its sign; and whether that is a minus."""
    field = (order or "user").removeprefix("-")
    known = (*lookups.MEMBER_ORDERS, LEAVES)
    if field not in known:
        raise OperationError(f"Members cannot be ordered by {field!r}: use {', '.join(known)}.")
    return field, (order or "").startswith("-")


def _share(millionths: int | None) -> float | None:
    return None if millionths is None else millionths / 1_000_000
