"""Where an operator was, kept between two runs, by store."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from segtui.tui import preferences
from segtui.tui.filtering import is_expression
from segtui.tui.questions import Filter

KEPT_STORES = 50


def keep(store: Path, page: str, what: dict[str, Any]) -> None:
    """Keeps the page and what it showed; nobody's id, which has its place in the vault alone."""
    place = preferences.state_path()
    known = {each: value for each, value in _read(place).items() if each != str(store.resolve())}
    known = dict(list(known.items())[-KEPT_STORES + 1 :])
    known[str(store.resolve())] = {"page": page, "what": _plain(what)}
    try:
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = place.with_suffix(".draft")
        draft.write_text(json.dumps(known), encoding="utf-8")
        draft.chmod(0o600)
        draft.replace(place)
    except OSError:
        # A home that cannot be written to costs the place, not the way out.
        return


def last(store: Path) -> tuple[str, dict[str, Any]] | None:
    """The page and what it showed when the store was last left; None when that is not known."""
    found = _read(preferences.state_path()).get(str(store.resolve()))
    if not isinstance(found, dict) or not isinstance(found.get("page"), str):
        return None
    what = found.get("what")
    what = dict(what) if isinstance(what, dict) else {}
    if isinstance(what.get("wanted"), dict):
        try:
            what["wanted"] = Filter(**what["wanted"])
        except TypeError:
            what.pop("wanted")
    return found["page"], what


def _plain(what: dict[str, Any]) -> dict[str, Any]:
    """What can be written down: filters as their fields, without a user or a part of an id."""
    told: dict[str, Any] = {}
    for name, value in what.items():
        if isinstance(value, Filter):
            told[name] = asdict(value) | {"user": None, "part": None}
        elif name == "where" and isinstance(value, str) and not is_expression(value):
            continue
        elif name not in ("user", "member_of") and isinstance(value, str | int | float | bool | None):
            told[name] = value
    return told


def _read(place: Path) -> dict[str, Any]:
    try:
        found = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
