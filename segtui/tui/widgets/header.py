"""The two lines on top: the store and the five screens, and the moment all screens look at."""

from __future__ import annotations

from textual.app import RenderResult
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from segtui.tui import words
from segtui.tui.actions import PAGES

MORE = ("rules, models, data, log, checks …  ", "rules, models, log …  ", "all ")
"""What the first screen says of those without a tab, as far as there is room."""
SHORTEST = 8
"""Cells for the store's name, beside tabs that have theirs."""
TABS = ("Segments", "Members", "User", "Replay", "Changes")


class Tabs(Widget):
    """`segtui  shop.db   [1 Segments] 2 Members …`; where room is short only the current one has its name.

    The program's name goes first. A page without a digit stands behind the five while it is shown.
    """

    def __init__(self, page: str, store: str) -> None:
        super().__init__()
        self.page = page
        self.store = store

    def render(self) -> RenderResult:
        room = self.size.width
        tabs = self._tabs(named=True)
        program = Content.styled(" segtui ", "bold $primary")
        store = Content.styled(f" {self.store} ", words.DIM)
        hint = _hint("")
        free = room - tabs.cell_length - hint.cell_length
        if free < SHORTEST:
            tabs = self._tabs(named=False)
            free = room - tabs.cell_length - hint.cell_length
        # Which store it is says more than which program.
        title = program + store
        if title.cell_length > free:
            title = store
        if title.cell_length > free:
            title = store.truncate(free - 1, ellipsis=True) + Content(" ")
        gap = max(0, room - title.cell_length - tabs.cell_length - hint.cell_length)
        # The tabs keep their place, whichever the page is.
        left, right = gap // 2, gap - gap // 2 + hint.cell_length
        if self.page == PAGES[0]:
            hint = next((each for each in map(_hint, MORE) if each.cell_length <= right), hint)
        return title + Content(" " * left) + tabs + Content(" " * (right - hint.cell_length)) + hint

    def _tabs(self, *, named: bool) -> Content:
        parts = []
        for number, (page, name) in enumerate(zip(PAGES, TABS, strict=True), 1):
            if page == self.page:
                parts.append(Content.styled(f"[{number} {name}]", "bold $primary reverse"))
            else:
                text = f" {number} {name} " if named else f" {number} "
                parts.append(
                    Content.from_markup(f"[@click=\"app.go('{page}')\"][$muted]$text[/][/]", text=text)
                )
        if self.page not in PAGES:
            parts.append(Content.styled(f"[{self.page.title()}]", "bold $primary reverse"))
        return Content("").join(parts)


def _hint(more: str) -> Content:
    """The keys of the palette, with what it leads to, and of the help."""
    return Content.from_markup(
        f"[@click=app.palette][{words.KEY}]:[/] [$muted]$more[/][/][@click=app.help][{words.KEY}]?[/][/] ",
        more=more,
    )


class AsOf(Widget):
    """`AS OF Sun 2026-03-01 00:00 CET │ 24,310 users │ live`; a loud banner when that is not now."""

    as_of: reactive[str | None] = reactive("")
    """None where the page shows no moment."""
    subject: reactive[Content] = reactive(words.BLANK)
    note: reactive[Content] = reactive(words.BLANK)
    travelling: reactive[bool] = reactive(False)
    unread: reactive[int] = reactive(0)

    def watch_travelling(self, travelling: bool) -> None:
        self.set_class(travelling, "-travelling")

    def render(self) -> RenderResult:
        right = Content.styled(f" !{self.unread} ", "bold") if self.unread else Content(" ")
        if self.travelling:
            right = Content.assemble((" t now", "bold"), " comes back") + right
        room = max(0, self.size.width - right.cell_length)
        as_of = self.as_of or "…"
        # Where room is short the moment loses its weekday and zone, then the note goes: nothing is cut.
        brief = " ".join(as_of.split()[1:3]) or as_of
        line = words.BLANK
        for moment, note in ((as_of, self.note), (brief, self.note), (brief, words.BLANK)):
            line = self._line(moment, note)
            if line.cell_length <= room:
                break
        line = line.truncate(room, ellipsis=True)
        return line.pad_right(room - line.cell_length) + right

    def _line(self, moment: str, note: Content) -> Content:
        line = words.BLANK
        if self.as_of is not None:
            line = Content.styled(" AS OF ", "bold") + Content(moment)
        if self.travelling:
            line = Content.styled(" TIME TRAVEL", "bold") + line
        for part in (self.subject, note):
            if part:
                bar = " │ " if line else " "
                line += Content.styled(bar, "" if self.travelling else words.DIM) + part
        return line
