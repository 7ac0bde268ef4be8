"""Proving that the store is what it says."""

from __future__ import annotations

import typer

from segtui.cli.failures import FAILED
from segtui.cli.options import Json, Quiet, Store, output
from segtui.cli.output import Column

commands = typer.Typer()


@commands.command(rich_help_panel="Prove", epilog="Example: segtui verify --json")
def verify(
    context: typer.Context,
    store: Store = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Checks the chain, the file and the projections; exit code 1 when one does not hold."""
    from segtui.operations.session import open_session
    from segtui.operations.verify import verify as operation

    out = output(context, store, json=json, quiet=quiet)
    with open_session(out.store) as s, out.progress():
        result = operation(s)
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
