"""One registry of actions: nothing bound twice, nothing unbound that is offered, nothing offered unbound."""

from __future__ import annotations

from collections import Counter

import pytest

from segtui.operations.changes import CAUSES
from segtui.tui import actions
from segtui.tui.action import EVERYWHERE, LIST
from segtui.tui.actions import ACTIONS, FULL_WIDTH, FURTHER, PAGES, effective, in_scope
from segtui.tui.app import SegtuiApp
from segtui.tui.exporting import ExportLine
from segtui.tui.screens.changes import CAUSE_WORDS
from segtui.tui.screens.choosing import Choosing
from segtui.tui.screens.decisions import DecisionLine
from segtui.tui.screens.dialogs import Confirm, Prompt, Reading
from segtui.tui.screens.help import ANSWERS, MOVED_BY, SIGNS, help_text
from segtui.tui.screens.notices import Notices
from segtui.tui.widgets.filter_line import FilterInput
from segtui.tui.widgets.matrix import Matrix
from segtui.tui.widgets.rule_input import RuleInput
from segtui.tui.widgets.virtual_list import VirtualList

DIALOGS = {
    "prompt": Prompt,
    "confirm": Confirm,
    "text": Reading,
    "rule": RuleInput,
    "matrix": Matrix,
    "filter": FilterInput,
    "choosing": Choosing,
    "notices": Notices,
    "decision": DecisionLine,
    "export": ExportLine,
}
HELP_WIDTH = 52
EVERY_PAGE = (*PAGES, *FURTHER)


def keys_of(*scopes: str) -> Counter[str]:
    return Counter(key for action in in_scope(*scopes) for key in action.keys)


@pytest.mark.parametrize("scopes", [effective(page) for page in EVERY_PAGE] + [(each,) for each in DIALOGS])
def test_no_key_is_bound_twice_where_it_works(scopes):
    assert [key for key, times in keys_of(*scopes).items() if times > 1] == []


def test_d_is_unbound():
    assert not any("d" in action.keys for action in ACTIONS)


def test_no_key_hides_behind_alt_gr():
    behind = {
        "left_square_bracket", "right_square_bracket", "left_curly_bracket", "right_curly_bracket",
        "at", "backslash", "vertical_line",
    }  # fmt: skip
    assert behind.isdisjoint(key for action in ACTIONS for key in action.keys)


def test_every_page_has_a_way_in_and_words_for_what_it_answers():
    assert set(SegtuiApp.SCREENS) == set(EVERY_PAGE) == set(ANSWERS)
    assert {f"go('{page}')" for page in EVERY_PAGE} <= {action.name for action in in_scope(EVERYWHERE)}


@pytest.mark.parametrize("page", EVERY_PAGE)
def test_every_action_of_a_page_is_a_method(page):
    screen = SegtuiApp.SCREENS[page]()
    for action in in_scope(page):
        name = action.name.partition("(")[0]
        owner = SegtuiApp if name.startswith("app.") else screen
        assert hasattr(owner, f"action_{name.removeprefix('app.')}"), action


def test_every_action_elsewhere_is_a_method():
    owners = {EVERYWHERE: SegtuiApp, LIST: VirtualList, **DIALOGS}
    for scope, owner in owners.items():
        for action in in_scope(scope):
            assert hasattr(owner, f"action_{action.name.partition('(')[0]}"), action


def test_bindings_carry_every_key_and_the_full_width_ones():
    bound = {key for binding in actions.bindings(EVERYWHERE) for key in binding.key.split(",")}
    assert bound == {
        *keys_of(EVERYWHERE),
        *(FULL_WIDTH[key] for key in FULL_WIDTH if key in keys_of(EVERYWHERE)),
    }
    assert {"fullwidth_colon", "fullwidth_question_mark"} <= bound


@pytest.mark.parametrize("page", EVERY_PAGE)
def test_help_lists_every_key_of_its_page(page):
    text = help_text(page, {}).plain
    for action in in_scope(*effective(page)):
        assert action.shown in text
        assert action.help in text


def test_help_fits_without_wrapping():
    for action in ACTIONS:
        assert len(action.help) <= HELP_WIDTH, action
        assert len(action.shown) <= 14, action
    for what, meaning in (*SIGNS, *MOVED_BY):
        assert len(what) <= 13, what
        assert len(meaning) <= HELP_WIDTH, meaning


def test_every_cause_has_words():
    assert tuple(CAUSE_WORDS) == CAUSES
    assert {cause for cause, _ in MOVED_BY} == set(CAUSES)


def test_help_begins_with_the_five_questions_and_the_keys_in_force():
    told = [line.rstrip() for line in help_text("log", {"what_if": ("W",)}).plain.splitlines()]
    assert told[2:8] == [
        "Five questions, from 1 Segments",
        "  enter         Who is in the segment?",
        "  c o           Who just left it?",
        "  c w           Why did somebody move? Choose them before the w.",
        "  W + enter     What if the threshold were higher?",
        "  x enter       The list as a file.",
    ]
    assert told.index("On log") < told.index("Signs") < told.index("Why somebody moved")


@pytest.mark.parametrize(
    ("size", "page", "said"),
    [
        ((160, 40), "1", ": rules, models, data, log, checks …  ?"),
        ((120, 40), "1", ": rules, models, log …  ?"),
        ((80, 24), "1", ": all ?"),
        ((60, 20), "1", ": all ?"),
        ((120, 40), "5", ": ?"),
    ],
)
async def test_the_first_screen_names_those_without_a_tab(
    shop, app_of, settle, press, shown, size, page, said
):
    async with app_of(shop).run_test(size=size) as pilot:
        await settle(pilot)
        await press(pilot, "5", page)
        top = shown(pilot.app).splitlines()[0]
        assert top.endswith(said)
        await press(pilot, "2")
        assert shown(pilot.app).splitlines()[0].find("3 User") == top.find("3 User"), "tabs keep their place"
