"""Sizes of every segment, now or at another moment."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from db import projections, vocabulary
from engine.starter import VALUE_LABELS
from segtui.operations.definitions import Definitions, Segmentation, definitions
from segtui.operations.moment import Moment, decided_by, moment, policy_then, shown_as_of
from segtui.operations.policies import shown
from segtui.operations.renames import heirs
from segtui.operations.session import Session

TREND = 30
"""Ticks in a trend."""
CHANGES = {"change_1d": 1, "change_30d": 30}
"""Calendar days of the store's zone that a size is compared over."""
NOBODYS = -1
"""The number of a label that the vocabulary does not know."""

Instants = npt.NDArray[np.int64]


def segments(s: Session, *, at: int | None = None, position: int | None = None) -> dict[str, Any]:
    """Sizes, shares and expected sizes per label, with the change over 1 and 30 days and the trend.

    A size some days ago is that of the last tick that had ended then. The trend has one size per tick, the
    last 30 of them, oldest first. A label that was renamed or merged since counts as the one it became. At a
    position everything is as the log knew it there; `expected` is null
    where later rescores went over the tick. `reach` is null while the log holds no consent. Counts are
    exact.
    """
    with s.store.reading():
        as_of = shown_as_of(s, at, position)
        found = definitions(s, position=position)
        axis = None if as_of is None else _axis(s, as_of)
        return {
            "as_of": None if as_of is None else s.iso(as_of),
            "position": s.store.head() if position is None else min(position, s.store.head()),
            "counts": "exact",
            "segmentations": [
                _segmentation(s, each, found, axis, at, position)
                for each in (*found.segmentations.values(), *_still_held(s, found, as_of, position))
            ],
        }


def _still_held(
    s: Session, found: Definitions, as_of: int | None, position: int | None
) -> list[Segmentation]:
    """The segmentations, retired since, that somebody held a label of at a past as-of."""
    held = []
    for each in found.retired.values():
        number = vocabulary.number(s.store, "segmentation", each.name)
        if number is not None and projections.sizes(s.store, number, as_of=as_of, position=position):
            held.append(each)
    return held


@dataclass(frozen=True)
class _Axis:
    """The instants at which sizes are told, µs UTC."""

    as_of: int
    trend: Instants
    earlier: Instants
    """In the order of CHANGES."""


def _axis(s: Session, as_of: int) -> _Axis:
    ends = [as_of]
    while len(ends) < TREND:
        ends.append(s.ticks.previous(ends[-1]))
    earlier = [s.ticks.days_before(as_of, days) for days in CHANGES.values()]
    return _Axis(as_of, np.array(ends[::-1]), np.array(earlier))


def _segmentation(
    s: Session,
    each: Segmentation,
    found: Definitions,
    axis: _Axis | None,
    at: int | None,
    position: int | None,
) -> dict[str, Any]:
    number = vocabulary.number(s.store, "segmentation", each.name)
    when = moment(s, number, at, position)
    by, model = decided_by(s, each, when)
    trained = found.models[model] if model else None
    labels = each.labels
    if trained:
        labels = tuple(trained["labels"])
    elif by == "starter":
        labels = VALUE_LABELS
    return {
        "name": each.name,
        "kind": each.kind if each.kind == "model" else each.decided_by,
        "decided_by": by,
        "where": each.rule.where if each.rule else None,
        "model": model,
        "model_name": trained["name"] if trained else None,
        "thresholds": trained["thresholds"] if trained else _bounds(each, by),
        "known_from": trained["known_from"] if trained else None,
        "decision": shown(policy_then(s, each, when).of(labels)) if model else None,
        "labels": []
        if number is None or axis is None
        else _sizes(s, number, when, axis, labels, heirs(s, each, labels)),
    }


def _bounds(each: Segmentation, by: str | None) -> dict[str, Any] | None:
    """The bounds of the starter rule, where it decides."""
    if by != "starter" or each.starter is None:
        return None
    return {"recency_days": each.starter.recency_days, "spend_above": each.starter.spend_above}


def _sizes(
    s: Session, number: int, when: Moment, axis: _Axis, labels: tuple[str, ...], became: dict[int, int]
) -> list[dict[str, Any]]:
    """One entry per label: those that decide, then others that somebody holds or held in the trend.

    `became`: former labels and those that they are counted as.
    """
    users: Counter[int] = Counter()
    for code, count in projections.sizes(s.store, number, as_of=when.folded, position=when.position).items():
        users[became.get(code, code)] += count
    since = int(min(axis.trend[0], axis.earlier.min()))
    history = projections.size_history(s.store, number, since=since, position=when.position)
    history = _counted_as(history.filter(pl.col("as_of") <= axis.as_of), became)
    ticks = history["as_of"].unique().sort()
    trend, earlier = (_ended(ticks, instants) for instants in (axis.trend, axis.earlier))
    names = vocabulary.texts(s.store, "label")
    codes = {names[code]: code for code in {*users, *history["label"]}}
    held = {names[code] for code in {*users, *history.filter(pl.col("users") > 0)["label"]}}
    total = sum(users.values())
    entries = []
    for label in [*labels, *sorted(held - set(labels))]:
        code = codes.get(label, NOBODYS)
        own = history.filter(pl.col("label") == code)
        # A label without a row at a tick was not in use then: nobody held it.
        sizes = dict(own.select("as_of", "users").iter_rows())
        expected = dict(own.select("as_of", "expected").iter_rows())
        count = users.get(code, 0)
        before = [None if tick is None else sizes.get(tick, 0) for tick in earlier]
        entries.append(
            {
                "label": label,
                "users": count,
                "share": round(count / total, 6) if total else None,
                "expected": _users(expected.get(ticks[-1])) if len(ticks) else None,
                "reach": None,
                **{
                    name: None if size is None else count - size
                    for name, size in zip(CHANGES, before, strict=True)
                },
                "trend": [sizes.get(tick, 0) for tick in trend if tick is not None],
            }
        )
    return entries


def _counted_as(history: pl.DataFrame, became: dict[int, int]) -> pl.DataFrame:
    """Sizes by as_of and label with former labels among those they became."""
    if not became:
        return history
    kept = pl.when(pl.col("expected").count() > 0).then(pl.col("expected").sum())
    return (
        history.with_columns(pl.col("label").replace(became))
        .group_by("as_of", "label", maintain_order=True)
        .agg(pl.col("users").sum(), kept.alias("expected"))
    )


def _ended(ticks: pl.Series, instants: Instants) -> list[int | None]:
    """The newest of the sorted ticks at or before each instant, None before the first."""
    known = ticks.to_list()
    index = np.searchsorted(ticks.to_numpy(), instants, side="right") - 1
    return [None if at < 0 else known[at] for at in index.tolist()]


def _users(millionths: float | None) -> float | None:
    """A sum of probabilities as users; None where it was not kept."""
    return None if millionths is None else round(millionths / 1_000_000, 1)
