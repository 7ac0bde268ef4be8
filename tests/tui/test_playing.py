"""The replay page: played, stepped, sought, and while the store grows."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from db.errors import StoreLocked
from segtui.tui import words
from segtui.tui.data import Data
from segtui.tui.screens.replay_panes import flow_matrix

pytestmark = pytest.mark.usefixtures("network")


class StubbornData(Data):
    """A store that refuses to tell who moved at the first tick it is asked about."""

    refusals = 1

    def tick_moves(self, as_of):
        if self.refusals:
            self.refusals -= 1
            raise StoreLocked("The store is busy: try again later.")
        return super().tick_moves(as_of)


async def test_a_part_that_fails_leaves_the_rest_of_the_page(shop, app_of, settle, press, shown):
    async with app_of(shop, data=StubbornData(shop)).run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "4")
        assert pilot.app.notices[-1].text == "The store is busy: try again later."
        assert "frame 1/31" in shown(pilot.app)
        await press(pilot, "full_stop")
        assert pilot.app.page.rows.total == pilot.app.page.frame["changes"] > 0


async def test_replay_stays_where_it_is_while_the_store_grows(pilot, press, moved_on, shop):
    await press(pilot, "4", "t", "'2026-02-19", "enter")
    page = pilot.app.page
    await moved_on(pilot, shop)
    assert (page.index, len(page.frames), page.complete) == (20, 31, True)


async def test_replay_steps_weeks_and_markers(pilot, press):
    await press(pilot, "4")
    page = pilot.app.page
    assert len(page.frames) == 31
    await press(pilot, "full_stop", "full_stop", "comma")
    assert page.index == 1
    await press(pilot, "greater_than_sign")
    assert page.frame["as_of"][:10] == "2026-02-07"
    await press(pilot, "less_than_sign", "n")
    assert page.frame["by_cause"].keys() & {"model", "late_event"}
    await press(pilot, "N", "N", "N")
    assert page.index == 0


async def test_replay_seeks_a_date(pilot, press, shown):
    await press(pilot, "4", "t", "'2026-02-19", "enter")
    page = pilot.app.page
    assert page.index == 20
    screen = shown(pilot.app)
    assert "frame 21/31" in screen
    assert "another model decides" in screen
    # everyone who moved at this tick, and nobody else
    assert page.rows.total == page.frame["changes"] == 4


async def test_replay_plays_to_the_end_and_pauses(pilot, press):
    await press(pilot, "4", "t", "'2026-02-25", "enter", *["plus"] * 5, "space")
    page = pilot.app.page
    for _ in range(100):
        if page.index == 30 and page._film is None:
            break
        await pilot.pause(0.05)
    assert page.index == 30
    assert page._film is None


async def test_the_feed_is_asked_for_less_often_than_frames_play(pilot, press, settle, monkeypatch):
    await press(pilot, "4")
    page = pilot.app.page
    clock, asked = [page.now() + 1], []
    monkeypatch.setattr(page, "now", lambda: clock[0])
    monkeypatch.setattr(page, "set_interval", lambda *_: SimpleNamespace(stop=lambda: None))
    told = pilot.app.data.tick_moves
    monkeypatch.setattr(pilot.app.data, "tick_moves", lambda as_of: asked.append(as_of) or told(as_of))
    page.speed = 16
    page.action_play()
    for _ in range(10):
        clock[0] += 0.0625
        page._next()
        await settle(pilot)
    assert page.index == 10
    assert 2 <= len(asked) <= 4
    page.action_play()
    await settle(pilot)
    assert asked[-1] == words.microseconds(page.frame["as_of"])
    assert page.rows.total == page.frame["changes"]


async def test_a_replay_drops_frames_rather_than_fall_behind(pilot, press, monkeypatch):
    await press(pilot, "4")
    page = pilot.app.page
    clock = [100.0]
    monkeypatch.setattr(page, "now", lambda: clock[0])
    monkeypatch.setattr(page, "set_interval", lambda *_: SimpleNamespace(stop=lambda: None))
    drawn = []
    monkeypatch.setattr(page, "_draw", lambda: drawn.append(page.index))
    page.speed = 64
    page.action_play()
    for _ in range(5):
        clock[0] += 0.05
        page._next()
    assert drawn == [0, 3, 6, 9, 12, 16]
    assert page.dropped == 16 - 5
    page.action_play()
    clock[0] += 10
    assert (page._film, page.index) == (None, 16)
    page.action_play()
    clock[0] += 10
    page._next()
    page._next()
    assert (page.index, page._film) == (30, None)


async def test_replay_sizes_follow_the_changes(pilot, press):
    await press(pilot, "4")
    page = pilot.app.page
    for before, frame in zip(page.frames, page.frames[1:], strict=False):
        for label, users in frame["sizes"]["value"].items():
            came = sum(n for _, left, to, n in frame["flows"] if to == label)
            left = sum(n for _, start, to, n in frame["flows"] if start == label)
            assert users - before["sizes"]["value"][label] == came - left


async def test_replay_from_a_change(pilot, press):
    await press(pilot, "5", "j", "j", "p")
    changes = pilot.app.get_screen("changes")
    assert pilot.app.page.PAGE == "replay"
    assert pilot.app.page.frame["as_of"] == changes.rows.item["as_of"]


def test_moves_of_a_label_that_the_tick_ended_are_in_the_matrix():
    flows = [["value", "high", "zed", 410], ["value", "low", "zed", 2], ["value", None, "low", 7]]
    frame = {"sizes": {"value": {"zed": 412, "low": 3}}, "flows": [*flows, ["other", "in", "out", 1]]}
    assert [line.split() for line in flow_matrix(frame, "value", 40).plain.splitlines()] == [
        ["FROM", "\\", "TO", "high", "zed", "low"],
        ["(new)", "0", "0", "7"],
        ["high", "-", "410", "0"],
        ["zed", "0", "-", "0"],
        ["low", "0", "2", "-"],
    ]
