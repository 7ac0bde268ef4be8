"""The `!` screen: what was said so far, newest first, each with details that can be copied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.notifications import SeverityLevel
from textual.screen import ModalScreen
from textual.widgets import Static

from segtui.tui import words
from segtui.tui.actions import bindings
from segtui.tui.widgets.virtual_list import Column, Item, VirtualList


@dataclass(frozen=True)
class Notice:
    """Something that was said, when, and what an operator would tell who helps."""

    at: datetime
    text: str
    severity: SeverityLevel
    details: str

    @property
    def whole(self) -> str:
        """What copying it copies."""
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.severity}: {self.text}\n{self.details}"


def kind_cell(row: Item, _width: int) -> Content:
    """`error`; new ones are marked."""
    styles = {"error": words.FALL, "warning": words.WARN}
    return Content.styled(row["severity"], styles.get(row["severity"], words.DIM))


COLUMNS = (
    Column("WHEN", 8, lambda row, _: Content.styled(f"{row['notice'].at:%H:%M:%S}", words.DIM)),
    Column("WHAT", 11, kind_cell),
    Column("SAID", 30, lambda row, _: row["notice"].text, grow=1),
)


class Notices(ModalScreen[None], inherit_bindings=False):
    """Lists notices; below, the one under the cursor in full. The last `unread` are new."""

    BINDINGS = bindings("notices")

    def __init__(self, notices: Sequence[Notice], unread: int) -> None:
        super().__init__()
        self.rows = [
            {"seq": seq, "severity": notice.severity, "notice": notice, "new": seq >= len(notices) - unread}
            for seq, notice in enumerate(notices)
        ][::-1]

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -tall") as dialog:
            dialog.border_title = "Notices"
            dialog.border_subtitle = "y copies with details   esc closes"
            if not self.rows:
                yield Static(Content.styled("Nothing was said so far.", words.DIM))
                return
            yield VirtualList(
                COLUMNS,
                lambda row: row["seq"],
                id="notices",
                marked=lambda row: bool(row["new"]),
                copies=lambda row: str(row["notice"].whole),
            )
            with VerticalScroll(id="notice"):
                yield Static(id="notice-text", markup=False)

    def on_mount(self) -> None:
        if self.rows:
            self.query_one(VirtualList).show(self.rows)

    def on_virtual_list_moved(self) -> None:
        row = self.query_one(VirtualList).item
        if row is not None:
            self.query_one("#notice-text", Static).update(
                Content.assemble(row["notice"].text, "\n", (row["notice"].details, words.DIM))
            )

    def on_virtual_list_copied(self, message: VirtualList.Copied) -> None:
        self.app.copy_to_clipboard(message.text)
        self.query_one(Vertical).border_subtitle = "copied   esc closes"

    def action_cancel(self) -> None:
        self.dismiss(None)
