"""Looking: sizes, members, one user, who moved and between which labels."""

from __future__ import annotations

from shlex import quote
from typing import Annotated, Any

import typer

from segtui.cli.options import (
    LARGEST,
    At,
    Cause,
    From,
    Json,
    Like,
    Limit,
    Position,
    Quiet,
    Store,
    To,
    Where,
    flag,
    output,
    tick_if,
)
from segtui.cli.output import Column, Output
from segtui.cli.shown import leaving, probability, trend, value, when, whole
from segtui.operations import words

commands = typer.Typer()
PANEL = "Look"
CHANGES = (
    Column("as_of", when, width=10),
    Column("user", width=9),
    Column("segmentation", width=6, heading="OF"),
    Column("from", width=6),
    Column("to", width=6),
    Column("probability", probability, right=True, width=4, heading="P"),
    Column("cause", width=6),
    Column("reason"),
)
MEMBERS = (
    Column("user"),
    Column("probability", probability, right=True),
    Column("margin", probability, right=True),
    Column("since", when),
    Column("cause"),
    Column("leaves"),
)
EVENTS = (
    Column("occurred_at", when),
    Column("kind"),
    Column("item"),
    Column("order"),
    Column("amount", value, right=True),
    Column("quantity", value, right=True),
)
EVENTS_SHOWN = 10
WEIGHTS = (
    Column("feature"),
    Column("value", value, right=True),
    Column("typical", value, right=True),
    Column("weight", value, right=True),
)
GROUPS = (
    Column("group"),
    Column("weight", value, right=True),
    Column("meaning"),
)
SIZES = (
    Column("segment"),
    Column("users", words.count, right=True),
    Column("share", words.share, right=True),
    Column("expected", whole, right=True),
    Column("reach", words.count, right=True),
    Column("1 d", words.change, right=True),
    Column("30 d", words.change, right=True),
    Column("last 30 ticks", trend, drawn=True),
)


@commands.command(rich_help_panel=PANEL, epilog="Example: segtui segments --at 2026-03-01 --json")
def segments(
    context: typer.Context,
    at: At = None,
    position: Position = None,
    store: Store = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Shows how many users each segment has, now or then."""
    from segtui.operations.notices import line, notices
    from segtui.operations.segments import segments as operation
    from segtui.operations.session import open_session

    out = output(context, store, json=json, quiet=quiet)
    with open_session(out.store) as s:
        result = operation(s, at=tick_if(s, at), position=position)
        wrong = line(notices(s)) if at is None and position is None else None
    if json:
        out.document(result)
    else:
        shown = when(result["as_of"]) if result["as_of"] else "no events yet"
        out.table(
            SIZES, size_rows(result["segmentations"]), title=f"as of {shown}, counts {result['counts']}"
        )
    if wrong is not None:
        out.message(wrong)
    out.next(_first_held(result["segmentations"]) if result["as_of"] else "segtui import FILE")


def _first_held(segmentations: list[dict[str, Any]]) -> str:
    """The command that lists the first segment anybody is in; rescoring while there is none."""
    held = (
        (each["name"], label["label"]) for each in segmentations for label in each["labels"] if label["users"]
    )
    return next((f"segtui members {quote(f'{name}={label}')}" for name, label in held), "segtui rescore")


def size_rows(segmentations: list[dict[str, Any]]) -> list[list[Any]]:
    """A row of SIZES per label of each segmentation."""
    return [
        [
            f"{each['name']}={label['label']}",
            label["users"],
            label["share"],
            label["expected"],
            label["reach"],
            label.get("change_1d"),
            label.get("change_30d"),
            label.get("trend"),
        ]
        for each in segmentations
        for label in each["labels"]
    ]


@commands.command(
    rich_help_panel=PANEL, epilog="Example: segtui members value=high --where 'margin < 0.05' --order margin"
)
def members(
    context: typer.Context,
    segment: Annotated[str, typer.Argument(metavar="SEGMENT", help="SEGMENTATION=LABEL, as value=high.")],
    where: Where = None,
    like: Like = None,
    at: At = None,
    position: Position = None,
    limit: Limit = None,
    offset: Annotated[int, typer.Option(min=0, max=LARGEST, metavar="N", help="Skip so many.")] = 0,
    order: Annotated[
        str | None, typer.Option(metavar="FIELD", help="Sort by a field, -FIELD downwards.")
    ] = None,
    leaves: Annotated[
        bool, flag("--leaves", text="Say when each of those listed leaves, if silent from now on.")
    ] = False,
    leaving_within: Annotated[
        str | None,
        typer.Option("--leaving-within", metavar="D", help="Only who leaves within D if silent, as 7d."),
    ] = None,
    store: Store = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Lists who is in a segment."""
    from segtui.operations.members import members as operation
    from segtui.operations.session import open_session
    from segtui.operations.times import parse_days

    out = output(context, store, json=json, quiet=quiet)
    with open_session(out.store) as s, out.progress() as bar:
        result = operation(
            s,
            segment,
            where=where,
            part=like,
            at=tick_if(s, at),
            position=position,
            limit=out.limit(limit),
            offset=offset,
            order=order,
            leaves=leaves,
            leaving_within=None if leaving_within is None else parse_days(leaving_within),
            progress=bar,
        )
    found = result["members"]
    if json:
        out.document(result)
    else:
        told = [each | {"leaves": leaving(each["leaves"])} for each in found]
        out.table(MEMBERS, [[each[column.name] for column in MEMBERS] for each in told])
    out.message(f"{len(found):,} of {words.plural(result['total'], 'member')} of {segment}.")
    if result["recorded"] == "at the last change" and found:
        out.message("Probabilities are those of each user's last change; 'score --at' gives all of a day.")
    out.next(f"segtui user {quote(found[0]['user'])}" if found else "segtui segments")


@commands.command(rich_help_panel=PANEL, epilog="Example: segtui user c-10442 --at 2026-03-01")
def user(
    context: typer.Context,
    id: Annotated[str, typer.Argument(metavar="ID", help="The external id, or #NUMBER for a surrogate.")],
    at: At = None,
    position: Position = None,
    store: Store = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Shows one user: labels, features, events, and why each change was made."""
    from segtui.operations.session import open_session
    from segtui.operations.user import user as operation

    out = output(context, store, json=json, quiet=quiet)
    with open_session(out.store) as s:
        result = operation(s, id, at=tick_if(s, at), position=position)
    if json:
        out.document(result)
    else:
        _show_user(out, result)
    out.next(f"segtui changes --user {quote(id)} --first")


def _show_user(out: Output, result: dict[str, Any]) -> None:
    out.facts([("user", result["user"]), ("tags", ", ".join(map(str, result["tags"])) or None)])
    units, currency = result["units"], result["currency"]

    def told(name: str, amount: Any) -> Any:
        """A value as it is in a pipe, in its unit on a terminal."""
        if not out.terminal or amount is None or isinstance(amount, str):
            return amount
        return words.quantity(amount, units.get(name, ""), currency)

    def unit(name: str) -> str | None:
        """A feature's unit, where the value does not say it itself."""
        known = units.get(name)
        return None if out.terminal and known in words.SPOKEN_UNITS else known

    out.table(
        (Column("feature"), Column("value", right=True), Column("unit")),
        [[name, told(name, each), unit(name)] for name, each in result["features"].items()],
    )
    explained = result["explanation"]
    if explained:
        label = explained["label"]
        title = f"why {label}, not {explained['against']}: from the typical {label} user to this one"
        groups = [[each["group"], each["weight"], each["meaning"]] for each in explained["groups"]]
        ends = (("typical", explained["typical_lead"], ""), ("log-odds", explained["lead"], ""))
        out.table(GROUPS, [list(ends[0]), *groups, list(ends[1])], title=title)
        units |= {each["feature"]: each["unit"] for each in explained["features"]}
        rows = [
            [
                each["feature"],
                *(told(each["feature"], each[name]) for name in ("value", "typical")),
                each["weight"],
            ]
            for each in explained["features"]
        ]
        out.table(WEIGHTS, rows)
    events = result["events"]
    if out.terminal:
        events = [
            each | {"amount": None if each["amount"] is None else words.money(each["amount"], currency)}
            for each in events[:EVENTS_SHOWN]
        ]
    out.table(EVENTS, [[each[column.name] for column in EVENTS] for each in events])
    if result["leaves"]:
        out.message(f"Leaves {when(result['leaves']['as_of'])} to {result['leaves']['to']} if silent.")
    if result["smallest_change"]:
        out.message(f"Moves to {result['smallest_change']['to']} by {result['smallest_change']['text']}.")
    if result["changes"]:
        columns = tuple(column for column in CHANGES if column.name != "user")
        out.table(columns, [[each[column.name] for column in columns] for each in result["changes"]])


@commands.command(
    rich_help_panel=PANEL, epilog="Example: segtui changes --from -7d --segment value=high --cause clock"
)
def changes(
    context: typer.Context,
    from_: From = None,
    to: To = None,
    segment: Annotated[
        str | None, typer.Option(metavar="S", help="value, or value=high for moves in or out of it.")
    ] = None,
    cause: Annotated[Cause | None, typer.Option(help="Only changes with this cause.")] = None,
    first: Annotated[bool, flag("--first", text="First assignments as well.")] = False,
    user: Annotated[str | None, typer.Option(metavar="ID", help="Only this user's.")] = None,
    position: Position = None,
    limit: Limit = None,
    store: Store = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Lists who moved, when and why."""
    from segtui.operations.changes import changes as operation
    from segtui.operations.session import open_session

    out = output(context, store, json=json, quiet=quiet)
    with open_session(out.store) as s:
        found = operation(
            s,
            from_=tick_if(s, from_),
            to=tick_if(s, to),
            segment=segment,
            cause=cause,
            first=first,
            user=user,
            position=position,
            limit=out.limit(limit),
        )
        out.stream(found, CHANGES)
    out.next("segtui replay --from -30d")


@commands.command(rich_help_panel=PANEL, epilog="Example: segtui why value=high --from -30d")
def why(
    context: typer.Context,
    segment: Annotated[str, typer.Argument(metavar="SEGMENT", help="As value=high, or a segment's name.")],
    from_: From = None,
    to: To = None,
    store: Store = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Breaks down why a segment grew or shrank: customers, edits, or data that did not come."""
    from segtui.operations.session import open_session
    from segtui.operations.why import why as operation

    out = output(context, store, json=json, quiet=quiet)
    with open_session(out.store) as s:
        result = operation(s, segment, from_=tick_if(s, from_), to=tick_if(s, to))
    if json:
        out.document(result)
    else:
        names = ("from", "to", "before", "in", "out", "after", "by_customers", "by_edits")
        out.facts([(each.replace("_", " "), result[each]) for each in names])
        rows = [[cause, each["in"], each["out"]] for cause, each in result["by_cause"].items()]
        columns = (Column("in", words.count, right=True), Column("out", words.count, right=True))
        out.table((Column("cause"), *columns), rows)
        out.table((Column("reason"), Column("moves", words.count, right=True)), result["by_reason"])
    if result["import_gaps"]:
        out.message(
            f"No events on {len(result['import_gaps'])} days that usually have some: imports missing?"
        )
    out.next(f"segtui changes --segment {quote(segment)}")
