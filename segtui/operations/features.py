"""The catalogue: every feature that rules may name, with its unit, meaning and formula."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import polars as pl

from engine.catalogue import catalogue
from engine.features import (
    FAMILIES,
    FIELDS,
    PLACES,
    WIDE_WINDOWS,
    WINDOWS,
    FeatureSpec,
    feature_names,
    spec_for,
)
from engine.schema import BOOKKEEPING
from segtui.operations.errors import OperationError
from segtui.operations.preparing import place_texts
from segtui.operations.session import Session

USUAL_KINDS = (
    "add_to_cart", "add_to_wishlist", "begin_checkout", "click", "purchase", "refund", "remove_from_cart",
    "review", "search", "share", "view", "view_list",
)  # fmt: skip
"""What a shop's log can hold, while there is no log to look at."""


def features(s: Session, name: str | None = None) -> dict[str, Any]:
    """The features of the store's log, or the one called `name`; before the first import, of any shop's.

    Each says whether a model reads it unless told otherwise (`core`), and what a reason calls its rise and
    fall. Raises OperationError with the nearest names for a name that is none.
    """
    with s.store.reading():
        events, attributes = s.events(), s.attributes()
    spec = catalogue_spec(s, events, attributes)
    known = catalogue(spec)
    if name is not None and name not in known:
        from engine.rule_words import nearest

        raise OperationError(
            f"There is no feature {name!r} in {s.store.path}: {nearest(name, list(known))}; "
            "'segtui features' lists all."
        )
    core = set(feature_names(replace(spec, windows=WINDOWS, families=())))
    return {
        "features": [
            {
                "name": each.name,
                "unit": each.unit,
                "meaning": each.meaning,
                "formula": each.formula,
                "rises": each.phrase_up,
                "falls": each.phrase_down,
                "group": each.group,
                "core": each.name in core,
            }
            for each in known.values()
            if name in (None, each.name)
        ]
    }


def catalogue_spec(s: Session, events: pl.DataFrame, attributes: pl.DataFrame) -> FeatureSpec:
    """The widest spec of a log: every family, the widest windows, a share for each frequent place."""
    if events.is_empty():
        return usual_spec(s)
    return spec_for(events, s.settings.timezone, attributes, WIDE_WINDOWS, tuple(FAMILIES), place_texts(s))


def usual_spec(s: Session) -> FeatureSpec:
    """The widest spec of any shop's log."""
    sums = [
        (column, kind)
        for column in ("amount", "duration")
        for kind in USUAL_KINDS
        if kind not in (*BOOKKEEPING, "purchase")
    ]
    return FeatureSpec(
        zone=s.settings.timezone,
        windows=WIDE_WINDOWS,
        kinds=USUAL_KINDS,
        fields=tuple(dict.fromkeys((*FIELDS, *PLACES))),
        families=tuple(FAMILIES),
        sums=tuple(sums),
    )
