"""The matrix of moves between two instants."""

from __future__ import annotations

from typing import Any

import polars as pl

from db import lookups, projections, vocabulary
from segtui.operations.changes import label_codes
from segtui.operations.definitions import definitions
from segtui.operations.session import Session


def transitions(
    s: Session, from_: int, to: int, *, segmentation: str = "value", position: int | None = None
) -> dict[str, Any]:
    """How many users held row label at the first tick end and column label at the second.

    The label null stands for holding none (yet). Users who hold none at both ends are not counted.
    A label that was renamed or merged since counts as the one it became.
    """
    known = definitions(s, position=position).ever(segmentation)
    labels: list[str | None] = [*known.labels, None]
    number = vocabulary.number(s.store, "segmentation", segmentation)
    start, end = s.ticks.at_or_after(from_), s.ticks.at_or_after(to)
    matrix = [[0] * len(labels) for _ in labels]
    if number is not None:
        names = vocabulary.texts(s.store, "label")
        counted = projections.transitions(s.store, number, start, end, position=position)
        for left, came, users in counted.iter_rows():
            held = (None if code is None else names[code] for code in (left, came))
            row, column = (known.became.get(name, name) if name else None for name in held)
            for name in (row, column):
                if name not in labels:
                    labels.insert(-1, name)
                    matrix.insert(-1, [0] * len(matrix[0]))
                    for line in matrix:
                        line.insert(-1, 0)
            matrix[labels.index(row)][labels.index(column)] += users
    return {
        "segmentation": segmentation,
        "from": s.iso(start),
        "to": s.iso(end),
        "labels": labels,
        "matrix": matrix,
        "total": sum(map(sum, matrix)),
    }


def moved(
    s: Session,
    from_: int,
    to: int,
    left: str | None,
    came: str | None,
    *,
    segmentation: str = "value",
    position: int | None = None,
    limit: int | None = 50,
    offset: int = 0,
) -> dict[str, Any]:
    """The users of one cell of the matrix: who held `left` at the first tick end and `came` at the second,
    under whatever name.

    Each with when they last changed up to the second one, and why; None stands for holding none.
    """
    known = definitions(s, position=position).ever(segmentation)
    number = vocabulary.number(s.store, "segmentation", segmentation)
    start, end = s.ticks.at_or_after(from_), s.ticks.at_or_after(to)
    codes = [None if label is None else label_codes(s, known, label) for label in (left, came)]
    frame = _cell(s, number, start, end, codes, position)
    page = frame.slice(offset, limit)
    names = s.external(page["user"].to_list())
    causes = lookups.causes(s.store, page["seq"].drop_nulls().to_list())
    return {
        "segmentation": segmentation,
        "from": s.iso(start),
        "to": s.iso(end),
        "left": left,
        "came": came,
        "total": frame.height,
        "users": [
            {
                "user": names[user],
                "since": None if since is None else s.iso(since),
                "cause": causes[seq].cause if seq in causes else None,
            }
            for user, since, seq in page.select("user", "since", "seq").iter_rows()
        ],
    }


def _cell(
    s: Session, number: int | None, start: int, end: int, codes: list[list[int] | None], position: int | None
) -> pl.DataFrame:
    """user, since and seq (of the label at the end, null where none is held) of a cell, by user."""
    if number is None:
        return pl.DataFrame(schema={"user": pl.Int64, "since": pl.Int64, "seq": pl.Int64})
    with s.store.reading():
        before = projections.memberships(s.store, number, as_of=start, position=position)
        after = projections.memberships(s.store, number, as_of=end, position=position)
    both = before.select("user", pl.col("label").alias("left")).join(
        after.select("user", pl.col("label").alias("came"), "since", "seq"),
        on="user",
        how="full",
        coalesce=True,
    )
    wanted = [
        pl.col(name).is_null() if own is None else pl.col(name).is_in(own).fill_null(value=False)
        for name, own in zip(("left", "came"), codes, strict=True)
    ]
    return both.filter(*wanted).select("user", "since", "seq").sort("user")
