"""The list asks for the pages it shows and nothing else, and its cursor stays on its row."""

from __future__ import annotations

import pytest
from textual.app import App

from segtui.tui.widgets.virtual_list import KEPT_PAGES, PAGE, Column, VirtualList

MILLION = 1_000_000


class ListApp(App):
    """A list of numbers, of which any page can be had."""

    def __init__(self, total):
        super().__init__()
        self.total = total
        self.asked = []

    def compose(self):
        yield VirtualList(
            [
                Column("NUMBER", 10, lambda row, _: str(row["n"]), right=True),
                Column("TEXT", 8, lambda row, _: f"row {row['n']}", grow=1),
                Column("LESS", 8, lambda row, _: "less", drop=1),
                Column("LEAST", 8, lambda row, _: "least", drop=2),
            ],
            lambda row: row["n"],
        )

    def on_mount(self):
        self.list.show_page(self.total, 0, rows(0))
        self.list.focus()

    @property
    def list(self):
        return self.query_one(VirtualList)

    def on_virtual_list_wanted(self, message):
        self.asked.append(message.first)
        self.list.add_page(message.first, rows(message.first), message.generation)


def rows(first, count=PAGE):
    return [{"n": n} for n in range(first, first + count)]


def lines(app):
    return [strip.text for strip in app.screen._compositor.render_strips()]


@pytest.fixture
async def pilot():
    async with ListApp(MILLION).run_test(size=(60, 12)) as running:
        await running.pause()
        yield running


async def test_a_million_rows_ask_for_the_pages_shown_only(pilot):
    app = pilot.app
    assert app.asked == []
    await pilot.press("G")
    await pilot.pause()
    assert app.list.cursor == MILLION - 1
    assert app.asked == [MILLION - PAGE]
    assert "row 999999" in lines(app)[-1]
    assert lines(app)[0].split()[:2] == ["NUMBER", "TEXT"]
    await pilot.press("g")
    await pilot.pause()
    assert app.asked == [MILLION - PAGE]


async def test_the_next_page_is_asked_for_before_it_is_seen(pilot):
    listed = pilot.app.list
    listed.cursor = PAGE // 2 - 1
    await pilot.pause()
    assert pilot.app.asked == []
    await pilot.press("j")
    await pilot.pause()
    assert pilot.app.asked == [PAGE]
    assert listed.row(PAGE) is not None


async def test_pages_long_unseen_are_let_go(pilot):
    for page in range(1, KEPT_PAGES + 20):
        pilot.app.list.cursor = page * PAGE
        await pilot.pause()
    assert len(pilot.app.list._pages) == KEPT_PAGES


async def test_keys_move_the_cursor_and_stop_at_the_ends(pilot):
    listed = pilot.app.list
    await pilot.press("k")
    assert listed.cursor == 0
    await pilot.press("j", "down", "j")
    assert listed.cursor == 3
    await pilot.press("ctrl+d")
    assert listed.cursor == 3 + 5
    await pilot.press("ctrl+u", "ctrl+u")
    assert listed.cursor == 0
    await pilot.press("end", "down")
    assert listed.cursor == MILLION - 1


async def test_the_cursor_is_always_on_the_screen(pilot):
    for _ in range(15):
        await pilot.press("j")
    await pilot.pause()
    assert any(line.startswith(">") and "row 15" in line for line in lines(pilot.app))
    for _ in range(12):
        await pilot.press("k")
    await pilot.pause()
    assert any(line.startswith(">") and "row 3" in line for line in lines(pilot.app))


async def test_the_cursor_stays_on_its_row_when_rows_come_before_it(pilot):
    listed = pilot.app.list
    listed.cursor = 7
    listed.show_page(MILLION, 0, [{"n": -1}, *rows(0, PAGE - 1)])
    assert listed.item == {"n": 7}
    assert listed.cursor == 8
    listed.show(rows(5, 4))
    assert listed.item == {"n": 7}
    assert listed.cursor == 2


async def test_rows_that_answer_another_question_are_shown_from_the_top(pilot):
    numbers = pilot.app.list
    numbers.cursor, numbers.range_from = 5, 3
    numbers.to_top()
    numbers.show_page(MILLION, 0, [{"n": n} for n in (7, 5, 0)])
    assert (numbers.cursor, numbers.range_from) == (0, None)
    numbers.show_page(MILLION, 0, [{"n": n} for n in (1, 7)])
    assert numbers.cursor == 1, "and stays on its row from then on"


async def test_the_cursor_stays_inside_when_its_row_is_gone(pilot):
    listed = pilot.app.list
    listed.cursor = 50
    listed.show(rows(100, 3))
    assert listed.cursor == 2
    listed.show([])
    assert listed.item is None
    await pilot.press("j")
    assert listed.cursor == 0


async def test_an_answer_to_rows_that_were_replaced_is_dropped(pilot):
    listed = pilot.app.list
    old = listed.generation
    listed.show_page(MILLION, 0, rows(0))
    listed.add_page(PAGE, [{"n": -5}], old)
    assert listed.row(PAGE) is None


async def test_columns_that_do_not_fit_go_least_first(pilot):
    def titles(width):
        return [column.title for column, _ in pilot.app.list.widths(width)]

    assert titles(60) == ["NUMBER", "TEXT", "LESS", "LEAST"]
    assert titles(32) == ["NUMBER", "TEXT", "LESS"]
    assert titles(24) == ["NUMBER", "TEXT"]
    # what may not be dropped stays, however narrow
    assert titles(5) == ["NUMBER", "TEXT"]
    assert sum(size + 1 for _, size in pilot.app.list.widths(60)) == 60 - 2


async def test_clicks_choose_rows(pilot):
    await pilot.click(VirtualList, offset=(5, 4))
    assert pilot.app.list.cursor == 3
    await pilot.click(VirtualList, offset=(5, 0))
    assert pilot.app.list.cursor == 3
