"""Replacing the key of the vault."""

from __future__ import annotations

import os
from typing import Any

from db import keys
from db.erasures import Erasures
from db.vault import Vault
from segtui.operations.errors import OperationError
from segtui.operations.session import Session


def rotate(s: Session, *, keyring: bool = False) -> dict[str, Any]:
    """Seals every identity under a new key, in one commit; whenever it is killed, the store opens.

    `keyring`: the new key goes to the operating system's keyring. The old key is kept for the backups made
    under it: `old_key` tells where. Raises OperationError for a store without a vault or a key that is told
    by the environment without its successor, KeyMissing, KeyWrong.
    """
    vault = s.store.vault
    if not isinstance(vault, Vault):
        raise OperationError(f"{s.store.path} was made with --no-vault: it has no key to rotate.")
    vault.require()
    told = keys.told_key(keys.KEY_VARIABLE)
    new = keys.told_key(keys.NEW_KEY_VARIABLE)
    if told is not None and new is None:
        raise OperationError(
            f"The key comes from {keys.KEY_VARIABLE}: tell the new one in {keys.NEW_KEY_VARIABLE}, "
            f"and put it into {keys.KEY_VARIABLE} afterwards."
        )
    new = new or os.urandom(keys.KEY_BYTES)
    if keys.key_check(new) == vault.check:
        raise OperationError(f"{keys.NEW_KEY_VARIABLE} holds the key the store has already: make another.")
    place = keys.KEYRING if keyring else keys.FILE
    with s.store.transaction(actor=s.actor, source="key rotate") as tx:
        old = vault.check
        if told is None or keyring:
            keys.propose(s.store.path, new, place)
        Erasures(s.store).reseal(new)
        entries = vault.reseal(new, place)
        seq = tx.append_decision("key_rotated", {"entries": entries})
    kept = keys.kept_path(s.store.path, old)
    stands = keys.KEYRING if keyring else str(keys.key_path(s.store.path))
    return {
        "store": str(s.store.path),
        "entries": entries,
        "key": stands if told is None or keyring else keys.NEW_KEY_VARIABLE,
        "old_key": str(kept) if kept.exists() else None,
        "seq": seq,
    }
