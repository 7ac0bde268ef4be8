"""The line above the keys while a job runs: what it does, how far it is, how to call it off."""

from __future__ import annotations

from textual.app import RenderResult
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from segtui.tui import words
from segtui.tui.widgets.bars import bar

WIDTH = 20


class JobBar(Widget):
    """Hidden while nothing runs."""

    what: reactive[str] = reactive("")
    share: reactive[float | None] = reactive(None)

    def watch_what(self, what: str) -> None:
        self.set_class(bool(what), "-running")

    def render(self) -> RenderResult:
        hint = Content.assemble(("  ctrl+c", words.KEY), (" calls it off", words.DIM))
        done = words.BLANK if self.share is None else Content(f" {self.share:.0%} ")
        room = self.size.width - hint.cell_length - done.cell_length
        line = Content.styled(f" {self.what} ", "bold").truncate(room, ellipsis=True)
        width = min(WIDTH, room - line.cell_length)
        if self.share is not None and width > 0:
            line += Content.styled(bar(self.share, width).ljust(width, "·"), "$accent")
        return line + done + hint
