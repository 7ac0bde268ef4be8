"""How probabilities become labels, and which labels there are."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Annotated, Any

import typer

from segtui.cli.learning import show_flows
from segtui.cli.options import Json, Quiet, Store, flag, output
from segtui.cli.output import Column, Output
from segtui.cli.shown import whole
from segtui.operations import words

commands = typer.Typer()
PANEL = "Learn"
label = typer.Typer(
    name="label",
    help="Adds labels to a model's segmentation, removes, renames and merges them.",
    epilog="Example: segtui label add wholesale --examples ids.txt --preview",
    no_args_is_help=True,
    context_settings={"help_option_names": ["--help", "-h"]},
)
commands.add_typer(label, rich_help_panel=PANEL)

WARNED = 0.8
"""From which share of the recall on, reached by all others, a label is said to tell nobody apart."""
Label = Annotated[str, typer.Argument(metavar="LABEL", help="The label's name, as wholesale.")]
Of = Annotated[str, typer.Option("--segmentation", metavar="NAME", help="Whose label it is.")]
Preview = Annotated[bool, flag("--preview", text="Show who would move, write nothing.")]


@commands.command(rich_help_panel=PANEL, epilog="Example: segtui decide value --share medium=0.1 --preview")
def decide(
    context: typer.Context,
    segmentation: Annotated[
        str, typer.Argument(metavar="SEGMENTATION", help="One that a model decides, as value.")
    ],
    minimum: Annotated[
        list[str] | None,
        typer.Option(
            "--min", metavar="LABEL=P", help="Give a label to whose probability reaches P; may be repeated."
        ),
    ] = None,
    share: Annotated[
        list[str] | None,
        typer.Option(
            "--share", metavar="LABEL=S", help="Give a label to a share of the users; may be repeated."
        ),
    ] = None,
    cost: Annotated[
        list[str] | None,
        typer.Option(
            "--cost",
            metavar="FROM:TO=C",
            help="What it costs to call a FROM a TO (other mistakes: 1); may be repeated.",
        ),
    ] = None,
    argmax: Annotated[bool, flag("--argmax", text="Give the likeliest label again.")] = False,
    margin: Annotated[
        str | None,
        typer.Option(metavar="M", help="How far ahead a label must be to take the place of another."),
    ] = None,
    min_stay: Annotated[
        str | None, typer.Option("--min-stay", metavar="D", help="How long a label is held at least.")
    ] = None,
    preview: Annotated[bool, flag("--preview", text="Show who would move, write nothing.")] = False,
    store: Store = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Says how probabilities become labels; without an option, how they do now."""
    from segtui.operations.decide import decide as operation
    from segtui.operations.policies import wish
    from segtui.operations.session import open_session

    asked = wish(
        minimum=minimum or (),
        shares=share or (),
        costs=cost or (),
        argmax=argmax,
        margin=margin,
        min_stay=min_stay,
    )
    out = output(context, store, json=json, quiet=quiet)
    with open_session(out.store) as s, out.progress() as progress:
        result = operation(s, segmentation, asked, preview=preview, progress=progress)
    out.document(result) if json else _show(out, result)
    for label, reached in result["missed"].items():
        out.message(
            f"{label} gets {words.share(reached)}: users with the same probabilities are not divided."
        )
    if preview:
        out.message("A preview: nothing was recorded.")
    out.next(f"segtui decide {segmentation} …" if preview else "segtui segments")


def _show(out: Output, result: dict[str, Any]) -> None:
    out.facts([("decision", words.decision(result["decision"])), ("changed", result["changed"])])
    show_flows(out, result["flows"])
    columns = (
        Column("label"),
        Column("users", words.count, right=True),
        Column("share", words.share, right=True),
        Column("expected", whole, right=True),
    )
    total = sum(result["sizes"].values())
    rows = [
        [label, users, users / total if total else None, result["expected"].get(label)]
        for label, users in result["sizes"].items()
    ]
    out.table(columns, rows)


@label.command(epilog="Example: segtui label add wholesale --examples ids.txt --preview")
def add(
    context: typer.Context,
    name: Label,
    where: Annotated[
        str | None, typer.Option("--where", metavar="EXPR", help="For whom a rule holds are examples.")
    ] = None,
    examples: Annotated[
        Path | None, typer.Option("--examples", metavar="FILE", help="Examples: one user id a line.")
    ] = None,
    segmentation: Of = "value",
    preview: Preview = False,
    store: Store = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Grows the model by a label that it learns from examples; what tells the others apart stays."""
    from segtui.operations.label import add as operation
    from segtui.operations.session import open_session

    out = output(context, store, json=json, quiet=quiet)
    with open_session(out.store) as s, out.progress() as progress:
        result = operation(
            s, segmentation, name, where=where, examples=examples, preview=preview, progress=progress
        )
    _show_labels(out, result, json=json)
    if result["unknown"]:
        out.message(f"{words.plural(result['unknown'], 'id')} no user has; left out.")
    if result["recall"] is not None:
        rest = "" if result["others"] is None else f", and to {words.share(result['others'])} of the others"
        out.message(
            f"Of the examples kept out, the model gives {name} to {words.share(result['recall'])}{rest}."
        )
        if (result["others"] or 0) > WARNED * result["recall"]:
            out.message("It hardly tells the examples apart from the others: look who would move.")
    out.next("segtui label add …" if preview else f"segtui members {quote(f'{segmentation}={name}')}")


@label.command(epilog="Example: segtui label remove wholesale --preview")
def remove(
    context: typer.Context,
    name: Label,
    segmentation: Of = "value",
    preview: Preview = False,
    store: Store = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Cuts a label off the model; its history stays."""
    from segtui.operations.label import remove as operation
    from segtui.operations.session import open_session

    out = output(context, store, json=json, quiet=quiet)
    with open_session(out.store) as s, out.progress() as progress:
        result = operation(s, segmentation, name, preview=preview, progress=progress)
    _show_labels(out, result, json=json)
    out.next(f"segtui label remove {quote(name)}" if preview else "segtui segments")


@label.command(epilog="Example: segtui label rename high top --preview")
def rename(
    context: typer.Context,
    old: Annotated[str, typer.Argument(metavar="OLD", help="The label there is.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="What to call it from now on.")],
    segmentation: Of = "value",
    preview: Preview = False,
    store: Store = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Calls a label otherwise; decisions and rules that name it follow, its history keeps the old name."""
    from segtui.operations.label import rename as operation
    from segtui.operations.session import open_session

    out = output(context, store, json=json, quiet=quiet)
    with open_session(out.store) as s, out.progress() as progress:
        result = operation(s, segmentation, old, new, preview=preview, progress=progress)
    _show_labels(out, result, json=json)
    if result["rules"]:
        out.message(f"The rules of {', '.join(result['rules'])} name it so too.")
    again = f"segtui label rename {quote(old)} {quote(new)}"
    out.next(again if preview else f"segtui members {quote(f'{segmentation}={new}')}")


@label.command(epilog="Example: segtui label merge high medium --into upper --preview")
def merge(
    context: typer.Context,
    one: Annotated[str, typer.Argument(metavar="A", help="The first label.")],
    other: Annotated[str, typer.Argument(metavar="B", help="The second label.")],
    into: Annotated[
        str | None, typer.Option("--into", metavar="NAME", help="What to call the two (default: A_B).")
    ] = None,
    segmentation: Of = "value",
    preview: Preview = False,
    store: Store = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Makes one label of two: its probability is the sum of theirs; nothing is trained."""
    from segtui.operations.label import merge as operation
    from segtui.operations.session import open_session

    out = output(context, store, json=json, quiet=quiet)
    with open_session(out.store) as s, out.progress() as progress:
        result = operation(s, segmentation, one, other, into, preview=preview, progress=progress)
    _show_labels(out, result, json=json)
    name = into or f"{one}_{other}"
    again = f"segtui label merge {quote(one)} {quote(other)} --into {quote(name)}"
    out.next(again if preview else f"segtui members {quote(f'{segmentation}={name}')}")


def _show_labels(out: Output, result: dict[str, Any], *, json: bool) -> None:
    if json:
        out.document(result)
    else:
        facts = [(each, result[each]) for each in ("segmentation", "name", "changed")]
        out.facts([*facts, ("labels", ", ".join(result["labels"]))])
        show_flows(out, result["flows"])
    if result["note"]:
        out.message(result["note"])
    if result["preview"]:
        out.message("A preview: nothing was recorded.")
