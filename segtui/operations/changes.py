"""Who moved, when and why."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import polars as pl

from db import log, vocabulary
from db.forgetting import erased
from db.redactions import redacted
from engine.membership import CAUSES
from segtui.operations.definitions import Segmentation, definitions, require_label
from segtui.operations.errors import OperationError
from segtui.operations.session import Session

WORDED_ROWS = 5_000
"""Changes put into words at a time: a list may have millions."""


def changes(
    s: Session,
    *,
    from_: int | None = None,
    to: int | None = None,
    segment: str | None = None,
    cause: str | None = None,
    first: bool = False,
    user: str | None = None,
    position: int | None = None,
    limit: int | None = None,
    newest_first: bool = False,
) -> Iterator[dict[str, Any]]:
    """Recorded membership changes with from_ < as_of <= to, first assignments only with `first`.

    `segment` is `value` or `value=high`: either way, in or out, also under a name the label had before, which
    a row goes on telling. What only brought users to another name of it is told for the cause `label` alone.
    `user` is an external id.
    """
    frame = change_frame(
        s, from_=from_, to=to, segment=segment, cause=cause, first=first, user=user, position=position
    )
    if newest_first:
        frame = frame.reverse()
    if limit is not None:
        frame = frame.head(limit)
    return (change for part in frame.iter_slices(WORDED_ROWS) for change in worded(s, part))


def change_frame(
    s: Session,
    *,
    from_: int | None = None,
    to: int | None = None,
    segment: str | None = None,
    cause: str | None = None,
    first: bool = False,
    user: str | None = None,
    position: int | None = None,
    after_seq: int = 0,
) -> pl.DataFrame:
    """The governing changes as integers (db.log.CHANGES), filtered, sorted by as_of and seq.

    `after_seq`: only those appended after this position.
    """
    if cause is not None and cause not in CAUSES:
        raise OperationError(f"No cause {cause!r}: there are {', '.join(CAUSES)}.")
    name, _, label = (segment or "").partition("=")
    number = codes = None
    if name:
        known = definitions(s, position=position).ever(name)
        if label:
            require_label(known, label)
            codes = label_codes(s, known, label)
        number = vocabulary.number(s.store, "segmentation", name)
        if number is None or codes == []:
            return pl.DataFrame(schema=log.CHANGES)
    frame = log.changes(
        s.store,
        segmentation=number,
        users=None if user is None else [s.user(user)],
        as_of_from=None if from_ is None else s.ticks.at_or_after(from_),
        as_of_to=None if to is None else s.ticks.at_or_after(to),
        position=position,
        after_seq=after_seq,
        labels=codes,
        cause=cause,
        first=first,
    )
    if codes is None or cause == "label":
        return frame
    came, left = (pl.col(side).is_in(codes).fill_null(value=False) for side in ("to_label", "from_label"))
    return frame.filter(came != left)


def label_codes(s: Session, known: Segmentation, label: str) -> list[int]:
    """The vocabulary numbers of a label's names, without those that nobody ever held."""
    codes = (vocabulary.number(s.store, "label", each) for each in known.family(label))
    return [code for code in codes if code is not None]


def worded(s: Session, frame: pl.DataFrame) -> list[dict[str, Any]]:
    """Change rows with names for numbers, and the reason in an operator's words.

    `erased`: the user is nobody any more. `redacted`: the event behind a change was purged, and nothing of it
    is left but its place in the log.
    """
    from engine.catalogue import phrase

    labels = vocabulary.texts(s.store, "label")
    segmentations = vocabulary.texts(s.store, "segmentation")
    reasons = vocabulary.texts(s.store, "reason")
    models = vocabulary.texts(s.store, "model")
    names = s.external(frame["user"].unique().to_list())
    gone = set(erased(s.store))
    purged = redacted(s.store, frame["cause_seq"].drop_nulls().unique().to_list())
    zone_iso = lru_cache(maxsize=None)(s.iso)
    phrases = {number: phrase(text) for number, text in reasons.items()}
    return [
        {
            "seq": row["seq"],
            "user": names[row["user"]],
            "erased": row["user"] in gone,
            "segmentation": segmentations[row["segmentation"]],
            "from": labels.get(row["from_label"]),
            "to": labels.get(row["to_label"]),
            "probability": None if row["probability"] is None else row["probability"] / 1_000_000,
            "as_of": zone_iso(row["as_of"]),
            "cause": row["cause"],
            "reason": phrases[row["reason"]],
            "reason_code": reasons[row["reason"]],
            "cause_seq": row["cause_seq"],
            "redacted": row["cause_seq"] in purged,
            "model": models.get(row["model"]),
            "backfilled": bool(row["backfilled"]),
            "hindsight": bool(row["hindsight"]),
        }
        for row in frame.iter_rows(named=True)
    ]


def totals(s: Session, frame: pl.DataFrame) -> list[dict[str, Any]]:
    """cause, reason and number of changes, most frequent first, equal ones by cause and age of the reason."""
    from engine.catalogue import phrase

    reasons = vocabulary.texts(s.store, "reason")
    keys = ["cause", "reason"]
    counted = frame.group_by(keys).len().sort("len", *keys, descending=[True, False, False])
    return [
        {"cause": cause, "reason": phrase(reasons[reason]), "users": count}
        for cause, reason, count in counted.iter_rows()
    ]
