"""Asking where a segment's members shall be written, and writing them as a job."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from segtui.operations import words as numbers
from segtui.operations.errors import OperationError
from segtui.tui.screens.dialogs import Prompt

if TYPE_CHECKING:
    from segtui.tui.app import SegtuiApp


def ask_for_export(app: SegtuiApp, segment: str, where: str | None, users: Sequence[str] = ()) -> None:
    """Prompts for a file, then exports to it what the page shows, or `users` of it where there are any."""
    at = app.at

    def write(answer: tuple[Path] | None) -> None:
        if answer is not None:
            app.start(
                f"writing {answer[0].name}",
                lambda _progress, _cancelled: app.data.export(segment, answer[0], where, at, users or None),
                lambda result: f"{numbers.plural(result['rows'], 'row')} in {result['out']}.",
            )

    filtered = f", {where}" if where else ""
    marked = f": {numbers.count(len(users))} marked" if users else ""
    app.push_screen(
        Prompt(
            f"Export {segment}{filtered}{marked}",
            ".csv, .parquet or .ndjson; users as numbers, without their ids",
            _new_file(),
            segment.replace("=", "-") + ("-marked.csv" if users else ".csv"),
        ),
        write,
    )


def _new_file() -> Callable[[str], Path]:
    """Turns what was typed into a path; a file that is there wants a second enter."""
    warned: set[Path] = set()

    def check(text: str) -> Path:
        path = Path(text).expanduser()
        if not text:
            raise OperationError("Name a file, such as members.csv.")
        if path.suffix not in (".csv", ".parquet", ".ndjson"):
            raise OperationError(f"{path.name} does not end in .csv, .parquet or .ndjson.")
        if path.exists() and path not in warned:
            warned.add(path)
            raise OperationError(f"{path} is there already: press enter again to replace it.")
        return path

    return check
