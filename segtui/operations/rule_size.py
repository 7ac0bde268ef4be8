"""Whom a rule that is being written would hold, without touching the store."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from db import projections, vocabulary
from segtui.operations.deciders import Evidence
from segtui.operations.definitions import IN_OUT, Rule, definitions
from segtui.operations.moment import shown_as_of
from segtui.operations.rule_deciders import IN, RuleDecider
from segtui.operations.rule_reading import read_rule
from segtui.operations.session import Session

Users = npt.NDArray[np.int64]
SAMPLE = 5


class Draft:
    """The log as it stood when a rule began to be written, read once for every version of it."""

    def __init__(self, s: Session) -> None:
        self.head = s.store.head()
        as_of = shown_as_of(s, None)
        self.as_of = s.require_as_of() if as_of is None else as_of
        self.evidence = Evidence(s.events(before=self.as_of), s.identity(), s.attributes())

    def size(self, s: Session, name: str, where: str) -> dict[str, Any]:
        """users, share, entering, leaving and sample of the rule `where` at the last rescore's as-of; exact.

        What is due since then is not scored first, as a preview of the edit does. Raises EngineError and
        OperationError for a rule that cannot be read.
        """
        rule = read_rule(s, definitions(s), name, where)
        decided = who_is_in(s, rule, self.evidence, self.as_of)
        within, everyone = (np.zeros(0, np.int64), 0) if decided is None else decided
        held = members_of(s, name)
        entering = np.setdiff1d(within, held)
        named = s.external(entering[:SAMPLE].tolist())
        return {
            "where": where,
            "as_of": s.iso(self.as_of),
            "users": len(within),
            "share": len(within) / everyone if everyone else None,
            "entering": len(entering),
            "leaving": len(np.setdiff1d(held, within)),
            "sample": list(named.values()),
        }


def who_is_in(s: Session, rule: Rule, evidence: Evidence, as_of: int) -> tuple[Users, int] | None:
    """The users a rule holds at an as-of, by the labels recorded then, and of how many.

    None when a segmentation that it reads was not recorded yet.
    """
    known = definitions(s).segmentations
    read = [
        labels_at(s, name, as_of).with_columns(pl.col(name).replace(known[name].became))
        for name in rule.refers
    ]
    if any(held.is_empty() for held in read):
        return None
    frame = evidence.features(as_of, rule.spec)
    for held in read:
        frame = frame.join(held, on="user", how="left", maintain_order="left")
    nobodys = np.full(frame.height, -1, np.int32)
    _, decided = RuleDecider(rule).decide(frame, evidence, as_of, nobodys)
    return frame["user"].to_numpy()[decided == IN], frame.height


def labels_at(s: Session, segmentation: str, as_of: int | None, position: int | None = None) -> pl.DataFrame:
    """user and a text column of a segmentation's labels at an as-of, None at the head."""
    number = vocabulary.number(s.store, "segmentation", segmentation)
    labels = vocabulary.texts(s.store, "label")
    if number is None:
        return pl.DataFrame(schema={"user": pl.Int64, segmentation: pl.String})
    held = projections.memberships(s.store, number, as_of=as_of, position=position)
    return held.select(
        "user", pl.col("label").replace_strict(labels, return_dtype=pl.String).alias(segmentation)
    )


def members_of(s: Session, name: str) -> Users:
    """Who is in a rule's or list's segment now, ascending; nobody where it is new."""
    number = vocabulary.number(s.store, "segmentation", name)
    code = vocabulary.number(s.store, "label", IN_OUT[0])
    if number is None:
        return np.zeros(0, np.int64)
    held = projections.memberships(s.store, number)
    return held.filter(pl.col("label") == code)["user"].sort().to_numpy()
