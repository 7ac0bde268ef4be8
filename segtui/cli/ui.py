"""Opening the terminal UI."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from db.version import outdated
from segtui import garbage
from segtui.cli.options import Json, Quiet, Store, output

commands = typer.Typer()


@commands.command(rich_help_panel="Look", epilog="Example: segtui tui --store shop.db")
def tui(context: typer.Context, store: Store = None, json: Json = False, quiet: Quiet = False) -> None:
    """Opens the terminal UI; `segtui` alone does the same."""
    open_ui(output(context, store, json=json, quiet=quiet).store)


@commands.command(rich_help_panel="Look", epilog="Example: segtui serve --store shop.db --port 8000")
def serve(
    context: typer.Context,
    port: Annotated[int, typer.Option(min=1, max=65535, metavar="N", help="Where to listen.")] = 8000,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Another address than localhost wants a token.")
    ] = "localhost",
    token: Annotated[
        str | None,
        typer.Option(envvar="SEGTUI_TOKEN", metavar="TEXT", help="What a browser has to know."),
    ] = None,
    store: Store = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Opens the terminal UI in a browser, on this machine."""
    from segtui.operations.errors import OperationError
    from segtui.operations.session import open_session

    path = output(context, store, json=json, quiet=quiet).store
    with open_session(path):
        pass
    try:
        from segtui.tui.serving import Guarded, Refused
    except ImportError:
        raise OperationError("The browser needs textual-serve: pip install 'segtui[serve]'.") from None
    try:
        server = Guarded(path, host, port, token)
    except Refused as error:
        raise typer.BadParameter(str(error), param_hint="--host") from None
    server.serve()


def on_terminal() -> bool:
    """Whether there is somebody to show screens to: at a terminal, or in the browser of `serve`."""
    return "TEXTUAL_DRIVER" in os.environ or (sys.stdin.isatty() and sys.stdout.isatty())


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
    garbage.as_usual()
    app.run()
    if app.failure is not None:
        raise app.failure
    if app.return_code:
        raise typer.Exit(app.return_code)
