"""Going back to a backup."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from db import backup as copies
from segtui.operations.session import actor


def restore(path: Path, store: Path) -> dict[str, Any]:
    """Makes the store what the backup at `path` holds, proven first; what it was is kept beside it.

    Persons who were erased since are forgotten in it. Returns path, store, position, chain_digest, replaced,
    key, rekeyed, forgotten, forgotten_in_replaced. Raises StoreError, see db.backup.
    """
    return copies.restore(path, store, actor=actor())
