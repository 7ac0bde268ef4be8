"""Going back to a backup."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from db import backup as copies
from db import carried
from db.store import Store
from engine.identity import identity_at
from segtui.operations.session import actor


def restore(path: Path, store: Path) -> dict[str, Any]:
    """Makes the store what the backup at `path` holds, proven first; what it was is kept beside it.

    Persons who were erased since are forgotten in it. Returns path, store, position, chain_digest, replaced,
    key, rekeyed, forgotten, forgotten_in_replaced. Raises StoreError, see db.backup.
    """
    return copies.restore(path, store, actor=actor(), persons=count_persons)


def count_persons(store: Store, users: set[int]) -> int:
    """How many persons stand behind the users, by the aliases that hold today."""
    canonical = dict(identity_at(carried.links(store)).iter_rows())
    return len({canonical.get(user, user) for user in users})
