"""Page `:data`: every import, what it met rule by rule, how full its events are, and what it refused."""

from __future__ import annotations

from typing import Any

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from segtui.operations import words as numbers
from segtui.tui import words
from segtui.tui.actions import bindings
from segtui.tui.screens.dialogs import Reading
from segtui.tui.screens.page import Page
from segtui.tui.widgets.virtual_list import Column, Item, VirtualList

COUNTS = ("rows", "accepted", "duplicates", "changed", "suppressed", "quarantined", "late", "events", "users")
WIDTH = 12
NOTHING = """Nothing was imported yet.

[$accent]segtui import FILE…[/], in another terminal, brings in events, orders, exports, tables"""


def refused_cell(row: Item, _width: int) -> Content:
    """How many rows went to quarantine, loud when any did."""
    return Content.styled(numbers.count(row["quarantined"]), words.WARN if row["quarantined"] else words.DIM)


COLUMNS = (
    Column("WHEN", 16, lambda row, _: Content.styled(words.minute(row["recorded_at"]), words.DIM)),
    Column("SOURCE", 14, lambda row, _: Content.styled(row["source"], "bold"), grow=1),
    Column("ROWS", 10, lambda row, _: numbers.count(row["rows"]), right=True),
    Column("ACCEPTED", 10, lambda row, _: numbers.count(row["accepted"]), right=True),
    Column("QUARANTINED", 11, refused_cell, right=True),
)


class DataPage(Page):
    """Imports, newest first; the report of the one under the cursor."""

    PAGE = "data"
    BINDINGS = bindings(PAGE)
    travels = False
    needs = "nothing"

    def content(self) -> ComposeResult:
        yield VirtualList(COLUMNS, lambda row: row["import"], id="imports")
        with VerticalScroll(id="report", classes="pane side"):
            yield Static(id="report-text", classes="wrap")

    @property
    def rows(self) -> VirtualList:
        """The imports."""
        return self.query_one("#imports", VirtualList)

    def load(self) -> None:
        status = self.segtui.status
        if status is not None and not status["last_import"]:
            self.show_subject(Content("no imports"))
            self.say_instead(Content.from_markup(NOTHING))
            return
        self.ask("imports", lambda _cancelled: self.segtui.data.quality(None), self._loaded)

    def _loaded(self, report: dict[str, Any]) -> None:
        self.show_subject(Content.styled(numbers.plural(len(report["imports"]), "import"), "bold"))
        self.rows.show(report["imports"])

    def on_virtual_list_moved(self) -> None:
        row = self.rows.item
        if row is not None:
            number = row["import"]
            self.ask(
                "report", lambda _cancelled: self.segtui.data.quality(number), self._reported, self.complain
            )

    def _reported(self, report: dict[str, Any]) -> None:
        title = f"{report['source']}, read as {report['format']}"
        self.query_one("#report").border_title = Content(title)
        self.query_one("#report-text", Static).update(report_text(report))

    def action_open(self) -> None:
        row = self.rows.item
        if row is None:
            return
        if not row["quarantined"]:
            self.segtui.tell("That import refused no row.", "warning")
            return
        number, show = row["import"], self.segtui.opener()
        self.ask(
            "quarantine",
            lambda _cancelled: self.segtui.data.quarantined(number),
            lambda found: show(Reading("Quarantined rows", _refusals(found)), lambda _: None),
            self.complain,
        )

    def on_virtual_list_chosen(self) -> None:
        self.action_open()

    def action_copy_command(self) -> None:
        row = self.rows.item
        if row is not None:
            self.segtui.copy_command("quality", str(row["import"]), moment="")


def _refusals(found: dict[str, Any]) -> Content:
    """The refused rows, each with its reason."""
    lines = [Content.styled(str(found["file"]), words.DIM), words.BLANK]
    for each in found["rows"]:
        lines.append(Content.assemble((f"line {each['line']}  ", words.KEY), (each["reason"], "bold")))
        lines.append(Content.styled(f"  {each['row']}", words.DIM))
    if found["more"]:
        lines.append(Content(f"and {numbers.count(found['more'])} more in that file"))
    return Content("\n").join(lines)


def report_text(report: dict[str, Any]) -> Content:
    """A report as lines: its counts in three columns, the rules, the fields."""
    counts = [f"{name} {numbers.count(report[name])}" for name in COUNTS]
    parts = [
        Content.styled("   ".join(counts[start : start + 5]), "" if start == 0 else words.DIM)
        for start in range(0, len(counts), 5)
    ]
    parts += [words.BLANK, Content.styled("Quarantined, by rule", "bold $primary")]
    parts += [_line(numbers.count(rows), rule) for rule, rows in report["rules"]]
    if not report["rules"]:
        parts.append(Content.styled("  none", words.DIM))
    parts += [words.BLANK, Content.styled("Events, by field", "bold $primary")]
    parts += [
        _line(field["name"], numbers.share(field["filled"] / report["events"]))
        for field in report["fields"]
        if report["events"]
    ]
    return Content("\n").join(parts)


def _line(name: str, value: str) -> Content:
    return Content.assemble((f"  {name:<{WIDTH}}", words.KEY), value)
