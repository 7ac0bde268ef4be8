"""Describing: what the words in rules, reasons and profiles mean."""

from __future__ import annotations

from typing import Annotated

import typer

from segtui.cli.options import Json, Quiet, Store, output
from segtui.cli.output import Column

commands = typer.Typer()
FEATURES = (Column("name"), Column("unit"), Column("meaning"))


@commands.command(rich_help_panel="Look", epilog="Example: segtui features recency_days")
def features(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="One feature, with its formula.")] = None,
    store: Store = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Lists the features that rules may name, with unit and meaning."""
    from segtui.operations.features import features as operation
    from segtui.operations.session import open_session

    out = output(context, store, json=json, quiet=quiet)
    with open_session(out.store) as s:
        result = operation(s, name)
    if json:
        out.document(result)
    elif name is None:
        out.table(FEATURES, [[each[column.name] for column in FEATURES] for each in result["features"]])
    else:
        (found,) = result["features"]
        out.facts(list(found.items()))
    out.next("segtui members value=high --where 'recency_days < 30'" if name else "segtui features NAME")
