"""Segments of the operator's own: rules and lists."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Annotated, Any

import typer

from segtui.cli.learning import show_flows
from segtui.cli.options import Json, Quiet, Store, flag, output
from segtui.cli.output import Column, Output
from segtui.cli.shown import trend, when
from segtui.operations import words

commands = typer.Typer()
segment = typer.Typer(
    name="segment",
    help="Makes segments by a rule or from a list of users.",
    epilog='Example: segtui segment define vip --where "spend_365d > 50000" --preview',
    no_args_is_help=True,
    context_settings={"help_option_names": ["--help", "-h"]},
)
commands.add_typer(segment, rich_help_panel="Learn")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The segment's name, as loyal_buyers.")]
Rule = Annotated[
    str,
    typer.Option("--where", metavar="EXPR", help='Who is in, as "orders_90d >= 3 AND recency_days < 30".'),
]
Preview = Annotated[bool, flag("--preview", text="Show who would move, write nothing to the log.")]
Movers = Annotated[
    Path | None,
    typer.Option("--out", metavar="FILE", help="List the movers in a .csv, .parquet or .ndjson file."),
]


APART = (
    Column("label"),
    Column("users", words.count, right=True),
    Column("share", words.share, right=True),
    Column("by"),
)
SIZES = (Column("label"), Column("users", words.count, right=True))
STEADY = (Column("segments", right=True), Column("agreement", right=True), Column("smallest", right=True))


@commands.command(rich_help_panel="Learn", epilog="Example: segtui discover shoppers --preview")
def discover(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The segmentation's name, as shoppers.")],
    model: Annotated[
        str | None, typer.Option(metavar="M", help="Whose view of users is grouped (that of value).")
    ] = None,
    segments: Annotated[
        int | None,
        typer.Option("--segments", metavar="N", help="So many (as many as come again in resamples)."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Of all random draws.")] = 0,
    preview: Preview = False,
    store: Store = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Finds segments nobody defined: users whom a model sees alike, named by what sets them apart."""
    from segtui.operations.discover import discover as operation
    from segtui.operations.session import open_session

    out = output(context, store, json=json, quiet=quiet)
    with open_session(out.store) as s, out.progress() as progress:
        result = operation(
            s, name, model=model, clusters=segments, seed=seed, preview=preview, progress=progress
        )
    if json:
        out.document(result)
    else:
        rows = [
            [each["label"], each["users"], each["share"], ", ".join(_apart(by) for by in each["by"])]
            for each in result["labels"]
        ]
        out.table(APART, rows)
        steady = [
            [each[key] for key in ("clusters", "agreement", "smallest")] for each in result["stability"]
        ]
        out.table(STEADY, steady, title="how far they come again in resamples")
    out.message(
        f"As {result['from']} sees {words.plural(result['users'], 'user')} on {when(result['as_of'])}."
    )
    label = result["labels"][0]["label"]
    out.next(f"segtui discover {name}" if preview else f"segtui members {quote(f'{name}={label}')}")


def _apart(by: dict[str, Any]) -> str:
    """`high orders_90d (3, others 0)`."""
    numbers = [None if by[key] is None else f"{by[key]:.4g}" for key in ("median", "others")]
    return f"{by['way']} {by['feature']} ({numbers[0] or '-'}, others {numbers[1] or '-'})"


@segment.command(epilog='Example: segtui segment define vip --where "spend_365d > 50000" --preview')
def define(
    context: typer.Context,
    name: Name,
    where: Rule,
    preview: Preview = False,
    out_file: Movers = None,
    store: Store = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Makes a segment of everyone for whom a rule holds."""
    from segtui.operations.segment import define as operation
    from segtui.operations.session import open_session

    out = output(context, store, json=json, quiet=quiet)
    with open_session(out.store) as s, out.progress() as progress:
        result = operation(s, name, where, preview=preview, out=out_file, progress=progress)
    _show(out, result, json=json)
    out.next(f"segtui segment define {name} --where …" if preview else f"segtui members {name}")


@segment.command(epilog='Example: segtui segment edit vip --where "spend_365d > 80000" --preview')
def edit(
    context: typer.Context,
    name: Name,
    where: Rule,
    preview: Preview = False,
    out_file: Movers = None,
    store: Store = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Gives a rule's segment another rule."""
    from segtui.operations.segment import edit as operation
    from segtui.operations.session import open_session

    out = output(context, store, json=json, quiet=quiet)
    with open_session(out.store) as s, out.progress() as progress:
        result = operation(s, name, where, preview=preview, out=out_file, progress=progress)
    _show(out, result, json=json)
    out.next(f"segtui segment edit {name} --where …" if preview else f"segtui changes --segment {name}")


@segment.command(epilog="Example: segtui segment retire vip")
def retire(
    context: typer.Context,
    name: Name,
    preview: Preview = False,
    store: Store = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Ends a rule's or list's segment; its history stays."""
    from segtui.operations.segment import retire as operation
    from segtui.operations.session import open_session

    out = output(context, store, json=json, quiet=quiet)
    with open_session(out.store) as s, out.progress() as progress:
        result = operation(s, name, preview=preview, progress=progress)
    _show(out, result, json=json)
    out.next(f"segtui segment retire {name}" if preview else "segtui segments")


@segment.command("from-file", epilog="Example: segtui segment from-file invited ids.txt")
def from_file(
    context: typer.Context,
    name: Name,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="One user id a line.")],
    preview: Preview = False,
    out_file: Movers = None,
    store: Store = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Makes a segment of the users listed in a file, or lists them anew."""
    from segtui.operations.segment import from_file as operation
    from segtui.operations.session import open_session

    out = output(context, store, json=json, quiet=quiet)
    with open_session(out.store) as s, out.progress() as progress:
        result = operation(s, name, file, preview=preview, out=out_file, progress=progress)
    _show(out, result, json=json)
    if result["unknown"]:
        out.message(f"{words.plural(result['unknown'], 'id')} of {file} no user has; left out.")
    out.next(f"segtui segment from-file {name} {quote(str(file))}" if preview else f"segtui members {name}")


@segment.command("from-scores", epilog="Example: segtui segment from-scores churn_risk scores.csv --preview")
def from_scores(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The segmentation's name, as churn_risk.")],
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="CSV or Parquet: user and label (probability), or user and p_LABEL of each label.",
        ),
    ],
    preview: Preview = False,
    out_file: Movers = None,
    store: Store = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Makes a segmentation of labels and probabilities made elsewhere, or gives it new ones."""
    from segtui.operations.from_scores import from_scores as operation
    from segtui.operations.session import open_session

    out = output(context, store, json=json, quiet=quiet)
    with open_session(out.store) as s, out.progress() as progress:
        result = operation(s, name, file, preview=preview, out=out_file, progress=progress)
    if json:
        out.document(result)
    else:
        counts = ("name", "rows", "accepted", "suppressed", "quarantined", "entering", "leaving")
        out.facts([(each, result[each]) for each in counts])
        out.table(SIZES, [[each["label"], each["users"]] for each in result["labels"]])
        show_flows(out, result["flows"])
    for reason, rows in result["reasons"].items():
        out.message(f"{words.plural(rows, 'row')} in quarantine: {reason}.")
    if result["quarantine_file"]:
        out.message(f"They are in {result['quarantine_file']}.")
    if not result["changed"]:
        out.message(f"{name} has these very scores already: nothing was changed.")
    elif preview:
        out.message("A preview: nothing was recorded.")
    label = result["labels"][0]["label"]
    out.next(
        f"segtui segment from-scores {name} {quote(str(file))}"
        if preview
        else f"segtui members {quote(f'{name}={label}')}"
    )


def _show(out: Output, result: dict[str, Any], *, json: bool) -> None:
    if json:
        out.document(result)
    else:
        out.facts([(each, result[each]) for each in ("name", "where", "users", "entering", "leaving")])
        show_flows(out, result["flows"])
        if result["overlap"]:
            columns = (
                Column("segment"),
                Column("users", words.count, right=True),
                Column("of_this", words.share, right=True),
                Column("of_that", words.share, right=True),
            )
            out.table(columns, [list(each.values()) for each in result["overlap"]])
        if result.get("trend"):
            out.facts([("last 90 d", trend([each["users"] for each in result["trend"]]))])
    if result["preview"]:
        out.message("A preview: nothing was recorded.")
