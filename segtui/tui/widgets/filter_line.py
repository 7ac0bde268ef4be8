"""The line a filter is typed in, which a list follows letter by letter."""

from __future__ import annotations

from collections.abc import Callable

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input, Static

from segtui.tui.actions import bindings

REST_SECONDS = 0.005
"""Letters that come closer together are one question."""
SOON = 0.3
"""Seconds after which one wonders what is the matter."""


class FilterInput(Input):
    """What is typed; `down` and `enter` keep it, `esc` brings back what was there before."""

    BINDINGS = bindings("filter")

    class Left(Message):
        """The operator gives it up."""

    async def action_keep(self) -> None:
        await self.action_submit()

    def action_leave(self) -> None:
        self.post_message(self.Left())


class FilterLine(Widget):
    """Not there until `open`ed; stays open while what was typed cannot be read."""

    class Typed(Message):
        """The filter is this now; `kept` where the operator goes on to the list, `left` by giving it up."""

        def __init__(self, text: str, *, kept: bool, left: bool) -> None:
            super().__init__()
            self.text, self.kept, self.left = text, kept, left

    def __init__(self, hint: str) -> None:
        super().__init__()
        self.hint = hint
        self.before = ""
        self._typed = ""
        self._rest: Timer | None = None
        self._later: Timer | None = None

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield Static("/ ", id="filter-sign", markup=False)
            yield FilterInput(placeholder=self.hint, select_on_focus=False)
        yield Static("", id="filter-said", markup=False)

    @property
    def line(self) -> FilterInput:
        """Where it is typed."""
        return self.query_one(FilterInput)

    @property
    def is_open(self) -> bool:
        """Whether it is there."""
        return self.has_class("-open")

    def open(self, text: str) -> None:
        """Shows the line with the filter that holds."""
        self.before = self._typed = text
        self.say("")
        self.line.value = text
        self.line.cursor_position = len(text)
        self.add_class("-open")
        # At once: `focus` waits for a turn, and the first letter would still be a command.
        self.screen.set_focus(self.line)

    def close(self) -> None:
        """Takes the line away."""
        self._stop()
        self.say("")
        self.remove_class("-open")

    def say(self, sentence: str, *, wrong: bool = True) -> None:
        """What is wrong with the filter, or else about it; nothing where nothing is."""
        if self._later is not None:
            self._later.stop()
            self._later = None
        self._show(sentence, wrong=wrong)

    def say_later(self, told: Callable[[], str], *, wrong: bool = False) -> None:
        """Says it soon, and again whenever it changes, unless something else is said; nothing until then."""
        self.say("")
        self._later = self.set_interval(SOON, lambda: self._show(told(), wrong=wrong))

    def _show(self, sentence: str, *, wrong: bool) -> None:
        said = self.query_one("#filter-said", Static)
        if str(said.content) != sentence:
            said.update(sentence)
        said.display = bool(sentence)
        said.set_class(wrong, "-wrong")

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.is_open and event.value.strip() != self._typed:
            self._stop()
            self._rest = self.set_timer(REST_SECONDS, self._rested)

    def _rested(self) -> None:
        # A timer that was stopped may have called already: then this comes all the same, and after enter.
        if self._rest is not None:
            self._tell(self.line.value.strip(), kept=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._tell(event.value.strip(), kept=True)

    def on_filter_input_left(self) -> None:
        self._tell(self.before, kept=True, left=True)

    def _tell(self, text: str, *, kept: bool, left: bool = False) -> None:
        self._stop()
        self._typed = text
        self.post_message(self.Typed(text, kept=kept, left=left))

    def _stop(self) -> None:
        if self._rest is not None:
            self._rest.stop()
            self._rest = None
