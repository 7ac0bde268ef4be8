"""Page `:rules`: the operator's own segments; a rule is written here with its size beside it."""

from __future__ import annotations

from typing import Any

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from segtui.operations import words as numbers
from segtui.operations.errors import OperationError
from segtui.tui import words
from segtui.tui.actions import bindings
from segtui.tui.flows import edit_told, flow_lines
from segtui.tui.jobs import Writing
from segtui.tui.questions import Filter
from segtui.tui.screens.dialogs import Trying
from segtui.tui.screens.page import Page
from segtui.tui.screens.rule_editor import RuleEditor
from segtui.tui.widgets.bars import sparkline
from segtui.tui.widgets.virtual_list import Column, Item, VirtualList

TREND = 30
EXAMPLE = "orders_90d >= 3 AND recency_days < 30"
NONE = """No segment of your own yet.

[$accent]$new[/] writes a rule: a name, then who is in, as in [$accent]$example[/]
[$accent]segtui segment from-file NAME FILE[/], in another terminal, makes one of a list of users"""

COLUMNS = (
    Column("NAME", 16, lambda row, _: Content.styled(row["name"], "bold"), grow=1),
    Column("BY", 4, lambda row, _: Content.styled(row["by"], words.DIM)),
    Column("USERS", 8, lambda row, _: numbers.count(row["users"]), right=True),
    Column(
        "SHARE",
        7,
        lambda row, _: numbers.share(row["share"]) if row["share"] is not None else "·",
        right=True,
        drop=2,
    ),
    Column("30 d", 8, lambda row, _: words.delta(row["change_30d"]), right=True, drop=1),
    Column("WHO IS IN", 24, lambda row, _: row["where"] or "those of a list", grow=4),
)


class RulesPage(Page):
    """Rules and lists above; below, the one under the cursor, or the editor."""

    PAGE = "rules"
    BINDINGS = bindings(PAGE)
    needs = "events"

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[Item] = []
        self._wanted: str | None = None
        self._edit_when_loaded = False

    def about(self) -> str | None:
        return self.rows.item["name"] if self.rows.item is not None else None

    def content(self) -> ComposeResult:
        yield VirtualList(COLUMNS, lambda row: row["name"], id="rules")
        with VerticalScroll(id="rule", classes="pane side"):
            yield Static(id="rule-text", classes="wrap")
        with Vertical(id="editor", classes="pane"):
            yield RuleEditor()

    @property
    def rows(self) -> VirtualList:
        """The list of the operator's segments."""
        return self.query_one("#rules", VirtualList)

    @property
    def editor(self) -> RuleEditor:
        """Where a rule is written."""
        return self.query_one(RuleEditor)

    def recall(self, name: str | None = None, edit: bool = False, **_: Any) -> None:
        self._wanted, self._edit_when_loaded = name, edit

    # Loading

    def load(self) -> None:
        at = self.segtui.at
        self.ask("segments", lambda _cancelled: self.segtui.data.segments(at), self._loaded)

    def _loaded(self, found: dict[str, Any]) -> None:
        own = [each for each in found["segmentations"] if each["kind"] in ("rule", "list")]
        self._rows = [_row(each) for each in own]
        self.show_as_of(found["as_of"], Content(numbers.plural(len(own), "segment") + " of your own"))
        self.rows.show(self._rows)
        names = [row["name"] for row in self._rows]
        if self._wanted in names:
            self.rows.cursor = names.index(self._wanted)
        if not own:
            self.query_one("#rule").border_title = "rules"
            self.query_one("#rule-text", Static).update(
                Content.from_markup(NONE, example=EXAMPLE, **self.keys("new"))
            )
        if self._edit_when_loaded:
            self._edit_when_loaded = False
            self._open_editor(self.rows.item if self._wanted else None)

    def on_virtual_list_moved(self) -> None:
        row = self.rows.item
        if row is not None:
            self.query_one("#rule").border_title = Content(row["name"])
            self.query_one("#rule-text", Static).update(_about(row))

    # Writing a rule

    def action_new(self) -> None:
        self._open_editor(None)

    def action_edit(self) -> None:
        row = self.rows.item
        if row is None:
            self.segtui.tell("There is no rule to edit yet: n writes one.", "warning")
        elif row["by"] != "rule":
            self.segtui.tell(
                f"{row['name']} is a list: give its file again with segtui segment from-file.", "warning"
            )
        else:
            self._open_editor(row)

    def _open_editor(self, row: Item | None) -> None:
        self.set_class(True, "-editing")
        title = "new rule" if row is None else f"edit {row['name']}"
        self.query_one("#editor").border_title = Content(title)
        self.editor.open(None if row is None else (row["name"], row["where"] or ""))

    def on_rule_editor_left(self) -> None:
        self.set_class(False, "-editing")
        self.rows.focus()

    def on_rule_editor_saved(self, message: RuleEditor.Saved) -> None:
        name, where, data, new = message.name, message.where, self.segtui.data, message.new

        def done(result: dict[str, Any]) -> str:
            self.editor.leave()
            self._wanted = name
            return f"{name} holds {numbers.plural(result['users'], 'user')} now."

        self.segtui.preview(
            Writing(
                title=f"{'New segment' if new else 'Edit'} {name}",
                preview=lambda progress, cancelled: data.rule(name, where, new, True, progress, cancelled),
                told=edit_told,
                write=lambda progress, cancelled: data.rule(name, where, new, False, progress, cancelled),
                yes="save it",
                done=done,
            ),
            self.editor,
        )

    # What else can be done

    def action_open(self) -> None:
        if self.rows.item is not None:
            self.segtui.visit("members", segment=self.rows.item["name"])

    def on_virtual_list_chosen(self) -> None:
        self.action_open()

    def action_changes(self) -> None:
        if self.rows.item is not None:
            self.segtui.visit("changes", wanted=Filter(segment=self.rows.item["name"]))

    def action_retire(self) -> None:
        row = self.rows.item
        if row is None:
            return
        name, data = row["name"], self.segtui.data

        def check(text: str) -> str:
            if text != name:
                raise OperationError(f"Type {name} in full, or leave with esc.")
            return text

        def retire(_name: str, line: Trying) -> None:
            self.segtui.preview(
                Writing(
                    title=f"Retire {name}",
                    preview=lambda progress, cancelled: data.retire(name, True, progress, cancelled),
                    told=lambda result: Content("\n").join(flow_lines(result["flows"])),
                    write=lambda progress, cancelled: data.retire(name, False, progress, cancelled),
                    yes="retire it",
                    done=lambda _result: f"{name} is retired; its history stays, :log takes it back.",
                ),
                line,
            )

        users = numbers.plural(row["users"], "user")
        self.app.push_screen(
            Trying(f"Retire {name}", f"its {users} leave it, its history stays; type its name", check, retire)
        )

    def action_copy_command(self) -> None:
        row = self.rows.item
        if row is None:
            self.segtui.copy_command("segments")
        elif row["by"] == "rule":
            self.segtui.copy_command(
                "segment", "edit", row["name"], "--where", row["where"], "--preview", moment=""
            )
        else:
            self.segtui.copy_command("members", row["name"])


def _row(segmentation: dict[str, Any]) -> Item:
    held = next(label for label in segmentation["labels"] if label["label"] == "in")
    return {
        **held,
        "name": segmentation["name"],
        "by": segmentation["kind"],
        "where": segmentation.get("where"),
    }


def _about(row: Item) -> Content:
    share = "" if row["share"] is None else f", {numbers.share(row['share'])} of all"
    return Content("\n").join(
        [
            Content.assemble(("in      ", words.DIM), (row["where"] or "the users of a list", "bold")),
            Content.assemble(("size    ", words.DIM), f"{numbers.plural(row['users'], 'user')}{share}"),
            Content.assemble(
                ("trend   ", words.DIM), (sparkline(row["trend"], TREND), "$primary"),
                (f"  last {numbers.plural(len(row['trend']), 'tick')}", words.DIM),
            ),
        ]
    )  # fmt: skip
