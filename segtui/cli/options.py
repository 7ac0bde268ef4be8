"""The options that commands share, declared once."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from segtui.cli.output import Output

if TYPE_CHECKING:
    from segtui.operations.session import Session

DEFAULT_STORE = "segtui.db"
Cause = Literal[
    "model",
    "definition",
    "label",
    "decision",
    "erasure",
    "consent",
    "manual",
    "identity",
    "late_event",
    "event",
    "clock",
]
FORMATS = (
    *("auto", "events", "segment", "ga4", "cdnow", "online-retail", "retailrocket", "rees46"),
    *("taobao", "shopify-orders", "woocommerce", "table"),
)
MODEL_KINDS = ("logistic", "mlp", "cnn", "gru", "fused")
TIME = "T"
SHARED = "Every command"


def output(context: typer.Context, store: Path | None, *, json: bool, quiet: bool) -> Output:
    """Where this command's answers go; `--store` may stand before the command or after it."""
    default = Path(os.environ.get("SEGTUI_STORE") or DEFAULT_STORE)
    path = store or context.obj or default
    out = Output(path, json=json, quiet=quiet, named=path != default)
    _listen(out)
    return out


class _Messages(logging.Handler):
    """Passes on what the store has to say by the way: that it was migrated, and what is kept aside."""

    def __init__(self, out: Output) -> None:
        super().__init__(logging.WARNING)
        self._out = out

    def emit(self, record: logging.LogRecord) -> None:
        """One message on stderr."""
        self._out.message(record.getMessage())


def _listen(out: Output) -> None:
    logger = logging.getLogger("db")
    logger.handlers = [each for each in logger.handlers if not isinstance(each, _Messages)]
    logger.addHandler(_Messages(out))


def tick_if(s: Session, text: str | None) -> int | None:
    """What `--at`, `--from`, `--to` or `--cutoff` names, in µs UTC; None where it was not told."""
    return None if text is None else s.tick(text)


def instant_if(s: Session, text: str | None) -> int | None:
    """What `--from` or `--to` of a log names, in µs UTC; None where it was not told."""
    return None if text is None else s.instant(text)


def formats(incomplete: str) -> list[str]:
    """Import formats that begin with what was typed."""
    return [name for name in FORMATS if name.startswith(incomplete)]


def model_kinds(incomplete: str) -> list[str]:
    """Model kinds that begin with what was typed."""
    return [name for name in (*MODEL_KINDS, "auto") if name.startswith(incomplete)]


def percentage(text: str) -> float:
    """`5%` or `5` as 5.0; ValueError for any other text, and outside 0 to 100."""
    try:
        value = float(text.strip().removesuffix("%"))
    except ValueError:
        value = -1
    if not 0 <= value <= 100:
        raise ValueError(f"{text!r} is not a percentage from 0% to 100%.")
    return value


def flag(*names: str, text: str, panel: str | None = None) -> Any:
    """A switch, shown in the help without a value."""
    return typer.Option(*names, metavar="", help=text, rich_help_panel=panel)


Store = Annotated[
    Path | None,
    typer.Option(
        "--store",
        metavar="PATH",
        help="The store (SEGTUI_STORE, else ./segtui.db).",
        show_default=False,
        rich_help_panel=SHARED,
    ),
]
Json = Annotated[bool, flag("--json", text="Exact results as JSON on stdout.", panel=SHARED)]
Quiet = Annotated[bool, flag("--quiet", "-q", text="No messages, no progress, no next:.", panel=SHARED)]
At = Annotated[
    str | None,
    typer.Option(
        "--at",
        "--as-of",
        metavar=TIME,
        help="The first tick end at or after T: 2026-03-01, now, yesterday, -7d, last-rescore.",
    ),
]
LARGEST = 2**63 - 1
"""What SQLite counts up to."""
Position = Annotated[
    int | None,
    typer.Option("--position", min=0, max=LARGEST, metavar="N", help="As the log knew it at this position."),
]
From = Annotated[str | None, typer.Option("--from", metavar=TIME, help="After this tick end.")]
To = Annotated[str | None, typer.Option("--to", metavar=TIME, help="Up to and with this tick end.")]
Limit = Annotated[
    int | None,
    typer.Option(
        "--limit", min=0, max=LARGEST, metavar="N", help="At most so many (50 on a terminal, all in a pipe)."
    ),
]
Like = Annotated[
    str | None,
    typer.Option("--like", metavar="TEXT", help="Only users whose id has the text in it; !TEXT: has not."),
]
Where = Annotated[
    str | None,
    typer.Option("--where", metavar="EXPR", help="Only users for whom the expression holds."),
]
