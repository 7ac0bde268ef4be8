"""Other keys for actions, from the file: they work, are shown, and are refused where two want the same."""

from __future__ import annotations

import pytest

from segtui.tui import preferences
from segtui.tui.keymap import key_of, read
from segtui.tui.preferences import Preferences, load, save

pytestmark = pytest.mark.usefixtures("network")


def written(text: str) -> None:
    preferences.path().parent.mkdir(parents=True)
    preferences.path().write_text(text)


@pytest.mark.parametrize(
    ("text", "key"),
    [("W", "W"), ("/", "slash"), ("esc", "escape"), ("f5", "f5"), ("ctrl+w", "ctrl+w"), ("PgUp", "pageup"),
     ("nokey", None), ("ctrl+nokey", None), ("", None)],
)  # fmt: skip
def test_keys_are_written_as_the_help_writes_them(text, key):
    assert key_of(text) == key


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"wyh": "W"}, "wyh: there is no action of that name"),
        ({"why": 3}, "give a key"),
        ({"why": "nokey"}, "'nokey' is no key"),
        ({"why": "x"}, "'x' is the key of export on segments"),
        ({"help": "/"}, "help: '/' is the key of filter on segments"),
        ("W", "is no table"),
    ],
)
def test_what_cannot_be_is_one_sentence(table, told):
    found, complaints = read(table)
    assert found == {}
    assert len(complaints) == 1
    assert told in complaints[0]


def test_keys_may_change_places():
    assert read({"why": "c", "changes": "w"}) == ({"why": ("c",), "changes": ("w",)}, [])


def test_keys_are_kept_with_the_other_preferences():
    held = Preferences(theme="light", keys={"why": ("W",), "down": ("n", "down")})
    save(held)
    assert load({})[0].keys["why"] == ("W",)
    assert "left as it is" in load({})[1][0], "n writes a rule"


async def test_the_keys_of_the_file_work_and_are_shown(shop, app_of, settle, press, shown):
    written('[keys]\nwhy = "W"\nexport = "f5"\nsort = "f6"\nwyh = "x"\n')
    async with app_of(shop).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        told = [notice.text for notice in pilot.app.notices]
        assert len(told) == 1
        assert "wyh: there is no action of that name" in told[0]
        assert "W why" in shown(pilot.app)
        await press(pilot, "w")
        assert pilot.app.page.PAGE == "segments"
        await press(pilot, "W")
        assert pilot.app.page.PAGE == "changes"
        await press(pilot, "1", "f5")
        assert "Export value=high" in shown(pilot.app)
        await press(pilot, "escape", "question_mark")
        assert "  f5 " in shown(pilot.app)
        await press(pilot, "escape", "enter")
        assert "f6 sorted by" in shown(pilot.app)


async def test_hints_and_notices_name_the_keys_of_the_file(shop, unscored, app_of, settle, press, shown):
    given = {
        "rescore": "f2", "back": "f3", "notices": "f4", "filter": "f5", "mark_range": "f6", "mark": "f7",
        "period": "f8", "go_members": "f9", "palette": "f10", "totals": "f11", "new": "f12",
    }  # fmt: skip
    written("[keys]\n" + "".join(f'{name} = "{key}"\n' for name, key in given.items()))
    async with app_of(unscored).run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        assert "press f2 " in shown(pilot.app)
        pilot.app.page.refused("No.")
        await settle(pilot)
        assert "f3 goes back, f4 lists notices" in shown(pilot.app)
    async with app_of(shop).run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "3")
        assert "on page f9 (members) or 5 (changes)" in shown(pilot.app)
        assert "or press f10 and" in shown(pilot.app)
        await press(pilot, "R")
        assert "f12 writes a rule" in shown(pilot.app)
        await press(pilot, "5", "o")
        assert "Press f5 and name one" in pilot.app.notices[-1].text
        assert "(f11)" in shown(pilot.app)
        await press(pilot, "f5", "'nobody", "enter")
        assert "f8 widens the period   f5 o f change the filter" in shown(pilot.app)
        await press(pilot, "f9", "f6")
        assert "f6 marks the range" in shown(pilot.app)
        await press(pilot, "f3", "f5", "'zzz", "enter", "a")
        assert "press f5 and change the filter" in shown(pilot.app)
        assert "mark some with f7" in pilot.app.notices[-1].text


async def test_models_are_found_by_name(shop, app_of, settle, press):
    async with app_of(shop).run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "colon", "'mlp-71c2", "enter")
        assert pilot.app.page.PAGE == "models"
        assert pilot.app.page.rows.item["name"] == "mlp-71c2"
