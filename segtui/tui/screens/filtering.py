"""Pages whose list follows a filter as it is typed."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.content import Content

from segtui.tui import words
from segtui.tui.filtering import matching
from segtui.tui.screens.page import Page
from segtui.tui.widgets.filter_line import FilterLine
from segtui.tui.widgets.virtual_list import Item, VirtualList


class FilteringPage(Page):
    """Subclasses apply what is typed, and say when it is applied or why it cannot be."""

    FILTER_HINT: ClassVar[str] = "part of a name, or !part"

    def __init__(self) -> None:
        super().__init__()
        self.filter = ""
        """What holds, as it was typed."""
        self.applying: str | None = None
        """What will hold as soon as the list shows it."""
        self._keeping = False

    @property
    def rows(self) -> VirtualList:
        """The list that is filtered."""
        raise NotImplementedError

    def above(self) -> ComposeResult:
        yield FilterLine(self.FILTER_HINT)

    @property
    def filter_line(self) -> FilterLine:
        """Where it is typed."""
        return self.query_one(FilterLine)

    def apply_filter(self, text: str) -> None:
        """Shows what the text keeps, then calls `filter_applied`, or `filter_refused` with a sentence."""
        raise NotImplementedError

    def waits_for(self) -> str:
        """What keeps the list from showing what was typed."""
        return ""

    def unfinished(self, text: str) -> bool:  # noqa: ARG002
        """Whether the list shall wait for more to be typed."""
        return False

    def filter_applied(self, text: str) -> None:
        """The list shows what the text keeps."""
        self.filter, self.applying = text, None
        self.filter_line.say("")
        if self._keeping:
            self._keeping = False
            self._to_list()

    def filter_refused(self, sentence: str) -> None:
        """The text cannot be applied: the line says why, the list stays as it was."""
        self.applying = None
        if self._keeping:
            self._keeping = False
            self.filter_line.say(sentence)
        else:
            # Most expressions cannot be read before their last letter.
            self.filter_line.say_later(lambda: sentence, wrong=True)

    def _to_list(self) -> None:
        # At once: `focus` waits for a turn, and the next key would still be typed.
        self.set_focus(self.rows)
        self.filter_line.close()

    def on_filter_line_typed(self, message: FilterLine.Typed) -> None:
        self._keeping = message.kept
        if message.left:
            self._to_list()
        if message.kept and message.text == self.filter and self.applying is None:
            self.filter_applied(message.text)
            return
        self.filter_line.say_later(self.waits_for)
        if message.kept or not self.unfinished(message.text):
            self.applying = message.text
            self.apply_filter(message.text)

    def action_filter(self) -> None:
        self.filter_line.open(self.filter)


class ListedPage(FilteringPage):
    """A page that has its whole list: the filter is a part of what a row says of itself."""

    def show_rows(self) -> None:
        """Shows the rows that the filter keeps."""
        raise NotImplementedError

    def apply_filter(self, text: str) -> None:
        self.filter_applied(text)
        self.show_rows()

    def kept(self, rows: list[Item], said: Callable[[Item], str]) -> list[Item]:
        """The rows whose words have the filter in them."""
        keeps = matching(self.filter)
        return [row for row in rows if keeps(said(row))]

    def filter_chip(self) -> Content:
        """`/ part` for the line above a list; nothing without a filter."""
        if not self.filter:
            return words.BLANK
        return Content.assemble((f"   {self.key('filter')} ", words.KEY), (self.filter, "bold"))
