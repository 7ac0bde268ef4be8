"""The rules page: writing a rule with its size beside it, saving it after a look, retiring it."""

from __future__ import annotations

from segtui.operations.definitions import definitions
from segtui.operations.members import members
from segtui.operations.session import open_session
from segtui.tui.widgets.rule_input import Names


def rule_of(store, name):
    with open_session(store) as s:
        held = definitions(s).segmentations.get(name)
        return held.rule.where if held and held.rule else None


def size_of(pilot):
    return str(pilot.app.page.query_one("#size").render())


async def test_a_rule_is_written_sized_previewed_and_saved(ruled, app_of, settle, press, shown):
    async with app_of(ruled).run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "n", "'loyal", "enter", "'orders_365d >= 3")
        told = size_of(pilot)
        assert "exact" in told
        users = int(told.split()[0])
        assert rule_of(ruled, "loyal") is None
        await press(pilot, "enter")
        assert f"{users} users would be in" in " ".join(shown(pilot.app).split())
        assert rule_of(ruled, "loyal") is None, "a preview writes nothing"
        await press(pilot, "y")
        assert rule_of(ruled, "loyal") == "orders_365d >= 3"
        assert pilot.app.notices[-1].text == f"loyal holds {users} users now."
        with open_session(ruled) as s:
            assert members(s, "loyal")["total"] == users
        assert pilot.app.page.rows.item["name"] == "loyal"


async def test_names_and_labels_are_completed(ruled, app_of, settle, press, shown):
    async with app_of(ruled).run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "n", "'x", "enter", "'rece")
        line = pilot.app.page.editor.rule_line
        assert "recency_days" in shown(pilot.app)
        await press(pilot, "tab", "' > 3 AND value = 'me", "tab")
        assert line.value == "recency_days > 3 AND value = 'medium'"
        assert "exact" in size_of(pilot)


async def test_a_wrong_rule_is_told_while_it_is_written(ruled, app_of, settle, press):
    async with app_of(ruled).run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "n", "'x", "enter", "'recenci_days > 3")
        assert "recency_days" in size_of(pilot), "the nearest name"
        await press(pilot, "escape")
        assert not pilot.app.page.has_class("-editing")
        assert pilot.app.page.PAGE == "rules"


async def test_a_name_that_cannot_be_is_told_before_the_rule_is_written(ruled, app_of, settle, press):
    async with app_of(ruled).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "n", "'whales = spend", "enter")
        assert "'whales = spend' cannot be a segment's name" in size_of(pilot)
        assert pilot.app.page.editor.name_line.has_focus
        await press(pilot, "ctrl+u", "'lapsing", "enter")
        assert "There is a segmentation 'lapsing' already" in size_of(pilot)
        await press(pilot, "ctrl+u", "'whales", "enter")
        assert size_of(pilot) == ""
        assert pilot.app.page.editor.rule_line.has_focus


async def test_a_rule_that_cannot_be_saved_is_told_in_the_editor(ruled, app_of, settle, press):
    async with app_of(ruled).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "n", "'x", "enter", "'recenci_days > 3", "enter")
        assert "recency_days" in size_of(pilot)
        assert pilot.app.page.editor.rule_line.value == "recenci_days > 3"
        assert pilot.app.notices == []


async def test_amounts_are_told_as_money(ruled, app_of, settle, press, shown):
    async with app_of(ruled).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "n", "'x", "enter", "'spend_90")
        assert "spend_90d                in 0.01 EUR: net spend" in shown(pilot.app)
        await press(pilot, "tab", "' > 30000")
        assert "30000 = 300.00 EUR" in shown(pilot.app)


async def test_a_rule_is_edited_from_the_segments(ruled, app_of, settle, press):
    async with app_of(ruled).run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "e")
        assert "not decided by a rule of yours" in pilot.app.notices[-1].text
        await press(pilot, "G", "e")
        line = pilot.app.page.editor.rule_line
        assert line.value == "recency_days > 100"
        await press(pilot, "backspace", "enter", "y")
        assert rule_of(ruled, "lapsing") == "recency_days > 10"


async def test_a_rule_is_retired_once_its_name_is_typed(ruled, app_of, settle, press, shown):
    async with app_of(ruled).run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "colon", "'rules", "enter", "E", "'laps", "enter")
        assert rule_of(ruled, "lapsing") is not None
        await press(pilot, "'ing", "enter", "y")
        assert rule_of(ruled, "lapsing") is None
        assert "No segment of your own yet." in shown(pilot.app)


def test_which_numbers_are_amounts():
    known = Names(money={"spend_90d", "aov"})
    assert known.amounts("spend_90d>=30000 AND orders_90d > 3 AND aov between 1000 and 2000.5") == [
        "30000", "1000", "2000.5",
    ]  # fmt: skip
    assert known.amounts("spend_90d > AND aov between 5") == ["5"]


def test_what_may_stand_next():
    known = Names([("orders_7d", ""), ("orders_90d", ""), ("value", "")], {"value": ("high", "low")})
    assert [name for name, _ in known.matching("spend > 3 AND ord")[1]] == ["orders_7d", "orders_90d"]
    assert known.matching("value = '") == ("", [("high'", "a label of value"), ("low'", "a label of value")])
    assert known.matching("value = 'hi")[0] == "hi"
    assert known.matching("region = 'or")[1] == []
    assert known.matching("orders_90d > 3")[1] == []
