"""What the list of members shows: chosen columns, features, who leaves; copying; and the way back."""

from __future__ import annotations

import pytest

from db.errors import StoreLocked
from segtui.operations.facts import Facts, leaving_of
from segtui.operations.members import members
from segtui.operations.session import open_session
from segtui.tui.data import Data


@pytest.fixture
async def pilot(ruled, app_of, settle, press):
    """At the members of a rule's segment."""
    async with app_of(ruled).run_test(size=(100, 30)) as running:
        await settle(running)
        await press(running, "G", "enter")
        yield running


def cells(page, name: str) -> list[str]:
    at = [column.title for column in page.rows.columns].index(name)
    column = page.rows.columns[at]
    return [str(column.cell(page.rows.row(n), column.width)) for n in range(page.rows.total)]


async def test_features_are_chosen_shown_and_kept(pilot, press, settle, shown, ruled):
    page = pilot.app.page
    await press(pilot, "C", "'recency_d", "enter", "escape")
    await settle(pilot)
    assert "RECENCY_DAYS" in shown(pilot.app)
    assert all(int(text) > 100 for text in cells(page, "RECENCY_DAYS")), "as the rule has it"
    assert Data(ruled).catalogue()["recency_days"]
    await press(pilot, "C", "enter", "escape")
    assert "probability" not in pilot.app.preferences.columns, "chosen ones stand first, enter takes one away"
    assert " P " not in shown(pilot.app).splitlines()[3]


def test_facts_are_those_of_the_moment_and_refuse_what_is_none(ruled):
    with open_session(ruled) as s:
        users = [row["user"] for row in members(s, "lapsing")["members"]]
        facts = Facts(s)
        now = facts.features(s, "lapsing", users, ["recency_days", "orders"], None)
        assert set(now) == set(users)
        assert all(row["recency_days"] > 100 and row["orders"] >= 1 for row in now.values())
        with pytest.raises(Exception, match="There is no feature 'nought'"):
            facts.features(s, "lapsing", users, ["nought"], None)


async def test_who_leaves_if_silent_is_what_members_tell(pilot, press, settle, ruled):
    await press(pilot, "1", "g", "j", "j", "enter")
    page = pilot.app.page
    await settle(pilot)
    with open_session(ruled) as s:
        told = {
            row["user"]: row["leaves"] for row in members(s, page.segment, leaves=True, limit=None)["members"]
        }
        assert leaving_of(s, page.segment, list(told), None) == told
    expected = [told[page.rows.row(n)["user"]] for n in range(page.rows.total)]
    assert any(expected)
    shown = cells(page, "LEAVES")[: page.rows.size.height - 1]
    assert shown == [each["as_of"][:10] if each else "-" for each in expected][: len(shown)]
    await press(pilot, *"sssss")
    assert page.sorting == "leaves"
    days = [page.rows.row(n)["leaves"] for n in range(page.rows.total)]
    known = [each["as_of"] for each in days if each]
    assert known == sorted(known)
    assert all(each is None for each in days[len(known) :])


async def test_too_many_are_not_sorted_by_when_they_leave(pilot, press, monkeypatch):
    monkeypatch.setattr("segtui.tui.member_reads.AHEAD_OF", 3)
    await press(pilot, *"sssss")
    page = pilot.app.page
    assert page.sorting == "user"
    assert "are too many to sort by when they leave" in pilot.app.notices[-1].text
    assert page.rows.total > 3


class UntoldData(Data):
    """A store that cannot say who leaves."""

    def leaving(self, *_):
        raise StoreLocked("The model is not there.")


async def test_a_dot_stands_where_nobody_can_tell(ruled, app_of, settle, press):
    async with app_of(ruled, data=UntoldData(ruled)).run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "G", "enter")
        assert set(cells(pilot.app.page, "LEAVES")) == {"·"}
        assert pilot.app.notices == []


async def test_the_chosen_row_is_copied(pilot, press):
    await press(pilot, "y")
    assert pilot.app.clipboard == pilot.app.page.rows.item["user"]
    await press(pilot, "1", "y")
    assert pilot.app.clipboard.startswith("lapsing (rule)\t")


async def test_minus_goes_to_the_last_screen_and_back(pilot, press):
    members_page = pilot.app.page
    await press(pilot, "5", "minus")
    assert pilot.app.page is members_page
    await press(pilot, "minus")
    assert pilot.app.page.PAGE == "changes"
    await press(pilot, "4", "plus", "minus")
    assert pilot.app.page.PAGE == "replay"
