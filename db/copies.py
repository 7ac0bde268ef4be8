"""Copies of a store's file: made while others read and write, for their owner alone, whole or not at all."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from db.errors import StoreDamaged, StoreMissing
from db.lock import holder_path, lock_path
from db.sqlite import connect, explained

PRIVATE = 0o600
DRAFT = ".draft"
KEPT = r"\.before-(?:restore|version-[0-9]+)-[0-9]{8}T[0-9]{6}(?:-[0-9]+)?"
"""How the name of a copy kept aside goes on after the store's: nothing else is taken for one."""


def copy_store(source: sqlite3.Connection, path: Path) -> None:
    """Copies the database behind `source` into a new file at `path`, mode 0600, by SQLite's online backup."""
    with explained(path):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, PRIVATE))
        path.chmod(PRIVATE)
        with closing(connect(path)) as copy:
            source.backup(copy)
            # A copy of a WAL store asks for WAL: without it the copy is one file, readable anywhere.
            copy.execute("PRAGMA journal_mode = DELETE").fetchall()


@contextmanager
def draft_of(path: Path) -> Iterator[Path]:
    """A name beside `path` for what becomes `path` once it is proven; whatever is left of it is removed."""
    if not path.parent.is_dir():
        raise StoreMissing(f"There is no folder {path.parent}: make it first.")
    draft = path.with_name(path.name + DRAFT)
    try:
        yield draft
    finally:
        remove_draft(draft)


def remove_draft(draft: Path) -> None:
    """Removes a draft and whatever was made beside it."""
    listed = Path(f"{draft}.erasures")
    for left in (draft, *beside(draft), listed, listed.with_name(listed.name + DRAFT)):
        left.unlink(missing_ok=True)


def sidecars(path: Path) -> tuple[Path, ...]:
    """The files SQLite keeps beside a database: in WAL mode, and while it writes without."""
    return tuple(Path(f"{path}-{each}") for each in ("wal", "shm", "journal"))


def beside(path: Path) -> tuple[Path, ...]:
    """Every file that comes and goes with whoever has a database open."""
    return (*sidecars(path), lock_path(path), holder_path(path))


def put_in_place(draft: Path, path: Path) -> None:
    """Renames the draft to `path`; the new name is on the disk when this returns."""
    with explained(path):
        draft.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def kept_before(store: Path) -> list[Path]:
    """The copies of the store kept aside before it was migrated or replaced, by name.

    What stands beside one that somebody opened, its lock or write-ahead log, is no copy.
    """
    kept = re.compile(re.escape(store.name) + KEPT)
    return sorted(path for path in store.parent.iterdir() if kept.fullmatch(path.name))


def keep_aside(connection: sqlite3.Connection, store: Path, why: str) -> Path:
    """Keeps the store as it is in a file beside it, named for `why` and the time; returns its path.

    Raises StoreDamaged when SQLite does not find the copy sound; then there is none.
    """
    path = aside_path(store, why)
    with draft_of(path) as draft:
        copy_store(connection, draft)
        with closing(connect(draft)) as copy, explained(store):
            found = str(copy.execute("PRAGMA integrity_check(1)").fetchone()[0])
        if found != "ok":
            raise StoreDamaged(f"{store} is damaged ({found}): restore a backup; it was left as it is.")
        put_in_place(draft, path)
    return path


def aside_path(store: Path, why: str) -> Path:
    """A name for a copy of the store kept aside, one that is not there yet."""
    stem = f"{store.name}.before-{why}-{datetime.now(UTC):%Y%m%dT%H%M%S}"
    path, number = store.with_name(stem), 1
    while path.exists():
        number += 1
        path = store.with_name(f"{stem}-{number}")
    return path
