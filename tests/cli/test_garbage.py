"""A command is soon over and looks for garbage seldom; the screens look as often as Python does."""

from __future__ import annotations

import gc
import sys

import pytest

from segtui import cli
from segtui.cli import ui
from segtui.garbage import SELDOM, USUAL
from segtui.tui.app import SegtuiApp


@pytest.fixture(autouse=True)
def found(monkeypatch):
    """The thresholds as they were in the end; nothing is held for real."""
    held = []
    monkeypatch.setattr(gc, "freeze", lambda: held.append(gc.get_threshold()))
    before = gc.get_threshold()
    yield held
    gc.set_threshold(*before)


def test_a_command_looks_seldom_and_not_once_more_when_it_ends(found, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["segtui", "--version"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0
    assert found == [SELDOM], capsys.readouterr()


def test_the_screens_look_as_often_as_python_does(monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr(ui, "on_terminal", lambda: True)
    monkeypatch.setattr(SegtuiApp, "run", lambda self: seen.append(gc.get_threshold()))
    gc.set_threshold(*SELDOM)
    ui.open_ui(_store(tmp_path))
    assert seen == [USUAL]


def _store(tmp_path):
    path = tmp_path / "shop.db"
    cli.run(["init", "--store", str(path), "-q"])
    return path
