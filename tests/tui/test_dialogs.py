"""Dialogs: what was wrong is told where it was typed, and nothing opens over what is being typed into."""

from __future__ import annotations

import threading

import pytest

from segtui.operations.errors import OperationError
from segtui.operations.progress import Stopped
from segtui.operations.trials import Trial
from segtui.tui.data import Data
from segtui.tui.screens.dialogs import Confirm, Reading

pytestmark = pytest.mark.usefixtures("network")

PREVIEW = {
    "as_of": "2026-03-01T00:00:00+01:00", "due": 40, "evaluated": 48, "changed": 3, "seconds": 0.4,
    "flows": [["value", "high", "low", 2]], "ticks": [{}, {}],
}  # fmt: skip


class Refusing(Data):
    """A store that finds something wrong with whatever is asked, and rescores when told to go on."""

    ticks = PREVIEW["ticks"]

    def __init__(self, path):
        super().__init__(path)
        self.go_on = threading.Event()
        self.called_off = False

    def decide(self, *_):
        raise OperationError("A minimum is from 0 to 1.")

    def label(self, *_):
        raise OperationError("There is no label 'hihg'.")

    def add_users(self, *_):
        raise OperationError("'my list!' is no name.")

    def discover(self, name, clusters, preview, progress, cancelled):
        while not self.go_on.wait(0.01):
            self.called_off = self.called_off or cancelled()
        raise OperationError("Too few users to group.")

    def train(self, wanted, progress, cancelled, heard):
        while not self.go_on.wait(0.01):
            if cancelled():
                raise Stopped
        raise OperationError("The horizon 'abc' is no duration.")

    def what_if(self, *_):
        raise OperationError("There is no model 'mlp-9'.")

    def trial(self, text):
        return Trial(text=text)

    def rescore(self, preview, progress, cancelled):
        assert preview
        self.go_on.wait(10)
        return PREVIEW | {"ticks": self.ticks}


@pytest.fixture
async def pilot(shop, app_of, settle):
    data = Refusing(shop)
    async with app_of(shop, data=data).run_test(size=(80, 24)) as running:
        await settle(running)
        yield running
        data.go_on.set()


@pytest.mark.parametrize(
    ("keys", "typed", "told"),
    [
        (["i"], "--min high=1.5", "A minimum is from 0 to 1."),
        (["l"], "rename hihg top", "There is no label 'hihg'."),
        (["enter", "a"], "my list!", "'my list!' is no name."),
    ],
)
async def test_what_has_no_meaning_is_told_under_the_line(pilot, press, shown, keys, typed, told):
    await press(pilot, *keys, "ctrl+u", f"'{typed}", "enter")
    line = pilot.app.screen.query_one("Input")
    assert (line.value, line.has_focus) == (typed, True)
    assert told in shown(pilot.app)
    assert pilot.app.notices == [], "told once"
    await press(pilot, "'5")
    assert line.value == f"{typed}5", "what is typed next is no shortcut"


async def test_a_line_left_for_a_long_job_comes_back_with_what_was_wrong(pilot, press, settle, shown):
    await pilot.press("M")
    await settle(pilot)
    await pilot.press("n", *" horizon=abc", "enter")
    while pilot.app.idle:
        await pilot.pause(0.01)
    assert pilot.app.screen is pilot.app.page, "training runs beside the page"
    pilot.app.data.go_on.set()
    await settle(pilot)
    assert pilot.app.screen.query_one("Input").value == "horizon=abc"
    assert "The horizon 'abc' is no duration." in shown(pilot.app)
    await press(pilot, "enter")
    assert "The horizon 'abc' is no duration." in shown(pilot.app), "it can be sent again"
    assert pilot.app.notices == []


async def test_a_long_job_that_was_called_off_asks_nothing(pilot, settle):
    await pilot.press("M")
    await settle(pilot)
    await pilot.press("n", "enter")
    while pilot.app.idle:
        await pilot.pause(0.01)
    await pilot.press("ctrl+c")
    await settle(pilot)
    assert pilot.app.screen is pilot.app.page
    assert pilot.app.notices[-1].text == "Called off: nothing was written."


async def test_what_cannot_be_tried_over_the_past_is_told_under_the_line(pilot, press, shown):
    await press(pilot, "4", "i", "'mlp-9", "enter")
    assert pilot.app.screen.query_one("Input").value == "mlp-9"
    assert "There is no model 'mlp-9'." in shown(pilot.app)


async def test_leaving_the_line_calls_the_preview_off(pilot, settle):
    data = pilot.app.data
    await pilot.press("D", "enter")
    while pilot.app.idle:
        await pilot.pause(0.01)
    await pilot.press("escape")
    await pilot.pause(0.05)
    assert pilot.app.screen is pilot.app.page
    data.go_on.set()
    await settle(pilot)
    assert data.called_off
    assert pilot.app.idle
    assert pilot.app.notices == [], "nobody asks any more"


@pytest.mark.parametrize("opens", ["t", "slash"])
async def test_a_late_answer_waits_for_what_is_being_typed(pilot, press, settle, opens):
    await pilot.press("r", opens)
    await pilot.pause(0.1)
    pilot.app.data.go_on.set()
    await press(pilot, "'-7d")
    await pilot.pause(0.2)
    assert not isinstance(pilot.app.screen, Confirm)
    assert pilot.app.screen.query_one("Input").value == "-7d"
    await press(pilot, "escape")
    await pilot.pause(0.2)
    await settle(pilot)
    assert isinstance(pilot.app.screen, Confirm)


async def test_enter_is_no_yes(pilot, press):
    pilot.app.data.go_on.set()
    await press(pilot, "r", "enter")
    assert isinstance(pilot.app.screen, Confirm)
    assert pilot.app.idle


async def test_nobody_due_is_only_told(pilot, press, shown):
    pilot.app.data.ticks = []
    pilot.app.data.go_on.set()
    await press(pilot, "r")
    assert isinstance(pilot.app.screen, Reading)
    assert "Nobody is due" in shown(pilot.app)
    assert "y rescore" not in shown(pilot.app)
    await press(pilot, "y", "escape")
    assert pilot.app.screen is pilot.app.page
