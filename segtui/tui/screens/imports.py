"""What an import met, over a page: its counts, the rules that refused rows, how full its events are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from segtui.operations import words as numbers
from segtui.tui import words
from segtui.tui.actions import bindings
from segtui.tui.asking import Asking

COUNTS = ("rows", "accepted", "duplicates", "changed", "suppressed", "quarantined", "late", "events", "users")
WIDTH = 12


class ImportReport(ModalScreen[None], Asking, inherit_bindings=False):
    """One import's report at a time, the newest first; `quality` gives that of an import's number."""

    BINDINGS = bindings("import")

    def __init__(self, quality: Callable[[int | None], dict[str, Any]]) -> None:
        super().__init__()
        self.quality = quality
        self.report: dict[str, Any] | None = None

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog -tall") as dialog:
            dialog.border_title = "Imports"
            dialog.border_subtitle = ", older   . newer   esc closes"
            yield Static(id="import-report")

    def on_mount(self) -> None:
        self._show(None)

    def action_step(self, step: int) -> None:
        """To a newer import, or an older one."""
        if self.report is None:
            return
        known = [one["import"] for one in self.report["imports"]]
        place = known.index(self.report["import"]) - step
        if 0 <= place < len(known):
            self._show(known[place])

    def action_cancel(self) -> None:
        self.dismiss(None)

    def _show(self, number: int | None) -> None:
        self.ask("import", lambda _cancelled: self.quality(number), self._loaded)

    def _loaded(self, report: dict[str, Any]) -> None:
        self.report = report
        self.query_one("#import-report", Static).update(report_text(report))

    def refused(self, sentence: str) -> None:
        self.query_one("#import-report", Static).update(Content(sentence))


def report_text(report: dict[str, Any]) -> Content:
    """A report as lines."""
    place = [one["import"] for one in report["imports"]].index(report["import"]) + 1
    told = f"{report['source']}, {words.minute(report['recorded_at'])}, {report['format']}"
    parts = [
        Content.assemble((told, "bold"), (f"   {place} of {len(report['imports'])}", words.DIM)),
        words.BLANK,
        *(_line(name, numbers.count(report[name])) for name in COUNTS),
        words.BLANK,
        Content.styled("Quarantined, by rule", "bold $primary"),
        *(_line(numbers.count(rows), rule) for rule, rows in report["rules"]),
    ]
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
