"""Opening the terminal UI."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from db.version import outdated
from segtui.cli.options import Json, Quiet, Store, output

commands = typer.Typer()


@commands.command(rich_help_panel="Look", epilog="Example: segtui tui --store shop.db")
def tui(context: typer.Context, store: Store = None, json: Json = False, quiet: Quiet = False) -> None:
    """Opens the terminal UI; `segtui` alone does the same."""
    open_ui(output(context, store, json=json, quiet=quiet).store)


def on_terminal() -> bool:
    """Whether there is somebody to show screens to."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def open_ui(store: Path) -> None:
    """Runs the terminal UI on a store until it is left; its exit code, where not 0, is the command's."""
    if not on_terminal():
        raise typer.BadParameter(
            "the terminal UI needs a terminal: use a command instead", param_hint="segtui"
        )
    if not store.is_file() or outdated(store):
        # refuses, or migrates and says so; otherwise the store's libraries are loaded after the first paint
        from segtui.operations.session import open_session

        with open_session(store):
            pass
    from segtui.tui.app import SegtuiApp

    app = SegtuiApp(store)
    app.run()
    if app.failure is not None:
        raise app.failure
    if app.return_code:
        raise typer.Exit(app.return_code)
