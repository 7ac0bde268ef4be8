"""The editor of a rule: name, rule, what may stand there, and whom it holds as it is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.notifications import SeverityLevel
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input, Static

from segtui.operations import words as numbers
from segtui.tui import words
from segtui.tui.asking import Asking
from segtui.tui.widgets.rule_input import Names, RuleInput

if TYPE_CHECKING:
    from segtui.tui.app import SegtuiApp

REST_SECONDS = 0.3
OFFERED = 4
NAME_HINT = "letters, digits and _, as in loyal_buyers"
RULE_HINT = "orders_90d >= 3 AND recency_days < 30 AND value = 'high'"
KEYS = (
    "[$accent]tab[/] [$muted]takes the name[/]   [$accent]enter[/] [$muted]shows who would move[/]   "
    "[$accent]esc[/] [$muted]leaves[/]"
)


class RuleEditor(Widget, Asking):
    """Posts `Saved` with what was written, `Left` when the operator is done."""

    class Saved(Message):
        """The rule shall be saved under the name."""

        def __init__(self, name: str, where: str, *, new: bool) -> None:
            super().__init__()
            self.name, self.where, self.new = name, where, new

    class Left(Message):
        """The operator leaves."""

    def __init__(self) -> None:
        super().__init__()
        self.editing: str | None = None
        self._rest: Timer | None = None

    @property
    def segtui(self) -> SegtuiApp:
        """The app, with its own type."""
        return cast("SegtuiApp", self.app)

    def compose(self) -> ComposeResult:
        with Horizontal(classes="line"):
            yield Static("name")
            yield RuleInput(id="name", placeholder=NAME_HINT)
        with Horizontal(classes="line"):
            yield Static("who is in")
            yield RuleInput(id="where", placeholder=RULE_HINT)
        yield Static(id="known")
        with VerticalScroll(id="sizes"):
            yield Static(id="size", classes="wrap")
        yield Static(Content.from_markup(KEYS), id="editor-keys")

    @property
    def name_line(self) -> RuleInput:
        """The line of the name."""
        return self.query_one("#name", RuleInput)

    @property
    def rule_line(self) -> RuleInput:
        """The line of the rule."""
        return self.query_one("#where", RuleInput)

    def open(self, held: tuple[str, str] | None) -> None:
        """Begins a new rule, or edits one given as name and rule."""
        name, where = held or ("", "")
        self.editing = name or None
        self.name_line.value, self.rule_line.value = name, where
        self.name_line.disabled = held is not None
        self.rule_line.cursor_position = len(where)
        (self.name_line if held is None else self.rule_line).focus()
        self._offer()
        self.query_one("#size", Static).update("")
        self.ask("names", lambda _cancelled: self.segtui.data.names(), self._names_known)
        if where:
            self._ask_size()

    def _names_known(self, names: Names) -> None:
        self.rule_line.known = names
        self._offer()

    # As it is written

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if event.input is not self.rule_line:
            return
        self._offer()
        if self._rest is not None:
            self._rest.stop()
        self._rest = self.set_timer(REST_SECONDS, self._ask_size)

    def _offer(self) -> None:
        """The names that begin with what stands last, and amounts as money."""
        begun, names = self.rule_line.known.matching(self.rule_line.value)
        lines = [
            Content.assemble((f"{name:<24}", words.KEY), (f" {meaning}", words.DIM))
            for name, meaning in names[:OFFERED]
        ]
        if len(names) > OFFERED:
            lines.append(
                Content.styled(f"and {len(names) - OFFERED} more that begin with {begun!r}", words.DIM)
            )
        amounts = self.rule_line.known.amounts(self.rule_line.value)
        told = [f"{each} = {numbers.money(float(each), self.segtui.currency)}" for each in amounts]
        if told:
            lines.append(Content.styled("   ".join(dict.fromkeys(told)), words.WARN))
        self.query_one("#known", Static).update(Content("\n").join(lines))

    def _ask_size(self) -> None:
        where, name = self.rule_line.value.strip(), self.editing or ""
        if not where:
            self.query_one("#size", Static).update("")
            return
        self.ask("size", lambda _cancelled: self.segtui.data.rule_size(name, where), self._size_known)

    def _size_known(self, told: dict[str, Any]) -> None:
        share = "" if told["share"] is None else f", {numbers.share(told['share'])} of all"
        lines = [
            Content.assemble(
                (numbers.plural(told["users"], "user"), "bold $success"), f"{share}, exact",
                (f"   at {words.day(told['as_of'])}", words.DIM),
            ),
            Content.assemble(
                ("▲ ", words.RISE), f"{numbers.count(told['entering'])} enter   ",
                ("▼ ", words.FALL), f"{numbers.count(told['leaving'])} leave",
                ("   such as ", words.DIM) if told["sample"] else "", ", ".join(told["sample"]),
            ),
        ]  # fmt: skip
        self.query_one("#size", Static).update(Content("\n").join(lines))

    # As an asker

    @property
    def waiting(self) -> bool:
        """Whether the editor is still open."""
        return self.screen.has_class("-editing")

    def refused(self, sentence: str, severity: SeverityLevel = "error") -> None:
        style = words.WARN if severity == "error" else words.DIM
        self.query_one("#size", Static).update(Content.styled(sentence, style))

    def done(self) -> None:
        """Stays, with what was written, until that is saved."""

    # Done

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        name, where = self.name_line.value.strip(), self.rule_line.value.strip()
        if not name:
            self.name_line.focus()
        elif event.input is self.name_line:
            self.ask("name", lambda _cancelled: self.segtui.data.refuse_name(name), self._named)
        elif not where:
            self.rule_line.focus()
        else:
            self.post_message(self.Saved(name, where, new=self.editing is None))

    def _named(self, _none: None) -> None:
        self.query_one("#size", Static).update("")
        self.rule_line.focus()

    def on_rule_input_left(self) -> None:
        self.leave()

    def leave(self) -> None:
        """Gives up what was written."""
        if self._rest is not None:
            self._rest.stop()
        self.post_message(self.Left())
