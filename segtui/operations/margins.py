"""Whether the probabilities and margins of today's members are what scores and decision say."""

from __future__ import annotations

import numpy as np
import polars as pl

from db import projections, vocabulary
from db.checks import Check
from engine.deciding import margins, preferences
from segtui.operations.definitions import Segmentation, definitions
from segtui.operations.session import Session


def check_margins(s: Session) -> Check:
    """Names the first member whose probability or margin is another."""
    checked = 0
    for each in definitions(s).segmentations.values():
        number = vocabulary.number(s.store, "segmentation", each.name)
        if each.model is None or number is None:
            continue
        held = _scored(s, each, number)
        if held.is_empty():
            continue
        wrong = _unlike(held, each)
        if wrong is not None:
            told = f"{each.name}: user #{wrong} is not what the scores say: run 'segtui rebuild'"
            return Check("margins", False, told)
        checked += held.height
    return Check("margins", True, f"{checked:,} members are as far from another label as is told")


def _scored(s: Session, segmentation: Segmentation, number: int) -> pl.DataFrame:
    """user, code (of the label held), probability, margin, scores of those scored by the current model."""
    codes = {
        vocabulary.number(s.store, "label", label): code for code, label in enumerate(segmentation.labels)
    }
    width = 4 * len(segmentation.labels)
    held = projections.memberships(s.store, number)
    return held.with_columns(
        pl.col("label").replace_strict(codes, default=None, return_dtype=pl.Int64).alias("code")
    ).filter(pl.col("code").is_not_null() & (pl.col("scores").bin.size() == width))


def _unlike(held: pl.DataFrame, segmentation: Segmentation) -> int | None:
    labels = segmentation.labels
    scores = np.frombuffer(b"".join(held["scores"]), "<i4").reshape(-1, len(labels))
    codes = held["code"].to_numpy()
    policy = segmentation.policy.of(labels)
    probability = np.take_along_axis(scores, codes[:, None], 1)[:, 0]
    margin = margins(preferences(scores, labels, policy), codes)
    known = held.select(pl.col("probability", "margin").fill_null(np.iinfo(np.int64).min))
    wrong = (known["probability"].to_numpy() != probability) | (known["margin"].to_numpy() != margin)
    return int(held["user"].to_numpy()[wrong][0]) if wrong.any() else None
