"""A command line run inside the test, and small shops to run it on."""

from __future__ import annotations

import json
import random
import shutil
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from segtui.cli import run

START = datetime(2025, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Ended:
    """How a command line ended: exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON object on stdout."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The JSON objects on stdout, one per line."""
        return [json.loads(line) for line in self.out.splitlines()]


Cli = Callable[..., Ended]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    """Runs one command line in this process, and says how it ended."""

    def call(*arguments: object) -> Ended:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Ended(code, captured.out, captured.err)

    return call


def named(keys: str) -> set[str]:
    """Keys, written as words."""
    return set(keys.split())


def document(cli: Cli, store: Path, *arguments: object) -> dict[str, Any]:
    """The one object a command prints, having ended well."""
    ended = cli(*arguments, "--store", store, "--json")
    assert ended.code == 0, ended.err
    assert ended.out.count("\n") == 1
    return ended.document


def lines(cli: Cli, store: Path, *arguments: object) -> list[dict[str, Any]]:
    """The objects a command prints, one a line, having ended well."""
    ended = cli(*arguments, "--store", store, "--json")
    assert ended.code == 0, ended.err
    return ended.lines


@pytest.fixture(autouse=True)
def nothing_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No store, key or clock of the machine that runs the tests; defects are told into the test's folder."""
    for name in ("SEGTUI_STORE", "SEGTUI_KEY", "SEGTUI_NOW"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


@pytest.fixture
def operation(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[dict[str, Any]]]:
    """Puts a stand-in for one operation, which answers, raises, or streams; returns the calls it got."""

    def put(module: str, name: str, answer: Any) -> list[dict[str, Any]]:
        calls: list[dict[str, Any]] = []

        def stand_in(*arguments: Any, **options: Any) -> Any:
            calls.append({"arguments": arguments, **options})
            if isinstance(answer, BaseException):
                raise answer
            return answer

        fake = types.ModuleType(f"segtui.operations.{module}")
        setattr(fake, name, stand_in)
        monkeypatch.setitem(sys.modules, fake.__name__, fake)
        return calls

    return put


def shop_events(users: int, days: int, seed: int) -> list[dict[str, Any]]:
    """Views and purchases of a small shop; heavy buyers keep buying, so that there is something to learn."""
    draw = random.Random(seed)
    events = []
    for user in range(users):
        pace = draw.choice([6, 20, 60, 200])
        size = draw.choice([10, 30, 90])
        day = draw.uniform(0, 60)
        order = 0
        while day < days:
            at = START + timedelta(seconds=int(day * 86_400))
            bought = draw.random() < 0.6
            order += bought
            line: dict[str, Any] = {
                "user": f"c-{user:04}",
                "time": at.isoformat(),
                "kind": "purchase" if bought else "view",
                "item": f"sku-{draw.randrange(40)}",
                "platform": draw.choice(["web", "app"]),
            }
            if bought:
                amount = round(draw.uniform(0.5, 1.5) * size, 2)
                line |= {"order": f"o-{user}-{order}", "amount": amount, "currency": "EUR", "quantity": 1}
            events.append(line)
            day += draw.expovariate(1 / pace)
    return events


def write_events(path: Path, events: list[dict[str, Any]]) -> Path:
    """The events as NDJSON."""
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    return path


@pytest.fixture(scope="session")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """400 days of 1,200 customers as an event file."""
    return write_events(
        tmp_path_factory.mktemp("history") / "events.ndjson", shop_events(users=1_200, days=400, seed=3)
    )


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, history: Path) -> Path:
    """A store with that history and one quickly trained model; never written to (copy it first)."""
    path = tmp_path_factory.mktemp("trained") / "shop.db"
    for arguments in (
        ["init", "--clock", "data"],
        ["import", str(history)],
        ["train", "--model", "logistic", "--set", "epochs=3", "--horizon", "60d"],
    ):
        assert run([*arguments, "--store", str(path), "--quiet"]) == 0
    return path


@pytest.fixture
def shop(trained: Path, tmp_path: Path) -> Path:
    """A copy of the trained store, to do with as the test likes."""
    copy = tmp_path / "shop.db"
    for suffix in ("", ".key"):
        shutil.copy(f"{trained}{suffix}", f"{copy}{suffix}")
    return copy
