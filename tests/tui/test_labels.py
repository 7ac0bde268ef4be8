"""Labels edited from the terminal: what was typed, previewed, then saved; and discovering."""

from __future__ import annotations

import pytest

from segtui.operations.errors import OperationError
from segtui.tui.data import Data
from segtui.tui.screens.labels import LabelEdit, read_edit

pytestmark = pytest.mark.usefixtures("network")


@pytest.mark.parametrize(
    ("text", "edit"),
    [
        ("add wholesale: orders_365d >= 12", LabelEdit("add", ("wholesale",), where="orders_365d >= 12")),
        ("add wholesale marked", LabelEdit("add", ("wholesale",), users=("c-1", "c-2"))),
        ("rename high premium", LabelEdit("rename", ("high", "premium"))),
        ("merge high medium upper", LabelEdit("merge", ("high", "medium", "upper"))),
        ("merge high medium", LabelEdit("merge", ("high", "medium"))),
        ("remove  high", LabelEdit("remove", ("high",))),
        ("rename 'high value' premium", LabelEdit("rename", ("high value", "premium"))),
        ('remove "high value"', LabelEdit("remove", ("high value",))),
    ],
)
def test_edits_are_read(text, edit):
    assert read_edit(text, {"c-2", "c-1"}) == edit


@pytest.mark.parametrize(
    ("text", "told"),
    [("", "Write add, rename"), ("rename high", "rename OLD NEW"), ("add x", "add NAME: RULE"),
     ("add x:", "add NAME: RULE"), ("add x marked", "Nobody is marked"), ("remove a b", "remove LABEL"),
     ("remove it's", "a quote is not closed")],
)  # fmt: skip
def test_what_is_no_edit_is_told_its_form(text, told):
    with pytest.raises(OperationError, match=told):
        read_edit(text, set())


class Playing(Data):
    """A store whose models are played: what it was asked is kept."""

    asked: list

    def label(self, segmentation, edit, preview, *_):
        self.asked.append((segmentation, edit, preview))
        return {
            "labels": ["premium", "medium", "low"], "changed": 0, "flows": [], "rules": ["vip"], "note": None,
            "examples": 24, "unknown": 1, "recall": 0.75,
        }  # fmt: skip

    def discover(self, name, clusters, preview, *_):
        self.asked.append((name, clusters, preview))
        by = [{"feature": "orders_90d", "way": "more"}]
        return {
            "from": "mlp-71c2", "clusters": 2, "users": 48, "flows": [],
            "stability": [{"clusters": 2, "agreement": 0.9, "smallest": 0.2}],
            "labels": [{"label": name, "users": 24, "share": 0.5, "by": by} for name in ("busy", "quiet")],
        }  # fmt: skip


@pytest.fixture
async def pilot(shop, app_of, settle):
    data = Playing(shop)
    data.asked = []
    async with app_of(shop, data=data).run_test(size=(80, 24)) as running:
        await settle(running)
        yield running


async def test_a_label_is_renamed_after_a_look(pilot, press, shown):
    data = pilot.app.data
    await press(pilot, "l", "'premium", "enter")
    edit = LabelEdit("rename", ("high", "premium"))
    assert data.asked == [("value", edit, True)]
    screen = shown(pilot.app)
    assert "premium, medium, low" in screen
    assert "vip name it anew" in screen
    assert "24 examples, 75.0 % of those kept out found, 1 id unknown" in screen
    assert "0 users would move" in screen
    await press(pilot, "y")
    assert data.asked[1:] == [("value", edit, False)]


async def test_the_marked_are_the_examples(pilot, press):
    await press(
        pilot, "enter", "space", "space", "1", "colon", "'add a label", "enter", "'wholesale marked", "enter"
    )
    _, edit, _ = pilot.app.data.asked[0]
    assert edit.users == tuple(sorted(pilot.app.get_screen("members").marked))
    assert len(edit.users) == 2


async def test_what_no_model_decides_has_no_labels_to_edit(ruled, app_of, settle, press):
    async with app_of(ruled).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "l")
        assert "no model decides it" in pilot.app.notices[-1].text


async def test_segments_are_discovered_after_a_look(pilot, press, shown):
    await press(pilot, "M", "colon", "'segments", "enter", "D", "ctrl+u", "'habits 2", "enter")
    assert "as mlp-71c2 sees users; found again to 90.0 %" in shown(pilot.app)
    assert "busy  orders_90d more" in shown(pilot.app)
    await press(pilot, "y")
    assert pilot.app.data.asked == [("habits", 2, True), ("habits", 2, False)]
    assert pilot.app.page.PAGE == "segments"
