"""What the decisions say about each segmentation: its labels, its model or starter rule, how it decides."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from graphlib import TopologicalSorter
from typing import Any

import polars as pl

from db import log
from db.log import Decision
from engine.deciding import DEFAULT_POLICY, DecisionPolicy
from engine.feature_names import feature_names, text_columns
from engine.feature_spec import FeatureSpec
from engine.starter import Starter
from segtui.operations.errors import OperationError
from segtui.operations.session import Session

KINDS = (
    "segmentation_defined",
    "segmentation_edited",
    "segmentation_retired",
    "starter_fitted",
    "model_trained",
    "model_promoted",
    "label_edited",
    "policy_set",
)


IN_OUT = ("in", "out")
"""The labels of a rule's or list's segmentation."""


@dataclass(frozen=True)
class Rule:
    """An expression that decides who is in, and what it is read over: fixed when it is defined."""

    where: str
    spec: FeatureSpec
    refers: dict[str, tuple[str, ...]]
    """Labels by segmentation: those it reads besides features."""

    def columns(self) -> dict[str, pl.DataType]:
        """Type of each name the rule may read; of a rule's or list's segment: whether the user is in."""
        worded = text_columns(self.spec)
        known: dict[str, pl.DataType] = {
            name: pl.String() if name in worded else pl.Float64() for name in feature_names(self.spec)
        }
        for name, labels in self.refers.items():
            known[name] = pl.Boolean() if labels == IN_OUT else pl.Enum(labels)
        return known


@dataclass(frozen=True)
class Segmentation:
    """A segmentation as the newest decisions leave it."""

    name: str
    kind: str
    labels: tuple[str, ...]
    all_labels: tuple[str, ...] = ()
    """Every label it ever had, in the order they came."""
    rule: Rule | None = None
    defined: int | None = None
    """The seq of the decision that gave it its rule."""
    model: str | None = None
    promoted: int | None = None
    """The seq of the decision that made the model current."""
    starter: Starter | None = None
    fitted_at: int | None = None
    """The as-of the starter rule's bounds were fitted at."""
    previous_models: tuple[str, ...] = ()
    policy: DecisionPolicy = DEFAULT_POLICY
    """How its model's probabilities become labels, as it was last told."""
    policy_set: int | None = None
    """The seq of the decision that told it; None while it is the default."""
    succession: tuple[tuple[str, str], ...] = ()
    """Label and the one it went on as, by each edit that renamed or merged; a renaming goes both ways."""
    labelled: bool = False
    """Whether an edit of labels made the model current."""
    scores: str | None = None
    """The digest of the scores made elsewhere that it was given last."""
    discovered: bool = False
    """Whether its labels were found by grouping users; its first model came with the definition."""

    @property
    def became(self) -> dict[str, str]:
        """The label that one it had before goes on as: renamed or merged since, under its present name."""
        found = {}
        for former in dict.fromkeys(label for pair in self.succession for label in pair):
            if former not in self.labels:
                reached, known = [former], {former}
                for label in reached:
                    heirs = [to for left, to in reversed(self.succession) if left == label]
                    reached += [to for to in dict.fromkeys(heirs) if to not in known]
                    known.update(heirs)
                heir = next((label for label in reached if label in self.labels), None)
                if heir is not None:
                    found[former] = heir
        return found

    def family(self, label: str) -> list[str]:
        """Every name the label has had since it was first decided, the present one first."""
        present = self.became.get(label, label)
        return [present, *(former for former, heir in self.became.items() if heir == present)]

    @property
    def decided(self) -> bool:
        """Whether anything decides its labels yet."""
        return self.kind == "list" or any((self.rule, self.model, self.starter))

    @property
    def decided_by(self) -> str | None:
        """rule, list, scores, model or starter; None while nothing decides."""
        if self.kind != "model":
            return "scores" if self.scores else self.kind
        return "model" if self.model else ("starter" if self.starter else None)

    @property
    def refers(self) -> tuple[str, ...]:
        """The segmentations whose labels it reads."""
        return tuple(self.rule.refers) if self.rule else ()


@dataclass
class Definitions:
    """All segmentations and trained models, folded from the decisions."""

    retired: dict[str, Segmentation] = field(default_factory=dict)
    """As they were when they were retired: nothing decides them, their history is there."""
    segmentations: dict[str, Segmentation] = field(default_factory=dict)
    models: dict[str, dict[str, Any]] = field(default_factory=dict)

    def segmentation(self, name: str) -> Segmentation:
        """The segmentation of that name, or a sentence that lists those there are."""
        if name not in self.segmentations:
            known = ", ".join(sorted(self.segmentations)) or "none yet"
            raise OperationError(f"No segmentation {name!r}: there are {known}.")
        return self.segmentations[name]

    def ever(self, name: str) -> Segmentation:
        """The segmentation of that name, also a retired one; else a sentence that lists those there are."""
        return self.retired[name] if name in self.retired else self.segmentation(name)

    def in_order(self) -> list[str]:
        """The names, each after those it refers to."""
        graph = {
            name: set(each.refers) & set(self.segmentations) for name, each in self.segmentations.items()
        }
        sorter = TopologicalSorter({name: graph[name] for name in sorted(graph)})
        return list(sorter.static_order())

    def dependents(self, name: str) -> frozenset[str]:
        """The segmentation itself and all that refer to it, directly or through others."""
        found = {name}
        for each in self.in_order():
            if found & set(self.segmentations[each].refers):
                found.add(each)
        return frozenset(found)

    def find_model(self, text: str) -> dict[str, Any]:
        """The `model_trained` body of a digest, a digest's beginning of 4 or more, or a name."""
        named = [body for body in self.models.values() if body["name"] == text]
        if named:
            return named[-1]
        matches = [body for digest, body in self.models.items() if len(text) >= 4 and digest.startswith(text)]
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise OperationError(
                f"{text!r} begins the digests of {len(matches)} models: give more of its letters."
            )
        known = ", ".join(body["name"] for body in self.models.values()) or "none, train one first"
        raise OperationError(f"No model {text!r}: there are {known}.")


def definitions(s: Session, *, position: int | None = None) -> Definitions:
    """Folds the decisions up to `position` (default: the head)."""
    found, before = Definitions(), dict[int, Segmentation]()
    for decision in log.decisions(s.store, kinds=KINDS, position=position):
        body = decision.body
        if decision.kind == "segmentation_defined":
            labels = tuple(body["labels"])
            found.segmentations[body["name"]] = Segmentation(
                body["name"],
                body["kind"],
                labels,
                labels,
                _rule(body),
                decision.seq,
                scores=body.get("scores"),
            )
            if body.get("model") is not None:
                found.segmentations[body["name"]] = replace(
                    found.segmentations[body["name"]],
                    model=body["model"],
                    promoted=decision.seq,
                    discovered=True,
                )
            found.retired.pop(body["name"], None)
        elif decision.kind == "segmentation_edited":
            old = found.segmentations[body["name"]]
            labels = tuple(body.get("labels", old.labels))
            found.segmentations[body["name"]] = replace(
                old,
                rule=_rule(body),
                defined=decision.seq,
                labels=labels,
                all_labels=tuple(dict.fromkeys((*old.all_labels, *labels))),
                scores=body.get("scores"),
            )
        elif decision.kind == "segmentation_retired":
            found.retired[body["name"]] = found.segmentations.pop(body["name"])
        elif decision.kind == "model_trained":
            found.models[body["model"]] = body | {"trained_at": decision.recorded_at}
        else:
            name = body["segmentation"]
            old = found.segmentations[name]
            if decision.kind == "policy_set":
                policy = DecisionPolicy.from_json(body["decision"])
                found.segmentations[name] = replace(old, policy=policy, policy_set=decision.seq)
            elif decision.kind == "starter_fitted":
                starter = Starter(recency_days=body["recency_days"], spend_above=body["spend_above"])
                found.segmentations[name] = replace(old, starter=starter, fitted_at=body["as_of"])
            else:
                before[decision.seq] = old
                found.segmentations[name] = _decided_by(old, decision, before.get(body.get("undoes", 0)))
    return found


def _decided_by(old: Segmentation, decision: Decision, undone: Segmentation | None) -> Segmentation:
    """The segmentation once a model was promoted, or the labels of its own were edited.

    `undone`: as it was before the decision that this one takes back, and all that came after it.
    """
    body, edit = decision.body, decision.body.get("edit")
    became = body.get("became", {})
    # A name that is given anew is no one's of before, nor is what was decided for it.
    fresh = {body["label"]} if edit == "add" else {body["into"]} if edit in ("rename", "merge") else set()
    fresh -= set(body.get("merged", ()))
    policy = undone.policy if undone else old.policy.without(fresh).renamed(became)
    fresh -= {to for one, to in old.succession if one in old.labels and (to, one) in old.succession}
    pairs = [*became.items()]
    if edit == "rename":
        pairs += [(new, former) for former, new in pairs]
    succession = undone.succession if undone and edit != "rename" else old.succession
    kept = [pair for pair in succession if not fresh.intersection(pair) and pair not in pairs]
    return replace(
        old,
        model=body["model"],
        promoted=decision.seq,
        labels=tuple(body["labels"]),
        all_labels=tuple(dict.fromkeys((*old.all_labels, *body["labels"]))),
        previous_models=(*old.previous_models, old.model) if old.model else old.previous_models,
        labelled=decision.kind == "label_edited",
        succession=(*kept, *pairs),
        policy=policy if "anew" not in body else replace(policy, anew=body["anew"]),
    )


def _rule(body: dict[str, Any]) -> Rule | None:
    if body.get("where") is None:
        return None
    refers = {name: tuple(labels) for name, labels in body["refers"].items()}
    return Rule(body["where"], FeatureSpec.from_json(body["features"]), refers)


def require_segment(s: Session, text: str, *, position: int | None = None) -> tuple[Segmentation, str]:
    """The segmentation and the label of `value=high`, or of a rule's or list's name.

    The label may be one it had before.
    """
    name, equals, label = text.partition("=")
    found = definitions(s, position=position)
    own = found.segmentations.get(name) or found.retired.get(name)
    if not equals and own is not None and own.all_labels == IN_OUT:
        return own, "in"
    if not (equals and name and label):
        raise OperationError(f"Segment {text!r} is not of the form SEGMENTATION=LABEL, as in value=high.")
    segmentation = found.ever(name)
    require_label(segmentation, label)
    return segmentation, label


def require_label(segmentation: Segmentation, label: str) -> None:
    """Raises a sentence when the segmentation never had the label."""
    if label not in segmentation.all_labels:
        raise OperationError(
            f"Segmentation {segmentation.name!r} has no label {label!r}: "
            f"there are {', '.join(segmentation.all_labels)}."
        )
