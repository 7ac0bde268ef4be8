"""The version of store this program writes, and whether a file is older; loads nothing else."""

from __future__ import annotations

from pathlib import Path

SCHEMA_VERSION = 3
MAGIC = b"SQLite format 3\0"
VERSION_BYTES = slice(60, 64)


def outdated(path: Path) -> bool:
    """Whether opening the SQLite file at `path` may migrate it, read from the file's header."""
    with path.open("rb") as file:
        header = file.read(VERSION_BYTES.stop)
    return header.startswith(MAGIC) and int.from_bytes(header[VERSION_BYTES], "big") < SCHEMA_VERSION
