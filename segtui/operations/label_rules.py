"""Rules that name the labels of a segmentation, when its labels are edited."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from segtui.operations.definitions import Definitions, Rule
from segtui.operations.errors import OperationError
from segtui.operations.segment import rule_body


def refuse_named(found: Definitions, segmentation: str, labels: Collection[str], what: str) -> None:
    """Raises OperationError where a rule names one of the labels, which `what` would take from it."""
    told = naming(found, segmentation, labels)
    if told is not None:
        raise OperationError(
            f"{told[1]}, and {what}: edit its rule first, with 'segtui segment edit {told[0]}'."
        )


def naming(found: Definitions, segmentation: str, labels: Collection[str]) -> tuple[str, str] | None:
    """The first segment whose rule names one of the labels, and which, in words; None for no such rule."""
    for each in found.segmentations.values():
        named = _named(each.rule, segmentation, labels)
        if named:
            return each.name, f"{each.name!r} reads {segmentation} = {named[0][0]!r}"
    return None


def rules_renamed(
    found: Definitions, segmentation: str, old: str, new: str
) -> list[tuple[str, dict[str, Any]]]:
    """The decisions (kind, body) that give each rule that names a label its new name."""
    from engine.rule_words import LONGEST

    decisions = []
    for name, each in sorted(found.segmentations.items()):
        where = each.rule.where if each.rule else ""
        for _, start, end in reversed(_named(each.rule, segmentation, {old})):
            where = f"{where[:start]}'{new}'{where[end:]}"
        if each.rule is not None and where != each.rule.where:
            if len(where.encode()) > LONGEST:
                raise OperationError(
                    f"The rule of {name!r} names {old!r}, and would have more than {LONGEST:,} bytes with "
                    f"{new!r}: choose a shorter name, or shorten the rule with 'segtui segment edit {name}'."
                )
            labels = tuple(new if label == old else label for label in each.rule.refers[segmentation])
            rule = replace(each.rule, where=where, refers=each.rule.refers | {segmentation: labels})
            told = {"name": name, "renamed": [segmentation, old, new]}
            decisions.append(("segmentation_edited", told | rule_body(rule)))
    return decisions


def with_names_of_now(found: Definitions, rule: Rule) -> str:
    """The text of a rule of before, its labels under the names they have now."""
    from engine.rules import choices_in

    where = rule.where
    for name, label, start, end in reversed(choices_in(where, rule.columns())):
        held = found.segmentations.get(name)
        now = held.became.get(label) if held else None
        if now is not None:
            where = f"{where[:start]}'{now}'{where[end:]}"
    return where


def _named(rule: Rule | None, segmentation: str, labels: Collection[str]) -> list[tuple[str, int, int]]:
    """Label, from and to of each place at which a rule names one of the labels."""
    if rule is None or segmentation not in rule.refers:
        return []
    from engine.rules import choices_in

    return [
        (label, start, end)
        for name, label, start, end in choices_in(rule.where, rule.columns())
        if name == segmentation and label in labels
    ]
