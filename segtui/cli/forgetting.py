"""Who stands behind the numbers: the key that seals it, and forgetting a person."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from segtui.cli.options import Json, Quiet, Store, flag, output
from segtui.cli.output import Output

commands = typer.Typer()
PANEL = "Forget"


@commands.command(rich_help_panel=PANEL, epilog="Example: segtui key rotate")
def key(
    context: typer.Context,
    action: Annotated[  # noqa: ARG001  (there is one: the word says what happens)
        Literal["rotate"], typer.Argument(help="rotate: seal every identity under a new key.")
    ],
    keyring: Annotated[
        bool, flag("--keyring", text="Keep the new key in the operating system's keyring.")
    ] = False,
    store: Store = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Replaces the key of the vault; a key told by SEGTUI_KEY is replaced by SEGTUI_NEW_KEY."""
    from segtui.operations.key import rotate
    from segtui.operations.session import open_session

    out = output(context, store, json=json, quiet=quiet)
    with open_session(out.store) as s, out.progress() as progress:
        progress("sealing every identity anew", None)
        result = rotate(s, keyring=keyring)
    if json:
        out.document(result)
    else:
        out.facts([(name.replace("_", " "), result[name]) for name in ("entries", "key", "old_key")])
    if result["key"] == "SEGTUI_NEW_KEY":
        out.message("From now on SEGTUI_KEY must hold what SEGTUI_NEW_KEY holds now.")
    if result["old_key"]:
        out.message("Backups made until now need the old key: delete it when the last of them is gone.")
    out.next("segtui verify")


@commands.command(rich_help_panel=PANEL, epilog="Example: segtui erase c-10442 --purge --receipt done.json")
def erase(
    context: typer.Context,
    user: Annotated[
        str | None, typer.Argument(metavar="USER", help="An external id; #NUMBER for a surrogate.")
    ] = None,
    stdin: Annotated[bool, flag("--stdin", text="Ids from stdin, one a line.")] = False,
    purge: Annotated[bool, flag("--purge", text="What they did goes as well.")] = False,
    lift: Annotated[bool, flag("--lift", text="Let somebody who was erased be imported again.")] = False,
    dry_run: Annotated[bool, flag("--dry-run", text="Tell what would go, change nothing.")] = False,
    yes: Annotated[bool, flag("--yes", "-y", text="Do not ask.")] = False,
    receipt: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A new file that tells what was done, not to whom."),
    ] = None,
    store: Store = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Forgets a person for good, here and in every import and restore to come."""
    from segtui.operations.erase import erase as operation
    from segtui.operations.erase import lift as let_in
    from segtui.operations.session import open_session

    if (user is None) != stdin:
        raise typer.BadParameter("name one user, or give ids with --stdin", param_hint="USER")
    if lift and (purge or dry_run or receipt is not None):
        raise typer.BadParameter("goes with no other option of erase", param_hint="--lift")
    out = output(context, store, json=json, quiet=quiet)
    ids = sys.stdin.read().splitlines() if stdin else [str(user)]
    with open_session(out.store) as s:
        if lift:
            _show(out, let_in(s, ids), ("persons", "seq"))
            out.next("segtui import FILE")
            return
        if not (yes or dry_run) and sys.stdin.isatty():
            _ask(operation(s, ids, purge=purge, dry_run=True))
        with out.progress() as progress:
            result = operation(s, ids, purge=purge, dry_run=dry_run, receipt=receipt, progress=progress)
    _show(out, result, ("persons", "identities", "events", "purged", "words", "seq"))
    _explain(out, result, purge=purge)
    out.next("segtui erase --help" if dry_run else "segtui verify")


@commands.command(rich_help_panel=PANEL, epilog="Example: segtui retain --keep 3y --dry-run")
def retain(
    context: typer.Context,
    keep: Annotated[
        str, typer.Option(metavar="LENGTH", help="How long events are kept: 3y, 400d, 60w before now.")
    ],
    dry_run: Annotated[bool, flag("--dry-run", text="Tell what would go, change nothing.")] = False,
    yes: Annotated[bool, flag("--yes", "-y", text="Do not ask.")] = False,
    store: Store = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Cuts older events for good, forgets whom nothing is left of, and rescores the rest."""
    from segtui.operations.retain import retain as operation
    from segtui.operations.session import open_session

    out = output(context, store, json=json, quiet=quiet)
    with open_session(out.store) as s:
        if not (yes or dry_run) and sys.stdin.isatty():
            found = operation(s, keep, dry_run=True)
            typer.confirm(
                f"Cut {found['events']:,} events before {found['before']} and forget {found['persons']:,} "
                "persons, for good?",
                abort=True,
                err=True,
            )
        with out.progress() as progress:
            result = operation(s, keep, dry_run=dry_run, progress=progress)
    _show(out, result, ("before", "events", "persons", "changed", "seq"))
    for aside in result["asides"]:
        out.message(f"{aside} still holds the old events: delete it when it is no longer needed.")
    out.next("segtui retain --help" if dry_run else "segtui verify --deep")


def _ask(found: dict[str, Any]) -> None:
    """Asks the person at the terminal; raises typer.Abort for anything but a yes."""
    who = "1 person" if found["persons"] == 1 else f"{found['persons']:,} persons"
    purged = ", which go as well" if found["purged"] else ""
    typer.confirm(
        f"Forget {who} with {found['events']:,} events{purged}, for good?",
        abort=True,
        err=True,
    )


def _show(out: Output, result: dict[str, Any], names: tuple[str, ...]) -> None:
    if out.json:
        out.document(result)
    else:
        out.facts([(name, result[name]) for name in names])


def _explain(out: Output, result: dict[str, Any], *, purge: bool) -> None:
    if result["already"]:
        out.message(f"Erased before: {result['already']:,}.")
        if purge:
            out.message("What they did here is known by their number only: segtui erase '#12' --purge.")
    if result["quarantined"]:
        out.message(f"Rows of theirs in quarantine: {result['quarantined']:,}.")
    for path in result["removed"]:
        out.message(f"Removed {path}: it knew what was to be purged.")
    if result["models"]:
        out.message(f"Trained on them, train again to be rid of it: {', '.join(result['models'])}.")
    if result["events"] and not result["purged"]:
        out.message("Their events stay under a number, with order numbers and texts: --purge takes them too.")
    if result["exports"]:
        out.message(f"Identified exports are out of reach, look through them: {result['exports']:,} so far.")
    if result["pending"]:
        out.message("Another program reads the store: the next write empties its -wal file.")
