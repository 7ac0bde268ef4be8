"""How many users any two segments share."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import polars as pl

from db import projections, vocabulary
from segtui.operations.definitions import IN_OUT, definitions
from segtui.operations.moment import moment, shown_as_of
from segtui.operations.session import Session


def overlap(s: Session, *, at: int | None = None) -> dict[str, Any]:
    """Sizes of all segments, and of every two of different segmentations how many users hold both; exact.

    A rule's or list's segment is its members; those outside are no segment. Pairs without a common user are
    left out; of_one and of_other are shares of either.
    """
    with s.store.reading():
        as_of = shown_as_of(s, at)
        labels = vocabulary.texts(s.store, "label")
        held = []
        for each in definitions(s).segmentations.values():
            number = vocabulary.number(s.store, "segmentation", each.name)
            if number is None:
                continue
            when = moment(s, number, at)
            members = projections.memberships(s.store, number, as_of=when.folded)
            own = each.all_labels == IN_OUT
            named = {
                code: each.name if own else f"{each.name}={text}"
                for code, text in labels.items()
                if not own or text == IN_OUT[0]
            }
            held.append(
                members.filter(pl.col("label").is_in(list(named))).select(
                    "user", pl.col("label").replace_strict(named, return_dtype=pl.String).alias("segment")
                )
            )
    sizes = {name: users for frame in held for name, users in _counted(frame, "segment")}
    return {
        "as_of": None if as_of is None else s.iso(as_of),
        "counts": "exact",
        "segments": [{"segment": name, "users": users} for name, users in sizes.items()],
        "pairs": [
            {
                "one": one,
                "other": other,
                "users": users,
                "of_one": round(users / sizes[one], 6),
                "of_other": round(users / sizes[other], 6),
            }
            for left, right in combinations(held, 2)
            for one, other, users in _counted(
                left.join(right, on="user", suffix="_right"), "segment", "segment_right"
            )
        ],
    }


def _counted(frame: pl.DataFrame, *by: str) -> list[tuple[Any, ...]]:
    return frame.group_by(*by).len().sort(*by).rows()
