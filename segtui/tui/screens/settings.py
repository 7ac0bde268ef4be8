"""Page `:settings`: how the terminal looks and behaves; each change is kept at once."""

from __future__ import annotations

from typing import Any

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from segtui.operations.errors import OperationError
from segtui.tui import preferences, words
from segtui.tui.actions import bindings
from segtui.tui.preferences import PreferenceError
from segtui.tui.screens.dialogs import Prompt
from segtui.tui.screens.page import Page
from segtui.tui.widgets.virtual_list import Column, Item, VirtualList


def value_cell(row: Item, _width: int) -> Content:
    """`yes`, `dark`, `0.25`."""
    value = row["value"]
    return Content.styled("yes" if value is True else "no" if value is False else str(value), "bold")


COLUMNS = (
    Column("SETTING", 10, lambda row, _: row["name"]),
    Column("IS", 14, value_cell),
    Column("WHAT IT DOES", 30, lambda row, _: Content.styled(row["meaning"], words.DIM), grow=1),
)


class SettingsPage(Page):
    """The preferences; below, where they are kept and the store's own settings."""

    PAGE = "settings"
    BINDINGS = bindings(PAGE)
    travels = False
    needs = "nothing"

    def content(self) -> ComposeResult:
        yield VirtualList(COLUMNS, lambda row: row["name"], id="settings")
        with VerticalScroll(id="kept", classes="pane side"):
            yield Static(id="kept-text", classes="wrap")

    @property
    def rows(self) -> VirtualList:
        """The preferences."""
        return self.query_one("#settings", VirtualList)

    def load(self) -> None:
        held = self.segtui.preferences
        self.show_subject(Content.styled("how this terminal looks and behaves", "bold"))
        self.rows.show(held.told())
        self.query_one("#kept").border_title = "where they are kept"
        status = self.segtui.status or {}
        lines = [
            Content.assemble(("file   ", words.DIM), str(preferences.path())),
            Content.assemble(
                ("or     ", words.DIM), "  ".join(preferences.VARIABLES.values()),
                ("  count before the file", words.DIM),
            ),
            words.BLANK,
            Content.assemble(
                ("store  ", words.DIM), f"zone {status.get('timezone')}, clock {status.get('clock')}, "
                f"currency {status.get('currency')}", ("   set once by segtui init", words.DIM),
            ),
        ]  # fmt: skip
        self.query_one("#kept-text", Static).update(Content("\n").join(lines))

    def action_open(self) -> None:
        row = self.rows.item
        if row is None:
            return
        name, value = row["name"], row["value"]
        if isinstance(value, bool):
            self._set(name, not value)
        elif name == "theme":
            place = preferences.THEMES.index(value)
            self._set(name, preferences.THEMES[(place + 1) % len(preferences.THEMES)])
        else:

            def typed(answer: tuple[str] | None) -> None:
                if answer is not None:
                    self._set(name, answer[0])

            self.app.push_screen(Prompt(name, row["meaning"], self._check(name), str(value)), typed)

    def on_virtual_list_chosen(self) -> None:
        self.action_open()

    def _check(self, name: str) -> Any:
        def check(text: str) -> str:
            try:
                preferences.changed(self.segtui.preferences, name, text)
            except PreferenceError as error:
                raise OperationError(f"{error}.") from None
            return text

        return check

    def _set(self, name: str, value: Any) -> None:
        self.segtui.prefer_and_keep(name, value)
        self.load()

    def action_copy_command(self) -> None:
        self.segtui.copy_command("status", moment="")
