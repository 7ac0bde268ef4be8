"""Backing the store up: a proven copy in one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from db import backup as copies
from segtui.operations.session import Session


def backup(s: Session, path: Path) -> dict[str, Any]:
    """Copies the store to a new file, verified before it gets its name; the key is not copied.

    Returns path, position, chain_digest. Raises StoreError, see db.backup.
    """
    return copies.backup(s.store, path)
