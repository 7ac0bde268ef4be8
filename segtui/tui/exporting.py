"""Asking where a segment's members shall be written, and by which ids, and writing them as a job."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.content import Content
from textual.widgets import Static

from segtui.operations import words as numbers
from segtui.operations.errors import OperationError
from segtui.tui import words
from segtui.tui.actions import bindings
from segtui.tui.screens.dialogs import Prompt

if TYPE_CHECKING:
    from segtui.tui.app import SegtuiApp

FORMATS = (".csv", ".parquet", ".ndjson")
ROOM = 56
"""Characters of a path in a notice."""


@dataclass(frozen=True)
class Wanted:
    """Where to write, and whether by the users' real ids."""

    out: Path
    identified: bool


class ExportLine(Prompt):
    """Asks for a file; ends with what is `Wanted`."""

    BINDINGS = bindings("export")
    KEYS = (("enter", "write it"), ("ctrl+r", "real ids, or numbers"), ("esc", "leave"))

    def __init__(self, app: SegtuiApp, title: str, value: str) -> None:
        super().__init__(title, _hint(identified=False), self._check, value)
        self.store = app.data
        self.identified = False
        self._file = _new_file()

    def _check(self, text: str) -> Wanted:
        if self.identified:
            self.store.require_key()
        return Wanted(self._file(text), self.identified)

    def action_identify(self) -> None:
        """Real ids instead of numbers, and back."""
        self.identified = not self.identified
        self.query_one("#prompt-hint", Static).update(_hint(identified=self.identified))


def ask_for_export(app: SegtuiApp, segment: str, where: str | None, users: Sequence[str] = ()) -> None:
    """Prompts for a file, then exports to it what the page shows, or `users` of it where there are any."""
    at = app.at

    def write(answer: tuple[Wanted] | None) -> None:
        if answer is None:
            return
        out, identified = answer[0].out, answer[0].identified

        def told(result: dict[str, Any]) -> str:
            ids = "real ids" if identified else "numbers"
            return f"{numbers.plural(result['rows'], 'row')} by {ids} in {shortened(out.absolute())}."

        app.start(
            f"writing {out.name}",
            lambda _progress, _cancelled: app.data.export(segment, out, where, at, users or None, identified),
            told,
        )

    filtered = f", {where}" if where else ""
    marked = f": {numbers.count(len(users))} marked" if users else ""
    title = f"Export {segment}{filtered}{marked}"
    file = segment.replace("=", "-") + ("-marked.csv" if users else ".csv")
    app.push_screen(ExportLine(app, title, file), write)


def shortened(path: Path) -> str:
    """The path, without its first folders where it is long: `…/exports/value-high.csv`."""
    told = str(path)
    parts = path.parts[1:]
    while len(told) > ROOM and len(parts) > 1:
        parts = parts[1:]
        told = "/".join(("…", *parts))
    return told


def _hint(*, identified: bool) -> Content:
    """The endings there are, the folder, and what stands for a user."""
    if identified:
        who = Content.assemble(("users by their real ids", f"bold {words.WARN}"), ": whoever has the file ")
        who += Content("knows who they are; the log says so")
    else:
        who = Content.assemble(("users as numbers", "bold"), ", as in #3: only this store knows who they are")
    folder = shortened(Path.cwd())
    return Content("\n").join([Content(f"{', '.join(FORMATS[:2])} or {FORMATS[2]}, in {folder}"), who])


def _new_file() -> Callable[[str], Path]:
    """Turns what was typed into a path; a file that is there wants a second enter."""
    warned: set[Path] = set()

    def check(text: str) -> Path:
        # Here, in the thread: see segtui.tui.data.
        from segtui.operations.files import require_folder

        path = Path(text).expanduser()
        if not text:
            raise OperationError("Name a file, such as members.csv.")
        if path.suffix not in FORMATS:
            raise OperationError(f"{path.name} does not end in .csv, .parquet or .ndjson.")
        require_folder(path)
        if path.exists() and path not in warned:
            warned.add(path)
            raise OperationError(f"{path} is there already: press enter again to replace it.")
        return path

    return check
