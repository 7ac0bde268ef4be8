"""The help is true: the commands it lists, and an example for each that can be typed as it stands."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any

import pytest
import typer.main

from segtui import __version__
from segtui.cli.app import app

PROGRAM = typer.main.get_command(app)
COMMANDS = {
    "init",
    "key",
    "status",
    "import",
    "ingest",
    "quality",
    "train",
    "models",
    "promote",
    "evaluate",
    "compare",
    "decide",
    "label",
    "score",
    "segment",
    "discover",
    "rescore",
    "replay",
    "segments",
    "members",
    "user",
    "changes",
    "transitions",
    "overlap",
    "watch",
    "plot",
    "why",
    "features",
    "erase",
    "export",
    "check",
    "flapping",
    "verify",
    "rebuild",
    "backup",
    "restore",
    "retain",
    "log",
    "undo",
    "demo",
    "tui",
    "serve",
}


def called(group: Any, *words: str) -> dict[tuple[str, ...], Any]:
    """Each command that does something, by the words that call it."""
    found: dict[tuple[str, ...], Any] = {}
    for name, command in group.commands.items():
        inner = called(command, *words, name) if hasattr(command, "commands") else {}
        found |= inner or {(*words, name): command}
    return found


LEAVES = called(PROGRAM)


def test_the_commands_there_are(cli: Callable[..., Any]) -> None:
    assert set(PROGRAM.commands) == COMMANDS
    listed = cli("--help").out
    assert all(f" {name} " in listed for name in COMMANDS)


@pytest.mark.parametrize("name", sorted(LEAVES), ids=" ".join)
def test_each_command_has_help_with_an_example_that_parses(
    name: tuple[str, ...], cli: Callable[..., Any]
) -> None:
    ended = cli(*name, "--help")
    assert ended.code == 0
    assert "Example: segtui" in ended.out
    assert ended.err == ""
    command = LEAVES[name]
    example = command.epilog.removeprefix("Example: ")
    for part in example.split(" | ")[0].split(" && "):
        program, *words = shlex.split(part)
        assert program == "segtui"
        length = next(length for length in (2, 1) if tuple(words[:length]) in LEAVES)
        parsed = LEAVES[tuple(words[:length])].make_context(words[0], words[length:])
        assert parsed.args == []
    assert f"segtui {' '.join(name)}" in example


@pytest.mark.parametrize("name", sorted(LEAVES), ids=" ".join)
def test_each_command_has_the_common_options(name: tuple[str, ...]) -> None:
    options = {option for parameter in LEAVES[name].params for option in parameter.opts}
    common = {"--json", "--quiet"} if name == ("demo",) else {"--store", "--json", "--quiet"}
    assert common <= options


def test_version(cli: Callable[..., Any]) -> None:
    assert cli("--version").out == f"segtui {__version__}\n"


def test_the_shell_can_complete_formats_and_kinds() -> None:
    from segtui.cli.options import formats, model_kinds
    from segtui.sources import FORMATS

    assert formats("ree") == ["rees46"]
    assert set(formats("")) == {"auto", *FORMATS}
    assert "mlp" in model_kinds("")


def test_as_of_is_another_word_for_at() -> None:
    context = PROGRAM.commands["segments"].make_context("segments", ["--as-of", "-7d"])
    assert context.params["at"] == "-7d"
