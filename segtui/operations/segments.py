"""Sizes of every segment, now or at another instant."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import polars as pl

from db import log, projections, vocabulary
from segtui.operations.definitions import Segmentation, definitions
from segtui.operations.moment import shown_as_of
from segtui.operations.session import Session

TREND = 30


def segments(s: Session, *, at: int | None = None, position: int | None = None) -> dict[str, Any]:
    """Sizes, shares and expected sizes per label, with the change over 1 and 30 ticks and the trend.

    `reach` is null while the log holds no consent. Counts are exact.
    """
    as_of = shown_as_of(s, at)
    found = definitions(s, position=position)
    names = vocabulary.texts(s.store, "label")
    return {
        "as_of": None if as_of is None else s.iso(as_of),
        "position": s.store.head() if position is None else position,
        "counts": "exact",
        "segmentations": [
            _segmentation(s, each, as_of, at, position, names, found.models)
            for each in found.segmentations.values()
        ],
    }


def _segmentation(
    s: Session,
    each: Segmentation,
    as_of: int | None,
    at: int | None,
    position: int | None,
    names: dict[int, str],
    models: dict[str, dict[str, Any]],
) -> dict[str, Any]:
    number = vocabulary.number(s.store, "segmentation", each.name)
    labels: list[dict[str, Any]] = []
    if at is not None and number is not None and as_of is not None:
        each = replace(each, model=_model_then(s, number, as_of, each.model))
    trained = models.get(each.model or "")
    if number is not None and as_of is not None:
        past = None if at is None and position is None else as_of
        users = projections.sizes(s.store, number, as_of=past, position=position)
        series = _series(s, number, as_of)
        total = sum(users.values())
        by_name = {names[label]: label for label in users} | {
            names[label]: label for label in series["label"].unique() if label in names
        }
        for label in [*each.labels, *sorted(set(by_name) - set(each.labels))]:
            code = by_name.get(label)
            count = users.get(code, 0) if code is not None else 0
            own = series.filter(pl.col("label") == code) if code is not None else series.clear()
            labels.append(
                {
                    "label": label,
                    "users": count,
                    "share": round(count / total, 6) if total else None,
                    "expected": _expected(own, as_of),
                    "reach": None,
                    "change_1d": _change(s, own, as_of, 1, count),
                    "change_30d": _change(s, own, as_of, TREND, count),
                    "trend": _trend(s, own, as_of),
                }
            )
    return {
        "name": each.name,
        "kind": each.kind,
        "decided_by": "model" if each.model else ("starter" if each.starter else None),
        "model": each.model,
        "model_name": trained["name"] if trained else None,
        "thresholds": trained["thresholds"] if trained else _starter(each),
        "known_from": trained["known_from"] if trained else None,
        "decision": {"rule": "argmax", "margin": 0.05, "min_stay": 0} if each.model else None,
        "labels": labels,
    }


def _model_then(s: Session, number: int, as_of: int, now: str | None) -> str | None:
    """The model that decided at a past as-of, in the pass that is read for it; None for the starter rule."""
    scored = projections.rescores(s.store, number).filter(pl.col("as_of") <= as_of)
    if scored.is_empty():
        return now
    seq = scored.sort("as_of", "pass", "seq")["seq"][-1]
    (rescored,) = log.decisions(s.store, kinds=("rescored",), position=seq, newest_first=True, limit=1)
    model: str | None = rescored.body["model"]
    return model


def _starter(each: Segmentation) -> dict[str, Any] | None:
    if each.starter is None:
        return None
    return {"recency_days": each.starter.recency_days, "spend_above": each.starter.spend_above}


def _series(s: Session, number: int, as_of: int) -> pl.DataFrame:
    """as_of, label, users, expected over the trend's ticks, oldest first."""
    since = s.ticks.shift(as_of, -TREND - 1)
    history = projections.size_history(s.store, number, since=since)
    return history.filter(pl.col("as_of") <= as_of).sort("as_of")


def _at(own: pl.DataFrame, instant: int) -> dict[str, Any] | None:
    """The newest size recorded at or before an instant."""
    before = own.filter(pl.col("as_of") <= instant)
    return before.row(-1, named=True) if before.height else None


def _expected(own: pl.DataFrame, as_of: int) -> float | None:
    row = _at(own, as_of)
    return None if row is None or row["expected"] is None else round(row["expected"] / 1_000_000, 1)


def _change(s: Session, own: pl.DataFrame, as_of: int, ticks: int, count: int) -> int | None:
    row = _at(own, s.ticks.shift(as_of, -ticks))
    return None if row is None else count - int(row["users"])


def _trend(s: Session, own: pl.DataFrame, as_of: int) -> list[int]:
    """One size per tick, oldest first; ticks without a rescore repeat the one before."""
    sizes = []
    for back in range(TREND - 1, -1, -1):
        row = _at(own, s.ticks.shift(as_of, -back))
        if row is not None:
            sizes.append(int(row["users"]))
    return sizes
