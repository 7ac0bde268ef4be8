"""What every feature means: unit, formula, and an operator's words for its going up and down."""

import re
from dataclasses import dataclass

from engine.catalogue_families import family_words
from engine.catalogue_words import PLAIN, SINGULAR, WINDOWED, Words
from engine.feature_names import attribute_columns, feature_names
from engine.feature_spec import FeatureSpec, longest_window


@dataclass(frozen=True)
class Feature:
    """A column of `features`. group: features that move together and are taken together in reasons.

    In formulas t is an event's time, A the as-of; purchases, events and the like are the user's before A, a
    day is a local day of the spec's zone. phrase_up and phrase_down say what happened when it rose or fell.
    """

    name: str
    unit: str
    meaning: str
    formula: str
    phrase_up: str
    phrase_down: str
    group: str


def catalogue(spec: FeatureSpec) -> dict[str, Feature]:
    """The spec's features by name, in the order of their columns."""
    cap = f"{longest_window(spec) + 1}"
    attributes = {column: name for name, column in attribute_columns(spec).items()}
    found: dict[str, Feature] = {}
    for name in feature_names(spec):
        attribute = attributes.get(name)
        words = _attribute(attribute, spec) if attribute is not None else _statistic(name)
        assert words is not None, name
        unit, meaning, formula, up, down, group = (text.replace("{cap}", cap) for text in words)
        found[name] = Feature(name, unit, meaning, formula, up, down, group)
    return found


def phrase(reason: str) -> str:
    """A reason code in an operator's words; a code this version does not know stays as it is.

    Codes: first, model, rule, definition, label, renamed, decision, min_stay, erasure, segment:NAME,
    FEATURE:up|down, FEATURE:up|reached|down|below:BOUND (over it, up to it, down to it, below it),
    sequence:CHANNEL:up|down.
    """
    if reason in _WHOLE:
        return _WHOLE[reason]
    if reason.startswith("segment:"):
        return f"moved in {reason.removeprefix('segment:')}"
    found = re.fullmatch(r"(sequence:)?(.+?):(up|down|reached|below)(?::(-?[0-9.]+))?", reason)
    if not found:
        return reason
    sequence, name, way, bound = found.groups()
    if sequence:
        return f"{'more' if way == 'up' else 'less'} {channel_words(name)} of late"
    if bound is not None:
        return _bounded(name, way, bound)
    words = _statistic(name)
    if words is None:
        return f"{name} {'went up' if way == 'up' else 'went down'}"
    return words.up if way == "up" else words.down


_WHOLE = {
    "first": "first label",
    "model": "another model decides",
    "rule": "the rule's answer changed",
    "definition": "another definition decides",
    "label": "the labels were changed",
    "renamed": "the label was renamed or merged",
    "decision": "labels are decided otherwise",
    "min_stay": "the minimum stay was over",
    "erasure": "forgotten on request",
    "retention": "nothing is left of them since older events were cut",
    "identity": "other users turned out to be the same person, or not to be",
}

_WINDOW = re.compile(r"(.+)_([1-9][0-9]{0,3})d")


def _statistic(name: str) -> Words | None:
    """The words of a statistic, of whatever spec; None when no statistic can have that name."""
    if name in PLAIN:
        return PLAIN[name]
    windowed = _WINDOW.fullmatch(name)
    stem, days = windowed.groups() if windowed else (name, None)
    words = WINDOWED.get(stem) if days is not None else None
    words = words or family_words(name, stem, days)
    if words is not None:
        return Words(*(text.replace("{W}", days or "") for text in words))
    if stem not in SINGULAR and not stem.startswith("count_"):
        return None
    one = SINGULAR.get(stem, stem.removeprefix("count_"))
    article = "an" if one[:1] in "aeiou" else "a"
    group = "refunds" if stem == "refunds" else "activity"
    if days is None:
        return Words(
            "events",
            f"events of one kind ever: {one}",
            f"count of {stem}",
            f"a new {one}",
            f"fewer {stem}",
            group,
        )
    return Words(
        "events",
        f"events of one kind in the last {days} d: {one}",
        f"count of {stem} with A - {days} d <= t",
        f"{article} {one} in the last {days} d",
        f"{article} {one} left the {days} d window",
        f"{group} {days} d",
    )


def _attribute(name: str, spec: FeatureSpec) -> Words:
    worded = name in spec.attributes_text
    return Words(
        "text" if worded else "as given",
        f"the attribute {name}",
        f"the value of {name} with the largest (t, seq)",
        f"{name} changed" if worded else f"{name} went up",
        f"{name} changed" if worded else f"{name} went down",
        f"attribute {name}",
    )


def channel_words(name: str) -> str:
    """A sequence's channel as something there is more or less of."""
    return {"spend": "spent", "orders": "ordering"}.get(name, name.removeprefix("count_"))


_WAYS = {"up": "rose over", "reached": "rose to", "down": "fell to", "below": "fell below"}


def _bounded(name: str, way: str, bound: str) -> str:
    """A bound of a definition, crossed."""
    rising = way in ("up", "reached")
    if name == "recency_days":
        return f"no order for {bound} d" if rising else f"an order within {bound} d"
    if name == "silence_days":
        return f"silent for {bound} d" if rising else f"active within {bound} d"
    windowed = _WINDOW.fullmatch(name)
    stem, days = windowed.groups() if windowed else (name, None)
    what = (stem.removeprefix("count_") + (f" of {days} d" if days else "")).replace("_", " ")
    words = _statistic(name)
    if words is not None and words.unit == "minor units":
        # Minor units are no number to read, and the currency is not known here.
        bound = "the bound"
    return f"{what} {_WAYS[way]} {bound}"
