"""Backing the store up: a proven copy in one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from db import backup as copies
from db.errors import StoreError
from segtui.operations.session import Session


def backup(s: Session, path: Path) -> dict[str, Any]:
    """Copies the store to a new file, verified before it gets its name; the key is not copied.

    Returns path, position, chain_digest, and recorded: whether the log tells that it was made, which it
    does not where another writer held the store for too long, or it cannot be written to. Raises StoreError,
    see db.backup.
    """
    made = copies.backup(s.store, path)
    about = {name: made[name] for name in ("position", "chain_digest")}
    try:
        with s.store.transaction(actor=s.actor, source="backup") as tx:
            tx.append_decision("backed_up", about)
    except StoreError:
        return made | {"recorded": False}
    return made | {"recorded": True}
