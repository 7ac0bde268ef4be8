"""Where persons are named outside the store: in the rows an import could not take."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from segtui.operations import quarantine

WORD = re.compile(r"""[^\s,;|"'<>{}()\[\]=]+""")
"""What may be an id in a row that could not be read: what stands between the marks around values."""

JOINED = re.compile(r"[\w.@+-]+")
MARKS = ".@+-"
CUT = "surrogateescape"
"""An import that was killed may have left half a character at the end of its file."""


def told_in(row: str) -> Iterator[str]:
    """Every text in a raw row that may be an id: the values where it is JSON, and the words."""
    for text in _readings(row):
        for word in WORD.findall(text):
            yield word
            yield word.rstrip(".:")
    try:
        yield from _values(json.loads(row))
    except (ValueError, RecursionError):
        return


def _values(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _values(each)
    elif value is not None and not isinstance(value, bool):
        yield str(value).strip()


def _readings(row: str) -> list[str]:
    """The row as it stands, and without JSON's escapes."""
    try:
        return [row, json.dumps(json.loads(row), ensure_ascii=False)]
    except (ValueError, RecursionError):
        return [row]


def naming(ids: Iterable[str]) -> Callable[[str], set[str]]:
    """Tells which of the ids, in lower case, a text names as words of their own, in whatever case.

    Marks that join words make one of them: 12 is not named in 12.50, nor ann@shop.de in jo-ann@shop.de.
    """
    known = {each.lower() for each in ids}
    phrases = [re.escape(each) for each in known if not JOINED.fullmatch(each)]
    phrase = re.compile(rf"(?<!\w)(?:{'|'.join(phrases)})(?!\w)") if phrases else None

    def names(text: str) -> set[str]:
        text = text.lower()
        words = JOINED.findall(text)
        found = known.intersection(words) | known.intersection(word.strip(MARKS) for word in words)
        return found if phrase is None else found.union(phrase.findall(text))

    return names


def mentioned(store: Path, ids: Collection[str]) -> tuple[set[str], int]:
    """Which of the ids, in lower case, the store's quarantine files name, and in how many rows."""
    named, found, rows = naming(ids), set[str](), 0
    for path in _files(store, ids):
        with path.open(encoding="utf-8", errors=CUT) as lines:
            for line in lines:
                here = set[str]().union(*map(named, _texts(line)))
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


def _files(store: Path, ids: Collection[str]) -> list[Path]:
    """The quarantine files that may name anybody asked for."""
    return sorted(quarantine.folder(store).glob("*.ndjson")) if ids else []


def _without(path: Path, named: Callable[[str], set[str]]) -> int:
    draft, kept, removed = path.with_suffix(".draft"), 0, 0
    descriptor = os.open(draft, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
    try:
        with (
            path.open(encoding="utf-8", errors=CUT) as rows,
            os.fdopen(descriptor, "w", encoding="utf-8", errors=CUT) as file,
        ):
            for line in rows:
                if any(map(named, _texts(line))):
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


def _texts(line: str) -> Iterator[str]:
    """What a line of a quarantine file tells: the row in every reading, and why it was refused."""
    try:
        told = json.loads(line)
        row, reason = str(told["row"]), str(told["reason"])
    except (ValueError, KeyError, TypeError):
        yield line
        return
    yield reason
    yield from _readings(row)
