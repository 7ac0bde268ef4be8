"""Labels that were renamed or merged, followed under the name they have: another name moves nobody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import polars as pl

from db import vocabulary
from segtui.operations.changes import change_frame
from segtui.operations.definitions import Segmentation, definitions
from segtui.operations.session import Session

SIDES = ("from_label", "to_label")


def heirs(s: Session, known: Segmentation, labels: tuple[str, ...]) -> dict[int, int]:
    """Vocabulary numbers of former labels, and of those among `labels` that they became."""
    return _numbers(s, replace(known, labels=labels).became)


def moves(
    s: Session, segment: str, *, from_: int | None = None, to: int | None = None, first: bool = False
) -> pl.DataFrame:
    """The changes of a segment as change_frame, of each label under all its names, told by the present one.

    Without those that only brought users to a new name. A label that is asked for by a former name is told
    by that.
    """
    name, _, label = segment.partition("=")
    known = definitions(s).ever(name)
    frame = change_frame(s, from_=from_, to=to, segment=segment, first=first)
    if not known.became:
        return frame
    called = known.became | (dict.fromkeys(known.family(label), label) if label else {})
    told = frame.with_columns(pl.col(*SIDES).replace(_numbers(s, called)))
    return told.filter(pl.col("from_label").ne_missing(pl.col("to_label")))


def _numbers(s: Session, names: Mapping[str, str]) -> dict[int, int]:
    """The pairs as vocabulary numbers, without names that nobody ever held."""
    codes = {text: code for code, text in vocabulary.texts(s.store, "label").items()}
    return {codes[one]: codes[other] for one, other in names.items() if one in codes and other in codes}
