"""The decisions in the log, and taking one back."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from segtui.cli import shown
from segtui.cli.options import LARGEST, Json, Quiet, Store, flag, instant_if, output
from segtui.cli.output import Column, dumps

commands = typer.Typer()
PANEL = "Prove"


@commands.command("log", rich_help_panel=PANEL, epilog="Example: segtui log --from -7d")
def log_(
    context: typer.Context,
    from_: Annotated[str | None, typer.Option("--from", metavar="T", help="Recorded at T or later.")] = None,
    to: Annotated[str | None, typer.Option("--to", metavar="T", help="Recorded before T.")] = None,
    store: Store = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Lists the decisions: who did what, and when."""
    from segtui.operations.log import log as operation
    from segtui.operations.session import open_session

    out = output(context, store, json=json, quiet=quiet)
    columns = (
        Column("seq", right=True, width=8),
        Column("at", shown.when, width=16),
        Column("actor", width=12),
        Column("kind", width=22),
        Column("body", dumps),
    )
    with open_session(out.store) as s:
        out.stream(operation(s, from_=instant_if(s, from_), to=instant_if(s, to)), columns)
    out.next("segtui undo SEQ  # where a decision has one that takes it back")


@commands.command(rich_help_panel=PANEL, epilog="Example: segtui undo 4711 --preview")
def undo(
    context: typer.Context,
    seq: Annotated[
        int, typer.Argument(max=LARGEST, metavar="SEQ", help="A decision, as 'segtui log' lists it.")
    ],
    preview: Annotated[bool, flag("--preview", text="Show who would move; write nothing.")] = False,
    store: Store = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Takes a decision back by another one, with its movers; the log keeps both."""
    from segtui.operations.session import open_session
    from segtui.operations.undo import undo as operation

    out = output(context, store, json=json, quiet=quiet)
    with open_session(out.store) as s, out.progress() as progress:
        result = operation(s, seq, preview=preview, progress=progress)
    if json:
        out.document(result)
    else:
        out.facts([(name, _plain(value)) for name, value in result.items()])
    out.next("segtui changes --from -1d")


def _plain(value: Any) -> Any:
    return dumps(value) if isinstance(value, dict | list) else value
