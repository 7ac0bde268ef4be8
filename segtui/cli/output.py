"""What a command says: results on stdout, everything else on stderr.

Results are JSON for scripts, tables for people at a terminal, and tab-separated exact values in a pipe.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from shlex import quote
from typing import Any

from segtui.cli.progress import Bar

PAGE = 50
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class ClosedPipe(Exception):
    """Nobody reads stdout any more."""


@dataclass(frozen=True)
class Column:
    """One column of a table: its name in results, how a person reads it, and how it stands on a terminal.

    `width` is the least one, for rows that are written as they come. `drawn`: as a person reads it in a pipe
    too, where the exact value is a list that no column holds; --json has it.
    """

    name: str
    show: Callable[[Any], str] = str
    right: bool = False
    width: int = 0
    heading: str = ""
    drawn: bool = False

    @property
    def head(self) -> str:
        """What stands above it on a terminal."""
        return self.heading or self.name.upper()


class Output:
    """Where one command's results and messages go."""

    def __init__(self, store: Path, *, json: bool, quiet: bool, named: bool) -> None:
        self.store = store
        self.json = json
        self.quiet = quiet
        self._named = named
        self._page = 0
        self.terminal = sys.stdout.isatty() and not json

    def limit(self, asked: int | None) -> int | None:
        """How many rows a list shows: what was asked for, else 50 on a terminal and all in a pipe."""
        if asked is None and sys.stdout.isatty():
            self._page = PAGE
            return PAGE
        return asked

    def document(self, result: dict[str, Any]) -> None:
        """One JSON object on one line."""
        write(dumps(result) + "\n")

    def stream(self, results: Iterable[dict[str, Any]], columns: Sequence[Column]) -> None:
        """Results one by one as they come: NDJSON, or a row each."""
        if self.json:
            for result in results:
                self.document(result)
            return
        rows = _begun([result[column.name] for column in columns] for result in results)
        if not self.terminal:
            self.table(columns, rows)
            return
        shown = 0
        write("  ".join(_padded(column.head, column) for column in columns).rstrip() + "\n")
        for row in rows:
            shown += 1
            cells = (
                _padded(_human(value, column), column) for value, column in zip(row, columns, strict=True)
            )
            write("  ".join(cells).rstrip() + "\n")
        if shown == self._page:
            self.message(f"The first {shown}; --limit N shows more, a pipe all.")

    def table(self, columns: Sequence[Column], rows: Iterable[Sequence[Any]], title: str = "") -> None:
        """A table: drawn on a terminal, tab-separated with a header line in a pipe."""
        if not self.terminal:
            write("\t".join(column.name for column in columns) + "\n")
            for row in rows:
                piped = (_piped(value, column) for value, column in zip(row, columns, strict=True))
                write("\t".join(piped) + "\n")
            return
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        drawn = Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False)
        for column in columns:
            drawn.add_column(column.head, justify="right" if column.right else "left")
        for row in rows:
            cells = [Text(_human(value, column)) for value, column in zip(row, columns, strict=True)]
            drawn.add_row(*cells)
        Console().print(drawn)

    def facts(self, facts: Sequence[tuple[str, Any]]) -> None:
        """Names and values, one per line; a value None is shown as `-`, left empty in a pipe."""
        if not self.terminal:
            for name, value in facts:
                write(f"{name}\t{_exact(value)}\n")
            return
        width = max(len(name) for name, _ in facts)
        for name, value in facts:
            write(f"{name:<{width}}  {'-' if value is None else printable(str(value))}\n")

    def message(self, text: str) -> None:
        """A line for the person, on stderr."""
        if not self.quiet:
            sys.stdout.flush()
            sys.stderr.write(printable(text) + "\n")

    def next(self, hint: str | None) -> None:
        """What one would do next; commands carry the store that this one was told to use."""
        if not hint:
            return
        if self._named and hint.split()[0] == "segtui":
            command, mark, comment = hint.partition("  #")
            hint = f"{command} --store {quote(str(self.store))}{mark}{comment}"
        self.message(f"next: {hint}")

    @contextmanager
    def progress(self) -> Iterator[Callable[[str, float | None], None]]:
        """A progress bar on stderr, on a terminal, for what takes over a second."""
        if self.quiet or not sys.stderr.isatty():
            yield lambda _what, _share: None
            return
        with Bar() as bar:
            yield bar.report


def _begun(rows: Iterator[list[Any]]) -> Iterator[list[Any]]:
    """The same rows, the first of them made already: what is refused comes before any header."""
    first = next(rows, None)
    return rows if first is None else chain([first], rows)


def write(text: str) -> None:
    """Writes to stdout; raises ClosedPipe when the reader is gone."""
    try:
        sys.stdout.write(text)
    except BrokenPipeError as error:
        raise ClosedPipe from error


def dumps(result: dict[str, Any] | list[Any]) -> str:
    """JSON as the standard has it: a number that is none (an AUC of one class) becomes null."""
    try:
        return json.dumps(result, ensure_ascii=False, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(result), ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def printable(text: str) -> str:
    """The text without control characters: what a file told must not steer the terminal."""
    return CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def _exact(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, (dict, list)):
        return dumps(value) if isinstance(value, dict) else json.dumps(value, ensure_ascii=False)
    # a cell must not start a new row or column
    return str(value).translate({9: " ", 10: " ", 13: " "})


def _piped(value: Any, column: Column) -> str:
    return column.show(value) if column.drawn and value is not None else _exact(value)


def _human(value: Any, column: Column) -> str:
    return "-" if value is None else printable(column.show(value))


def _padded(text: str, column: Column) -> str:
    return text.rjust(column.width) if column.right else text.ljust(column.width)
