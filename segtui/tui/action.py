"""One action: its name, its keys, and how they are written."""

from __future__ import annotations

from dataclasses import dataclass

EVERYWHERE = "everywhere"
LIST = "list"

# Textual's names for keys, as an operator would write them.
SHOWN = {
    "enter": "enter",
    "escape": "esc",
    "space": "space",
    "colon": ":",
    "slash": "/",
    "question_mark": "?",
    "exclamation_mark": "!",
    "comma": ",",
    "full_stop": ".",
    "less_than_sign": "<",
    "greater_than_sign": ">",
    "minus": "-",
    "plus": "+",
    "underscore": "_",
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "home": "Home",
    "end": "End",
}


@dataclass(frozen=True)
class Action:
    """Something an operator can do, in which scopes, by which keys.

    `bar` orders it in the key bar (0: not there; the smallest numbers stay longest when room is short).
    """

    name: str
    keys: tuple[str, ...]
    label: str
    help: str
    scopes: tuple[str, ...]
    bar: int = 0
    palette: bool = True
    priority: bool = False
    bar_text: tuple[str, str] | None = None

    @property
    def setting(self) -> str:
        """Its name in the table of keys: `why`, `go_rules`, `step_back`."""
        name, _, given = self.name.removeprefix("app.").partition("(")
        argument = given.strip("')")
        if not argument:
            return name
        told = argument if argument.isidentifier() else self.label.replace(" ", "_").replace("-", "_")
        return told if told.startswith(name) else f"{name}_{told}"

    @property
    def in_bar(self) -> tuple[str, str]:
        """Keys and label as the key bar prints them; a pair such as `, .` stands there once."""
        return self.bar_text or (shown(self.keys[0]), self.label)

    @property
    def shown(self) -> str:
        """The keys as help prints them: `j ↓`; a page without a key by what is typed: `:log`."""
        if not self.keys:
            return f":{self.label}"
        return " ".join(shown(key) for key in self.keys)


def shown(key: str) -> str:
    """Textual's name of a key as an operator would write it."""
    return SHOWN.get(key, key)
