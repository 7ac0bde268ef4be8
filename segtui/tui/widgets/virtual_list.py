"""A list that draws only the lines on the screen, and asks for the rows it does not have."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from textual import events
from textual.content import Content
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.style import Style
from textual.visual import Visual

from segtui.tui.actions import bindings

PAGE = 100
KEPT_PAGES = 40
MARK = 2
WIDE = 100

Item = dict[str, Any]


@dataclass(frozen=True)
class Column:
    """One column: its title, its width in cells, and how a row's cell is written.

    `grow` shares the room to spare; where room is short the columns with the highest `drop` go first, and
    from WIDE cells on a column may take the width `wide`.
    """

    title: str
    width: int
    cell: Callable[[Item, int], Content | str]
    right: bool = False
    grow: int = 0
    drop: int = 0
    wide: int = 0


class VirtualList(ScrollView, can_focus=True, inherit_bindings=False):
    """Rows under a fixed line of titles, with a cursor that stays on its row when the rows are replaced.

    Rows come whole (`show`) or page by page (`show_page`, and `add_page` for every `Wanted`).
    """

    DEFAULT_CSS = """
    VirtualList { height: 1fr; overflow-x: hidden; overflow-y: auto; scrollbar-size-vertical: 1; }
    """
    BINDINGS = bindings("list")
    COMPONENT_CLASSES: ClassVar[set[str]] = {"virtual-list--title", "virtual-list--cursor"}

    cursor = reactive(0, init=False)

    class Moved(Message):
        """The cursor stands on another row now."""

        def __init__(self, source: VirtualList) -> None:
            super().__init__()
            self.source = source

        @property
        def control(self) -> VirtualList:
            return self.source

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, VirtualList.Moved) and message.source is self.source

    class Chosen(Message):
        """A row was double-clicked."""

        def __init__(self, source: VirtualList) -> None:
            super().__init__()
            self.source = source

        @property
        def control(self) -> VirtualList:
            return self.source

    class Wanted(Message):
        """Rows from `first` on are on the screen and not there yet."""

        def __init__(self, source: VirtualList, first: int, generation: int) -> None:
            super().__init__()
            self.source = source
            self.first = first
            self.generation = generation

        @property
        def control(self) -> VirtualList:
            return self.source

    class Copied(Message):
        """The row under the cursor shall be copied."""

        def __init__(self, source: VirtualList, text: str) -> None:
            super().__init__()
            self.source = source
            self.text = text

        @property
        def control(self) -> VirtualList:
            return self.source

    class Marking(Message):
        """A row was clicked with ctrl: its mark shall be turned."""

        def __init__(self, source: VirtualList) -> None:
            super().__init__()
            self.source = source

        @property
        def control(self) -> VirtualList:
            return self.source

    def __init__(
        self,
        columns: Sequence[Column],
        key: Callable[[Item], Hashable],
        *,
        id: str | None = None,
        marked: Callable[[Item], bool] = lambda _: False,
        copies: Callable[[Item], str] | None = None,
    ) -> None:
        super().__init__(id=id)
        self.columns = list(columns)
        self.key = key
        self.marked = marked
        self.copies = copies or self._cells
        self.range_from: int | None = None
        """Where a range begins that is being chosen; it ends at the cursor."""
        self.total = 0
        self.generation = 0
        self._pages: OrderedDict[int, list[Item]] = OrderedDict()
        self._asked: set[int] = set()
        self._whole = True
        self._holds = True

    # Rows

    def show(self, rows: Sequence[Item]) -> None:
        """Replaces all rows."""
        self._replace(len(rows), whole=True)
        self._pages = OrderedDict(
            (first, list(rows[first : first + PAGE])) for first in range(0, len(rows), PAGE)
        )
        self._settle(rows, 0)

    def show_page(self, total: int, first: int, rows: Sequence[Item]) -> None:
        """Replaces everything by `total` rows, of which those from `first` (a multiple of PAGE) are here."""
        self._replace(total, whole=False)
        self._pages[first] = list(rows)
        self._settle(rows, first)

    def add_page(self, first: int, rows: Sequence[Item], generation: int) -> None:
        """Answers a `Wanted`; an answer to an earlier generation of rows is dropped."""
        if generation != self.generation:
            return
        self._asked.discard(first)
        self._pages[first] = list(rows)
        while len(self._pages) > KEPT_PAGES:
            self._pages.popitem(last=False)
        self.refresh()
        if first <= self.cursor < first + PAGE:
            self.post_message(self.Moved(self))

    def to_top(self) -> None:
        """To the first row, and to the first of the rows that come next: they answer another question."""
        self.cursor, self.range_from, self._holds = 0, None, False

    def _replace(self, total: int, *, whole: bool) -> None:
        held = self.item if self._holds else None
        self._holds = True
        self._held_key = None if held is None else self.key(held)
        self.total = total
        self.generation += 1
        self._whole = whole
        self._pages = OrderedDict()
        self._asked = set()
        self.virtual_size = Size(self.size.width, total + 1)

    def _settle(self, rows: Sequence[Item], first: int) -> None:
        """Puts the cursor back on the row it stood on, as far as that row is here."""
        place = min(self.cursor, max(0, self.total - 1))
        if self._held_key is not None:
            at = next((n for n, row in enumerate(rows, first) if self.key(row) == self._held_key), None)
            place = place if at is None else at
        self.set_reactive(VirtualList.cursor, place)
        self._show_cursor()
        self.refresh()
        self.post_message(self.Moved(self))

    def row(self, index: int) -> Item | None:
        """The row at `index`, None while it is not here."""
        page = self._pages.get(index - index % PAGE)
        if page is None or not 0 <= index % PAGE < len(page):
            return None
        return page[index % PAGE]

    @property
    def item(self) -> Item | None:
        """The row under the cursor."""
        return self.row(self.cursor) if self.total else None

    @property
    def span(self) -> range:
        """The rows of the range that is being chosen; without one, none."""
        if self.range_from is None:
            return range(0)
        return range(min(self.range_from, self.cursor), max(self.range_from, self.cursor) + 1)

    @property
    def page_start(self) -> int:
        """The first index of the page that holds the cursor."""
        return self.cursor - self.cursor % PAGE

    # The cursor

    def validate_cursor(self, cursor: int) -> int:
        return max(0, min(cursor, self.total - 1))

    def watch_cursor(self) -> None:
        # Asked for before they are seen, so that no key waits for them.
        for index in (self.cursor - PAGE // 2, self.cursor + PAGE // 2):
            if 0 <= index < self.total:
                self._want(index)
        self._show_cursor()
        self.refresh()
        self.post_message(self.Moved(self))

    def _show_cursor(self) -> None:
        rows = self.size.height - 1
        top = round(self.scroll_y)
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False, force=True, immediate=True)
        elif rows > 0 and self.cursor >= top + rows:
            self.scroll_to(y=self.cursor - rows + 1, animate=False, force=True, immediate=True)

    @property
    def _half(self) -> int:
        return max(1, (self.size.height - 1) // 2)

    def action_down(self) -> None:
        self.cursor += 1

    def action_up(self) -> None:
        self.cursor -= 1

    def action_first(self) -> None:
        self.cursor = 0

    def action_last(self) -> None:
        self.cursor = self.total - 1

    def action_half_down(self) -> None:
        self.cursor += self._half

    def action_half_up(self) -> None:
        self.cursor -= self._half

    def action_copy_row(self) -> None:
        if self.item is not None:
            self.post_message(self.Copied(self, self.copies(self.item)))

    def _cells(self, row: Item) -> str:
        """The row's cells as one line of a table."""
        cells = (column.cell(row, column.width) for column in self.columns)
        return "\t".join(cell.plain if isinstance(cell, Content) else cell for cell in cells).strip()

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        if offset is None or offset.y == 0:
            return
        index = round(self.scroll_y) + offset.y - 1
        if index < self.total:
            self.cursor = index
            if event.ctrl:
                self.post_message(self.Marking(self))
            elif event.chain > 1:
                self.post_message(self.Chosen(self))

    def on_resize(self) -> None:
        self.virtual_size = Size(self.size.width, self.total + 1)
        self._show_cursor()

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    # Drawing

    def widths(self, room: int) -> list[tuple[Column, int]]:
        """The columns that fit into `room` cells, with their widths."""
        kept = [
            replace(column, width=column.wide) if column.wide and room >= WIDE else column
            for column in self.columns
        ]
        room -= MARK + 1

        def needed() -> int:
            return sum(column.width + 1 for column in kept) - 1

        while needed() > room and any(column.drop for column in kept):
            kept.remove(max(kept, key=lambda column: column.drop))
        spare = max(0, room - needed())
        shares = sum(column.grow for column in kept)
        return [(column, column.width + (spare * column.grow // shares if shares else 0)) for column in kept]

    def render_line(self, y: int) -> Strip:
        """The line `y` of the widget: titles first, then the rows from the scroll offset on."""
        width = self.scrollable_content_region.width
        if y == 0:
            return self._strip(self._titles(width), width, "virtual-list--title")
        index = round(self.scroll_y) + y - 1
        if index >= self.total:
            return Strip.blank(width, self.visual_style.rich_style)
        row = self.row(index)
        if row is None:
            self._want(index)
        part = "virtual-list--cursor" if index == self.cursor else None
        return self._strip(self._line(row, index, width), width, part)

    def _strip(self, content: Content, width: int, part: str | None) -> Strip:
        style = self.visual_style
        if part is not None:
            style += Style.from_styles(self.get_component_styles(part))
        return Visual.to_strips(self, content, width, 1, style, apply_selection=False, pad=True)[0]

    def _titles(self, width: int) -> Content:
        cells = [
            Content(column.title.rjust(size) if column.right else column.title.ljust(size))
            for column, size in self.widths(width)
        ]
        return Content(" " * MARK) + Content(" ").join(cells)

    def _line(self, row: Item | None, index: int, width: int) -> Content:
        mark = Content.styled(">", "bold $accent") if index == self.cursor else Content(" ")
        if row is None:
            return mark + Content.styled(" …", "$muted")
        if self.marked(row):
            mark += Content.styled("*", "bold $accent")
        else:
            mark += Content.styled("|", "$accent") if index in self.span else Content(" ")
        cells = []
        for column, size in self.widths(width):
            written = column.cell(row, size)
            cell = written if isinstance(written, Content) else Content(written)
            cell = cell.truncate(size, ellipsis=True)
            room = size - cell.cell_length
            cells.append(cell.pad_left(room) if column.right else cell.pad_right(room))
        return mark + Content(" ").join(cells)

    def _want(self, index: int) -> None:
        first = index - index % PAGE
        if self._whole or first in self._asked or first in self._pages:
            return
        self._asked.add(first)
        # After the paint that found it missing, and in this widget's own name.
        self.call_later(self._ask, first, self.generation)

    def _ask(self, first: int, generation: int) -> None:
        self.post_message(self.Wanted(self, first, generation))
