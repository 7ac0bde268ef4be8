"""Names that hold what Textual reads as markup: they are shown as they are written, on every page."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from textual.command import CommandList

import segtui.tui
from db.store import Store
from tests.tui import small_shop
from tests.tui.small_shop import with_rule, written
from tests.tui.test_states import WALK

pytestmark = pytest.mark.usefixtures("network")
LABELS = ("[/oops]", "[bold red]mid[/]", "[low")
MODEL, SOURCE = "[/model]", "[/src]"


def user(n: int) -> str:
    return f"x[/red]{10_400 + 37 * n}"


@pytest.fixture
def bracketed(tmp_path, monkeypatch):
    """The shop with such labels, users, a model, a source, and a rule about one of the labels."""
    monkeypatch.setattr(small_shop, "LABELS", LABELS)
    monkeypatch.setattr(small_shop, "external", user)
    path = written(tmp_path / "[shop].db")
    with Store.open(path) as store, store.transaction(actor="[/me]", source="import") as tx:
        known = {"known_from": "2025-12-01T00:00:00+01:00", "horizon": "90d", "metrics": {}}
        about = {"segmentation": "value", "kind": "mlp", "labels": list(LABELS)}
        about |= {"thresholds": {"high_above": 1}}
        tx.append_decision("model_trained", {"model": "5e" * 32, "name": MODEL} | about | known)
        counts = dict.fromkeys(("duplicates", "changed", "suppressed", "late", "accepted"), 0)
        counts |= {"quarantined": 1, "rows": 1, "reasons": {"[/reason]": 1}}
        tx.append_decision("imported", {"source": SOURCE, "format": "[/events]"} | counts)
    return with_rule(path, [user(n) for n in range(3)], f"value = '{LABELS[0]}'")


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
async def test_names_are_shown_as_they_are_written(bracketed, app_of, settle, press, shown, size):
    told = {}
    async with app_of(bracketed).run_test(size=size) as pilot:
        await settle(pilot)
        app = pilot.app
        for page, keys in WALK.items():
            await press(pilot, *keys)
            if page != app.page.PAGE:
                app.visit(page)
                await settle(pilot)
            told[page] = shown(app)
        assert not app.notices
    for page, title in [
        ("segments", f"value={LABELS[0]}"),
        ("members", user(2)),
        ("user", f"why {LABELS[0]}, not {LABELS[2]}"),
        ("replay", f"size over time: {LABELS[0]} (l)"),
        ("models", f"{MODEL}, on users it never saw"),
        ("overlap", f"nobody of value={LABELS[0]} is elsewhere"),
        ("data", f"{SOURCE}, read as [/events]"),
    ]:
        assert f"─{title}─" in told[page]


async def test_titles_of_the_chosen_and_of_dialogs_are_as_they_are_written(
    bracketed, app_of, settle, press, shown
):
    async with app_of(bracketed).run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        app = pilot.app
        await press(pilot, "j", "O", "j")
        assert f"─value={LABELS[1]} shares users with─" in shown(app)
        await press(pilot, "5", "w")
        assert f"─why {app.page.rows.item['user']} moved in lapsing (b: totals)─" in shown(app)
        app.visit("changes", wanted=type(app.page.wanted)(segment=f"value={LABELS[0]}"), focus="summary")
        await settle(pilot)
        assert f"─value={LABELS[0]} then and now (b: totals)─" in shown(app)
        await press(pilot, "4", "n", "l")
        assert f"─size over time: {LABELS[1]} (l)─" in shown(app)
        await press(pilot, "1", "k", "l", "enter")
        assert "rename OLD NEW" in shown(app)
        await press(pilot, "escape", "x")
        assert LABELS[0] in shown(app)


async def test_the_palette_offers_what_is_typed_and_found_as_it_is_written(bracketed, app_of, settle, press):
    async with app_of(bracketed).run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        app = pilot.app
        await press(pilot, "colon")
        for text, offered in [
            ("[/x]", "user [/x]"),
            ("[/oo", f"value={LABELS[0]}"),
            ("[/mod", MODEL),
        ]:
            await press(pilot, "ctrl+u", f"'{text}")
            found = app.screen.query_one(CommandList)
            prompts = [str(found.get_option_at_index(n).prompt) for n in range(found.option_count)]
            assert offered in [prompt.splitlines()[0] for prompt in prompts]
        await press(pilot, "ctrl+u", f"'{user(0)}", "enter")
        assert (app.page.PAGE, app.page.user) == ("user", user(0))


def test_titles_on_borders_are_no_markup():
    """Textual reads a str there as markup, whatever the widget: only a text without names may be one."""
    for file in Path(segtui.tui.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Assign) and any(
                isinstance(to, ast.Attribute) and to.attr in ("border_title", "border_subtitle")
                for to in node.targets
            ):
                assert isinstance(node.value, ast.Constant) or ast.unparse(node.value).startswith("Content(")
