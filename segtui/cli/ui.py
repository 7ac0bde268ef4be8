"""Opening the terminal UI."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from segtui.cli.options import Json, Quiet, Store, output

commands = typer.Typer()


@commands.command(rich_help_panel="Look", epilog="Example: segtui tui --store shop.db")
def tui(context: typer.Context, store: Store = None, json: Json = False, quiet: Quiet = False) -> None:
    """Opens the terminal UI; `segtui` alone does the same."""
    open_ui(output(context, store, json=json, quiet=quiet).store)


def open_ui(store: Path) -> None:
    """Runs the terminal UI on a store until it is left."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise typer.BadParameter(
            "the terminal UI needs a terminal: see 'segtui --help' for commands", param_hint="segtui"
        )
    from segtui.operations.session import open_session
    from segtui.tui.app import SegtuiApp

    # what is wrong with the store is said here, while the terminal still scrolls
    with open_session(store):
        pass
    SegtuiApp(store).run()
