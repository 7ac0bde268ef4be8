"""A table of counts with a cursor on one of its cells."""

from __future__ import annotations

from typing import Any

from textual import events
from textual.app import RenderResult
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from segtui.operations import words as numbers
from segtui.tui import words
from segtui.tui.actions import bindings
from segtui.tui.widgets.cells import fit

CELL = 9


class Matrix(Widget, can_focus=True):
    """Rows are where users were, columns where they are; the diagonal stands back."""

    BINDINGS = bindings("matrix")
    place: reactive[tuple[int, int]] = reactive((0, 0), init=False)

    class Moved(Message):
        """The cursor stands on another cell."""

    class Chosen(Message):
        """A cell was double-clicked."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.labels: list[str] = []
        self.counts: list[list[int]] = []

    def show(self, labels: list[str], counts: list[list[int]]) -> None:
        """Other counts; the cursor stays on its cell while there is one."""
        fresh = labels != self.labels
        self.labels, self.counts = labels, counts
        if fresh:
            self.set_reactive(Matrix.place, self._telling())
        self.styles.height = len(labels) + 2
        self.refresh(layout=True)
        self.post_message(self.Moved())

    def _telling(self) -> tuple[int, int]:
        """The fullest cell off the diagonal, and not of those who are new."""
        cells = [
            (self.counts[row][column], -row, -column)
            for row in range(len(self.labels) - 1)
            for column in range(len(self.labels))
            if row != column
        ]
        if not cells:
            return (0, 0)
        _, row, column = max(cells)
        return (-row, -column)

    def validate_place(self, place: tuple[int, int]) -> tuple[int, int]:
        last = max(0, len(self.labels) - 1)
        return (max(0, min(place[0], last)), max(0, min(place[1], last)))

    def watch_place(self) -> None:
        self.post_message(self.Moved())

    def action_cell(self, down: int, right: int) -> None:
        self.place = (self.place[0] + down, self.place[1] + right)

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        if offset is None or not self.labels:
            return
        row, column = offset.y - 1, (offset.x - self._side - 1) // (CELL + 1)
        if 0 <= row < len(self.labels) and 0 <= column < len(self.labels):
            self.place = (row, column)
            if event.chain > 1:
                self.post_message(self.Chosen())

    @property
    def _side(self) -> int:
        return min(16, max([len("FROM \\ TO"), *(Content(label).cell_length for label in self.labels)]))

    def render(self) -> RenderResult:
        head = (
            " "
            + "FROM \\ TO".ljust(self._side)
            + "".join(f" {fit(each, CELL, right=True)}" for each in self.labels)
        )
        lines: list[Any] = [Content.styled(head, "bold $muted")]
        for row, label in enumerate(self.labels):
            lines.append(
                Content.assemble(
                    " ", (fit(label, self._side), "bold" if row == self.place[0] else words.DIM),
                    *(
                        (f" {numbers.count(count):>{CELL}}", self._style(row, column))
                        for column, count in enumerate(self.counts[row])
                    ),
                )
            )  # fmt: skip
        return Content("\n").join(lines)

    def _style(self, row: int, column: int) -> str:
        if (row, column) == self.place:
            return "bold reverse $primary" if self.has_focus else "bold underline"
        if not self.counts[row][column]:
            return words.DIM
        return "$secondary" if row == column else ""
