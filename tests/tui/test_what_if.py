"""What if, on the replay: other frames beside the recorded ones, made in a job, outdated aloud."""

from __future__ import annotations

import threading

import pytest

from segtui.operations.progress import Stopped
from segtui.operations.rescore import rescore_range
from segtui.operations.session import open_session
from segtui.operations.what_if import what_if
from segtui.tui.data import Data

RULE = "lapsing = recency_days > 40"


@pytest.fixture
def ticked(ruled):
    """The store with a rule of its own, its last ten ticks gone over."""
    with open_session(ruled) as s:
        end = s.require_as_of()
        list(rescore_range(s, s.ticks.shift(end, -10), end))
    return ruled


@pytest.fixture
async def pilot(ticked, app_of, settle, press):
    async with app_of(ticked).run_test(size=(100, 36)) as running:
        await settle(running)
        await press(running, "4", "i", f"'{RULE}", "enter")
        yield running


def expected(store):
    with open_session(store) as s:
        start = s.ticks.shift(s.require_as_of(), -10)
        return {
            each["as_of"]: each for each in what_if(s, from_=start, define=("lapsing", "recency_days > 40"))
        }


async def test_another_rule_stands_beside_what_was_recorded(pilot, ticked, press, shown):
    page = pilot.app.page
    told = expected(ticked)
    assert {each["as_of"] for each in page.frames} == told.keys()
    await press(pilot, "t", "'-2d", "enter")
    frame = told[page.frame["as_of"]]
    screen = shown(pilot.app)
    assert f"what if: {RULE}" in screen
    assert f"{frame['differs']['lapsing']} users differ" in screen
    recorded, again = page.frame["sizes"]["lapsing"]["in"], frame["sizes"]["lapsing"]["in"]
    assert recorded != again
    (line,) = [
        each.split() for each in screen.splitlines() if each.split()[:3] == ["in", str(recorded), str(again)]
    ]
    assert line[3:5] == ["▲", str(again - recorded)]
    assert page.rows.total == frame["differs"]["lapsing"]
    assert page.rows.item["recorded"] == "out"
    await press(pilot, "enter")
    assert pilot.app.page.PAGE == "user"


async def test_m_goes_round_the_modes(pilot, press, shown):
    page = pilot.app.page
    await press(pilot, "m")
    assert page.mode == "recorded"
    assert page.rows.id == "feed"
    assert "what if" not in shown(pilot.app).splitlines()[1]
    await press(pilot, "m")
    assert page.mode == "recompute"
    assert all(set(each["differs"].values()) == {0} for each in page.other.frames.values())
    await press(pilot, "Y")
    assert pilot.app.clipboard.endswith("replay --mode recompute")
    await press(pilot, "m", "Y")
    assert page.mode == "what if"
    assert pilot.app.clipboard.endswith("--mode what-if --define 'lapsing=recency_days > 40'")


async def test_what_is_beside_is_named_at_80_columns(ticked, app_of, settle, press, shown):
    said = []
    async with app_of(ticked).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        told = pilot.app._job_says
        pilot.app._job_says = lambda what, share: said.append(what) or told(what, share)
        await press(pilot, "4", "m")
        page = pilot.app.page
        assert " recorded recompute" in shown(pilot.app)
        days = {each["as_of"][:10] for each in page.frames}
        assert {each.removeprefix("trying ") for each in said if each.startswith("trying ")} & days
        assert not [each for each in said if "rescoring" in each]
        page.other.frames.clear()
        page._draw()
        await settle(pilot)
        assert "This tick was not tried:" in shown(pilot.app)
        assert "the last 90 are." in shown(pilot.app)


async def test_m_asks_for_no_what_if(pilot, press):
    page = pilot.app.page
    await press(pilot, "m", "m")
    assert page.mode == "recompute"
    del page._others["what if"]
    await press(pilot, "m")
    assert page.mode == "recorded"
    assert pilot.app.screen is page


async def test_a_log_that_moved_on_is_told_until_it_is_tried_again(pilot, ticked, moved_on, press, shown):
    assert "MOVED ON" not in shown(pilot.app)
    await moved_on(pilot, ticked)
    assert "THE LOG HAS MOVED ON, i tries again" in shown(pilot.app)
    await press(pilot, "i", "enter")
    assert "MOVED ON" not in shown(pilot.app)
    assert pilot.app.page.mode == "what if"


async def test_a_recompute_is_tried_again_by_the_key_that_the_banner_names(
    pilot, ticked, moved_on, press, shown
):
    page = pilot.app.page
    await press(pilot, "m", "m")
    before = page.other.position
    await moved_on(pilot, ticked)
    assert "THE LOG HAS MOVED ON, i tries again │ recompute" in shown(pilot.app)
    await press(pilot, "i")
    assert "MOVED ON" not in shown(pilot.app)
    assert page.mode == "recompute"
    assert page.other.position > before
    await press(pilot, "i")
    assert "What if, over these ticks" in shown(pilot.app), "it is up to date: there is nothing to try again"


async def test_what_cannot_be_tried_is_told_in_the_prompt(pilot, press):
    for text, sentence in (
        ("none-such", "No model 'none-such'"),
        ("value --margin 0.2", "has no probabilities"),
        ("lapsing = recency > 40", "recency"),
        (" ", "Nothing to try"),
    ):
        await press(pilot, "i", "ctrl+u", f"'{text}", "enter")
        assert sentence in str(pilot.app.screen.query_one("#prompt-error").render())
        await press(pilot, "escape")


class SlowData(Data):
    """A store whose what-if goes on until it is called off."""

    def __init__(self, path):
        super().__init__(path)
        self.started = threading.Event()

    def what_if(self, _trial, _first, _named, progress, cancelled):
        progress("rescoring 2026-01-20", 0.25)
        self.started.set()
        while not cancelled():
            self.started.wait(0.01)
        raise Stopped


async def test_it_is_called_off_and_the_page_goes_on_meanwhile(ticked, app_of, settle, press, shown):
    data = SlowData(ticked)
    async with app_of(ticked, data=data).run_test(size=(100, 36)) as pilot:
        await settle(pilot)
        await press(pilot, "4")
        await pilot.press("i", *RULE, "enter")
        while not data.started.is_set():
            await pilot.pause(0.02)
        await pilot.press("full_stop", "full_stop")
        await pilot.pause()
        assert pilot.app.page.index == 2
        assert "25%" in shown(pilot.app)
        await pilot.press("ctrl+c")
        await settle(pilot)
        assert pilot.app.notices[-1].text == "Called off: nothing was written."
        assert pilot.app.page.mode == "recorded"
