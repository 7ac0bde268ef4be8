"""When the terminal UI opens, and what its end means."""

from __future__ import annotations

import sqlite3
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from db.version import outdated
from segtui.cli import app, ui


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """A terminal, and a stand-in for the UI that notes the stores it was opened on."""
    stores: list[Path] = []

    class StandIn:
        return_code = 0
        failure = None

        def __init__(self, store: Path) -> None:
            self.store = store

        def run(self) -> None:
            stores.append(self.store)

    fake = types.ModuleType("segtui.tui.app")
    fake.SegtuiApp = StandIn
    monkeypatch.setitem(sys.modules, fake.__name__, fake)
    monkeypatch.setattr(ui, "on_terminal", lambda: True)
    return stores


@pytest.fixture
def store(cli: Callable[..., Any], tmp_path: Path) -> Path:
    """An empty store where it is looked for by default."""
    path = tmp_path / "segtui.db"
    assert cli("init").code == 0
    return path


def test_the_program_alone_opens_the_ui(cli: Callable[..., Any], store: Path, opened: list[Path]) -> None:
    assert cli().code == 0
    assert cli("--store", store).code == 0
    assert cli("tui", "--store", store).code == 0
    assert opened == [Path("segtui.db"), store, store]


def test_no_command_is_made_to_open_the_ui(
    cli: Callable[..., Any], store: Path, opened: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Making sixty commands takes as long as the first paint."""
    monkeypatch.setattr(app, "app", None)
    assert cli().code == 0
    assert cli("--wait", 5, "--store", store).code == 0
    assert opened == [Path("segtui.db"), store]
    assert cli("--store", store, "status", "--json").code != 0


def test_a_missing_store_is_told_before_any_screen(
    cli: Callable[..., Any], tmp_path: Path, opened: list[Path]
) -> None:
    ended = cli("--store", tmp_path / "missing.db")
    assert ended.code == 1
    assert "missing.db" in ended.err
    assert opened == []


def test_an_older_store_is_migrated_before_any_screen(
    cli: Callable[..., Any], tmp_path: Path, opened: list[Path]
) -> None:
    path = tmp_path / "old.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA application_id = 0x73677475")
    connection.execute("VACUUM")
    connection.close()
    assert outdated(path)
    assert cli("tui", "--store", path).code == 0
    assert opened == [path]
    assert not outdated(path)


def test_a_ui_that_fails_fails_the_command(
    cli: Callable[..., Any], store: Path, opened: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["segtui.tui.app"].SegtuiApp, "return_code", 1)
    assert cli("tui").code == 1


def test_the_demo_opens_it_for_people_only(
    cli: Callable[..., Any], store: Path, opened: list[Path], operation: Any
) -> None:
    answer = {"store": str(store), "events": 1, "users": 1, "model": None, "metrics": None, "segments": []}
    operation("demo", "demo", answer)
    for options in (["--no-ui"], ["--json"], []):
        assert cli("demo", *options).code == 0
    assert opened == [store]
