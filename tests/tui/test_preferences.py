"""Preferences: typed, from a file and from variables; themes and ASCII; coming back to where one was."""

from __future__ import annotations

import json
import re

import pytest

from segtui.tui import places, preferences
from segtui.tui.ascii import SIGNS
from segtui.tui.preferences import (
    MEANINGS,
    THEMES,
    VARIABLES,
    PreferenceError,
    Preferences,
    changed,
    load,
    save,
)
from segtui.tui.questions import Filter
from segtui.tui.theme import THEMES as PAINTED

pytestmark = pytest.mark.usefixtures("network")


def test_without_a_file_the_defaults_hold():
    assert load({}) == (Preferences(), [])


def test_what_is_saved_is_read_again():
    held = Preferences(theme="light", refresh=2.0, ascii=True, resume=False)
    save(held)
    assert load({}) == (held, [])


def test_variables_count_before_the_file():
    save(Preferences(theme="light", refresh=2.0))
    found, complaints = load({"SEGTUI_THEME": "high-contrast", "SEGTUI_ASCII": "yes"})
    assert (found.theme, found.refresh, found.ascii, complaints) == ("high-contrast", 2.0, True, [])
    assert load({"NO_COLOR": "1"})[0].theme == "no-colour"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('theme = "pink"', "No theme 'pink'"),
        ("refresh = 0", "A refresh of 0 is none"),
        ("refresh = true", "A refresh of True is none"),
        ('ascii = "perhaps"', "neither yes nor no"),
        ("colour = 1", "There is no preference 'colour'"),
        ("theme = ", "cannot be read"),
    ],
)
def test_what_cannot_be_is_a_sentence_and_the_rest_holds(text, told):
    preferences.path().parent.mkdir(parents=True)
    preferences.path().write_text(f"resume = false\n{text}\n")
    found, complaints = load({})
    assert len(complaints) == 1
    assert told in complaints[0]
    assert str(preferences.path()) in complaints[0]
    assert found.resume is ("cannot be read" in told)


def test_every_preference_has_a_meaning_and_a_variable():
    assert set(MEANINGS) == set(VARIABLES) == {*Preferences.__dataclass_fields__} - {"keys"}
    assert set(PAINTED) == set(THEMES)
    with pytest.raises(PreferenceError):
        changed(Preferences(), "thme", "dark")


async def test_settings_are_changed_on_their_page_and_kept(shop, app_of, settle, press, shown):
    async with app_of(shop).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "colon", "'settings", "enter", "enter")
        assert pilot.app.theme == "light"
        assert load({})[0].theme == "light"
        await press(pilot, "j", "enter", "ctrl+u", "'nought", "enter")
        assert "A refresh of 'nought'" in shown(pilot.app)
        await press(pilot, "ctrl+u", "'1.5", "enter", "j", "enter")
        assert load({})[0] == Preferences(theme="light", refresh=1.5, ascii=True)


def contrast(one: str, other: str) -> float:
    """The contrast of two colours as WCAG 2 has it."""

    def light(text: str) -> float:
        parts = [int(text[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((light(one), light(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("name", THEMES)
def test_every_colour_can_be_read_on_its_ground(name):
    theme = PAINTED[name]
    least = 7 if name == "high-contrast" else 4.5
    written = [theme.foreground, theme.primary, theme.accent, theme.success, theme.warning, theme.error]
    for colour in (*written, theme.variables["muted"]):
        assert contrast(colour, theme.background) >= least, colour
        assert contrast(colour, theme.surface) >= least, colour


async def test_ascii_draws_with_nothing_else(shop, app_of, settle, press, shown):
    held = (Preferences(ascii=True, resume=False), [])
    async with app_of(shop, preferred=held).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        for keys in (
            (),
            ("enter",),
            ("enter",),
            ("4",),
            ("5",),
            ("question_mark",),
            ("escape", "M"),
            ("X",),
            ("colon",),
        ):
            await press(pilot, *keys)
            assert shown(pilot.app).isascii(), set(re.findall(r"[^\x00-\x7f]", shown(pilot.app)))


def test_a_sign_takes_one_cell_for_one():
    assert all(len(sign) == len(plain) == 1 and plain.isascii() for sign, plain in SIGNS.items())


async def test_no_colour_has_none(shop, app_of, settle):
    held = (Preferences(theme="no-colour", resume=False), [])
    async with app_of(shop, preferred=held).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        styles = [
            segment.style
            for strip in pilot.app.screen._compositor.render_strips()
            for segment in strip
            if segment.style is not None
        ]
        colours = [each for style in styles for each in (style.color, style.bgcolor) if each and each.triplet]
        assert colours
        assert all(len(set(colour.triplet)) == 1 for colour in colours), "greys only"


async def test_the_next_start_is_where_this_one_ended(shop, app_of, settle, press):
    async with app_of(shop).run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "c", "o", "T")
        wanted = pilot.app.page.wanted
        await pilot.press("q")
    async with app_of(shop).run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        assert pilot.app.page.PAGE == "changes"
        assert pilot.app.page.wanted == wanted == Filter(segment="value=high", way="out", days=90)
        await press(pilot, "escape")
        assert pilot.app.page.PAGE == "segments"


async def test_nobodys_id_is_kept(shop, app_of, settle, press):
    async with app_of(shop).run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "j", "enter", "enter", "c")
        assert pilot.app.page.wanted.user is not None
        await press(pilot, "escape")
        user = pilot.app.page.user
        await pilot.press("q")
    kept = preferences.state_path().read_text()
    assert user not in kept
    assert json.loads(kept)[str(shop.resolve())]["page"] == "members"
    assert places.last(shop)[1]["segment"] == "value=medium"


@pytest.mark.parametrize("text", ["", "[]", "{", '{"x": 1}', '{"STORE": {"page": "nowhere", "what": 3}}'])
async def test_a_place_that_cannot_be_read_is_the_first_page(shop, app_of, settle, text):
    place = preferences.state_path()
    place.parent.mkdir(parents=True)
    place.write_text(text.replace("STORE", str(shop.resolve())))
    async with app_of(shop).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert pilot.app.page.PAGE == "segments"
