"""Checking a store's health against limits, for cron and for people, and how stable labels are."""

from __future__ import annotations

from shlex import quote
from typing import Annotated, Any, Literal

import typer

from segtui.cli.failures import FAILED
from segtui.cli.options import From, Json, Limit, Quiet, Store, To, flag, output, tick_if
from segtui.cli.output import Column, Output
from segtui.cli.shown import when
from segtui.operations import words

commands = typer.Typer()
FLAPPING = (
    Column("user"),
    Column("returns", right=True),
    Column("last", when),
    Column("label"),
    Column("other"),
)
CHECKS = (Column("name"), Column("state"), Column("value"), Column("limit"), Column("fail"), Column("hint"))


@commands.command(rich_help_panel="Prove", epilog="Example: segtui check --fail-on warn --json")
def check(
    context: typer.Context,
    fail_on: Annotated[
        Literal["warn", "fail"], typer.Option("--fail-on", help="The state from which the exit code is 1.")
    ] = "fail",
    limits: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=LIMIT",
            help="Instead of checking, a new limit: 36h,72h (warn, fail), 5%, or off; retrain=on.",
        ),
    ] = None,
    dry_run: Annotated[bool, flag("--dry-run", text="Only measure: no decision event, no training.")] = False,
    store: Store = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measures freshness, volume, quarantine, sizes, backups and drift; exit code 1 past a limit."""
    from segtui.operations.check import check as operation
    from segtui.operations.limits import set_limits
    from segtui.operations.session import open_session

    out = output(context, store, json=json, quiet=quiet)
    if limits:
        given = _pairs(limits)
        with open_session(out.store) as s:
            held = set_limits(s, given)
        out.document(held) if json else out.facts([(name, held[name]) for name in ("seq", "retrain")])
        if not json:
            rows = [[name, *(pair or ("off", "off"))] for name, pair in held["limits"].items()]
            out.table((Column("name"), Column("limit"), Column("fail")), rows)
        out.next("segtui check")
        return
    with open_session(out.store) as s, out.progress() as progress:
        result = operation(s, fail_on=fail_on, record=not dry_run, progress=progress)
    if json:
        out.document(result)
    else:
        _show(out, result)
    if result["unrecorded"] is not None:
        out.message(f"Not recorded: {result['unrecorded']}")
    for each in result["retrained"]:
        done = "promoted" if each["promoted"] else "trained, kept aside" if each["model"] else "not trained"
        out.message(f"{each['segmentation']}: {done}: {each['why']}")
    if not result["ok"]:
        raise typer.Exit(FAILED)
    out.next("segtui status")


def _show(out: Output, result: dict[str, Any]) -> None:
    rows = []
    for each in result["checks"]:
        numbers = (each["value"], each["limit"], each["fail"])
        shown = numbers if not out.terminal else tuple(_number(one, each["unit"]) for one in numbers)
        rows.append([each["name"], each["state"], *shown, each["hint"]])
    out.table(CHECKS, rows)


def _number(value: float | None, unit: str) -> str | None:
    """A measure or limit with its unit, as a person reads it."""
    if value is None:
        return None
    if unit == "share":
        return words.share(value)
    if unit == "hours":
        return f"{value:.0f} h" if value < 48 else f"{value / 24:.0f} d"
    if unit == "ratio":
        return f"{value:.2f} ×"
    return words.count(int(value)) if float(value).is_integer() else f"{value:.3f}"


def _pairs(given: list[str]) -> dict[str, str]:
    pairs = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not (equals and name.strip() and value.strip()):
            raise typer.BadParameter(f"{text!r} is not NAME=LIMIT", param_hint="--set")
        pairs[name.strip()] = value.strip()
    return pairs


@commands.command(rich_help_panel="Look", epilog="Example: segtui flapping value --within 14d")
def flapping(
    context: typer.Context,
    segmentation: Annotated[
        str, typer.Argument(metavar="SEGMENTATION", help="Whose labels; a rule's or list's segment too.")
    ] = "value",
    within: Annotated[str, typer.Option(metavar="DAYS", help="How soon a return is flapping.")] = "14d",
    from_: From = None,
    to: To = None,
    limit: Limit = None,
    store: Store = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Tells who left a label and soon came back to it, at the ends of ticks (default: the last 90 days)."""
    from segtui.operations.flapping import flapping as operation
    from segtui.operations.session import open_session

    out = output(context, store, json=json, quiet=quiet)
    with open_session(out.store) as s:
        result = operation(
            s,
            segmentation,
            within=within,
            from_=tick_if(s, from_),
            to=tick_if(s, to),
            limit=out.limit(limit),
        )
    if json:
        out.document(result)
    else:
        names = ("from", "to", "closes", "moves", "returns", "users")
        out.facts([(name, result[name]) for name in names])
        columns = (Column("left"), Column("gone to"), Column("returns", words.count, right=True))
        out.table(columns, result["pairs"])
        out.table(FLAPPING, [[each[column.name] for column in FLAPPING] for each in result["members"]])
    first = result["members"][0]["user"] if result["members"] else None
    out.next(f"segtui user {quote(first)}" if first else f"segtui changes --segment {segmentation}")
