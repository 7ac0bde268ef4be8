"""A small screen to choose several of many by name: type to find, `enter` turns one on or off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from segtui.tui import words
from segtui.tui.actions import bindings
from segtui.tui.widgets.virtual_list import Column, Item, VirtualList

COLUMNS = (
    Column("NAME", 22, lambda row, _: Content.styled(row["name"], "bold")),
    Column("WHAT IT IS", 30, lambda row, _: Content.styled(row["meaning"], words.DIM), grow=1),
)


class Choosing(ModalScreen[list[str]], inherit_bindings=False):
    """Ends with the names chosen, in the order they were chosen in."""

    BINDINGS = bindings("choosing")
    AUTO_FOCUS = "Input"

    def __init__(self, title: str, offered: Mapping[str, str], chosen: Sequence[str]) -> None:
        super().__init__()
        self.choosing_title = title
        self.offered = dict.fromkeys(chosen, "not known here") | dict(offered)
        self.chosen = list(chosen)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -tall -filled") as dialog:
            dialog.border_title = Content(self.choosing_title)
            yield Input(placeholder="type to find", select_on_focus=False)
            yield VirtualList(COLUMNS, lambda row: row["name"], id="offered", marked=self._is_chosen)
            yield Static(id="meaning", markup=False)
            yield Static(
                Content.from_markup(
                    f"[{words.KEY}]enter[/] [$muted]on, off[/]   [{words.KEY}]↑ ↓[/] [$muted]choose[/]   "
                    f"[{words.KEY}]esc[/] [$muted]keeps it: * is shown[/]"
                )
            )

    def on_mount(self) -> None:
        self._show("")

    @property
    def rows(self) -> VirtualList:
        """What can be chosen and matches what was typed."""
        return self.query_one("#offered", VirtualList)

    def _is_chosen(self, row: Item) -> bool:
        return row["name"] in self.chosen

    def _show(self, text: str) -> None:
        found = [
            {"name": name, "meaning": meaning}
            for name, meaning in self.offered.items()
            if text.lower() in f"{name} {meaning}".lower()
        ]
        self.rows.show(sorted(found, key=lambda row: row["name"] not in self.chosen))

    def on_virtual_list_moved(self) -> None:
        row = self.rows.item
        told = "nothing of that name" if row is None else f"{row['name']}: {row['meaning']}"
        self.query_one("#meaning", Static).update(told)

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.rows.cursor = 0
        self._show(event.value.strip())

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._turn()

    def on_virtual_list_chosen(self) -> None:
        self._turn()

    def _turn(self) -> None:
        if self.rows.item is None:
            return
        name = self.rows.item["name"]
        if name in self.chosen:
            self.chosen.remove(name)
        else:
            self.chosen.append(name)
        self.rows.refresh()

    def action_row(self, step: int) -> None:
        self.rows.cursor += step

    def action_done(self) -> None:
        self.dismiss(self.chosen)
