"""What an operator's rule says: the features and segments it reads, with no more columns than it needs."""

from __future__ import annotations

import re
from dataclasses import replace

from engine.feature_names import attribute_columns, narrowed
from engine.features import WINDOWS, FeatureSpec, feature_names
from engine.rule_use import names_in, reaches
from segtui.operations.definitions import Definitions, Rule
from segtui.operations.errors import OperationError
from segtui.operations.features import catalogue_spec
from segtui.operations.session import Session

GROWING = ("overdue", "recency_days", "silence_days", "tenure_days", "customer_days", "btyd_age_days")
"""Features that grow with time alone; features cap them one day past the longest window."""
ALL_TIME = 3_660
SPARED = ("item", "category", "platform", "device", "session", "quantity", "rating", "duration")
"""Columns that change no feature but those made of them."""


def everything(s: Session, where: str) -> FeatureSpec:
    """Every feature the log has something for, with the windows that a rule names."""
    now = s.require_as_of()
    named = {days for days in _windows(where) if days <= ALL_TIME}
    spec = catalogue_spec(s, s.events(before=now), s.attributes())
    return replace(spec, windows=tuple(sorted({*spec.windows, *named})))


def _windows(where: str) -> set[int]:
    """The days that names in a rule end with."""
    return {int(days) for days in re.findall(r"_([1-9][0-9]{0,3})d\b", where)}


def read_rule(s: Session, found: Definitions, name: str, where: str) -> Rule:
    """The rule with no more features than it needs; refuses what cannot be read, and circles."""
    others = {
        each.name: each.labels for each in found.segmentations.values() if each.name != name and each.labels
    }
    whole = Rule(where, everything(s, where), others)
    names = names_in(where, whole.columns())
    refers = {each: others[each] for each in names if each in others}
    if name in found.segmentations:
        circle = sorted(found.dependents(name) & set(refers))
        if circle:
            raise OperationError(f"{name!r} cannot read {circle[0]!r}, which reads {name!r} itself.")
    used = {each for each in names if each not in others}
    windows = sorted({*WINDOWS, *(_windows(where) & set(whole.spec.windows))})
    spec = narrowed(replace(whole.spec, windows=tuple(windows)), used)
    growing = [each for each in names if each in GROWING]
    if growing:
        # How overdue someone is grows with recency, but is not compared with days.
        furthest = None if "overdue" in growing else reaches(where, whole.columns(), growing)
        if furthest is not None and furthest > ALL_TIME:
            raise OperationError(
                f"{name!r} compares days with {furthest:g}: days are counted up to {ALL_TIME}, use less."
            )
        if furthest is None or furthest > spec.windows[-1]:
            spec = replace(spec, windows=(*(days for days in spec.windows if days < ALL_TIME), ALL_TIME))
    return Rule(where, _slim(spec, used), refers)


def _slim(spec: FeatureSpec, names: set[str]) -> FeatureSpec:
    """The spec without the columns and attributes that none of the features needs."""
    attributes = {name for name, column in attribute_columns(spec).items() if column in names}
    slim = replace(
        spec,
        attributes_number=tuple(each for each in spec.attributes_number if each in attributes),
        attributes_text=tuple(each for each in spec.attributes_text if each in attributes),
    )
    for field in SPARED:
        less = replace(slim, fields=tuple(each for each in slim.fields if each != field))
        if names <= set(feature_names(less)):
            slim = less
    return slim
