"""What a columnar copy must be to be trusted: the digest of its bytes, kept in the store when it was written.

A file nobody has touched since is known by its size, times and inode; any other is hashed before it is read.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from db.store import Store

PREFIX = "copy:"


@dataclass(frozen=True)
class Seal:
    """SHA-256 of a file's bytes, and what the file system told of it then."""

    digest: str
    touched: tuple[int, ...]


_hashed: dict[tuple[Path, tuple[int, ...]], str] = {}


def kept(store: Store) -> dict[str, Seal]:
    """Seals by file name; raises ValueError, KeyError for what no writer kept."""
    found = {}
    for name, payload in store.rows("SELECT name, payload FROM snapshots WHERE name GLOB ?", (f"{PREFIX}*",)):
        told = json.loads(payload)
        found[name.removeprefix(PREFIX)] = Seal(told["digest"], tuple(told["touched"]))
    return found


def keep(store: Store, path: Path, position: int) -> None:
    """Seals a file just written, whose last row is at `position`; the caller holds the writer's lock."""
    payload = {"digest": _digest(path), "touched": _touched(path)}
    store.connection.execute(
        "INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?)",
        (f"{PREFIX}{path.name}", position, json.dumps(payload).encode()),
    )


def holds(seal: Seal, path: Path) -> bool:
    """Whether the file is still the one that was sealed."""
    try:
        touched = _touched(path)
        if touched == seal.touched:
            return True
        known = (path, touched)
        if known not in _hashed:
            _hashed[known] = _digest(path)
        return _hashed[known] == seal.digest
    except OSError:
        return False


def sweep(store: Store, files: set[str]) -> None:
    """Forgets the seals of files that are gone; the caller holds the writer's lock."""
    for (name,) in store.rows("SELECT name FROM snapshots WHERE name GLOB ?", (f"{PREFIX}*",)):
        if name.removeprefix(PREFIX) not in files:
            store.connection.execute("DELETE FROM snapshots WHERE name = ?", (name,))


def _touched(path: Path) -> tuple[int, ...]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
