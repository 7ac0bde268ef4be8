"""Handing members on to other systems."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from segtui.cli.options import At, Json, Like, Position, Quiet, Store, Where, flag, output, tick_if

commands = typer.Typer()


@commands.command(
    rich_help_panel="Hand on", epilog="Example: segtui export value=high --out high.csv --identified"
)
def export(
    context: typer.Context,
    segment: Annotated[str, typer.Argument(metavar="SEGMENT", help="SEGMENTATION=LABEL, as value=high.")],
    out_file: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="A .csv, .parquet or .ndjson file, or - for stdout.")
    ],
    at: At = None,
    position: Position = None,
    where: Where = None,
    like: Like = None,
    columns: Annotated[
        str | None, typer.Option(metavar="NAME,...", help="Which columns, separated by commas.")
    ] = None,
    identified: Annotated[
        bool, flag("--identified", text="Real ids instead of pseudonyms; is logged.")
    ] = False,
    store: Store = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Writes the members of a segment to a file, whole or not at all."""
    from segtui.operations.export import export as operation
    from segtui.operations.session import open_session

    out = output(context, store, json=json, quiet=quiet)
    with open_session(out.store) as s, out.progress():
        result = operation(
            s,
            segment,
            out_file,
            at=tick_if(s, at),
            position=position,
            where=where,
            part=like,
            columns=[name.strip() for name in columns.split(",")] if columns is not None else None,
            identified=identified,
        )
    if str(out_file) == "-":
        out.message(f"{result['rows']:,} rows written to stdout.")
    elif json:
        out.document(result)
    else:
        out.facts([(name.replace("_", " "), result[name]) for name in ("rows", "out", "file_digest")])
    out.next(f"segtui members {quote(segment)}")
