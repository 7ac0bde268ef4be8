"""Label policies: what a user's label is, from the future or from an attribute."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import polars as pl

from engine.errors import EngineError
from engine.features import latest_attributes
from engine.schema import BOOKKEEPING, canonical
from engine.starter import HIGH, LOW, MEDIUM, VALUE_LABELS, Labels

OUTCOMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"future_value": VALUE_LABELS, "will_buy": ("yes", "no"), "churn": ("yes", "no")}
)
"""The labels of each policy that looks at what users do within a horizon."""


def future_value(
    events: pl.DataFrame,
    identity: pl.DataFrame | None,
    cutoff: int,
    until: int,
    users: Sequence[int] | npt.NDArray[np.int64],
) -> pl.DataFrame:
    """What each of `users` did in [cutoff, until): user, orders, spend, events, in the order of `users`.

    orders: different order numbers of purchases; a purchase without one is an order of its own. spend: minor
    units, purchases and refunds. events: whatever the user did.
    """
    kind = pl.col("kind").cast(pl.String)
    done = events.filter(
        pl.col("occurred_at").is_between(cutoff, until, closed="left"), ~kind.is_in(BOOKKEEPING)
    )
    done = done.with_columns(canonical(done, identity).alias("user"))
    within = done.filter(kind.is_in(["purchase", "refund"]))
    bought = within.filter(kind == "purchase")
    numbered = pl.col("order").drop_nulls().n_unique() + pl.col("order").is_null().sum()
    orders = bought.group_by("user").agg(numbered.cast(pl.Int64).alias("orders"))
    spend = within.group_by("user").agg(pl.col("amount").sum().alias("spend"))
    return (
        pl.DataFrame({"user": np.asarray(users, dtype=np.int64)})
        .join(orders, on="user", how="left", maintain_order="left")
        .join(spend, on="user", how="left", maintain_order="left")
        .join(
            done.group_by("user").agg(pl.len().cast(pl.Int64).alias("events")),
            on="user",
            how="left",
            maintain_order="left",
        )
        .with_columns(pl.col("orders", "spend", "events").fill_null(0))
    )


def outcome_labels(
    policy: str, outcomes: pl.DataFrame, training: npt.NDArray[np.bool_]
) -> tuple[Labels, dict[str, float]]:
    """Labels of `outcomes` (as of future_value) as indices into OUTCOMES[policy], and their thresholds.

    Thresholds are fitted on the `training` users alone; only the policy future_value has any.
    """
    if policy == "future_value":
        return value_labels(outcomes, training)
    return apply_outcome(policy, outcomes, {}), {}


def apply_outcome(policy: str, outcomes: pl.DataFrame, thresholds: Mapping[str, float]) -> Labels:
    """Labels of other outcomes over an equal horizon, under thresholds that `outcome_labels` fitted.

    will_buy: yes for whoever orders. churn: yes for whoever does nothing at all.
    """
    if policy == "future_value":
        return apply_thresholds(outcomes, thresholds)
    yes = outcomes["orders"] > 0 if policy == "will_buy" else outcomes["events"] == 0
    return np.where(yes.to_numpy(), 0, 1).astype(np.int32)


def value_labels(outcomes: pl.DataFrame, training: npt.NDArray[np.bool_]) -> tuple[Labels, dict[str, float]]:
    """Labels of `outcomes` (as of future_value) as indices into VALUE_LABELS, and the thresholds they need.

    low: no purchase. high: net spend above the median of the training users who bought (`high_above`, minor
    units). medium: the rest. EngineError when no training user bought.
    """
    bought = (outcomes["orders"] > 0).to_numpy()
    spend = np.sort(outcomes["spend"].to_numpy()[bought & training])
    if len(spend) == 0:
        raise EngineError(
            "No training user bought within the horizon, so high and medium cannot be told apart; "
            "choose an earlier cutoff or a longer horizon."
        )
    below, above = int(spend[(len(spend) - 1) // 2]), int(spend[len(spend) // 2])
    thresholds = {"high_above": (below + above) / 2}
    return apply_thresholds(outcomes, thresholds), thresholds


def apply_thresholds(outcomes: pl.DataFrame, thresholds: Mapping[str, float]) -> Labels:
    """Labels of other outcomes over an equal horizon, under thresholds that `value_labels` fitted."""
    bought = (outcomes["orders"] > 0).to_numpy()
    high = outcomes["spend"].to_numpy() > thresholds["high_above"]
    return np.where(bought, np.where(high, HIGH, MEDIUM), LOW).astype(np.int32)


def given_labels(
    attributes: pl.DataFrame, name: str, users: Sequence[int] | npt.NDArray[np.int64]
) -> tuple[Labels, tuple[str, ...]]:
    """Each user's newest value of the attribute `name`, as an index into the names; -1 without one.

    attributes: ATTRIBUTES, by canonical user. Names: VALUE_LABELS in their order where nothing else occurs,
    numbers ascending, else texts ascending. EngineError when the attribute has no value.
    """
    newest = latest_attributes(attributes.filter(pl.col("name") == name))
    if newest.is_empty():
        known = ", ".join(attributes["name"].unique().sort().to_list()) or "none"
        raise EngineError(f"No user has a value for the label {name!r}; attributes there are: {known}.")
    texts = pl.coalesce("text", pl.col("number").map_elements(_number, return_dtype=pl.String))
    newest = newest.with_columns(texts.alias("label"))
    names = _label_order(newest.select("label", "number").unique("label"))
    index = pl.DataFrame({"label": names, "index": np.arange(len(names), dtype=np.int32)})
    held = newest.join(index, on="label").select("user", "index")
    asked = pl.DataFrame({"user": np.asarray(users, dtype=np.int64)})
    found = asked.join(held, on="user", how="left", maintain_order="left")["index"]
    return found.fill_null(-1).to_numpy().astype(np.int32), names


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def _label_order(labels: pl.DataFrame) -> tuple[str, ...]:
    names = set(labels["label"].to_list())
    if names <= set(VALUE_LABELS):
        return tuple(name for name in VALUE_LABELS if name in names)
    by = "number" if labels["number"].null_count() == 0 else "label"
    return tuple(labels.sort(by)["label"].to_list())
