"""What decides a segmentation, made ready to decide."""

from __future__ import annotations

from db.store import Store
from segtui.operations.deciders import Decider, StarterDecider, model_decider
from segtui.operations.definitions import Segmentation
from segtui.operations.rule_deciders import ListDecider, RuleDecider


def decider_of(store: Store, zone: str, segmentation: Segmentation) -> Decider:
    """The decider of a segmentation that something decides: its model under its policy, its
    rule, list or starter rule."""
    if segmentation.model is not None:
        return model_decider(store, segmentation.model, segmentation.policy)
    if segmentation.rule is not None:
        return RuleDecider(segmentation.rule)
    if segmentation.kind == "list":
        return ListDecider(zone, segmentation.labels)
    assert segmentation.starter is not None
    return StarterDecider(segmentation.starter, zone, segmentation.fitted_at)
