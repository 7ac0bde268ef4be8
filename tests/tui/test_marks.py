"""Marks: users are marked, singly and by the range, put into a list, and written to a file."""

from __future__ import annotations

import csv

import pytest

from segtui.operations.errors import OperationError
from segtui.operations.members import members
from segtui.operations.segment import add_users
from segtui.operations.session import open_session

pytestmark = pytest.mark.usefixtures("network")


@pytest.fixture
async def pilot(shop, app_of, settle, press):
    async with app_of(shop).run_test(size=(80, 24)) as running:
        await settle(running)
        await press(running, "enter")
        yield running


@pytest.fixture
async def writing(ruled, app_of, settle, press):
    """Over a store whose segments can be edited."""
    async with app_of(ruled).run_test(size=(80, 24)) as running:
        await settle(running)
        await press(running, "G", "enter")
        yield running


def users_of(page) -> list[str]:
    return [page.rows.row(n)["user"] for n in range(page.rows.total)]


async def test_space_marks_and_takes_the_mark_away(pilot, press, shown):
    page = pilot.app.page
    users = users_of(page)
    await press(pilot, "space", "j", "space")
    assert page.marked == {users[0], users[2]}
    screen = shown(pilot.app)
    assert "2 marked, 12 in all" in screen
    assert f" *{users[0]}" in screen
    assert f" *{users[1]}" not in screen
    await press(pilot, "g", "space")
    assert page.marked == {users[2]}
    await press(pilot, "u")
    assert page.marked == set()
    assert "12 members, exact" in shown(pilot.app)


async def test_marks_are_users_whatever_the_order_and_the_filter(pilot, press, shown):
    page = pilot.app.page
    user = page.rows.item["user"]
    await press(pilot, "space", "s", "S")
    assert page.marked == {user}
    marked = [line for line in shown(pilot.app).splitlines() if line[1:2] == "*"]
    assert len(marked) == 1
    assert marked[0][2:].startswith(user)
    await press(pilot, "escape", "j", "enter")
    assert page.marked == set(), "those of another segment"


async def test_a_range_marks_rows_that_are_not_loaded(pilot, press, settle):
    page = pilot.app.page
    users = users_of(page)
    await press(pilot, "j", "v", "G")
    page.rows._pages.clear()
    await press(pilot, "v")
    assert page.marked == set(users[1:])
    await press(pilot, "v", "g", "v")
    assert page.marked == set(users)
    await press(pilot, "v", "G", "v")
    assert page.marked == set(), "all of the range were marked"


async def test_esc_gives_up_the_range_and_stays(pilot, press, shown):
    page = pilot.app.page
    await press(pilot, "v", "j")
    assert "v marks the range" in shown(pilot.app)
    await press(pilot, "escape")
    assert "12 members, exact" in shown(pilot.app)
    assert (page.rows.range_from, pilot.app.page, page.marked) == (None, page, set())
    await press(pilot, "escape")
    assert pilot.app.page.PAGE == "segments"


async def test_a_list_takes_the_range_that_is_being_chosen(pilot, press, shown):
    page = pilot.app.page
    users = users_of(page)
    await press(pilot, "space", "j", "v", "j", "j", "a")
    assert page.marked == {users[0], *users[2:5]}
    assert page.rows.range_from is None
    assert "Add 4 users to a list" in shown(pilot.app)
    await press(pilot, "escape", "g", "v", "a")
    assert page.marked == {users[0], *users[2:5]}, "who is in the list already stays marked"


async def test_a_range_of_very_many_is_refused(pilot, press, monkeypatch):
    monkeypatch.setattr("segtui.tui.screens.marking.LONGEST", 5)
    await press(pilot, "v", "G", "v")
    assert pilot.app.page.marked == set()
    assert "12 rows are too many to mark" in pilot.app.notices[-1].text


async def test_the_marked_become_a_list_after_a_look(writing, press, shown, ruled):
    pilot, shop, page = writing, ruled, writing.app.page
    chosen = users_of(page)[:2]
    await press(pilot, "space", "space", "a", "'spring", "enter")
    assert "2 users would be in" in shown(pilot.app)
    with open_session(shop) as s, pytest.raises(OperationError):
        members(s, "spring")
    await press(pilot, "y")
    with open_session(shop) as s:
        assert {row["user"] for row in members(s, "spring")["members"]} == set(chosen)
    assert page.marked == set()
    # A second time they come beside those that are there; the list's name stands in the prompt.
    await press(pilot, "g", "space", "j", "space", "a")
    assert "one of spring, or a new name" in shown(pilot.app)
    await press(pilot, "enter", "y")
    with open_session(shop) as s:
        assert members(s, "spring")["total"] == 3


async def test_without_marks_the_chosen_user_is_added(writing, press, ruled):
    user = writing.app.page.rows.item["user"]
    await press(writing, "a", "'vip", "enter", "y")
    with open_session(ruled) as s:
        assert [row["user"] for row in members(s, "vip")["members"]] == [user]


async def test_the_marked_are_exported(pilot, press, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    await press(pilot, "space", "space", "x", "enter")
    with (tmp_path / "value-high-marked.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 2


async def test_changes_and_transitions_mark_users_too(pilot, press):
    await press(pilot, "5", "space")
    page = pilot.app.page
    first = page.rows.row(0)["user"]
    assert page.marked == {first}
    same = [n for n in range(page.rows.total) if page.is_marked(page.rows.row(n))]
    assert [page.rows.row(n)["user"] for n in same] == [first] * len(same)
    await press(pilot, "X", "space", "space", "v", "G", "v")
    page = pilot.app.page
    assert page.marked == set(users_of(page)) != set()


async def test_a_click_with_ctrl_marks(pilot, settle):
    page = pilot.app.page
    await pilot.click("#members", offset=(5, 3), control=True)
    await settle(pilot)
    assert page.marked == {users_of(page)[2]}


def test_users_are_added_once(ruled):
    with open_session(ruled) as s:
        ids = [row["user"] for row in members(s, "lapsing")["members"]][:2]
        told = add_users(s, "vip", [*ids, "nobody"])
        assert (told["users"], told["entering"], told["unknown"]) == (2, 2, 1)
        with pytest.raises(OperationError, match="holds all of these"):
            add_users(s, "vip", ids[:1])
        with pytest.raises(OperationError, match="none of a known user"):
            add_users(s, "vip", ["nobody"])
        with pytest.raises(OperationError, match="not by a list"):
            add_users(s, "value", ids)
