"""A line to write a rule in: completes the names it knows, and says which they are."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from textual.message import Message
from textual.suggester import Suggester
from textual.widgets import Input

from segtui.tui.actions import bindings

WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*$")
VALUE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\s*(?:=|!=|<>)\s*'([^']*)$")
NUMBER = r"(-?[0-9]+(?:\.[0-9]+)?)"
COMPARED = re.compile(
    rf"([A-Za-z_][A-Za-z0-9_]*)\s*(?:[<>!=]+\s*{NUMBER}|(?:NOT\s+)?BETWEEN\s+{NUMBER}(?:\s+AND\s+{NUMBER})?)",
    re.IGNORECASE,
)

Name = tuple[str, str]
"""A name a rule may hold, and what it means."""


class Names:
    """What a rule may name: features (`money`: those in minor units), segments, and the labels of those."""

    def __init__(
        self,
        names: Sequence[Name] = (),
        labels: Mapping[str, Sequence[str]] | None = None,
        money: Collection[str] = (),
    ) -> None:
        self.names = names
        self.labels = labels or {}
        self.money = money

    def amounts(self, text: str) -> list[str]:
        """The numbers that stand beside features in minor units, as they were typed."""
        found = [each for each in COMPARED.finditer(text) if each[1] in self.money]
        return [number for each in found for number in (each[2] or each[3], each[4]) if number]

    def matching(self, text: str) -> tuple[str, list[Name]]:
        """What stands last in the text, and the names or labels that begin with it."""
        value = VALUE.search(text)
        if value is not None:
            begun = value[2]
            return begun, [
                (f"{label}'", f"a label of {value[1]}")
                for label in self.labels.get(value[1], ())
                if label.startswith(begun)
            ]
        word = WORD.search(text)
        if word is None or text.count("'") % 2:
            return "", []
        begun = word[0]
        return begun, [each for each in self.names if each[0].startswith(begun) and each[0] != begun]


class RuleInput(Input):
    """A rule; `tab` takes the name suggested, `enter` saves."""

    BINDINGS = bindings("rule")

    class Left(Message):
        """The operator wants to leave the editor."""

    def __init__(self, value: str = "", *, id: str | None = None, placeholder: str = "") -> None:
        super().__init__(value, id=id, placeholder=placeholder, select_on_focus=False)
        self.known = Names()
        self.suggester = _Suggester(self)

    def action_complete(self) -> None:
        """Takes the suggestion; without one, to the next pane."""
        if self._suggestion and self.cursor_at_end:
            self.value = self._suggestion
            self.cursor_position = len(self.value)
        else:
            self.screen.focus_next()

    def action_leave(self) -> None:
        self.post_message(self.Left())


class _Suggester(Suggester):
    """The first name that begins with what stands last."""

    def __init__(self, line: RuleInput) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self.line = line

    async def get_suggestion(self, value: str) -> str | None:
        begun, names = self.line.known.matching(value)
        return value[: len(value) - len(begun)] + names[0][0] if names else None
