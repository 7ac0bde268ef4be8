"""Rules that name the labels of a segmentation, when its labels are edited."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from db import log
from segtui.operations.definitions import Definitions, Rule
from segtui.operations.errors import OperationError
from segtui.operations.segment import rule_body
from segtui.operations.session import Session

if TYPE_CHECKING:
    from engine.model import Model


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


def shared_labels(one: Model, other: Model) -> set[str]:
    """The labels of two models that were merged from the one to the other, and what they are called there."""
    for merged, before in ((one, other), (other, one)):
        told = merged.policy.get("merged") or {}
        if told.get("from") == before.digest:
            return {*told["labels"], *(set(merged.labels) - set(before.labels))}
    return set()


def with_names_of_now(s: Session, found: Definitions, name: str, rule: Rule, since: int) -> str:
    """The text of a rule as a decision before `since` left it, its labels under the names they have now.

    Raises OperationError where a name has gone to another label since, or to more than one.
    """
    from engine.rules import choices_in

    given: dict[str, set[str]] = {}
    for decision in log.decisions(s.store, kinds=("label_edited",)):
        body = decision.body
        if decision.seq > since and "undoes" not in body and body["edit"] != "remove":
            taken = {
                *body.get("merged", ()),
                body["label"] if body["edit"] == "add" else body.get("into", ""),
            }
            given.setdefault(body["segmentation"], set()).update(taken)
    where = rule.where
    for other, label, start, end in reversed(choices_in(rule.where, rule.columns())):
        if label in given.get(other, ()):
            raise OperationError(
                f"The rule of {name!r} read {other} = {label!r}, and that is another label since: write it "
                "anew, with 'segtui segment define' or 'segtui segment edit'."
            )
        held = found.segmentations.get(other)
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
