"""Beginning: a store, what is in it, and a shop to try things on."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Annotated, Any, Literal

import typer

from segtui.cli import ui
from segtui.cli.looking import SIZES, size_rows
from segtui.cli.options import Json, Quiet, Store, flag, output
from segtui.cli.output import Output
from segtui.cli.shown import metric
from segtui.operations import words

commands = typer.Typer()
PANEL = "Begin"
DEMO_FOLDER = Path("demo-shop")
STATUS = (
    "events",
    "users",
    "first",
    "last",
    "position",
    "as_of",
    "clock",
    "model",
    "last_import",
    "last_rescore",
    "ids",
)


@commands.command(
    rich_help_panel=PANEL,
    epilog="Example: segtui init --store shop.db --timezone Europe/Berlin --currency EUR",
)
def init(
    context: typer.Context,
    timezone: Annotated[str, typer.Option(metavar="TZ", help="Where its days begin; never changes.")] = "UTC",
    currency: Annotated[
        str | None, typer.Option(metavar="CUR", help="ISO 4217 code (default: that of the first import).")
    ] = None,
    tick: Annotated[str, typer.Option(metavar="LENGTH", help="1d, or hours that divide 24, as 6h.")] = "1d",
    clock: Annotated[
        Literal["wall", "data"] | None,
        typer.Option(help="What now means (default: data if the first import is over 30 d old)."),
    ] = None,
    keyring: Annotated[
        bool, flag("--keyring", text="Keep the key in the operating system's keyring, not in a file.")
    ] = False,
    no_vault: Annotated[
        bool, flag("--no-vault", text="Ids in clear, without a key: for data that is pseudonymous already.")
    ] = False,
    store: Store = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Creates a store and its key."""
    from segtui.operations.init import init as operation

    out = output(context, store, json=json, quiet=quiet)
    result = operation(
        out.store,
        timezone=timezone,
        currency=currency,
        tick=tick,
        clock=clock,
        keyring=keyring,
        vault=not no_vault,
    )
    if json:
        out.document(result)
    else:
        out.facts([(name, result[name]) for name in ("store", "timezone", "currency", "tick", "clock")])
    if no_vault:
        out.message("No vault: ids stand in clear for everyone who can read the store.")
    else:
        out.message(f"Keep the key safe ({result['key']}): without it nobody can tell whose rows these are.")
    out.next("segtui import FILE")


@commands.command(rich_help_panel=PANEL, epilog="Example: segtui status --json")
def status(context: typer.Context, store: Store = None, json: Json = False, quiet: Quiet = False) -> None:
    """Tells what is in the store, how fresh it is, and what to do next."""
    from segtui.operations.notices import line
    from segtui.operations.session import open_session
    from segtui.operations.status import status as operation

    out = output(context, store, json=json, quiet=quiet)
    with open_session(out.store) as s:
        result = operation(s)
    if json:
        out.document(result)
    else:
        out.facts([(name.replace("_", " "), _fact(out, result[name])) for name in STATUS])
    wrong = line(result["notices"])
    if wrong is not None:
        out.message(wrong)
    out.next(result["next"])


def _fact(out: Output, value: Any) -> Any:
    if not out.terminal:
        return value
    if isinstance(value, dict):
        return ", ".join(f"{name} {_fact(out, each)}" for name, each in value.items())
    return words.count(value) if isinstance(value, int) else value


@commands.command(rich_help_panel=PANEL, epilog="Example: segtui demo --users 2000 --seed 1 --no-ui")
def demo(
    context: typer.Context,
    users: Annotated[int, typer.Option(min=1, metavar="N", help="How many customers, 1500 or more.")] = 5_000,
    days: Annotated[
        int, typer.Option(min=1, metavar="N", help="How many days of history, 200 or more.")
    ] = 400,
    seed: Annotated[int, typer.Option(metavar="N", help="The same seed makes the same shop.")] = 7,
    folder: Annotated[Path, typer.Option("--dir", metavar="PATH", help="Where to put it.")] = DEMO_FOLDER,
    no_ui: Annotated[bool, flag("--no-ui", text="Do not open the terminal UI afterwards.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Simulates a shop, runs the whole job on it, and opens the terminal UI."""
    from segtui.operations.demo import demo as operation

    out = output(context, None, json=json, quiet=quiet)
    with out.progress() as progress:
        result = operation(folder, users=users, days=days, seed=seed, progress=progress)
    if json:
        out.document(result)
    else:
        _show_demo(out, result)
    if ui.on_terminal() and not (json or no_ui):
        ui.open_ui(Path(result["store"]))
    out.next(f"segtui --store {quote(result['store'])}")


def _show_demo(out: Output, result: dict[str, Any]) -> None:
    facts = [(name, _fact(out, result[name])) for name in ("store", "events", "users", "model")]
    metrics = result["metrics"]["test"] if result["metrics"] else {}
    facts += [(name.replace("_", " "), metric(value)) for name, value in metrics.items() if value is not None]
    out.facts(facts)
    out.table(SIZES, size_rows(result["segments"]))
