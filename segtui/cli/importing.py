"""Importing files into the log."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Annotated, Any

import typer

from segtui.cli.options import Json, Quiet, Store, flag, formats, output, percentage
from segtui.cli.output import Output, write
from segtui.operations import words

commands = typer.Typer()
COUNTS = ("rows", "accepted", "duplicates", "changed", "suppressed", "quarantined")


@commands.command(
    "import", rich_help_panel="Begin", epilog="Example: segtui import orders.csv.gz --source shop"
)
def import_files(
    context: typer.Context,
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="FILE…", help="Files of one format, .gz as well.")
    ] = None,
    format: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="How to read them.", autocompletion=formats)
    ] = "auto",
    mapping: Annotated[
        Path | None, typer.Option("--map", metavar="FILE.toml", help="Says which column is what.")
    ] = None,
    explained: Annotated[
        str | None,
        typer.Option(
            "--explain",
            metavar="FORMAT",
            help="Print a format as a mapping file to start from, and import nothing.",
            autocompletion=formats,
        ),
    ] = None,
    source: Annotated[
        str | None, typer.Option(metavar="NAME", help="Where they come from (default: the format's name).")
    ] = None,
    timezone: Annotated[
        str | None, typer.Option(metavar="TZ", help="Zone of times without one (default: the store's).")
    ] = None,
    dry_run: Annotated[bool, flag("--dry-run", text="Read and count, write nothing.")] = False,
    min_accepted: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Fail when fewer rows are new.")
    ] = None,
    max_quarantine: Annotated[
        float | None,
        typer.Option(metavar="P%", parser=percentage, help="Fail when more of the rows are unreadable."),
    ] = None,
    store: Store = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Reads files into the log, all or nothing; a row that is there already adds nothing."""
    out = output(context, store, json=json, quiet=quiet)
    if explained is not None:
        from segtui.operations.formats import explain

        told = explain(explained)
        if json:
            out.document(told)
        else:
            write(told["mapping"])
        return
    if not files:
        raise typer.BadParameter("name at least one file", param_hint="FILE")

    from segtui.operations.ingest import import_files as operation
    from segtui.operations.session import open_session
    from segtui.operations.status import status

    with open_session(out.store) as s:
        with out.progress() as progress:
            result = operation(
                s,
                files,
                format=format,
                mapping=mapping,
                source=source,
                timezone=timezone,
                dry_run=dry_run,
                min_accepted=min_accepted,
                max_quarantine=max_quarantine,
                progress=progress,
            )
        if json:
            out.document(result)
        else:
            _show(out, result)
        _explain(out, result)
        again = " ".join(["segtui import", *(quote(str(file)) for file in files)])
        out.next(again if dry_run else status(s)["next"])


def _show(out: Output, result: dict[str, Any]) -> None:
    show = words.count if out.terminal else str
    facts = [(name, show(result[name])) for name in COUNTS]
    facts += [("users", show(result["users"])), ("content digest", result["content_digest"])]
    facts.append(("took", words.seconds(result["seconds"]) if out.terminal else result["seconds"]))
    out.facts(facts)


def _explain(out: Output, result: dict[str, Any]) -> None:
    out.message(f"Read as {result['format']} ({result['why']}), source {result['source']}.")
    for where, names in (("To the vault", result["vaulted"]), ("Dropped", result["dropped"])):
        if names:
            out.message(f"{where}: {', '.join(names)}.")
    if result.get("clock"):
        out.message(f"Currency {result['currency'] or 'none yet'}, clock {result['clock']}.")
    if result["quarantined"]:
        reasons = "; ".join(f"{count:,} {reason}" for reason, count in dict(result["reasons"]).items())
        where = f", see {result['quarantine_file']}" if result["quarantine_file"] else ""
        out.message(f"In quarantine: {reasons}{where}.")
