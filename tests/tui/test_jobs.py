"""Work that writes: it reports, it can be called off, and the page stays alive beside it."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from db.errors import StoreLocked
from segtui.operations.progress import Stopped
from segtui.tui.data import Data
from segtui.tui.standing_back import NICE, standing_back

RESULT = {"as_of": "2026-03-01T00:00:00+01:00", "evaluated": 48, "changed": 3, "seconds": 0.4}
FLOWS = [["value", "high", "low", 2], ["value", None, "low", 1]]
PREVIEW = RESULT | {"due": 40, "flows": FLOWS, "ticks": [{}, {}]}


class SlowData(Data):
    """A store whose rescore is previewed at once, and waits to be told to go on, or to be called off."""

    def __init__(self, path):
        super().__init__(path)
        self.go_on = threading.Event()
        self.started = threading.Event()
        self.called_off = False

    def rescore(self, preview, progress, cancelled):
        if preview:
            return PREVIEW
        progress("rescoring 2026-03-01", 0.25)
        self.started.set()
        while not self.go_on.wait(0.01):
            if cancelled():
                self.called_off = True
                raise Stopped
        return RESULT


class LockedData(Data):
    def rescore(self, preview, progress, cancelled):
        raise StoreLocked("Process 4711 (segtui rescore) holds the store since 12:00: try again later.")


@pytest.fixture
async def running(shop, app_of, settle, press):
    data = SlowData(shop)
    app = app_of(shop, data=data)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "r")
        await pilot.press("y")
        while not data.started.is_set():
            await pilot.pause(0.01)
        await pilot.pause(0.05)
        yield pilot
        data.go_on.set()


async def test_rescoring_shows_who_would_move_first(shop, app_of, settle, press, shown):
    data = SlowData(shop)
    async with app_of(shop, data=data).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "r")
        screen = shown(pilot.app)
        assert "40 users due over 2 ticks, 3 moves." in screen
        told = [line.split("│")[1].split() for line in screen.splitlines() if " > " in line and "█" in line]
        assert [(line[0], line[2:]) for line in told] == [
            ("2", ["high", ">", "low"]),
            ("1", ["(new)", ">", "low"]),
        ]
        await press(pilot, "escape")
        assert not data.started.is_set()
        await press(pilot, "r", "n")
        assert not data.started.is_set()


async def test_progress_is_shown_and_the_page_stays_alive(running, shown):
    screen = shown(running.app)
    assert "rescoring 2026-03-01" in screen
    assert "25%" in screen
    assert "ctrl+c calls it off" in screen
    await running.press("5")
    await running.pause(0.1)
    assert running.app.page.PAGE == "changes"
    # the line goes with the operator
    assert "25%" in shown(running.app)


@pytest.mark.parametrize("width", [40, 60, 80])
@pytest.mark.parametrize("what", ["rescoring 2026-03-01", "day 1,000 of 1,096: import and rescore, and more"])
async def test_the_key_that_calls_a_job_off_is_always_shown(shop, app_of, settle, shown, width, what):
    async with app_of(shop).run_test(size=(width, 24)) as pilot:
        await settle(pilot)
        pilot.app._job_says(what, 0.13)
        await pilot.pause()
        line = next(line for line in shown(pilot.app).splitlines() if " 13% " in line)
        assert line.endswith("  ctrl+c calls it off")
        assert line.startswith(f" {what[:9]}")


async def test_the_result_is_told(running, settle, shown):
    running.app.data.go_on.set()
    await settle(running)
    assert running.app.notices[-1].text == ("Rescored up to 2026-03-01 00:00: 48 evaluated, 3 moved, 0.4 s.")
    assert "calls it off" not in shown(running.app)


async def test_ctrl_c_calls_the_job_off_and_does_not_quit(running, settle, shown):
    await running.press("ctrl+c")
    await settle(running)
    assert running.app.data.called_off
    assert running.app.is_running
    assert running.app.notices[-1].text == "Called off: nothing was written."


async def test_ctrl_c_quits_without_a_job(shop, app_of, settle):
    async with app_of(shop).run_test() as pilot:
        await settle(pilot)
        await pilot.press("ctrl+c")
        await pilot.pause()
        assert not pilot.app.is_running


async def test_quitting_asks_while_a_job_writes(running, shown):
    await running.press("q")
    await running.pause()
    assert "A job is writing" in shown(running.app)
    await running.press("n")
    await running.pause()
    assert running.app.is_running
    assert not running.app.data.called_off
    await running.press("q", "y")
    await running.pause()
    assert not running.app.is_running


async def test_a_second_job_has_to_wait(running):
    await running.press("r")
    await running.pause()
    assert "A job is running" in running.app.notices[-1].text


async def test_what_goes_wrong_is_a_notice(shop, app_of, settle, press):
    async with app_of(shop, data=LockedData(shop)).run_test() as pilot:
        await settle(pilot)
        await press(pilot, "r")
        assert pilot.app.notices[-1].text.startswith("Process 4711 (segtui rescore) holds the store")
        assert pilot.app.notices[-1].severity == "error"
        assert pilot.app.is_running


async def test_an_export_to_where_there_is_no_folder_is_told_in_the_line(shop, app_of, settle, press, shown):
    async with app_of(shop).run_test() as pilot:
        await settle(pilot)
        await press(pilot, "x", "ctrl+u", "'/nowhere/at/all.csv", "enter")
        assert "Folder /nowhere/at is not there" in shown(pilot.app)
        assert pilot.app.screen.query_one("Input").value == "/nowhere/at/all.csv"


async def test_a_file_that_is_there_wants_a_second_enter(shop, app_of, settle, press, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    there = tmp_path / "value-high.csv"
    there.write_text("mine")
    async with app_of(shop).run_test() as pilot:
        await settle(pilot)
        await press(pilot, "x", "enter")
        assert "press enter again to replace it" in str(pilot.app.screen.query_one("#prompt-error").render())
        assert there.read_text() == "mine"
        await press(pilot, "enter")
        assert there.read_text().startswith("user,")


async def test_an_export_keeps_the_filter(shop, app_of, settle, press, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    async with app_of(shop).run_test() as pilot:
        await settle(pilot)
        await press(pilot, "enter", "slash", "'margin < 0.3", "enter", "x", "enter")
        lines = (tmp_path / "value-high.csv").read_text().splitlines()
        assert len(lines) == 1 + pilot.app.page.total < 13


def niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a thread has no priority of its own")
async def test_a_job_lets_keys_and_questions_go_first(shop, app_of, settle):
    app = app_of(shop)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        told = []
        app.start("count", lambda *_: {"nice": niceness()}, lambda result: told.append(result["nice"]) or "")
        await settle(pilot)
        app.page.ask("own", lambda _: niceness(), told.append)
        await settle(pilot)
        assert told == [niceness() + NICE, niceness()]


def test_what_stands_back_gives_its_result_or_its_error():
    assert standing_back(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        standing_back(lambda: 1 / 0)


async def test_a_question_does_not_wait_for_those_given_up(shop, app_of, settle):
    app = app_of(shop)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        told, go_on = [], threading.Event()
        for _ in range(20):
            app.page.ask("own", lambda _: go_on.wait(5), told.append)
            await pilot.pause(0.01)
        app.page.ask("own", lambda _: "newest", told.append)
        await pilot.pause(0.5)
        assert told == ["newest"]
        go_on.set()
