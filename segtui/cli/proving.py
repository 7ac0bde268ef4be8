"""Proving that the store is what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from segtui.cli.failures import FAILED
from segtui.cli.options import Json, Quiet, Store, flag, output
from segtui.cli.output import Column, Output

commands = typer.Typer()


@commands.command(rich_help_panel="Prove", epilog="Example: segtui verify --deep --json")
def verify(
    context: typer.Context,
    deep: Annotated[
        bool, flag("--deep", text="Also fold every membership from zero and decide every label again.")
    ] = False,
    head: Annotated[
        str | None,
        typer.Option(metavar="CHAIN_DIGEST", help="A chain digest kept elsewhere: finds a log cut since."),
    ] = None,
    store: Store = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Checks the chain, the file and the projections; exit code 1 when one does not hold."""
    from segtui.operations.session import open_session
    from segtui.operations.verify import verify as operation

    out = output(context, store, json=json, quiet=quiet)
    with open_session(out.store) as s, out.progress() as progress:
        result = operation(s, deep=deep, head=head, progress=progress)
    if json:
        out.document(result)
    else:
        columns = (Column("check"), Column("ok", lambda ok: "yes" if ok else "NO"), Column("detail"))
        out.table(columns, [[check["name"], check["ok"], check["detail"]] for check in result["checks"]])
        out.facts([(f"{name} digest", result[f"{name}_digest"]) for name in ("chain", "content", "state")])
    if not result["ok"]:
        failed = [check["name"] for check in result["checks"] if not check["ok"]]
        out.message(f"Not verified: {', '.join(failed)}.")
        raise typer.Exit(FAILED)
    out.next("segtui status")


@commands.command(rich_help_panel="Prove", epilog="Example: segtui rebuild && segtui rescore --full")
def rebuild(
    context: typer.Context,
    store: Store = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Folds memberships, sizes and totals from the log again, for when verify finds them wrong."""
    from segtui.operations.rebuild import rebuild as operation
    from segtui.operations.session import open_session

    out = output(context, store, json=json, quiet=quiet)
    with open_session(out.store) as s, out.progress():
        result = operation(s)
    if json:
        out.document(result)
    else:
        out.facts([("position", result["position"]), ("state digest", result["state_digest"])])
    for name in result["mended"]:
        out.message(f"{name} was made again.")
    out.message("Probabilities are unknown until everyone is scored again.")
    out.next("segtui rescore --full")


@commands.command(rich_help_panel="Prove", epilog="Example: segtui backup /srv/backups/shop-2026-03-01.db")
def backup(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The new file; nothing is overwritten.")],
    store: Store = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Copies the store to one file, verified before it counts; the key file is not copied."""
    from segtui.operations.backup import backup as operation
    from segtui.operations.session import open_session

    out = output(context, store, json=json, quiet=quiet)
    with open_session(out.store) as s, out.progress():
        result = operation(s, path)
    _show_copy(out, result)
    if not result["recorded"]:
        out.message("The log does not tell of it, for it could not be written to: 'segtui check' will ask.")
    out.message("The vault's key is not in it: keep that elsewhere, never beside the backup.")
    out.next("segtui status")


@commands.command(rich_help_panel="Prove", epilog="Example: segtui restore /srv/backups/shop-2026-03-01.db")
def restore(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A backup; it stays as it is.")],
    store: Store = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Makes the store what a backup holds, verified first; what it was is kept beside it."""
    from segtui.operations.restore import restore as operation

    out = output(context, store, json=json, quiet=quiet)
    with out.progress():
        result = operation(path, out.store)
    _show_copy(out, result)
    if result["forgotten"]:
        out.message(f"Forgotten again: {result['forgotten']:,} persons who were erased since that backup.")
    if result["replaced"]:
        out.message(f"The store as it was is kept in {result['replaced']}: delete that once all is well.")
    if result["forgotten_in_replaced"]:
        out.message(f"Forgotten there too: {result['forgotten_in_replaced']:,} persons.")
    if result["forgotten_in_replaced"] is None:
        out.message("Erased persons could not be looked for in it: it may hold them until you delete it.")
    if result["rekeyed"]:
        out.message("The backup was under an older key and is sealed anew under the store's.")
    if not result["key"]:
        out.message(f"Its key is not here: put it back as {out.store}.key to read and import external ids.")
    out.next("segtui status")


def _show_copy(out: Output, result: dict[str, Any]) -> None:
    if out.json:
        out.document(result)
    else:
        out.facts([(name.replace("_", " "), result[name]) for name in ("path", "position", "chain_digest")])
