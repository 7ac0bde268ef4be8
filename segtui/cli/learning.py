"""Learning: training models, judging them, making one current."""

from __future__ import annotations

from shlex import quote
from typing import Annotated, Any, Literal

import typer

from segtui.cli.options import MODEL_KINDS, Json, Quiet, Store, flag, model_kinds, output, tick_if
from segtui.cli.output import Column, Output
from segtui.cli.shown import metric, when
from segtui.cli.stopping import stoppable
from segtui.operations import words

commands = typer.Typer()
PANEL = "Learn"
METRICS = ("accuracy", "log_loss", "macro_f1", "auc", "ece", "value_capture_10")
Model = Annotated[
    str | None, typer.Option("--model", metavar="M", help="Name or digest (default: the current model).")
]
Cutoff = Annotated[
    str | None,
    typer.Option(
        metavar="T", help="Learn from before T, judge by what came after (default: as late as can be)."
    ),
]


def settings(given: list[str] | None) -> dict[str, str]:
    """`key=value` texts as a mapping; the command was misused where one has no equals sign."""
    pairs = [text.partition("=") for text in given or []]
    for key, equals, value in pairs:
        if not (key and equals):
            raise typer.BadParameter(f"{key + equals + value!r} is not key=value", param_hint="--set")
    return {key: value for key, _, value in pairs}


@commands.command(rich_help_panel=PANEL, epilog="Example: segtui train --model mlp --horizon 90d --seed 1")
def train(
    context: typer.Context,
    segmentation: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="What it decides (default: value, or the policy's or label's name)."
        ),
    ] = None,
    policy: Annotated[
        Literal["future_value", "will_buy", "churn"],
        typer.Option(help="What its labels say of the horizon."),
    ] = "future_value",
    model: Annotated[
        str,
        typer.Option(
            metavar="KIND", help=", ".join(MODEL_KINDS) + "; or auto: the best.", autocompletion=model_kinds
        ),
    ] = "mlp",
    cutoff: Cutoff = None,
    horizon: Annotated[str, typer.Option(metavar="D", help="How far ahead the outcome lies.")] = "90d",
    label: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Learn a label given by an imported table instead.")
    ] = None,
    optimizer: Annotated[Literal["adam", "adamw", "sgd"], typer.Option(help="How it descends.")] = "adam",
    seed: Annotated[int, typer.Option(metavar="N", help="Of every random draw.")] = 0,
    origins: Annotated[
        int,
        typer.Option(
            min=0, max=36, metavar="N", help="Learn from N earlier cutoffs too, a third of the horizon apart."
        ),
    ] = 1,
    twin: Annotated[
        bool, flag("--twin/--no-twin", text="Test the recipe by a twin learnt one horizon earlier.")
    ] = True,
    warm: Annotated[
        bool, flag("--warm", text="Go on from the current model: what is new, and a sample of the old.")
    ] = False,
    budget: Annotated[
        int, typer.Option(min=1, max=86_400, metavar="SECONDS", help="How long --model auto may try kinds.")
    ] = 60,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="What to call the model.")] = None,
    promote: Annotated[
        bool | None,
        flag("--promote/--no-promote", text="Make it current (default: when first or not worse)."),
    ] = None,
    options: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="A setting such as epochs=50 or features=all; may be repeated."
        ),
    ] = None,
    store: Store = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Trains a model on the log, judges it on users it never saw, promotes it when it is not worse.

    Ctrl-C keeps the best so far aside.
    """
    from segtui.operations.session import open_session
    from segtui.operations.train import train as operation

    given = settings(options)
    out = output(context, store, json=json, quiet=quiet)
    with stoppable() as stop:
        with open_session(out.store) as s, out.progress() as progress:
            result = operation(
                s,
                segmentation=segmentation,
                policy=policy,
                kind=model,
                cutoff=tick_if(s, cutoff),
                horizon=horizon,
                label=label,
                optimizer=optimizer,
                seed=seed,
                origins=origins,
                twin=twin,
                warm=warm,
                budget=budget,
                name=name,
                promote=promote,
                options=given,
                progress=progress,
                cancelled=stop,
            )
        if json:
            out.document(result)
        else:
            _show_training(out, result)
        word = "is current" if result["promoted"] else "is kept aside"
        out.message(f"{result['name']} {word} ({result['why']}).")
        if result["note"]:
            out.message(result["note"])
        out.next(
            "segtui segments" if result["promoted"] else f"segtui promote {quote(result['name'])} --preview"
        )


def _show_training(out: Output, result: dict[str, Any]) -> None:
    names = ("name", "segmentation", "kind", "cutoff", "horizon", "known_from", "users", "epochs", "seconds")
    out.facts([(each.replace("_", " "), result[each]) for each in names])
    metrics = result["metrics"]
    _show_metrics(out, result["name"], metrics["test"], metrics["baselines"])
    if (told := metrics.get("window")) is not None and told["until"] is not None:
        _show_window(out, told)
    if (twin := metrics.get("twin")) is not None:
        _show_twin(out, result["name"], twin)
    if "choice" in result:
        out.message(f"Chosen: {result['choice']['why']}.")
    if "warm" in result:
        _show_warm(out, result["warm"]["windows"])


def _show_warm(out: Output, windows: list[dict[str, Any]]) -> None:
    """What going on did to the log-loss on the former window and on the new one."""
    figures = (Column(each, metric, right=True) for each in ("before", "after"))
    columns = (
        Column("cutoff", when),
        Column("until", when),
        Column("users", words.count, right=True),
        *figures,
    )
    out.table(columns, [list(each.values()) for each in windows])


def _show_twin(out: Output, name: str, twin: dict[str, Any]) -> None:
    if "why" in twin:
        out.message(f"No twin learnt a horizon earlier: {twin['why']}.")
        return
    _show_metrics(out, f"twin of {name}", twin["metrics"], twin["baselines"])
    _show_window(out, twin["window"])


def _show_metrics(out: Output, name: str, own: dict[str, Any], baselines: dict[str, dict[str, Any]]) -> None:
    columns = (Column("model"), *(Column(each, metric, right=True) for each in METRICS))
    rows = [[who, *(values[each] for each in METRICS)] for who, values in ({name: own} | baselines).items()]
    out.table(columns, rows)


@commands.command(rich_help_panel=PANEL, epilog="Example: segtui models --json")
def models(context: typer.Context, store: Store = None, json: Json = False, quiet: Quiet = False) -> None:
    """Lists the trained models, newest first."""
    from segtui.operations.models import models as operation
    from segtui.operations.session import open_session

    out = output(context, store, json=json, quiet=quiet)
    with open_session(out.store) as s:
        result = operation(s)
    if json:
        out.document(result)
    else:
        columns = (
            Column("name"),
            Column("segmentation", heading="OF"),
            Column("kind"),
            Column("current", lambda promoted: "yes" if promoted else ""),
            Column("trained", lambda moment: when(moment)[:10]),
            Column("log_loss", metric, right=True),
            Column("accuracy", metric, right=True),
            Column("model", lambda digest: digest[:8]),
        )
        rows = [
            [
                each["name"],
                each["segmentation"],
                each["kind"],
                each["promoted"],
                each["trained_at"],
                *(each["metrics"].get("test", {}).get(name) for name in ("log_loss", "accuracy")),
                each["model"],
            ]
            for each in result["models"]
        ]
        out.table(columns, rows)
    out.next("segtui evaluate" if result["models"] else "segtui train")


@commands.command(rich_help_panel=PANEL, epilog="Example: segtui promote mlp-3f9a --preview")
def promote(
    context: typer.Context,
    model: Annotated[str | None, typer.Argument(metavar="MODEL", help="Name or digest.")] = None,
    previous: Annotated[bool, flag("--previous", text="Go back to the model before.")] = False,
    segmentation: Annotated[
        str, typer.Option(metavar="NAME", help="Which one goes back, with --previous.")
    ] = "value",
    preview: Annotated[bool, flag("--preview", text="Show who would move, write nothing.")] = False,
    store: Store = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Makes a model current and rescores everyone with it."""
    from segtui.operations.models import promote as operation
    from segtui.operations.session import open_session

    if (model is None) != previous:
        raise typer.BadParameter("name one model of 'segtui models', or use --previous", param_hint="MODEL")
    out = output(context, store, json=json, quiet=quiet)
    with open_session(out.store) as s, out.progress() as progress:
        result = operation(
            s, model, previous=previous, preview=preview, segmentation=segmentation, progress=progress
        )
    if json:
        out.document(result)
    else:
        show_flows(out, result["flows"])
    name = result.get("name", result["model"])
    out.message(f"{name} would move the users above." if preview else f"{name} is current.")
    if result["note"]:
        out.message(result["note"])
    out.next(f"segtui promote {quote(model) if model else '--previous'}" if preview else "segtui segments")


def show_flows(out: Output, flows: list[list[Any]]) -> None:
    """[from, to, users] as a table; null is nobody's label."""
    none = [["(none)" if end is None else end for end in flow[:-1]] + [flow[-1]] for flow in flows]
    out.table((Column("from"), Column("to"), Column("users", words.count, right=True)), none)


@commands.command(rich_help_panel=PANEL, epilog="Example: segtui evaluate --cutoff 1998-01-01")
def evaluate(
    context: typer.Context,
    model: Model = None,
    cutoff: Cutoff = None,
    store: Store = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Judges a model on outcomes after those it was trained on, and names the window."""
    from segtui.operations.evaluate import evaluate as operation
    from segtui.operations.session import open_session

    out = output(context, store, json=json, quiet=quiet)
    with open_session(out.store) as s, out.progress():
        result = operation(s, model=model, cutoff=tick_if(s, cutoff))
    if json:
        out.document(result)
    else:
        _show_metrics(out, result.get("name", "model"), result["metrics"], result["baselines"])
    _show_judged(out, result)
    out.next("segtui segments")


def _show_judged(out: Output, result: dict[str, Any]) -> None:
    _show_window(out, result["window"])
    if not result["baselines"]:
        out.message(result["baselines_why"])


def _show_window(out: Output, window: dict[str, Any]) -> None:
    out.message(
        f"Judged from {when(window['cutoff'])} to {when(window['until'])} on {window['users']:,} users."
    )


@commands.command(rich_help_panel=PANEL, epilog="Example: segtui compare mlp-3f9a fused-77c2")
def compare(
    context: typer.Context,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Name or digest.")],
    other: Annotated[str, typer.Argument(metavar="MODEL", help="The one beside it.")],
    cutoff: Cutoff = None,
    store: Store = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Judges two models on one window and users new to both, and says where one is proven better."""
    from segtui.operations.evaluate import compare as operation
    from segtui.operations.session import open_session

    out = output(context, store, json=json, quiet=quiet)
    with open_session(out.store) as s, out.progress():
        result = operation(s, model, other, cutoff=tick_if(s, cutoff))
    if json:
        out.document(result)
    else:
        own, beside = result["name"], result["other"]
        _show_metrics(out, own, result["metrics"], {beside["name"]: beside["metrics"]} | result["baselines"])
        columns = (
            Column("metric"),
            *(Column(each, metric, right=True) for each in ("difference", "low", "high")),
            Column("winner", lambda name: name or "not proven"),
        )
        rows = [[name, *each.values()] for name, each in result["differences"].items()]
        out.table(columns, rows)
    _show_judged(out, result)
    out.next(f"segtui promote {quote(other)} --preview")
