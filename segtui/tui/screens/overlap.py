"""Page `:overlap`: which segments share how many users with the one under the cursor."""

from __future__ import annotations

from typing import Any

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content

from segtui.operations import words as numbers
from segtui.tui.actions import bindings
from segtui.tui.screens.page import Page
from segtui.tui.widgets.bars import bar
from segtui.tui.widgets.virtual_list import Column, Item, VirtualList

SEGMENTS = (
    Column("SEGMENT", 24, lambda row, _: Content.styled(row["segment"], "bold"), grow=1),
    Column("USERS", 9, lambda row, _: numbers.count(row["users"]), right=True),
    Column("SHARES USERS WITH", 18, lambda row, _: numbers.plural(row["others"], "segment"), grow=1),
)


def part_cell(row: Item, width: int) -> Content:
    """`51.0 % ████` of the segment above."""
    room = max(0, width - 9)
    return Content.assemble(
        f"{numbers.share(row['of_this']):>8} ", (bar(row["of_this"], room), "$primary") if room else ""
    )


PAIRS = (
    Column("IS ALSO IN", 24, lambda row, _: row["segment"], grow=1),
    Column("USERS", 9, lambda row, _: numbers.count(row["users"]), right=True),
    Column("OF THIS ONE", 20, part_cell, grow=1),
    Column("OF THE OTHER", 12, lambda row, _: numbers.share(row["of_that"]), right=True),
)


class OverlapPage(Page):
    """Segments above; below, what the chosen one shares with others."""

    PAGE = "overlap"
    BINDINGS = bindings(PAGE)
    AUTO_FOCUS = "#segments"

    def __init__(self) -> None:
        super().__init__()
        self._pairs: list[dict[str, Any]] = []

    def content(self) -> ComposeResult:
        yield VirtualList(SEGMENTS, lambda row: row["segment"], id="segments")
        with Vertical(classes="pane side", id="shared"):
            yield VirtualList(PAIRS, lambda row: row["segment"], id="pairs")

    @property
    def rows(self) -> VirtualList:
        """The segments."""
        return self.query_one("#segments", VirtualList)

    @property
    def pairs(self) -> VirtualList:
        """What the chosen segment shares."""
        return self.query_one("#pairs", VirtualList)

    def load(self) -> None:
        at = self.segtui.at
        self.ask("overlap", lambda _cancelled: self.segtui.data.overlap(at), self._loaded)

    def _loaded(self, found: dict[str, Any]) -> None:
        self._pairs = found["pairs"]
        self.show_as_of(
            found["as_of"], Content(f"{numbers.plural(len(found['segments']), 'segment')}, exact")
        )
        rows = [row | {"others": len(self._shared(row["segment"]))} for row in found["segments"]]
        self.rows.show(rows)

    def _shared(self, segment: str) -> list[Item]:
        """The segments that share users with one, most users first."""
        found = []
        for pair in self._pairs:
            for this, that in (("one", "other"), ("other", "one")):
                if pair[this] == segment:
                    found.append(
                        {
                            "segment": pair[that],
                            "users": pair["users"],
                            "of_this": pair[f"of_{this}"],
                            "of_that": pair[f"of_{that}"],
                        }
                    )
        return sorted(found, key=lambda row: (-row["users"], row["segment"]))

    def on_virtual_list_moved(self, message: VirtualList.Moved) -> None:
        row = self.rows.item
        if message.source is self.rows and row is not None:
            shared = self._shared(row["segment"])
            title = f"{row['segment']} shares users with"
            if not shared:
                title = f"nobody of {row['segment']} is elsewhere"
            self.query_one("#shared").border_title = Content(title)
            self.pairs.show(shared)

    def action_open(self) -> None:
        row, pair = self.rows.item, self.pairs.item
        if row is None:
            return
        if self.pairs.has_focus and pair is not None:
            name, _, label = pair["segment"].partition("=")
            written = label.replace("'", "''")
            where = f"{name} = '{written}'" if label else name
            self.segtui.visit("members", segment=row["segment"], where=where)
        else:
            self.segtui.visit("members", segment=row["segment"])

    def on_virtual_list_chosen(self) -> None:
        self.action_open()

    def action_copy_command(self) -> None:
        self.segtui.copy_command("overlap")
