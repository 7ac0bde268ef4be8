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
        line = Content.styled(f" {self.what} ", "bold")
        if self.share is not None:
            line += Content.styled(bar(self.share, WIDTH).ljust(WIDTH, "·"), "$accent")
            line += Content(f" {self.share:.0%} ")
        return line + Content.assemble(("  ctrl+c", words.KEY), (" calls it off", words.DIM))
