"""Who is in a segment."""

from __future__ import annotations

from typing import Any

import polars as pl

from db import lookups, projections, vocabulary
from engine.features import features, spec_for
from segtui.operations.definitions import require_segment
from segtui.operations.errors import OperationError
from segtui.operations.segments import shown_as_of
from segtui.operations.session import Session


def members(
    s: Session,
    segment: str,
    *,
    where: str | None = None,
    at: int | None = None,
    limit: int | None = 50,
    offset: int = 0,
    order: str | None = None,
) -> dict[str, Any]:
    """One page of a segment's members, and how many there are in all.

    `where` is an expression over the catalogue's features, probability and margin; `order` a field or
    -field. `leaves` is null here: `user` tells it for one person. Only the page asked for is put into words.
    """
    field = _field(order)
    known, label = require_segment(s, segment)
    number = vocabulary.number(s.store, "segmentation", known.name)
    code = vocabulary.number(s.store, "label", label)
    if where is None and at is None and number is not None and code is not None and limit is not None:
        descending = (order or "").startswith("-")
        page = lookups.member_page(
            s.store, number, code, order=field, descending=descending, limit=limit, offset=offset
        )
        total = projections.sizes(s.store, number).get(code, 0)
    else:
        frame = member_frame(s, segment, where=where, at=at, order=order)
        page, total = frame.slice(offset, limit), frame.height
    return {
        "segment": segment,
        "as_of": _iso(s, shown_as_of(s, at)),
        "total": total,
        "members": rows(s, page),
    }


def member_frame(
    s: Session,
    segment: str,
    *,
    where: str | None = None,
    at: int | None = None,
    order: str | None = None,
) -> pl.DataFrame:
    """user, label, probability, margin, since, seq of all members, in the order asked for."""
    known, label = require_segment(s, segment)
    number = vocabulary.number(s.store, "segmentation", known.name)
    code = vocabulary.number(s.store, "label", label)
    as_of = None if at is None else s.ticks.at_or_after(at)
    empty = {
        "user": pl.Int64,
        "label": pl.Int64,
        "probability": pl.Int64,
        "margin": pl.Int64,
        "since": pl.Int64,
        "seq": pl.Int64,
    }
    if number is None or code is None:
        return pl.DataFrame(schema=empty)
    frame = projections.memberships(s.store, number, as_of=as_of).filter(pl.col("label") == code)
    if "margin" not in frame.columns:
        frame = frame.with_columns(pl.lit(None, dtype=pl.Int64).alias("margin"))
    frame = frame.select(list(empty)).sort("user")
    if where:
        frame = _where(s, frame, where, at)
    return _ordered(frame, order)


def rows(s: Session, page: pl.DataFrame) -> list[dict[str, Any]]:
    """A page of members with names for numbers."""
    names = s.external(page["user"].to_list())
    causes = lookups.causes(s.store, page["seq"].to_list())
    return [
        {
            "user": names[row["user"]],
            "probability": _share(row["probability"]),
            "margin": _share(row["margin"]),
            "since": s.iso(row["since"]),
            "cause": causes[row["seq"]].cause if row["seq"] in causes else None,
            "backfilled": causes[row["seq"]].backfilled if row["seq"] in causes else False,
            "leaves": None,
        }
        for row in page.iter_rows(named=True)
    ]


def _where(s: Session, frame: pl.DataFrame, where: str, at: int | None) -> pl.DataFrame:
    """The members for which the expression holds at the as-of shown."""
    from engine.rules import compile_rule

    as_of = shown_as_of(s, at)
    assert as_of is not None
    events = s.events(before=as_of)
    attributes = s.attributes()
    spec = spec_for(events, s.settings.timezone, attributes)
    known = features(events, s.identity(), as_of, spec, attributes)
    table = frame.join(known, on="user", how="left", maintain_order="left").with_columns(
        pl.col("probability") / 1_000_000, pl.col("margin") / 1_000_000
    )
    columns = {name: kind for name, kind in table.schema.items() if name not in ("label", "seq", "since")}
    kept = table.select(compile_rule(where, columns).fill_null(False)).to_series()
    return frame.filter(kept)


def _ordered(frame: pl.DataFrame, order: str | None) -> pl.DataFrame:
    field = _field(order)
    column = "seq" if field == "cause" else field
    return frame.sort(column, "user", descending=[(order or "").startswith("-"), False], nulls_last=True)


def _field(order: str | None) -> str:
    """The field an order names, without its sign."""
    field = (order or "user").removeprefix("-")
    if field not in lookups.MEMBER_ORDERS:
        raise OperationError(
            f"Members cannot be ordered by {field!r}: use {', '.join(lookups.MEMBER_ORDERS)}."
        )
    return field


def _share(millionths: int | None) -> float | None:
    return None if millionths is None else millionths / 1_000_000


def _iso(s: Session, instant: int | None) -> str | None:
    return None if instant is None else s.iso(instant)
