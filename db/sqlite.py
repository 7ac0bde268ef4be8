"""The one SQLite library of the process, how connections are opened, and its errors in plain words.

A second SQLite library in the process must never open the store: closing its handle would drop this
library's POSIX locks (sqlite.org, "How to corrupt", 2.2.1).
"""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from db.errors import NotAStore, StoreDamaged, StoreError, StoreFull, StoreLocked

if TYPE_CHECKING:
    from sqlite_utils import Database

BUSY_SECONDS = 5.0
LEAST_ROOM = 64 * 1024


def connect(path: Path) -> sqlite3.Connection:
    """Opens the file at `path`, which must exist, in SQLite's own autocommit mode."""
    mode = "mode=ro&immutable=1" if _frozen(path) else "mode=rw"
    return sqlite3.connect(
        f"file:{quote(str(path))}?{mode}", uri=True, isolation_level=None, timeout=BUSY_SECONDS
    )


def utilities(connection: sqlite3.Connection) -> Database:
    """The connection with what sqlite-utils adds to it.

    Raises StoreError where sqlite-utils has chosen another SQLite library.
    """
    # Here, because loading it takes longer than reading the first page from a store.
    import sqlite_utils.db

    if vars(sqlite_utils.db)["sqlite3"] is not sqlite3:
        raise StoreError(
            "Two SQLite libraries are loaded in this process, which could damage a store: "
            "uninstall pysqlite3 and sqlean."
        )
    return sqlite_utils.db.Database(connection)


def _frozen(path: Path) -> bool:
    """Whether nothing can change the store: then SQLite reads it without its shared-memory file."""
    writable = os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
    wal = Path(f"{path}-wal")
    return not writable and not (wal.exists() and wal.stat().st_size)


def explain(error: BaseException, path: Path) -> StoreError | None:
    """The sentence for a SQLite or system error at the store, None for one that is not about the file."""
    text = str(error).lower()
    if isinstance(error, OSError):
        # Polars tells the system's errors without their number.
        if error.errno in (errno.ENOSPC, errno.EDQUOT) or "no space left" in text:
            return full(path)
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            return read_only(path)
        return None
    if "disk is full" in text or "no space left" in text:
        return full(path)
    if not isinstance(error, sqlite3.Error):
        return None
    if "readonly database" in text or "unable to open database" in text:
        return read_only(path)
    if "not a database" in text:
        return NotAStore(f"{path} is not a segtui store: check --store, or create one with 'segtui init'.")
    if "disk i/o error" in text and _no_room(path):
        # SQLite tells a shared-memory file that cannot grow as an error of the disk.
        return full(path)
    if "malformed" in text or "disk i/o error" in text:
        return StoreDamaged(f"{path} is damaged ({error}): restore a backup, and check the disk.")
    if "locked" in text or "busy" in text or "locking protocol" in text:
        return StoreLocked(f"{path} is locked by another program: close it and try again.")
    return None


def _no_room(path: Path) -> bool:
    try:
        return shutil.disk_usage(path.parent).free < LEAST_ROOM
    except OSError:
        return False


def full(path: Path) -> StoreFull:
    """The sentence for a disk without space."""
    return StoreFull(
        f"No space left for {path}: nothing was written, free some space on that disk and try again."
    )


def read_only(path: Path) -> StoreFull:
    """The sentence for a store or folder without write permission."""
    return StoreFull(
        f"{path} cannot be written: check the permissions of the file and of the folder {path.parent}."
    )


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns SQLite's and the system's errors about the store at `path` into StoreErrors."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        story = explain(error, path)
        if story is None:
            raise
        raise story from error
