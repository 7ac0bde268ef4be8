"""The labels of `value`, and the rule of thumb that decides them before there is a model."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

Labels = npt.NDArray[np.int32]

VALUE_LABELS = ("high", "medium", "low")
HIGH, MEDIUM, LOW = range(3)


@dataclass(frozen=True)
class Starter:
    """The rule that decides `value` before there is a model.

    low: no order within `recency_days`. high: else, and over `spend_above` minor units in 365 days.
    medium: the rest.
    """

    spend_above: int
    recency_days: int = 90


def fit_starter(features: pl.DataFrame, recency_days: int = 90) -> Starter:
    """The starter rule whose `spend_above` is the median yearly spend of those who ordered lately."""
    if not {"recency_days", "spend_365d"} <= set(features.columns):
        return Starter(spend_above=0, recency_days=recency_days)
    lately = features.filter(pl.col("recency_days") <= recency_days)["spend_365d"].sort()
    if lately.is_empty():
        return Starter(spend_above=0, recency_days=recency_days)
    below, above = int(lately[(len(lately) - 1) // 2]), int(lately[len(lately) // 2])
    return Starter(spend_above=(below + above) // 2, recency_days=recency_days)


def starter_labels(features: pl.DataFrame, starter: Starter) -> Labels:
    """The rule's label of each row, as an index into VALUE_LABELS."""
    if "recency_days" not in features.columns:
        return np.full(len(features), LOW, dtype=np.int32)
    lately = (features["recency_days"] <= starter.recency_days).to_numpy()
    if "spend_365d" not in features.columns:
        return np.where(lately, MEDIUM, LOW).astype(np.int32)
    high = (features["spend_365d"] > starter.spend_above).to_numpy()
    return np.where(lately, np.where(high, HIGH, MEDIUM), LOW).astype(np.int32)
