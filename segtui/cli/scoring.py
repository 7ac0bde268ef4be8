"""Keeping memberships up to date, and going through them again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from shlex import quote
from typing import Annotated, Any, Literal

import typer

from segtui.cli.learning import Model
from segtui.cli.options import At, From, Json, Position, Quiet, Store, To, flag, output, tick_if
from segtui.cli.output import Column, Output
from segtui.cli.shown import counted, probability, sizes, when
from segtui.cli.stopping import stoppable
from segtui.cli.streaming import at_once
from segtui.operations import words

commands = typer.Typer()
PANEL = "Keep up to date"
TICKS = (
    Column("as_of", when, width=10),
    Column("due", words.count, right=True, width=7),
    Column("evaluated", words.count, right=True, width=7),
    Column("changed", words.count, right=True, width=7),
    Column("by_cause", counted),
)
RESCORES = (*TICKS, Column("seconds", right=True))
FRAMES = (
    Column("as_of", when, width=10),
    Column("events", words.count, right=True, width=7),
    Column("changes", words.count, right=True, width=7),
    Column("sizes", sizes, width=36),
    Column("by_cause", counted),
)
LATE = "Late: those of them with events that came after the tick was decided; here they count from the first."
BESIDE = (*FRAMES, Column("differs", counted), Column("late", counted))


@commands.command(rich_help_panel=PANEL, epilog="Example: segtui rescore && segtui changes --from yesterday")
def rescore(
    context: typer.Context,
    at: At = None,
    full: Annotated[bool, flag("--full", text="Evaluate everyone, not only who is due.")] = False,
    from_: From = None,
    to: To = None,
    preview: Annotated[bool, flag("--preview", text="Show who would move, write nothing.")] = False,
    follow: Annotated[
        bool, flag("--follow", text="Go on: after every commit, and at every tick's end.")
    ] = False,
    store: Store = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Brings memberships up to now; with a range, goes over past ticks again in a new pass."""
    from segtui.operations.rescore import rescore as operation
    from segtui.operations.rescore import rescore_range
    from segtui.operations.session import open_session

    if at is not None and (from_ is not None or to is not None):
        raise typer.BadParameter("stands alone: a range has --from and --to", param_hint="--at")
    if to is not None and from_ is None:
        raise typer.BadParameter("a range needs --from as well", param_hint="--to")
    if preview and (follow or from_ is not None):
        raise typer.BadParameter(
            "is of what is due now: a range and --follow have none", param_hint="--preview"
        )
    if follow and (full or any(told is not None for told in (at, from_, to))):
        raise typer.BadParameter("stands alone: it always scores what is due now", param_hint="--follow")
    out = output(context, store, json=json, quiet=quiet)
    with open_session(out.store) as s:
        if follow:
            from segtui.operations.live import follow as following

            with stoppable() as stop:
                out.stream(at_once(following(s, tell=out.message, cancelled=stop)), RESCORES)
        elif from_ is None:
            with out.progress() as progress:
                result = operation(s, at=tick_if(s, at), full=full, preview=preview, progress=progress)
            out.document(result) if json else _show(out, result)
        else:
            start, end = s.tick(from_), tick_if(s, to)
            with out.progress() as progress:
                ticks = rescore_range(s, start, end, full=full, progress=progress)
            out.stream(ticks, TICKS)
    if preview:
        out.message("A preview: nothing was recorded.")
        out.next("segtui rescore")
        return
    out.next("segtui changes --from -1d" if from_ is None else f"segtui replay --from {quote(from_)}")


def _show(out: Output, result: dict[str, Any]) -> None:
    names = (
        "as_of",
        "position",
        "due",
        "evaluated",
        "changed",
        "by_cause",
        "state_digest",
        "hindsight",
        "seconds",
    )
    shown = result | ({"by_cause": counted(result["by_cause"])} if out.terminal else {})
    out.facts([(name.replace("_", " "), shown[name]) for name in names])
    if result["preview"]:
        columns = (Column("segment"), Column("from"), Column("to"), Column("users", words.count, right=True))
        out.table(columns, [[end or "(none)" for end in flow] for flow in result["flows"]])


@commands.command(rich_help_panel=PANEL, epilog="Example: segtui replay --from -30d --json | jq .changes")
def replay(
    context: typer.Context,
    from_: From = None,
    to: To = None,
    mode: Annotated[
        Literal["recorded", "recompute", "what-if"],
        typer.Option(
            help="As decided then; again, by what decides and is known today; or as it would have been."
        ),
    ] = "recorded",
    model: Annotated[str | None, typer.Option(metavar="M", help="what-if: had this model decided.")] = None,
    define: Annotated[
        str | None, typer.Option(metavar="NAME=EXPR", help="what-if: had this rule decided the segment.")
    ] = None,
    decide: Annotated[
        str | None,
        typer.Option(metavar="WORDS", help="what-if: had this been decided, as 'value --share medium=0.1'."),
    ] = None,
    known: Annotated[
        Literal["then", "now"],
        typer.Option(help="recorded: now also counts what came late, and tells the corrections."),
    ] = "then",
    position: Position = None,
    store: Store = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Shows one frame per tick: sizes, flows and causes, as recorded or as they would have been."""
    from segtui.operations.session import open_session

    name, equals, rule = (define or "").partition("=")
    _refuse_mixed(mode, {"--model": model, "--define": define, "--decide": decide}, position)
    if known == "now" and (mode != "recorded" or position is not None):
        raise typer.BadParameter("goes with --mode recorded, and without --position", param_hint="--known")
    if define is not None and not (equals and name.strip() and rule.strip()):
        raise typer.BadParameter(f"{define!r} is not NAME=EXPR", param_hint="--define")
    out = output(context, store, json=json, quiet=quiet)
    with open_session(out.store) as s:
        start = tick_if(s, from_)
        end = tick_if(s, to)
        if mode == "recorded" and known == "now":
            from segtui.operations.known import known_now

            with out.progress() as progress:
                corrected = known_now(s, from_=start, to=end, progress=progress)
            out.stream(corrected, BESIDE)
        elif mode == "recorded":
            from segtui.operations.replay import replay as recorded

            out.stream(recorded(s, from_=start, to=end, position=position), FRAMES)
        else:
            from segtui.operations.policies import parse_decide
            from segtui.operations.what_if import what_if

            with out.progress() as progress:
                found = list(
                    what_if(
                        s,
                        from_=start,
                        to=end,
                        model=model,
                        define=(name.strip(), rule.strip()) if define else None,
                        decide=parse_decide(decide) if decide is not None else None,
                        progress=progress,
                    )
                )
            out.stream(found, BESIDE)
            if any(any(each["late"].values()) for each in found):
                out.message(LATE)
    out.next("segtui changes --from -7d")


def _refuse_mixed(mode: str, changes: dict[str, str | None], position: int | None) -> None:
    """The command was misused where an option belongs to another mode."""
    given = [name for name, value in changes.items() if value is not None]
    if mode == "what-if" and len(given) != 1:
        raise typer.BadParameter("give one of --model, --define and --decide", param_hint="--mode what-if")
    if mode != "what-if" and given:
        raise typer.BadParameter("goes with --mode what-if", param_hint=given[0])
    if mode != "recorded" and position is not None:
        raise typer.BadParameter("goes with --mode recorded", param_hint="--position")


@commands.command(rich_help_panel=PANEL, epilog="Example: segtui score --out scores.parquet")
def score(
    context: typer.Context,
    model: Model = None,
    at: At = None,
    position: Position = None,
    out_file: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="A .csv, .parquet or .ndjson file instead.")
    ] = None,
    features_file: Annotated[
        Path | None,
        typer.Option("--features", metavar="FILE", help="Write what the model reads of every user instead."),
    ] = None,
    store: Store = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Gives every user's probabilities, or the features behind them; writes nothing to the log."""
    from segtui.operations.score import matrix
    from segtui.operations.score import score as operation
    from segtui.operations.session import open_session

    out = output(context, store, json=json, quiet=quiet)
    if features_file is not None:
        if out_file is not None:
            raise typer.BadParameter("Give --out or --features, not both: they are two files.")
        with open_session(out.store) as s, out.progress():
            told = matrix(s, features_file, model=model, at=tick_if(s, at), position=position)
        out.document(told) if json else out.facts(list(told.items()))
        out.next("segtui score --out scores.parquet")
        return
    with open_session(out.store) as s:
        with out.progress():
            results = operation(s, model=model, at=tick_if(s, at), position=position, out=out_file)
            first = next(iter_results := iter(results), None)
        if out_file is not None and first is not None:
            out.document(first) if json else out.facts(list(first.items()))
        elif first is not None:
            _show_scores(out, first, iter_results)
    out.next("segtui segments")


def _show_scores(out: Output, first: dict[str, Any], rest: Iterator[dict[str, Any]]) -> None:
    labels = tuple(first["probabilities"])
    columns = [Column("user", width=16), Column("label", width=12)]
    columns += [Column(f"p_{label}", probability, right=True, width=12) for label in labels]

    def rows() -> Iterator[dict[str, Any]]:
        yield first
        yield from rest

    if out.json:
        out.stream(rows(), ())
    else:
        flat = ({**row, **{f"p_{label}": row["probabilities"][label] for label in labels}} for row in rows())
        out.stream(flat, columns)
