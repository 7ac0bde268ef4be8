"""Commands that go on until they are stopped: event lines into the log, and changes as they happen."""

from __future__ import annotations

import select
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from segtui import garbage
from segtui.cli.looking import CHANGES
from segtui.cli.options import Cause, Json, Quiet, Store, flag, output
from segtui.cli.output import Column
from segtui.cli.stopping import stoppable
from segtui.operations import words

commands = typer.Typer()
STDOUT = 1
COMMITS = (
    Column("rows", words.count, right=True, width=7),
    Column("accepted", words.count, right=True, width=8),
    Column("duplicates", words.count, right=True, width=10),
    Column("quarantined", words.count, right=True, width=11),
    Column("users", words.count, right=True, width=7),
    Column("last_seq", right=True, width=10),
    Column("seconds", right=True, width=7),
)


def unread(descriptor: int) -> bool:
    """Whether that is a pipe that nobody reads any more."""
    watched = select.poll()
    watched.register(descriptor, 0)
    return any(found & select.POLLERR for _, found in watched.poll(0))


def at_once(results: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The results of what may go on for weeks, each of which is out before the next one is waited for."""
    garbage.as_usual()
    for result in results:
        yield result
        sys.stdout.flush()


@commands.command(rich_help_panel="Begin", epilog="Example: segtui ingest shop.log --follow --json")
def ingest(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="FILE or -", help="Lines of JSON; - is the standard input.")
    ] = Path("-"),
    follow: Annotated[bool, flag("--follow", text="Go on as the file grows, and tell every commit.")] = False,
    format: Annotated[Literal["auto", "events", "segment"], typer.Option(help="How to read them.")] = "auto",
    source: Annotated[
        str | None, typer.Option(metavar="NAME", help="Where they come from (default: the format's name).")
    ] = None,
    rows: Annotated[int, typer.Option(min=1, metavar="N", help="Commit at most so many together.")] = 5_000,
    delay: Annotated[
        float, typer.Option(min=0.0, metavar="S", help="Commit a line after so many seconds at the latest.")
    ] = 0.5,
    store: Store = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Takes a stream of event lines into the log in small commits; started again, it goes on where it was."""
    from segtui.operations.follow import ingest as operation
    from segtui.operations.follow import total
    from segtui.operations.session import open_session

    out = output(context, store, json=json, quiet=quiet)
    with open_session(out.store) as s, stoppable() as stop:
        found = operation(
            s,
            file,
            follow=follow,
            format=format,
            source=source,
            rows=rows,
            delay=delay,
            tell=out.message,
            cancelled=stop,
        )
        if follow:
            out.stream(at_once(found), COMMITS)
        else:
            told = total(s, found)
            out.document(told) if json else out.facts([(name.replace("_", " "), told[name]) for name in told])
    out.next("segtui rescore")


@commands.command(
    rich_help_panel="Look", epilog="Example: segtui watch --segment value=high --json | jq -r .user"
)
def watch(
    context: typer.Context,
    segment: Annotated[
        str | None, typer.Option(metavar="S", help="value, or value=high for moves in or out of it.")
    ] = None,
    cause: Annotated[Cause | None, typer.Option(help="Only changes with this cause.")] = None,
    first: Annotated[bool, flag("--first", text="First assignments as well.")] = False,
    store: Store = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Prints membership changes as they happen, until it is stopped or nobody reads any more."""
    from segtui.operations.live import watch as operation
    from segtui.operations.session import open_session

    out = output(context, store, json=json, quiet=quiet)
    with open_session(out.store) as s, stoppable() as stop:
        found = operation(
            s, segment=segment, cause=cause, first=first, cancelled=lambda: stop() or unread(STDOUT)
        )
        out.stream(at_once(found), CHANGES)
