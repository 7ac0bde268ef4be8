"""Keys that come in one go with the key that opens a line, as from a paste or a fast hand."""

from __future__ import annotations

import pytest
from textual.events import Key
from textual.widgets import Input

pytestmark = pytest.mark.usefixtures("network")
NAMED = {"/": "slash", ":": "colon", "-": "minus", "=": "equals_sign", "+": "plus", "\n": "enter"}


@pytest.mark.parametrize(
    ("keys", "typed"),
    [
        ("t2026-02-01", "2026-02-01"),
        ("/hi", "hi"),
        (":settings", "settings"),
        ("i+", "--min high=0.55"),
    ],
)
async def test_what_is_typed_with_the_key_that_opens_a_line_is_in_it(pilot, settle, keys, typed):
    for key in keys:
        pilot.app.post_message(Key(NAMED.get(key, key), key))
    await settle(pilot)
    assert isinstance(pilot.app.focused, Input)
    assert pilot.app.focused.value == typed


async def test_a_whole_answer_may_come_in_one_go(pilot, settle):
    for key in "t2026-02-19\n":
        pilot.app.post_message(Key(NAMED.get(key, key), key))
    await settle(pilot)
    assert pilot.app.screen is pilot.app.page
    assert pilot.app.page.segtui.at is not None
