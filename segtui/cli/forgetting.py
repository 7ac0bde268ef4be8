"""Who stands behind the numbers: the key that seals it, and forgetting a person."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from segtui.cli.options import Json, Quiet, Store, flag, output

commands = typer.Typer()
PANEL = "Forget"


@commands.command(rich_help_panel=PANEL, epilog="Example: segtui key rotate")
def key(
    context: typer.Context,
    action: Annotated[  # noqa: ARG001  (there is one: the word says what happens)
        Literal["rotate"], typer.Argument(help="rotate: seal every identity under a new key.")
    ],
    keyring: Annotated[
        bool, flag("--keyring", text="Keep the new key in the operating system's keyring.")
    ] = False,
    store: Store = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Replaces the key of the vault; a key told by SEGTUI_KEY is replaced by SEGTUI_NEW_KEY."""
    from segtui.operations.key import rotate
    from segtui.operations.session import open_session

    out = output(context, store, json=json, quiet=quiet)
    with open_session(out.store) as s, out.progress() as progress:
        progress("sealing every identity anew", None)
        result = rotate(s, keyring=keyring)
    if json:
        out.document(result)
    else:
        out.facts([(name.replace("_", " "), result[name]) for name in ("entries", "key", "old_key")])
    if result["key"] == "SEGTUI_NEW_KEY":
        out.message("From now on SEGTUI_KEY must hold what SEGTUI_NEW_KEY holds now.")
    if result["old_key"]:
        out.message("Backups made until now need the old key: delete it when the last of them is gone.")
    out.next("segtui verify")
