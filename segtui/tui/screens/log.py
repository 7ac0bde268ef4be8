"""Page `:log`: every decision, who made it and when; what can be taken back is taken back here."""

from __future__ import annotations

from typing import Any

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from segtui.operations import words as numbers
from segtui.tui import decided, words
from segtui.tui.actions import bindings
from segtui.tui.flows import flow_lines
from segtui.tui.jobs import Writing
from segtui.tui.screens.filtering import ListedPage
from segtui.tui.widgets.key_bar import KeyBar
from segtui.tui.widgets.virtual_list import Column, Item, VirtualList

SHOWS: dict[str, tuple[str, ...] | None] = {
    "decisions": None,
    "edits": (*decided.EDITS, "setting_changed"),
    "imports": ("imported",),
    "everything": (),
}
"""What `f` goes through; None leaves out rescores, which follow from the others."""
ROUTINE = ("rescored",)
UNDO = frozenset({"undo"})


def kind_cell(row: Item, _width: int) -> Content:
    """What was decided; whatever can be taken back has its key beside it."""
    return Content.assemble((decided.kind(row), "bold"), (" z" if row["undo"] else "", words.KEY))


class LogPage(ListedPage):
    """Decisions, newest first; the one under the cursor in full."""

    PAGE = "log"
    BINDINGS = bindings(PAGE)
    travels = False
    needs = "nothing"

    def __init__(self) -> None:
        super().__init__()
        self.shows = "decisions"
        self._known: list[Item] = []
        self._models: dict[str, str] = {}

    def content(self) -> ComposeResult:
        columns = (
            Column("WHEN", 16, lambda row, _: Content.styled(words.minute(row["at"]), words.DIM)),
            Column("WHO", 8, lambda row, _: row["actor"], wide=12, drop=1),
            Column("WHAT", 17, kind_cell),
            Column("ABOUT", 30, lambda row, _: self._about(row), grow=1),
        )
        yield Static(id="filters", classes="filters")
        yield VirtualList(columns, lambda row: row["seq"], id="decisions")
        with VerticalScroll(id="decision", classes="pane side"):
            yield Static(id="decision-text", classes="wrap")

    @property
    def rows(self) -> VirtualList:
        """The list of decisions."""
        return self.query_one("#decisions", VirtualList)

    def load(self) -> None:
        self.ask("log", lambda _cancelled: self.segtui.data.decisions(), self._loaded)

    def _loaded(self, decisions: list[Item]) -> None:
        self._known = decisions
        trained = (row["body"] for row in decisions if row["kind"] == "model_trained")
        self._models = {body["model"]: body["name"] for body in trained}
        self.show_rows()

    def _about(self, row: Item) -> str:
        return decided.about(row, self.segtui.zone, self._models)

    def _said(self, row: Item) -> str:
        return f"{row['actor']} {decided.kind(row)} {self._about(row)}"

    def show_rows(self) -> None:
        kinds = SHOWS[self.shows]
        shown = [
            row
            for row in self._known
            if (row["kind"] not in ROUTINE if kinds is None else not kinds or row["kind"] in kinds)
        ]
        rows = self.kept(shown, self._said)
        self.show_subject(
            Content.assemble(
                (numbers.plural(len(rows), "decision"), "bold"),
                (f" of {numbers.count(len(self._known))} in the log", words.DIM),
            )
        )
        parts = [
            (f" {each} ", "bold reverse $primary" if each == self.shows else words.DIM) for each in SHOWS
        ]
        self.query_one("#filters", Static).update(
            Content.assemble(
                (f"{self.key('show')} ", words.KEY),
                *parts,
                (f"   {self.key('undo')}", words.KEY),
                (" can be taken back", words.DIM),
            )
            + self.filter_chip()
        )
        self.rows.show(rows)
        if not rows:
            self.query_one("#decision-text", Static).update(
                Content.styled("No such decision: f shows others, / changes the filter.", words.DIM)
            )

    def on_virtual_list_moved(self) -> None:
        row = self.rows.item
        self.query_one(KeyBar).without = frozenset() if row is not None and row["undo"] else UNDO
        if row is None:
            return
        title = f"{decided.kind(row)}, position {row['seq']:,} of the log"
        self.query_one("#decision").border_title = Content(title)
        lines = [
            Content.assemble(
                ("who ", words.DIM),
                row["actor"],
                ("  with ", words.DIM),
                f"segtui {row['source']}",
                ("  when ", words.DIM),
                words.moment(row["at"], self.segtui.zone),
            )
        ]
        lines += [
            Content.assemble((f"{name}  ", words.DIM), text)
            for name, text in decided.body(row, self.segtui.zone)
        ]
        self.query_one("#decision-text", Static).update(Content("\n").join(lines))

    # What can be done

    def action_show(self) -> None:
        shows = list(SHOWS)
        self.shows = shows[(shows.index(self.shows) + 1) % len(shows)]
        self.show_rows()

    def action_undo(self) -> None:
        row = self.rows.item
        if row is None:
            return
        if not row["undo"]:
            self.segtui.tell(
                f"Nothing takes back this {decided.kind(row)}: those marked z can be.", "warning"
            )
            return
        seq, data = row["seq"], self.segtui.data
        self.segtui.preview(
            Writing(
                title=f"Undo: {decided.kind(row)}",
                preview=lambda progress, cancelled: data.undo(seq, True, progress, cancelled),
                told=lambda result: Content("\n").join(
                    [
                        Content(f"{decided.kind(row)}: {self._about(row)}"),
                        Content.styled("Taking it back is a decision too; the log keeps both.\n", words.DIM),
                        *flow_lines(result["flows"]),
                    ]
                ),
                write=lambda progress, cancelled: data.undo(seq, False, progress, cancelled),
                yes="take it back",
                done=lambda result: f"Taken back by decision {result['seq']:,}.",
            )
        )

    def action_open(self) -> None:
        row = self.rows.item
        if row is None:
            return
        name = decided.segmentation(row)
        known = [each for each in self.segtui.known_segments if name in (each, each.partition("=")[0])]
        if known:
            self.segtui.visit("members", segment=known[0])
        else:
            self.segtui.tell("There is no page about that: the pane below says all.", "warning")

    def on_virtual_list_chosen(self) -> None:
        self.action_open()

    def action_copy_command(self) -> None:
        self.segtui.copy_command("log", "--json", moment="")

    def remember(self) -> dict[str, Any]:
        return {"shows": self.shows}

    def recall(self, shows: str | None = None, **_: Any) -> None:
        self.shows = shows or self.shows
