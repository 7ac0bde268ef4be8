"""The names of a spec's features, in the order of their columns."""

import re
from collections.abc import Collection
from dataclasses import replace

from engine.feature_spec import PLACES, FeatureSpec, plural

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
PARTS = ("night", "morning", "afternoon", "evening")
"""Of the day, six hours each, from midnight on."""


def feature_names(spec: FeatureSpec) -> tuple[str, ...]:
    """Names of the spec's features in the order of their columns."""
    statistics = _statistics(spec)
    return (*statistics, *attribute_columns(spec).values())


def kinds_read(name: str, spec: FeatureSpec) -> tuple[str, ...]:
    """The kinds of events that a feature or channel is made of, () where it can be any or is not known."""
    if name == "conversion":
        return ()
    if name in _purchase_names(spec):
        money = name.startswith(("spend", "order_value", "amount", "refund"))
        return ("purchase", "refund") if money else ("purchase",)
    stem = re.sub(r"_[0-9]+d$", "", name)
    return tuple(kind for kind in spec.counted if plural(kind) in (name, stem))


def narrowed(spec: FeatureSpec, names: Collection[str]) -> FeatureSpec:
    """The spec with those of its families only that have one of the features `names`."""
    families = [family for family in spec.families if not set(names).isdisjoint(_NAMES[family](spec))]
    return replace(spec, families=tuple(families))


def attribute_columns(spec: FeatureSpec) -> dict[str, str]:
    """Column of each attribute: its own name, or `attribute_NAME` where that is taken."""
    taken = {"user", *_statistics(spec)}
    columns: dict[str, str] = {}
    for name in (*spec.attributes_number, *spec.attributes_text):
        column = name
        while column in taken:
            column = f"attribute_{column}"
        columns[name] = column
        taken.add(column)
    return columns


def text_columns(spec: FeatureSpec) -> tuple[str, ...]:
    """The features that are texts; all others are numbers."""
    columns = attribute_columns(spec)
    return tuple(columns[name] for name in spec.attributes_text)


def _statistics(spec: FeatureSpec) -> list[str]:
    names = [*_purchase_names(spec), *_activity_names(spec)]
    names += [name for family in spec.families for name in _NAMES[family](spec)]
    return names + [f"{column}_filled" for column in spec.filled]


def _purchase_names(spec: FeatureSpec) -> list[str]:
    if not spec.purchases:
        return []
    names = [
        "recency_days",
        *_windowed("orders", spec),
        "orders",
        *(f"trend_{days}d" for days in spec.doubled),
    ]
    # Where nothing but purchases is counted, these two are tenure_days and active_days.
    names += ["customer_days", "purchase_days"] if spec.counted else []
    names += ["gap_mean_days", "gap_spread_days", "gap_max_days", "overdue", "weekend_share"]
    names += ["purchase_lines"] if "order" in spec.fields else []
    if "amount" in spec.fields:
        names += [*_windowed("spend", spec), "spend", "order_value_mean", "amount_mean", "amount_variance"]
        names += ["amount_min", "amount_max", "amount_last"]
        names += ["refund_share"] if "refund" in spec.kinds else []
    names += ["quantity_mean", "quantity_max"] if "quantity" in spec.fields else []
    names += ["conversion"] if "view" in spec.kinds else []
    return names


def _activity_names(spec: FeatureSpec) -> list[str]:
    names = ["tenure_days", "active_days"] if spec.purchases or spec.counted else []
    names += ["silence_days", *_windowed("active_days", spec)] if spec.counted else []
    for kind in spec.counted:
        names += [*_windowed(plural(kind), spec), plural(kind)]
    names += [*_windowed("sessions", spec), "sessions"] if "session" in spec.fields else []
    names += (
        [*_windowed("duration", spec), "duration_mean", "duration_max"] if "duration" in spec.fields else []
    )
    names += ["rating_mean", "rating_min", "rating_max", "rating_last"] if "rating" in spec.fields else []
    names += ["items"] if "item" in spec.fields else []
    names += ["categories"] if "category" in spec.fields else []
    names += ["platform_share"] if "platform" in spec.fields else []
    names += ["device_share"] if "device" in spec.fields else []
    return names


def _windowed(stem: str, spec: FeatureSpec) -> list[str]:
    return [f"{stem}_{days}d" for days in spec.windows]


def summed(spec: FeatureSpec) -> list[tuple[str, str, str]]:
    """(stem, column, kind) of each kind's sums."""
    return [
        (f"{column}_of_{plural(kind)}", column, kind)
        for column, kind in spec.sums
        if column in spec.fields and kind in spec.counted
    ]


def placed(spec: FeatureSpec) -> list[tuple[str, str, int]]:
    """(name, column, number) of the shares of single places."""
    return [
        (f"share_of_{column}_{text}", column, number)
        for column, number, text in spec.places
        if column in spec.fields
    ]


def _sums(spec: FeatureSpec) -> list[str]:
    stems = []
    if spec.purchases:
        stems += ["lines"] if "order" in spec.fields else []
        if "amount" in spec.fields:
            stems += ["paid", "refunded"] if "refund" in spec.kinds else ["paid"]
        stems += ["pieces"] if "quantity" in spec.fields else []
    stems += [stem for stem, _, _ in summed(spec)]
    # All lines there ever were are purchase_lines.
    names = [name for stem in stems for name in (*_windowed(stem, spec), stem) if name != "lines"]
    return names + (["duration"] if "duration" in spec.fields else [])


def _moments(spec: FeatureSpec) -> list[str]:
    names = []
    if spec.purchases and "quantity" in spec.fields:
        names += ["quantity_variance", "quantity_min", "quantity_last"]
    if "duration" in spec.fields:
        names += ["duration_variance", "duration_min", "duration_last"]
    return names + (["rating_variance"] if "rating" in spec.fields else [])


def _variety(spec: FeatureSpec) -> list[str]:
    stems = [
        stem for stem, column in (("items", "item"), ("categories", "category")) if column in spec.fields
    ]
    return [name for stem in stems for name in _windowed(stem, spec)]


def _rates(spec: FeatureSpec) -> list[str]:
    """Of every pair of the steps view, add_to_cart, purchase that occurs; `conversion` is of the core."""
    steps = {*spec.counted, *(["purchase"] if spec.purchases else [])}
    names = _windowed("conversion", spec) if {"view", "purchase"} <= steps else []
    for stem, pair in (
        ("view_to_cart", {"view", "add_to_cart"}),
        ("cart_to_order", {"add_to_cart", "purchase"}),
    ):
        names += [*_windowed(stem, spec), stem] if pair <= steps else []
    refunds = spec.purchases and "refund" in spec.kinds and "amount" in spec.fields
    return names + (_windowed("refund_share", spec) if refunds else [])


def _trends(spec: FeatureSpec) -> list[str]:
    stems = ["spend"] if spec.purchases and "amount" in spec.fields else []
    stems += [plural(kind) for kind in spec.counted]
    return [f"trend_of_{stem}_{days}d" for stem in stems for days in spec.doubled]


def _places(spec: FeatureSpec) -> list[str]:
    names = [f"{column}s" for column in PLACES if column in spec.fields]
    names += ["region_share"] if "region" in spec.fields else []
    return [*names, *(name for name, _, _ in placed(spec))]


def _rhythm(spec: FeatureSpec) -> list[str]:
    if not (spec.purchases or spec.counted):
        return []
    return [f"{name}_share" for name in (*PARTS, *DAYS)]


def _btyd(spec: FeatureSpec) -> list[str]:
    if not spec.purchases:
        return []
    names = ["btyd_frequency", "btyd_recency_days", "btyd_age_days"]
    return names + (["btyd_monetary"] if "amount" in spec.fields else [])


_NAMES = {
    "sums": _sums,
    "moments": _moments,
    "variety": _variety,
    "rates": _rates,
    "trends": _trends,
    "places": _places,
    "rhythm": _rhythm,
    "btyd": _btyd,
}
