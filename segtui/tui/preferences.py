"""How an operator likes the terminal: a typed file at the place the system keeps such files, and SEGTUI_*."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from platformdirs import user_config_path, user_state_path

from segtui.tui import keymap

THEMES = ("dark", "light", "high-contrast", "no-colour")
REFRESH = (0.05, 60.0)
VARIABLES = {
    "theme": "SEGTUI_THEME",
    "refresh": "SEGTUI_REFRESH",
    "ascii": "SEGTUI_ASCII",
    "resume": "SEGTUI_RESUME",
    "columns": "SEGTUI_COLUMNS",
}
YES, NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off", "")
MEANINGS = {
    "theme": "colours: dark, light, high-contrast, no-colour",
    "refresh": "seconds between looks at what other processes wrote",
    "ascii": "only ASCII for lines, bars and arrows",
    "resume": "start where the last run ended",
    "columns": "what the list of members shows; chosen there",
}


KEYS = "keys"
"""The table of other keys for actions; see segtui.tui.keymap."""


class PreferenceError(ValueError):
    """A preference that cannot be: what, where, what to do."""


@dataclass(frozen=True)
class Preferences:
    """theme, refresh (seconds), ascii, resume, columns (names, a comma between them), keys by action."""

    theme: str = "dark"
    refresh: float = 0.25
    ascii: bool = False
    resume: bool = True
    columns: str = "probability, margin, since, cause, leaves"
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def told(self) -> list[dict[str, Any]]:
        """name, value, meaning and the variable of each simple preference."""
        return [
            {"name": name, "value": getattr(self, name), "meaning": meaning, "variable": VARIABLES[name]}
            for name, meaning in MEANINGS.items()
        ]


def path() -> Path:
    """The file, whether it is there or not."""
    return user_config_path("segtui", appauthor=False) / "config.toml"


def state_path() -> Path:
    """Where the last places are kept."""
    return user_state_path("segtui", appauthor=False) / "places.json"


def load(environ: Mapping[str, str] = os.environ) -> tuple[Preferences, list[str]]:
    """The preferences of the file, then of the variables; a sentence for each that could not be taken."""
    found = Preferences()
    complaints: list[str] = []
    for origin, given in ((str(path()), _file(complaints)), ("the environment", _variables(environ))):
        for name, value in given.items():
            if name == KEYS:
                keys, wrong = keymap.read(value)
                found = replace(found, keys=keys)
                complaints += [f"{each} ({origin}): left as it is." for each in wrong]
                continue
            try:
                found = changed(found, name, value)
            except PreferenceError as error:
                complaints.append(f"{error} ({origin}): left as it is.")
    if environ.get("NO_COLOR"):
        found = replace(found, theme="no-colour")
    return found, complaints


def changed(held: Preferences, name: str, value: Any) -> Preferences:
    """The preferences with another value, given as typed or as text; raises PreferenceError."""
    if name not in MEANINGS:
        raise PreferenceError(f"There is no preference {name!r}: there are {', '.join(MEANINGS)}")
    taken: dict[str, Any] = {name: _READ[name](value)}
    return replace(held, **taken)


def save(held: Preferences) -> Path:
    """Writes the file, whole or not at all; its folder is made when it is not there."""
    place = path()
    place.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{each['name']} = {_written(each['value'])}  # {each['meaning']}" for each in held.told()]
    if held.keys:
        lines += ["", f"[{KEYS}]", *(f"{name} = {list(keys)!r}" for name, keys in held.keys.items())]
    draft = place.with_suffix(".draft")
    draft.write_text("\n".join(lines) + "\n", encoding="utf-8")
    draft.replace(place)
    return place


def _file(complaints: list[str]) -> dict[str, Any]:
    try:
        return tomllib.loads(path().read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        complaints.append(f"{path()} cannot be read ({error}): the defaults hold.")
        return {}


def _variables(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: environ[variable] for name, variable in VARIABLES.items() if variable in environ}


def _theme(value: Any) -> str:
    if value not in THEMES:
        raise PreferenceError(f"No theme {value!r}: there are {', '.join(THEMES)}")
    return str(value)


def _refresh(value: Any) -> float:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = -1.0
    if isinstance(value, bool) or not REFRESH[0] <= seconds <= REFRESH[1]:
        raise PreferenceError(
            f"A refresh of {value!r} is none: use seconds from {REFRESH[0]} to {REFRESH[1]:g}"
        )
    return seconds


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in (*YES, *NO):
        return value.lower() in YES
    raise PreferenceError(f"{value!r} is neither yes nor no: use true or false")


def _columns(value: Any) -> str:
    names = [each.strip() for each in value.split(",")] if isinstance(value, str) else [value]
    wrong = [each for each in names if not isinstance(each, str) or not each.isidentifier()]
    if wrong and names != [""]:
        raise PreferenceError(f"{value!r} names no columns: write names with a comma between them")
    return ", ".join(dict.fromkeys(each for each in names if each))


def _written(value: Any) -> str:
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return repr(value)


_READ = {"theme": _theme, "refresh": _refresh, "ascii": _flag, "resume": _flag, "columns": _columns}
