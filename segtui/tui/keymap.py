"""Other keys for actions: read from the preferences, refused where two actions would want the same."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from textual.keys import Keys, _character_to_key

from segtui.tui.action import SHOWN, Action
from segtui.tui.actions import ACTIONS, FURTHER, PAGES, effective

Keymap = Mapping[str, tuple[str, ...]]
"""Keys, as Textual calls them, by the name an action has in the file."""

NAMED = {sign.lower(): key for key, sign in SHOWN.items()}
KNOWN = {each.value for each in Keys}
MODIFIED = re.compile(r"((?:ctrl|shift|alt)\+)+(.+)")


def read(table: Any) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """The keys of a `[keys]` table, and a sentence for each of its lines that cannot be taken."""
    if not isinstance(table, Mapping):
        return {}, ["[keys] is no table: write [keys], then a line such as why = 'W' for each action"]
    names = {action.setting for action in ACTIONS}
    found: dict[str, tuple[str, ...]] = {}
    complaints = []
    for name, given in table.items():
        wanted = [given] if isinstance(given, str) else given
        if name not in names:
            complaints.append(f"[keys] {name}: there is no action of that name; docs/ui.md lists them")
        elif not isinstance(wanted, list) or not wanted or not all(isinstance(each, str) for each in wanted):
            complaints.append(f"[keys] {name} = {given!r}: give a key, such as 'W', or a list of keys")
        elif None in (keys := [key_of(each) for each in wanted]):
            complaints.append(f"[keys] {name}: {wanted[keys.index(None)]!r} is no key; such as W, f5, ctrl+w")
        else:
            found[name] = tuple(key for key in keys if key is not None)
    while (clash := _clash(found)) is not None:
        name, key, other, page = clash
        complaints.append(f"[keys] {name}: {SHOWN.get(key, key)!r} is the key of {other} on {page}")
        del found[name]
    return found, complaints


def key_of(text: str) -> str | None:
    """Textual's name of a key as an operator writes it: `/`, `W`, `esc`, `ctrl+w`; None for what is none."""
    if len(text) == 1:
        return _character_to_key(text)
    if text.lower() in NAMED:
        return NAMED[text.lower()]
    if text in KNOWN:
        return text
    modified = MODIFIED.fullmatch(text)
    return text if modified is not None and key_of(modified[2]) is not None else None


def remapped(actions: Iterable[Action], keymap: Keymap) -> list[Action]:
    """The actions with the keys they have now."""
    return [
        replace(action, keys=keymap[action.setting], bar_text=None) if action.setting in keymap else action
        for action in actions
    ]


def _clash(keymap: Keymap) -> tuple[str, str, str, str] | None:
    """An action that was given a key which another has where both work: name, key, other and page."""
    dialogs = {scope for action in ACTIONS for scope in action.scopes} - {*PAGES, *FURTHER}
    groups = {**{page: effective(page) for page in (*PAGES, *FURTHER)}, **{each: (each,) for each in dialogs}}
    now = remapped(ACTIONS, keymap)
    for place, scopes in groups.items():
        held: dict[str, str] = {}
        for action in now:
            if not any(scope in action.scopes for scope in scopes):
                continue
            for key in action.keys:
                other = held.setdefault(key, action.setting)
                if other != action.setting:
                    if action.setting in keymap:
                        return action.setting, key, other, place
                    return other, key, action.setting, place
    return None
