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
    without: reactive[frozenset[str]] = reactive(frozenset())
    """Actions that cannot be done to what is chosen."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.page = page

    def render(self) -> RenderResult:
        scopes = (EVERYWHERE,) if self.bare else effective(self.page)
        keymap = cast("SegtuiApp", self.app).preferences.keys
        known = remapped(in_scope(*scopes), keymap)
        offered = [action for action in known if action.bar and action.name not in self.without]
        if self.page == PAGES[0]:
            # esc leads here from everywhere, and nowhere from here.
            offered = [action for action in offered if action.name != "back"]
        # `sorted` is stable: equal places keep the registry's order. Help is always there, at the end, and
        # whatever still fits once others did not.
        helping = [action for action in offered if action.name == "help"]
        chosen: list[Action] = []
        for action in sorted(offered, key=lambda action: action.bar):
            fits = self._line([*chosen, action, *helping]).cell_length <= self.size.width
            if action not in helping and fits:
                chosen.append(action)
        return self._line([*chosen, *helping])

    def _line(self, actions: list[Action]) -> Content:
        parts = [
            Content.assemble((keys, words.KEY), " ", (label, words.DIM))
            for keys, label in (action.in_bar for action in actions)
        ]
        return Content(" ") + Content("  ").join(parts)
