"""The palette: what it finds, what it offers last, and what it runs."""

import pytest
from textual.command import Command, CommandList

from segtui.tui.palette import user_typed

pytestmark = pytest.mark.usefixtures("network")


async def test_the_palette_finds_users_and_segments(pilot, press, settle):
    await press(pilot, "colon", "'c-10548")
    await pilot.pause(0.3)
    await press(pilot, "enter")
    assert (pilot.app.page.PAGE, pilot.app.page.user) == ("user", "c-10548")
    await press(pilot, "ctrl+p", "'medium")
    await pilot.pause(0.3)
    await press(pilot, "enter")
    assert (pilot.app.page.PAGE, pilot.app.page.segment) == ("members", "value=medium")


@pytest.mark.parametrize(
    ("text", "user"),
    [
        ("asdf qwer", None), ("model", None), ("Data", None), ("", None), ("user ", None),
        (" c-10548", "c-10548"), ("anna", "anna"), ("user data", "data"),
    ],
)  # fmt: skip
def test_what_may_be_an_id_is_one_word_that_is_no_part_of_a_name(text, user):
    assert user_typed(text, ["user", "models", "data", "value=high"]) == user


async def test_the_palette_offers_a_user_last_and_where_it_may_be_one(pilot, press):
    await press(pilot, "colon")
    for text, offered in [("data", []), ("user data", ["user data"])]:
        await press(pilot, "ctrl+u", f"'{text}")
        found = pilot.app.screen.query_one(CommandList)
        options = [found.get_option_at_index(n) for n in range(found.option_count)]
        prompts = [str(each.hit.text) for each in options if isinstance(each, Command)]
        assert [each for each in prompts if each.startswith("user data")] == offered
        assert prompts[len(prompts) - len(offered) :] == offered


async def test_the_palette_runs_the_actions_of_the_page(pilot, press):
    await press(pilot, "5", "colon", "'period")
    await pilot.pause(0.3)
    await press(pilot, "enter")
    assert pilot.app.page.wanted.days == 90
