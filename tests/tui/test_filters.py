"""Filters that lists follow as they are typed: parts of names, what has them not, and expressions."""

from __future__ import annotations

import csv
import threading

import pytest

from segtui.operations.export import export
from segtui.operations.members import members
from segtui.operations.progress import Stopped
from segtui.operations.session import open_session
from segtui.tui import preferences
from segtui.tui.data import Data
from segtui.tui.filtering import is_expression, matching
from segtui.tui.widgets.filter_line import FilterLine

pytestmark = pytest.mark.usefixtures("network")


@pytest.fixture
async def pilot(shop, app_of, settle):
    async with app_of(shop).run_test(size=(80, 24)) as running:
        await settle(running)
        yield running


def said(pilot) -> str:
    return str(pilot.app.screen.query_one("#filter-said").render())


def ids(page) -> list[str]:
    return [page.rows.row(n)["user"] for n in range(page.rows.total)]


@pytest.mark.parametrize(
    ("text", "expression"),
    [("c-104", False), ("!c-104", False), ("android", False), ("margin < 0.05", True), ("(lapsing)", True),
     ("not lapsing", True), ("value = 'high'", True)],
)  # fmt: skip
def test_an_operator_makes_an_expression(text, expression):
    assert is_expression(text) is expression


def test_a_part_is_found_in_whatever_case_and_kept_out_by_a_mark():
    assert [line for line in ("High", "low", "") if matching("HI")(line)] == ["High"]
    assert [line for line in ("High", "low", "") if matching("!hi")(line)] == ["low", ""]
    assert all(matching(text)("High") for text in ("", "!"))


async def test_members_follow_the_part_of_an_id_as_it_is_typed(pilot, press, shown):
    await press(pilot, "enter")
    page = pilot.app.page
    everyone = ids(page)
    await press(pilot, "slash", "'116")
    fitting = [user for user in everyone if "116" in user]
    assert 0 < len(fitting) < len(everyone)
    assert ids(page) == fitting
    assert page.filter_line.is_open
    await press(pilot, "enter")
    assert not page.filter_line.is_open
    assert page.rows.has_focus
    assert "/ 116" in shown(pilot.app)
    await press(pilot, "slash", "home", "'!", "down")
    assert ids(page) == [user for user in everyone if "116" not in user]


async def test_esc_brings_back_the_filter_that_was(pilot, press):
    await press(pilot, "enter", "slash", "'margin < 0.3", "enter")
    page = pilot.app.page
    before = ids(page)
    await press(pilot, "slash", "ctrl+u", "'116")
    assert ids(page) != before
    await press(pilot, "escape")
    assert (page.filter, ids(page), page.PAGE) == ("margin < 0.3", before, "members")


async def test_a_wrong_expression_is_told_in_the_line_and_the_list_stays(pilot, press):
    await press(pilot, "enter", "slash", "'margin < 0.3", "enter")
    page = pilot.app.page
    before = ids(page)
    await press(pilot, "slash", "'n")
    assert "nothing is called 'n'" in " ".join(said(pilot).split())
    await press(pilot, "enter")
    assert page.filter_line.is_open, "until it can be read"
    assert ids(page) == before
    assert pilot.app.notices == []
    await press(pilot, "ctrl+u", "'margin < 1")
    assert said(pilot) == ""


class SlowData(Data):
    """A store that filters when it may, and says what it waits for."""

    def __init__(self, path):
        super().__init__(path)
        self.go_on = threading.Event()
        self.asked = []

    def members(self, segment, asked, *more):
        if asked:
            self.asked.append(asked)
            self.reading = "Reading slowly: 12%"
            assert self.go_on.wait(10)
            self.reading = ""
        return super().members(segment, asked, *more)


@pytest.fixture
async def slow(shop, app_of, settle, press):
    async with app_of(shop, data=SlowData(shop)).run_test(size=(80, 24)) as running:
        await settle(running)
        await press(running, "enter")
        yield running
        running.app.data.go_on.set()


async def test_typing_goes_on_while_the_store_answers(slow, settle):
    await slow.press("slash", "1", "1", "6")
    assert slow.app.screen.query_one(FilterLine).line.value == "116"
    while not said(slow):
        await slow.pause(0.01)
    assert said(slow) == "Reading slowly: 12%"
    slow.app.data.go_on.set()
    await settle(slow)
    assert said(slow) == ""
    assert all("116" in user for user in ids(slow.app.page))


async def test_what_is_searched_for_is_found_though_the_store_changes_meanwhile(slow, settle):
    await slow.press("slash", "1", "1", "6", "enter")
    # What the rest after the last letter had called before enter stopped it comes after enter.
    slow.app.page.filter_line._rested()
    slow.app.changed()
    await slow.pause(0.1)
    slow.app.data.go_on.set()
    await settle(slow)
    page = slow.app.page
    assert page.filter == "116"
    assert not page.filter_line.is_open
    assert all("116" in user for user in ids(page))


async def test_enter_on_what_is_found_goes_to_the_list_at_once(slow, press):
    data = slow.app.data
    data.go_on.set()
    await press(slow, "slash", "'116")
    found = list(data.asked)
    await press(slow, "enter")
    assert found[-1] == "116"
    assert data.asked == found
    assert not slow.app.page.filter_line.is_open


async def test_no_key_falls_between_the_line_and_the_list(pilot, press):
    await press(pilot, "enter")
    page = pilot.app.page
    page.action_filter()
    assert pilot.app.focused is page.filter_line.line
    page.on_filter_line_typed(FilterLine.Typed("", kept=True, left=True))
    assert pilot.app.focused is page.rows
    assert not page.filter_line.is_open


async def test_everyone_is_read_before_a_filter_is_typed(pilot, press):
    await press(pilot, "enter")
    data = pilot.app.data
    first = data._listing
    assert first.segment == "value=high"
    pilot.app.changed()
    await press(pilot, "-", "2", "slash")
    assert data._listing is first


async def test_the_first_word_of_an_expression_is_no_part_of_an_id(slow, press):
    page = slow.app.page
    slow.app.data.go_on.set()
    everyone = ids(page)
    await press(slow, "slash", "'margin")
    assert (slow.app.data.asked, ids(page)) == ([], everyone)
    assert "enter looks for 'margin' in ids" in " ".join(said(slow).split())
    await press(slow, "'s")
    assert slow.app.data.asked == ["margins"]
    await press(slow, "backspace", "enter")
    assert slow.app.data.asked == ["margins", "margin"]
    assert ids(page) == []


async def test_what_a_filter_finds_is_shown_from_the_top(pilot, press):
    await press(pilot, "enter", "j", "j", "slash", "'116")
    page = pilot.app.page
    assert len(ids(page)) < 3
    await press(pilot, "backspace", "backspace")
    assert (page.rows.cursor, page.filter) == (0, "1")
    await press(pilot, "enter", "S")
    assert page.rows.cursor == 0


def test_a_question_that_was_given_up_is_not_answered(shop):
    with pytest.raises(Stopped):
        Data(shop).members("value=high", "margin < 1", None, None, 0, 9, lambda: True)


async def test_what_is_filtered_by_a_part_is_exported_and_copied(pilot, press, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    await press(pilot, "enter", "slash", "'116", "enter", "x", "enter")
    page = pilot.app.page
    with (tmp_path / "value-high.csv").open() as file:
        assert len(list(csv.DictReader(file))) == page.total
    await press(pilot, "Y")
    assert pilot.app.clipboard.endswith("members value=high --like 116")


def test_a_part_of_an_id_is_the_same_in_every_listing(shop, tmp_path):
    with open_session(shop) as s:
        everyone = {row["user"] for row in members(s, "value=high")["members"]}
        kept = {row["user"] for row in members(s, "value=high", part="!116")["members"]}
        assert kept == {user for user in everyone if "116" not in user} != everyone
        assert export(s, "value=high", tmp_path / "x.csv", part="!116")["rows"] == len(kept)


async def test_nobodys_id_is_kept_in_a_filter(pilot, press):
    await press(pilot, "enter", "slash", "'c-116", "enter")
    await pilot.press("q")
    assert "116" not in preferences.state_path().read_text()


async def test_segments_models_and_decisions_are_filtered_by_name(pilot, press):
    page = pilot.app.page
    await press(pilot, "slash", "'!e=h", "enter")
    labels = [page.rows.row(n)["label"] for n in range(page.rows.total)]
    assert labels == [None, "medium", "low"]
    await press(pilot, "M", "slash", "'71c2", "enter")
    page = pilot.app.page
    assert [page.rows.row(n)["name"] for n in range(page.rows.total)] == ["mlp-71c2"]
    await press(pilot, "L", "slash", "'promotion", "enter")
    page = pilot.app.page
    assert {page.rows.row(n)["kind"] for n in range(page.rows.total)} == {"model_promoted"}


async def test_changes_are_filtered_by_segment_and_by_part(pilot, press):
    await press(pilot, "5", "slash", "'value=high medium", "enter")
    page = pilot.app.page
    rows = [page.rows.row(n) for n in range(page.rows.total)]
    assert rows
    assert all({row["from"], row["to"]} == {"high", "medium"} for row in rows)
    assert (page.wanted.segment, page.wanted.part) == ("value=high", "medium")
    user = rows[0]["user"]
    await press(pilot, "slash", f"'{user}", "enter")
    assert {page.rows.row(n)["user"] for n in range(page.rows.total)} == {user}
    await press(pilot, "slash", "home", "'!", "enter")
    assert user not in {page.rows.row(n)["user"] for n in range(page.rows.total)}
