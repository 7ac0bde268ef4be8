"""The program: its commands in the order of the help, its common options, and how it ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer

from segtui import __version__, garbage
from segtui.cli import (
    begin,
    checking,
    comparing,
    deciding,
    describing,
    exporting,
    forgetting,
    importing,
    labelling,
    learning,
    looking,
    plotting,
    proving,
    scoring,
    segmenting,
    streaming,
    ui,
)
from segtui.cli.failures import DONE, MISUSED, end
from segtui.cli.options import DEFAULT_STORE

WAIT = "SEGTUI_WAIT"

OPENING = ("--store", "--wait")
"""Options with a value that may stand without a command."""


def _program() -> typer.Typer:
    return typer.Typer(
        name="segtui",
        help="Who is in which segment, who moved, and why, at any moment.",
        epilog="Example: segtui demo    Without a command, segtui opens the terminal UI on the store.",
        invoke_without_command=True,
        no_args_is_help=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["--help", "-h"]},
    )


app, without_commands = _program(), _program()
for group in (
    begin,
    importing,
    streaming,
    learning,
    labelling,
    segmenting,
    scoring,
    looking,
    comparing,
    describing,
    plotting,
    exporting,
    deciding,
    proving,
    checking,
    forgetting,
    ui,
):
    app.add_typer(group.commands)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"segtui {__version__}")
        raise typer.Exit


@app.callback()
@without_commands.callback()
def program(
    context: typer.Context,
    store: Annotated[
        Path | None,
        typer.Option(
            "--store",
            envvar="SEGTUI_STORE",
            metavar="PATH",
            help=f"The store, ./{DEFAULT_STORE} by default; every command takes it too.",
            show_default=False,
        ),
    ] = None,
    wait: Annotated[
        float | None,
        typer.Option(
            "--wait",
            envvar=WAIT,
            min=0,
            metavar="SECONDS",
            help="How long to wait for another writer of the store, 10 by default.",
            show_default=False,
        ),
    ] = None,
    _asked: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Opens the terminal UI unless a command says otherwise."""
    context.obj = store
    if wait is not None:
        _be_patient(context, wait)
    if context.invoked_subcommand is None:
        ui.open_ui(store or Path(DEFAULT_STORE))


def _be_patient(context: typer.Context, seconds: float) -> None:
    """Tells the store how long to wait, for this one command."""
    before = os.environ.get(WAIT)
    os.environ[WAIT] = str(seconds)

    def forget() -> None:
        if before is None:
            del os.environ[WAIT]
        else:
            os.environ[WAIT] = before

    context.call_on_close(forget)


def run(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line and returns its exit code; never raises."""
    told = list(sys.argv[1:] if arguments is None else arguments)
    # Making all commands takes about as long as the terminal UI does to its first paint.
    opens = len(told) % 2 == 0 and set(told[::2]) <= set(OPENING)
    try:
        code = (without_commands if opens else app)(args=told, prog_name="segtui", standalone_mode=False)
        sys.stdout.flush()
    except BaseException as error:  # the outermost frame: nothing may reach a person as a traceback
        return end(error)
    if code == 130:
        return end(KeyboardInterrupt())
    return code if code in (DONE, 1, MISUSED) else DONE


def _open_closed() -> None:
    """Points the standard streams that were closed at nothing.

    Else the next file that is opened would be taken for one of them.
    """
    for descriptor, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            os.dup2(nowhere, descriptor)
            if nowhere != descriptor:
                os.close(nowhere)
            os.set_inheritable(descriptor, True)
            setattr(sys, name, os.fdopen(descriptor, mode, encoding="utf-8", closefd=False))


def main() -> None:
    """The console script; what it prints is UTF-8 whatever the locale, and no name of a file can stop it."""
    _open_closed()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    garbage.seldom()
    code = run()
    garbage.leave()
    sys.exit(code)
