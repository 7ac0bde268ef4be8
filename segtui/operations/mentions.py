"""Where persons are named outside the store: in the rows an import could not take.

One rule tells whom a row names, whether they are being erased or an import meets them again. In a column that
holds ids, its value does. Elsewhere an id is named that stands there as words of its own, in whatever case; a
number of up to eight digits is not, for it is a price, a day or a quantity far more often than a person, but
in a row that could not be split into columns, which may be anybody's.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from db.identities import NUMBERED
from segtui.operations import quarantine

JOINED = re.compile(r"[\w.@+-]+")
"""A word; marks that join words make one of them: ann@a.de is not named in jo-ann@a.de."""
MARKS = ".@+-"
MOST_WORDS = 4
"""Words an id may have to be found within a text: `Zoë Ångström`, `user:12`."""
LONGEST_NUMBER = 8
WHOLE = re.compile(r"([0-9]+)\.0+")
ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")
OWN_COLUMNS = ("user", "previous")
"""Where the program itself tells ids, beside an alias that contradicts another."""
CUT = "surrogateescape"
"""An import that was killed may have left half a character at the end of its file."""


@dataclass(frozen=True)
class Cell:
    """A text of a row. whose: whether it stands where ids stand; None where that cannot be told."""

    text: str
    whose: bool | None

    def names(self) -> set[str]:
        """Everything in it that would be an id if somebody had it, as it is written."""
        spans = set(_spans(self.text))
        if self.whose is None:
            spans.update(re.findall(NUMBERED, self.text))
        else:
            spans = {span for span in spans if not _number(span)}
        if self.whose:
            plain = _plain(self.text)
            spans |= {plain, WHOLE.sub(r"\1", plain)}
        return spans


def as_named(external: str) -> str:
    """An id as it is looked for: in lower case, from its first word to its last, between single blanks."""
    return _plain(external).lower()


def _plain(text: str) -> str:
    text = " ".join(text.split())
    if re.fullmatch(NUMBERED, text):
        return text  # without its mark it would be another's id
    words = list(JOINED.finditer(text))
    inner = text[words[0].start() : words[-1].end()].strip(MARKS) if words else ""
    return inner or text


def _spans(text: str) -> Iterator[str]:
    """Up to MOST_WORDS words that follow each other, with what stands between them."""
    text = " ".join(text.split())
    words = list(JOINED.finditer(text))
    for at, first in enumerate(words):
        for last in words[at : at + MOST_WORDS]:
            yield text[first.start() : last.end()].strip(MARKS)


def _number(span: str) -> bool:
    return sum(map(str.isdigit, span)) <= LONGEST_NUMBER and not any(map(str.isalpha, span))


def cells(row: str, reason: str, columns: Collection[str] | None) -> Iterator[Cell]:
    """The texts of a raw row, whose ids stand in `columns`, and of why it was refused.

    Without `columns` nothing is known of where ids stand.
    """
    yield Cell(reason, whose=False)
    members = _object(row)
    if members is not None and members.keys() == {"text"} and isinstance(members["text"], str):
        row = members["text"]
        members = _object(row)
    if members is None:
        yield Cell(ESCAPED.sub(lambda found: chr(int(found[1], 16)), row), whose=None)
    else:
        yield from _members(members, None if columns is None else {*columns, *OWN_COLUMNS}, whose=False)


def _members(value: Any, columns: set[str] | None, *, whose: bool) -> Iterator[Cell]:
    inner = _object(value) if isinstance(value, str) else value
    if isinstance(inner, dict):
        for name, member in inner.items():
            yield from _members(member, columns, whose=columns is not None and name in columns)
    elif isinstance(inner, list):
        for member in inner:
            yield from _members(member, columns, whose=whose)
    elif isinstance(value, str):
        yield Cell(value, None if columns is None else whose)


def _object(text: str) -> dict[str, Any] | None:
    """The JSON object a text is, its numbers as they are written; None for another text."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        found = json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def naming(ids: Iterable[str]) -> Callable[[Iterable[Cell]], set[str]]:
    """Tells which of the ids some cells name; both as `as_named` says."""
    known = {as_named(each) for each in ids}
    seen: dict[Cell, set[str]] = {}

    def named(told: Iterable[Cell]) -> set[str]:
        found: set[str] = set()
        for cell in told:
            if cell not in seen:
                seen[cell] = known.intersection(map(str.lower, cell.names()))
            found |= seen[cell]
        return found

    return named


def mentioned(store: Path, ids: Collection[str]) -> tuple[set[str], int]:
    """Which of the ids, `as_named`, the store's quarantine files name, and in how many rows."""
    named, found, rows = naming(ids), set[str](), 0
    for path in _files(store, ids):
        with path.open(encoding="utf-8", errors=CUT) as lines:
            for line in lines:
                here = named(_told(line))
                found |= here
                rows += bool(here)
    return found, rows


def remove(store: Path, ids: Collection[str]) -> int:
    """Removes the rows that name any of the ids from the store's quarantine files; returns how many.

    A file is replaced by one without them, or removed when nothing is left of it.
    """
    for left in quarantine.folder(store).glob("*.draft"):
        left.unlink()
    named = naming(ids)
    return sum(_without(path, named) for path in _files(store, ids))


def _files(store: Path, ids: Collection[str]) -> Sequence[Path]:
    """The quarantine files that may name anybody asked for."""
    return sorted(quarantine.folder(store).glob("*.ndjson")) if ids else []


def _without(path: Path, named: Callable[[Iterable[Cell]], set[str]]) -> int:
    draft, kept, removed = path.with_suffix(".draft"), 0, 0
    descriptor = os.open(draft, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
    try:
        with (
            path.open(encoding="utf-8", errors=CUT) as rows,
            os.fdopen(descriptor, "w", encoding="utf-8", errors=CUT) as file,
        ):
            for line in rows:
                if named(_told(line)):
                    removed += 1
                else:
                    kept += 1
                    file.write(line)
            file.flush()
            os.fsync(file.fileno())
        if removed:
            draft.replace(path)
            if not kept:
                path.unlink()
    finally:
        draft.unlink(missing_ok=True)
    return removed


def _told(line: str) -> Iterator[Cell]:
    """What a line of a quarantine file tells; one that was cut off cannot be split."""
    try:
        told = json.loads(line)
        row, reason, columns = str(told["row"]), str(told["reason"]), told.get("ids")
    except (ValueError, KeyError, TypeError, AttributeError):
        return cells(line, "", None)
    return cells(row, reason, columns)
