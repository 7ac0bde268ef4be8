"""Small screens over a page: a line to fill in, a question, a text to read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from segtui.tui import words
from segtui.tui.actions import bindings
from segtui.tui.asking import Asking


class Prompt(ModalScreen[tuple[Any] | None], Asking, inherit_bindings=False):
    """Asks for a line of text; `check` turns it into the result in a worker, or refuses it in a sentence.

    Ends with a 1-tuple of the result, or with None when left.
    """

    BINDINGS = bindings("prompt")

    def __init__(self, title: str, hint: str, check: Callable[[str], Any], value: str = "") -> None:
        super().__init__()
        self.prompt_title = title
        self.hint = hint
        self.check = check
        self.value = value

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = self.prompt_title
            yield Input(self.value, select_on_focus=False)
            yield Static(self.hint, id="prompt-hint", markup=False)
            yield Static("", id="prompt-error", markup=False)
            yield Static(
                Content.from_markup(
                    f"[{words.KEY}]enter[/] [$muted]go ahead[/]   [{words.KEY}]esc[/] [$muted]leave[/]"
                )
            )

    def on_input_submitted(self, event: Input.Submitted) -> None:
        text = event.value.strip()
        self.ask("check", lambda _cancelled: self.check(text), self._accept)

    def _accept(self, result: object) -> None:
        self.dismiss((result,))

    def refused(self, sentence: str) -> None:
        self.query_one("#prompt-error", Static).update(sentence)

    def action_cancel(self) -> None:
        self.dismiss(None)


class Confirm(ModalScreen[bool], inherit_bindings=False):
    """Asks yes or no."""

    BINDINGS = bindings("confirm")

    def __init__(self, title: str, text: str | Content, yes: str, no: str = "leave it") -> None:
        super().__init__()
        self.question_title = title
        self.text = text
        self.yes = yes
        self.no = no

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = self.question_title
            with VerticalScroll(id="question"):
                yield Static(self.text, markup=False)
            yield Static(
                Content.from_markup(
                    f"\n[{words.KEY}]enter y[/] [$muted]$yes[/]   [{words.KEY}]esc n[/] [$muted]$no[/]",
                    yes=self.yes,
                    no=self.no,
                )
            )

    def action_yes(self) -> None:
        self.dismiss(True)

    def action_no(self) -> None:
        self.dismiss(False)

    def action_cancel(self) -> None:
        self.dismiss(False)


class Reading(ModalScreen[None], inherit_bindings=False):
    """A text to scroll through, closed by esc."""

    BINDINGS = bindings("text")

    def __init__(self, title: str, text: Content) -> None:
        super().__init__()
        self.text_title = title
        self.text = text

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog -tall") as dialog:
            dialog.border_title = self.text_title
            dialog.border_subtitle = "↑ ↓ scroll   esc closes"
            yield Static(self.text)

    def action_cancel(self) -> None:
        self.dismiss(None)
