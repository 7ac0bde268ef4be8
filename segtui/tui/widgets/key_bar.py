"""The last line: what can be pressed here, as much of it as there is room for."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from textual.app import RenderResult
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from segtui.tui import words
from segtui.tui.action import EVERYWHERE, Action
from segtui.tui.actions import PAGES, effective, in_scope
from segtui.tui.keymap import remapped

if TYPE_CHECKING:
    from segtui.tui.app import SegtuiApp


class KeyBar(Widget):
    """`enter members  w why  c changes …  ? help`, from the registry."""

    bare: reactive[bool] = reactive(False)
    """Nothing is shown that the page's own keys could act on."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.page = page

    def render(self) -> RenderResult:
        scopes = (EVERYWHERE,) if self.bare else effective(self.page)
        keymap = cast("SegtuiApp", self.app).preferences.keys
        offered = [action for action in remapped(in_scope(*scopes), keymap) if action.bar]
        if self.page == PAGES[0]:
            # esc leads here from everywhere, and nowhere from here.
            offered = [action for action in offered if action.name != "back"]
        # `sorted` is stable: equal places keep the registry's order; help is the last thing to go.
        chosen = sorted(offered, key=lambda action: (action.name == "help", action.bar))
        while len(chosen) > 1 and self._line(chosen).cell_length > self.size.width:
            chosen.remove(max(chosen[:-1], key=lambda action: action.bar))
        return self._line(chosen)

    def _line(self, actions: list[Action]) -> Content:
        parts = [
            Content.assemble((keys, words.KEY), " ", (label, words.DIM))
            for keys, label in (action.in_bar for action in actions)
        ]
        return Content(" ") + Content("  ").join(parts)
