"""Comparing: labels then and now, and what segments share."""

from __future__ import annotations

from shlex import quote
from typing import Annotated

import typer

from segtui.cli.options import At, Json, Limit, Position, Quiet, Store, output, tick_if
from segtui.cli.output import Column
from segtui.cli.shown import when
from segtui.operations import words

PANEL = "Look"
NONE = "(none)"

commands = typer.Typer()


@commands.command(rich_help_panel=PANEL, epilog="Example: segtui transitions --from 2026-01-01 --to now")
def transitions(
    context: typer.Context,
    from_: Annotated[str, typer.Option("--from", metavar="T", help="The first instant.")],
    to: Annotated[str, typer.Option("--to", metavar="T", help="The second instant.")],
    segmentation: Annotated[str, typer.Option(metavar="S", help="Whose labels.")] = "value",
    users: Annotated[
        str | None,
        typer.Option(metavar="FROM:TO", help="List the users of one cell, as high:low; (none) for no label."),
    ] = None,
    limit: Limit = None,
    position: Position = None,
    store: Store = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Counts who held which label at one instant and which at another."""
    from segtui.operations.session import open_session
    from segtui.operations.transitions import moved
    from segtui.operations.transitions import transitions as operation

    out = output(context, store, json=json, quiet=quiet)
    if users is not None:
        left, came = _cell(users)
        with open_session(out.store) as s:
            found = moved(
                s, s.tick(from_), s.tick(to), left, came,
                segmentation=segmentation, position=position, limit=out.limit(limit),
            )  # fmt: skip
        if json:
            out.document(found)
        else:
            facts = (Column("user"), Column("since", _when), Column("cause"))
            out.table(facts, [[each[fact.name] for fact in facts] for each in found["users"]])
            out.message(f"{len(found['users'])} of {words.plural(found['total'], 'user')}.")
        out.next("segtui user USER")
        return
    with open_session(out.store) as s:
        result = operation(s, s.tick(from_), s.tick(to), segmentation=segmentation, position=position)
    if json:
        out.document(result)
    else:
        labels = [NONE if label is None else label for label in result["labels"]]
        columns = (Column("from \\ to"), *(Column(label, words.count, right=True) for label in labels))
        out.table(columns, [[label, *row] for label, row in zip(labels, result["matrix"], strict=True)])
    out.next(f"segtui changes --from {quote(from_)} --to {quote(to)} --segment {segmentation}")


@commands.command(rich_help_panel=PANEL, epilog="Example: segtui overlap --at 2026-03-01")
def overlap(
    context: typer.Context,
    at: At = None,
    store: Store = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Counts the users that any two segments share."""
    from segtui.operations.overlap import overlap as operation
    from segtui.operations.session import open_session

    out = output(context, store, json=json, quiet=quiet)
    with open_session(out.store) as s:
        result = operation(s, at=tick_if(s, at))
    if json:
        out.document(result)
    else:
        columns = (
            Column("one"),
            Column("other"),
            Column("users", words.count, right=True),
            Column("of_one", words.share, right=True),
            Column("of_other", words.share, right=True),
        )
        out.table(columns, [[pair[column.name] for column in columns] for pair in result["pairs"]])
    out.next("segtui members SEGMENT --where OTHER")


def _when(text: str | None) -> str:
    return "-" if text is None else when(text)


def _cell(text: str) -> tuple[str | None, str | None]:
    """`high:low` as two labels; `(none)` as None."""
    left, sign, came = text.partition(":")
    if not (left and sign and came):
        raise typer.BadParameter("name two labels, as high:low", param_hint="--users")
    return (None if left == NONE else left, None if came == NONE else came)
