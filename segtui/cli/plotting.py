"""Pictures as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from segtui.cli.options import Json, Quiet, Store, output, tick_if

commands = typer.Typer()


@commands.command(rich_help_panel="Look", epilog="Example: segtui plot sizes --out sizes.svg")
def plot(
    context: typer.Context,
    what: Annotated[
        Literal["sizes", "transitions", "calibration", "loss", "user"],
        typer.Argument(metavar="WHAT", help="sizes, transitions, calibration, loss or user."),
    ],
    out_file: Annotated[Path, typer.Option("--out", metavar="FILE", help="A .svg, .png or .pdf file.")],
    segmentation: Annotated[str, typer.Option(metavar="S", help="Of sizes, transitions and loss.")] = "value",
    from_: Annotated[
        str | None, typer.Option("--from", metavar="T", help="The first tick (default: 90 days before).")
    ] = None,
    to: Annotated[str | None, typer.Option("--to", metavar="T", help="The last tick (default: now).")] = None,
    model: Annotated[str | None, typer.Option(metavar="M", help="Of calibration and loss.")] = None,
    user: Annotated[str | None, typer.Option(metavar="ID", help="Whose probabilities.")] = None,
    store: Store = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Draws sizes, transitions, a model's calibration or losses, or a user, to a file."""
    from segtui.operations.plot import plot as operation
    from segtui.operations.session import open_session

    out = output(context, store, json=json, quiet=quiet)
    with open_session(out.store) as s:
        result = operation(
            s, what, out_file,
            segmentation=segmentation, from_=tick_if(s, from_), to=tick_if(s, to), model=model, user=user,
        )  # fmt: skip
    if json:
        out.document(result)
    else:
        out.facts(list(result.items()))
    out.next("segtui tui")
