"""The matrix of moves between two instants."""

from __future__ import annotations

from typing import Any

from db import projections, vocabulary
from segtui.operations.definitions import definitions
from segtui.operations.session import Session


def transitions(
    s: Session, from_: int, to: int, *, segmentation: str = "value", position: int | None = None
) -> dict[str, Any]:
    """How many users held row label at the first tick end and column label at the second.

    The label null stands for holding none (yet). Users who hold none at both ends are not counted.
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
            row, column = (None if code is None else names[code] for code in (left, came))
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
