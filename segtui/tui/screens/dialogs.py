"""Small screens over a page: a line to fill in, a question, a text to read."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.notifications import SeverityLevel
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from segtui.tui import words
from segtui.tui.actions import bindings
from segtui.tui.asking import Asking

if TYPE_CHECKING:
    from segtui.tui.app import SegtuiApp


def keys_line(*pairs: tuple[str, str]) -> Content:
    """`enter go ahead   esc leave`: keys, and what they do."""
    parts = [Content.assemble((keys, words.KEY), " ", (does, words.DIM)) for keys, does in pairs]
    return Content("   ").join(parts)


class Prompt(ModalScreen[tuple[Any] | None], Asking, inherit_bindings=False):
    """Asks for a line of text; `check` turns it into the result in a worker, or refuses it in a sentence.

    `said` is what was wrong with a line that comes back, `placeholder` what an empty line means. Ends with a
    1-tuple of the result, or with None when left.
    """

    BINDINGS = bindings("prompt")
    KEYS: ClassVar[tuple[tuple[str, str], ...]] = (("enter", "go ahead"), ("esc", "leave"))

    def __init__(
        self,
        title: str,
        hint: str | Content,
        check: Callable[[str], Any],
        value: str = "",
        said: str = "",
        placeholder: str = "",
    ) -> None:
        super().__init__()
        self.prompt_title = title
        self.hint = hint
        self.check = check
        self.value = value
        self.said = said
        self.placeholder = placeholder

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = Content(self.prompt_title)
            yield Input(self.value, placeholder=self.placeholder, select_on_focus=False)
            yield Static(self.hint, id="prompt-hint", markup=False)
            with Vertical(classes="foot"):
                yield Static(self.said, id="prompt-error", markup=False)
                yield Static(keys_line(*self.KEYS))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        text = event.value.strip()
        self.ask("check", lambda _cancelled: self.check(text), self.accepted)

    def accepted(self, result: Any) -> None:
        """Takes what `check` made of the line."""
        self.dismiss((result,))

    def refused(self, sentence: str) -> None:
        self.query_one("#prompt-error", Static).update(sentence)

    def action_cancel(self) -> None:
        self.dismiss(None)


class Trying(Prompt):
    """Asks for what a job tries first: stays until that is over, and tells what was wrong with it.

    `go` starts the job with what `check` made of the line, and with this dialog as its asker.
    """

    KEYS: ClassVar[tuple[tuple[str, str], ...]] = (("enter", "show what it would do"), ("esc", "leave"))

    def __init__(
        self,
        title: str,
        hint: str | Content,
        check: Callable[[str], Any],
        go: Callable[[Any, Trying], None],
        value: str = "",
    ) -> None:
        super().__init__(title, hint, check, value)
        self.go = go
        self._trying = False

    def accepted(self, result: Any) -> None:
        self._trying = True
        self.query_one("#prompt-error", Static).update(Content.styled("looking …", words.DIM))
        self.go(result, self)

    @property
    def waiting(self) -> bool:
        """Whether the operator has not left."""
        return self in self.app.screen_stack

    def refused(self, sentence: str, severity: SeverityLevel = "error") -> None:
        self._trying = False
        super().refused(sentence)
        if severity != "error":
            # Called off, which is nobody's mistake.
            self.query_one("#prompt-error", Static).update(Content.styled(sentence, words.DIM))

    def done(self) -> None:
        """What was asked for is under way: nothing more to ask."""
        self.dismiss(None)

    def action_cancel(self) -> None:
        if self._trying:
            cast("SegtuiApp", self.app).call_off()
        super().action_cancel()

    def on_screen_suspend(self) -> None:
        # What was found lies over it, and is not as large.
        self._trying = False
        self.query_one("#prompt-error", Static).update("")
        self.set_class(True, "-behind")

    def on_screen_resume(self) -> None:
        self.set_class(False, "-behind")


class Again:
    """A line that is left while its job runs beside the page; it comes back with what was wrong."""

    waiting = True

    def __init__(
        self, app: SegtuiApp, line: Callable[[str], Prompt], answered: Callable[[tuple[Any] | None], None]
    ) -> None:
        self.app = app
        self.line = line
        self.answered = answered
        self._show = app.opener()

    def refused(self, sentence: str, severity: SeverityLevel = "error") -> None:
        """Asks again, with the sentence under the line; what was called off is only told."""
        if severity == "error":
            self._show(self.line(sentence), self.answered)
        else:
            self.app.tell(sentence, severity)

    def done(self) -> None:
        """Nothing is open."""


class Confirm(ModalScreen[bool], inherit_bindings=False):
    """Asks yes or no; `enter` is neither, as it may have been meant for what was there before."""

    BINDINGS = bindings("confirm")

    def __init__(self, title: str, text: str | Content, yes: str, no: str = "leave it") -> None:
        super().__init__()
        self.question_title = title
        self.text = text
        self.yes = yes
        self.no = no

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = Content(self.question_title)
            with VerticalScroll(id="question"):
                yield Static(self.text, markup=False)
            with Vertical(classes="foot"):
                yield Static(Content("\n") + keys_line(("y", self.yes), ("esc n", self.no)))

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
            dialog.border_title = Content(self.text_title)
            dialog.border_subtitle = "↑ ↓ scroll   esc closes"
            yield Static(self.text)

    def action_cancel(self) -> None:
        self.dismiss(None)
