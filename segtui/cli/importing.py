"""Importing files into the log."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Annotated, Any

import typer

from segtui.cli.options import Json, Quiet, Store, flag, formats, output, percentage
from segtui.cli.output import Column, Output, write
from segtui.cli.shown import when
from segtui.operations import words

commands = typer.Typer()
MAPPED = (Column("field"), Column("from"))
REFUSED = (Column("line", right=True), Column("why"), Column("row"))
RULES = (Column("rule"), Column("rows", words.count, right=True))
KINDS = (Column("kind"), Column("events", words.count, right=True))
FIELDS = (
    Column("field"),
    Column("filled", words.count, right=True),
    Column("missing", words.count, right=True),
)
IMPORTED = ("import", "recorded_at", "source", "rows", "accepted", "quarantined")
IMPORTS = (
    Column("import", right=True),
    Column("recorded", when),
    Column("source"),
    *(Column(name, words.count, right=True) for name in IMPORTED[3:]),
)
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
    rates: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Rates to the store's currency: date,currency,rate (CSV or TOML)."),
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
                rates=rates,
                dry_run=dry_run,
                min_accepted=min_accepted,
                max_quarantine=max_quarantine,
                progress=progress,
            )
        if json:
            out.document(result)
        else:
            if dry_run:
                _preview(out, result)
            _show(out, result)
        _explain(out, result)
        options = {"--map": mapping, "--source": source, "--timezone": timezone, "--rates": rates}
        options |= {"--format": None if format == "auto" else format}
        out.next(_command(files, options) if dry_run else status(s)["next"])


@commands.command(rich_help_panel="Look", epilog="Example: segtui quality --json | jq .rules")
def quality(
    context: typer.Context,
    number: Annotated[
        int | None, typer.Argument(metavar="IMPORT", help="The import's number (default: the newest).")
    ] = None,
    store: Store = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Shows what an import met: rows refused by rule, and how full the accepted ones are."""
    from segtui.operations.quality import quality as operation
    from segtui.operations.session import open_session

    out = output(context, store, json=json, quiet=quiet)
    with open_session(out.store) as s:
        result = operation(s, number)
    if json:
        out.document(result)
    else:
        _report(out, result)
    out.next("segtui quality IMPORT" if len(result["imports"]) > 1 else "segtui status")


def _report(out: Output, result: dict[str, Any]) -> None:
    show = words.count if out.terminal else str
    names = (*COUNTS, "late", "events", "users", "first", "last")
    facts = [(name, show(result[name]) if isinstance(result[name], int) else result[name]) for name in names]
    out.message(f"Import {result['import']}, {result['source']}, {when(result['recorded_at'])}.")
    out.facts(facts)
    out.table(RULES, result["rules"], title="quarantined, by rule")
    out.table(KINDS, list(result["kinds"].items()), title="events, by kind")
    fields = [[field["name"], field["filled"], field["missing"]] for field in result["fields"]]
    out.table(FIELDS, fields, title="events, by field")
    out.table(IMPORTS, [[one[name] for name in IMPORTED] for one in result["imports"]], title="imports")


def _command(files: list[Path], options: dict[str, str | Path | None]) -> str:
    """The import of the files that was tried out, as one would type it."""
    told = [f"{name} {quote(str(value))}" for name, value in options.items() if value is not None]
    return " ".join(["segtui import", *(quote(str(file)) for file in files), *told])


def _preview(out: Output, result: dict[str, Any]) -> None:
    """What a dry run read: the mapping, the first rows, and the first that would be quarantined."""
    rows = result["preview"]
    carried = [row.pop("attributes", {}) for row in rows]
    names = [name for name in rows[0] if any(row[name] is not None for row in rows)] if rows else []
    more = list(dict.fromkeys(name for each in carried for name in each))
    out.table(MAPPED, list(result["mapping"].items()), title="mapping")
    out.table(
        [Column(name) for name in (*names, *more)],
        [
            [*(row[name] for name in names), *(each.get(name) for name in more)]
            for row, each in zip(rows, carried, strict=True)
        ],
        title="the first rows",
    )
    refused = [[row["line"], row["reason"], row["row"]] for row in result["would_quarantine"]]
    out.table(REFUSED, refused, title="would be quarantined")


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
    if "preview" in result:
        out.message("A dry run does not look into the log: rows it already holds count as accepted here.")
    if result["retyped"]:
        out.message(
            f"These attributes held numbers and have texts in this import: {', '.join(result['retyped'])}. "
            "Their features are texts from now on, for every user: check the columns if that is not meant."
        )
    if result["converted"]:
        brought = ", ".join(f"{rows:,} in {code}" for code, rows in result["converted"].items())
        out.message(f"Brought to {result['currency']} by the rate of their day, rows: {brought}.")
    if result["quarantined"]:
        reasons = "; ".join(f"{count:,} {reason}" for reason, count in dict(result["reasons"]).items())
        where = f", see {result['quarantine_file']}" if result["quarantine_file"] else ""
        out.message(f"In quarantine: {reasons}{where}.")
