"""Copies of a store, proven before they count."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import Any

from db.chain import verify
from db.errors import StoreDamaged, StoreExists, StoreMissing
from db.sqlite import connect, explained
from db.store import Store


def backup(store: Store, path: Path) -> dict[str, Any]:
    """Copies the store to a new file at `path`, mode 0600, while others go on reading and writing.

    The key is not copied: keep it elsewhere. Returns path, position, chain_digest. Raises StoreExists,
    StoreMissing for a missing folder, StoreFull, and StoreDamaged when the copy does not verify; then
    there is no file at `path`.
    """
    path = Path(path)
    draft = path.with_name(f"{path.name}.draft")
    if path.exists():
        raise StoreExists(f"{path} is there already: choose another name for the backup.")
    if not path.parent.is_dir():
        raise StoreMissing(f"There is no folder {path.parent}: make it first.")
    try:
        with explained(path):
            os.close(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600))
            with closing(connect(draft)) as copy:
                store.connection.backup(copy)
                # A copy of a WAL store asks for WAL: without it the backup is one file, readable anywhere.
                copy.execute("PRAGMA journal_mode = DELETE").fetchall()
        with Store.open(draft) as copied:
            failed = [check for check in verify(copied) if not check.ok]
            if failed:
                raise StoreDamaged(
                    f"The copy of {store.path} does not verify ({failed[0].name}: {failed[0].detail}): "
                    "run 'segtui verify' on the store."
                )
            told = {
                "path": str(path),
                "position": copied.head(),
                "chain_digest": copied.chain_digest().hex(),
            }
        with explained(path):
            draft.replace(path)
    finally:
        for left in (draft, Path(f"{draft}-wal"), Path(f"{draft}-shm")):
            left.unlink(missing_ok=True)
    return told
