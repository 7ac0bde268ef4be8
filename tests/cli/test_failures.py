"""Every end of a command: its exit code, and one sentence on stderr."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from db.errors import StoreLocked
from engine.errors import EngineError
from segtui.operations.errors import OperationError
from segtui.operations.progress import Stopped
from segtui.operations.times import TimeError
from segtui.sources.errors import SourceError

Operation = Callable[..., list[dict[str, Any]]]


def init_failing_with(error: BaseException, operation: Operation, cli: Callable[..., Any]) -> Any:
    operation("init", "init", error)
    return cli("init")


@pytest.mark.parametrize(
    "error",
    [
        StoreLocked("pid 7 holds the store since 10:00."),
        SourceError("orders.csv line 3: no date."),
        OperationError("There is no model yet."),
        EngineError("Unknown name 'ordrs'."),
    ],
)
def test_a_refusal_is_its_own_sentence(
    error: Exception, operation: Operation, cli: Callable[..., Any]
) -> None:
    ended = init_failing_with(error, operation, cli)
    assert (ended.code, ended.out, ended.err) == (1, "", f"segtui: {error}\n")


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "no space"),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "permission"),
        (errno.ENOENT, "no such file"),
        (errno.EISDIR, "a folder"),
    ],
)
def test_trouble_with_the_disk_names_the_file_and_what_to_do(
    number: int, words: str, operation: Operation, cli: Callable[..., Any]
) -> None:
    ended = init_failing_with(OSError(number, os.strerror(number), "/data/shop.db"), operation, cli)
    assert ended.code == 1
    assert ended.err.startswith("segtui: /data/shop.db: ")
    assert words in ended.err
    assert ended.err.count("\n") == 1


def test_a_full_disk_that_polars_met(operation: Operation, cli: Callable[..., Any]) -> None:
    error = OSError("No space left on device (os error 28)")
    assert error.errno is None
    ended = init_failing_with(error, operation, cli)
    assert (ended.code, ended.err.startswith("segtui: no space")) == (1, True)


def test_a_time_that_is_none_is_misuse(operation: Operation, cli: Callable[..., Any]) -> None:
    ended = init_failing_with(TimeError("'soon' is not a time."), operation, cli)
    assert (ended.code, ended.err) == (2, "segtui: 'soon' is not a time.\n")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Stopped()])
def test_ctrl_c(error: BaseException, operation: Operation, cli: Callable[..., Any]) -> None:
    ended = init_failing_with(error, operation, cli)
    assert ended.code == 130
    assert ended.err.startswith("segtui: Stopped")
    assert ended.err.count("\n") == 1


def test_a_defect_is_told_with_a_file_and_no_traceback(
    operation: Operation, cli: Callable[..., Any], tmp_path: Path
) -> None:
    ended = init_failing_with(ZeroDivisionError("secret detail"), operation, cli)
    assert ended.code == 1
    assert "defect" in ended.err
    assert "Traceback" not in ended.err
    assert ended.err.count("\n") == 1
    (told,) = tmp_path.glob("segtui-defect-*.txt")
    assert str(told) in ended.err
    assert "ZeroDivisionError: secret detail" in told.read_text()
    assert told.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "arguments",
    [
        ["modls"],
        ["members"],
        ["segments", "--what"],
        ["init", "--clock", "sundial"],
        ["train", "--optimizer", "prayer"],
        ["train", "--set", "epochs"],
        ["train", "--set", "=3"],
        ["import"],
        ["import", "x", "--max-quarantine", "101%"],
        ["import", "x", "--max-quarantine", "some"],
        ["members", "value=high", "--limit", "-1"],
        ["undo", "99999999999999999999999"],
        ["replay", "--position", "99999999999999999999999"],
        ["changes", "--cause", "magic"],
        ["replay", "--mode", "what-if"],
        ["rescore", "--at", "now", "--from", "-3d"],
        ["rescore", "--to", "now"],
        ["promote"],
        ["promote", "m", "--previous"],
        ["transitions", "--from", "now"],
        ["tui"],
        [],
    ],
)
def test_misuse_is_one_sentence_that_points_at_the_help(
    arguments: list[str], cli: Callable[..., Any]
) -> None:
    ended = cli(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("segtui: ")
    assert "--help'" in ended.err
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize("text", ["some", "101%", "-1", "nan", "%", "5%%"])
def test_a_percentage_that_is_none_is_called_so(text: str, cli: Callable[..., Any]) -> None:
    told = cli("import", "x", "--max-quarantine", text).err
    assert f"'{text}' is not a percentage from 0% to 100%" in told


def test_a_mistyped_command_is_guessed(cli: Callable[..., Any]) -> None:
    assert "Did you mean 'models'?" in cli("modls").err


STREAMS_FOR_EVER = """
import itertools, sys, types
fake = types.ModuleType("segtui.operations.changes")
fake.changes = lambda s, **_: ({"seq": n} for n in itertools.count())
sys.modules[fake.__name__] = fake
import segtui.cli
segtui.cli.main()
"""


def test_a_reader_that_goes_away_ends_a_listing_quietly(store: Path) -> None:
    command = [sys.executable, "-c", STREAMS_FOR_EVER, "changes", "--json", "--store", str(store)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b'{"seq": 0}\n'
        process.stdout.close()
        said = process.stderr.read()
        assert process.wait() == 0
    assert said == b""


def test_ctrl_c_while_listing(store: Path) -> None:
    command = [sys.executable, "-c", STREAMS_FOR_EVER, "changes", "--json", "--store", str(store)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == '{"seq": 0}\n'
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
        assert process.returncode == 130
    assert said.startswith("segtui: Stopped")
    assert said.count("\n") == 1


def test_output_is_utf_8_whatever_the_locale(store: Path) -> None:
    streams = STREAMS_FOR_EVER.replace("itertools.count()", "['Zoë', '\\udcff']")
    done = subprocess.run(
        [sys.executable, "-c", streams, "changes", "--json", "--quiet", "--store", store],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.splitlines()[0] == '{"seq": "Zoë"}'.encode()


def test_help_to_a_reader_that_is_gone_ends_quietly() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "segtui", "--help"], stdout=write, stderr=subprocess.PIPE, check=False
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.fixture
def store(cli: Callable[..., Any], tmp_path: Path) -> Path:
    """An empty store."""
    path = tmp_path / "empty.db"
    assert cli("init", "--store", path).code == 0
    return path


@pytest.mark.parametrize(
    ("arguments", "closed", "code", "said"),
    [
        (["ingest", "-", "--json"], "<&-", 0, "next: "),
        (["erase", "--stdin"], "<&-", 1, "segtui: Nobody to forget"),
        (["status"], ">&-", 0, "next: "),
        (["ingest"], "<&- >&-", 0, "next: "),
        (["status"], "2>&-", 0, ""),
    ],
)
def test_a_stream_that_is_closed_is_as_one_of_nothing(
    store: Path, arguments: list[str], closed: str, code: int, said: str
) -> None:
    done = subprocess.run(
        [
            "sh",
            "-c",
            f'exec "$@" {closed}',
            "-",
            sys.executable,
            "-m",
            "segtui",
            *arguments,
            "--store",
            store,
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr[: len(said)]) == (code, said)
    assert done.stderr.count("\n") == bool(said)


def test_a_clock_that_is_none_is_misuse(
    store: Path, cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGTUI_NOW", "2026-01-01")
    ended = cli("status", "--store", store)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("segtui: SEGTUI_NOW is '2026-01-01', which is no whole number: set it to ")
    assert ended.err.count("\n") == 1
