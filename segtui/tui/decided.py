"""A decision of the log in an operator's words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from segtui.operations import words
from segtui.operations.times import iso

Body = dict[str, Any]
SHORT = 40
LONG = 200
SHORT_DIGEST = 16

WORDS = {
    "store_created": "store created",
    "setting_changed": "setting",
    "imported": "import",
    "model_trained": "model trained",
    "model_promoted": "promotion",
    "starter_fitted": "starter rule",
    "segmentation_defined": "segment new",
    "segmentation_edited": "segment edited",
    "segmentation_retired": "segment retired",
    "rescored": "rescore",
    "exported": "export",
    "user_erased": "erasure",
    "erasure_lifted": "erasure lifted",
    "key_rotated": "key rotated",
}
INSTANTS = ("as_of", "from", "anew", "started_at", "cutoff", "until")
"""What a decision tells in µs UTC."""
EMPTY: tuple[Any, ...] = (None, "", [], {})
EDITS = ("segmentation_defined", "segmentation_edited", "segmentation_retired", "model_promoted")


def kind(decision: Body) -> str:
    """What kind of decision it is."""
    return WORDS.get(decision["kind"], str(decision["kind"]).replace("_", " "))


def about(decision: Body, zone: str, names: Mapping[str, str]) -> str:
    """What was decided, in a few words; `names` are those of models by digest."""
    told = _ABOUT.get(decision["kind"])
    if told is None:
        return _plain(decision["body"], zone)
    model = decision["body"].get("model")
    named = decision["body"] | ({"model": names[model]} if model in names else {})
    return told(named, zone)


def body(decision: Body, zone: str) -> list[tuple[str, str]]:
    """Everything the decision says, name by name; what is long cut, what says nothing left out."""
    told = decision["body"].items()
    return [(name.replace("_", " "), _text(name, value, zone)) for name, value in told if value not in EMPTY]


def _text(name: str, value: Any, zone: str) -> str:
    """An instant as a time, a number with its thousands, yes or no; lists and tables in a line."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return iso(value, zone)[:16].replace("T", " ") if name in INSTANTS else words.count(value)
    if isinstance(value, dict):
        told = (f"{key} {_text(key, each, zone)}" for key, each in value.items() if each not in EMPTY)
        text = "; ".join(told)
    elif isinstance(value, list):
        nested = any(isinstance(each, dict | list) for each in value)
        text = ("; " if nested else ", ").join(_text(name, each, zone) for each in value)
    else:
        return str(value)
    if len(text) > LONG:
        return f"{words.count(len(value))} entries: Y copies a command that prints them"
    return text


def segmentation(decision: Body) -> str | None:
    """The segmentation a decision is about."""
    told = decision["body"]
    return told.get("segmentation") or (told.get("name") if decision["kind"] in EDITS else None)


def _imported(told: Body, _zone: str) -> str:
    refused = f", {words.count(told['quarantined'])} quarantined" if told["quarantined"] else ""
    accepted = words.count(told["accepted"])
    return f"{told['source']}: {accepted} of {words.plural(told['rows'], 'row')} new{refused}"


def _rescored(told: Body, zone: str) -> str:
    counts = [f"{words.count(told[name])} {name}" for name in ("evaluated", "changed") if name in told]
    mark = "~ " if told.get("backfilled") else ""
    return ", ".join([f"{mark}{told['segmentation']} up to {iso(told['as_of'], zone)[:10]}", *counts])


def _defined(told: Body, _zone: str) -> str:
    return f"{told['name']}: {told['where']}" if told.get("where") else f"{told['name']} ({told['kind']})"


def _edited(told: Body, _zone: str) -> str:
    return f"{told['name']}: {told.get('where') or 'another list'}"


def _labels(told: Body, _zone: str) -> str:
    about = [*told.get("merged", ()), told.get("label"), told.get("into")]
    return f"{told['segmentation']}: {' '.join(str(each) for each in (told['edit'], *about) if each)}"


def _exported(told: Body, _zone: str) -> str:
    named = "with names" if told.get("identified") else "pseudonymous"
    return f"{words.plural(told.get('rows', 0), 'member')} of {told.get('segment', '?')}, {named}"


def _plain(told: Body, zone: str) -> str:
    """The short values of a decision nobody wrote words for."""
    short = {
        name: _text(name, value, zone)
        for name, value in told.items()
        if value not in EMPTY and not isinstance(value, dict | list)
    }
    return ", ".join(f"{name.replace('_', ' ')} {text}" for name, text in short.items() if len(text) <= SHORT)


_ABOUT: dict[str, Callable[[Body, str], str]] = {
    "imported": _imported,
    "rescored": _rescored,
    "segmentation_defined": _defined,
    "segmentation_edited": _edited,
    "segmentation_retired": lambda told, _: str(told["name"]),
    "model_trained": lambda told, _: f"{told['name']} for {told['segmentation']}",
    "model_promoted": lambda told, _: f"{told['segmentation']} by {told['model'][:SHORT_DIGEST]}",
    "setting_changed": lambda told, _: f"{told['name']} = {told['value']}: {told['because']}",
    "exported": _exported,
    "label_edited": _labels,
}
