"""Backups of a store and going back to one: copies that are proven before they count."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from db import keys, segments
from db.chain import verify
from db.checks import UNREADABLE
from db.copies import aside_path, copy_store, draft_of, put_in_place, remove_draft, sidecars
from db.erasures import carry_erasures, erasures_path
from db.erasures import settle as settle_erasures
from db.errors import (
    KeyMissing,
    KeyWrong,
    NotAStore,
    StoreDamaged,
    StoreError,
    StoreExists,
    StoreMissing,
)
from db.forgetting import Counting, numbers, obey
from db.leftovers import noted, sweep
from db.lock import writer_lock
from db.migrate import migrate
from db.schema import APPLICATION_ID
from db.sqlite import connect, explained
from db.store import Store, check_kind, configure
from db.vault import Vault


def backup(store: Store, path: Path) -> dict[str, Any]:
    """Copies the store to a new file at `path`, mode 0600, while others go on reading and writing.

    The list of erased persons goes with it, the key does not: keep it elsewhere. Returns path, position,
    chain_digest. Raises StoreExists, StoreMissing for a missing folder, StoreFull, and StoreDamaged when the
    copy does not verify; then there is no file at `path`.
    """
    path = Path(path)
    if path.exists():
        raise StoreExists(f"{path} is there already: choose another name for the backup.")
    with draft_of(path) as draft, noted(store.path, draft):
        with store.reading(), explained(path):
            copy_store(store.connection, draft)
        with Store.open(draft) as copied:
            failed = [check for check in verify(copied) if not check.ok]
            if failed:
                raise StoreDamaged(
                    f"The copy of {store.path} does not verify ({failed[0].name}: {failed[0].detail}): "
                    "run 'segtui verify' on the store."
                )
            told = {"path": str(path), **_head(copied)}
        # First the list: a backup must never be found without it.
        carry_erasures(store.path, path)
        put_in_place(draft, path)
    return told


def restore(
    path: Path, store: Path, *, persons: Counting = numbers, actor: str = "restore", wait: float | None = None
) -> dict[str, Any]:
    """Makes the store at `store` what the backup at `path` holds; what it was is kept beside it.

    The backup is copied, migrated if it is of an older version, and verified before anything is replaced, and
    itself stays as it is. The store changes in one transaction of its own, so whoever has it open goes on
    reading, and sees the restored one next. Whom the lists of erased persons name, the backup's and the one
    here, is forgotten in it before, and in what is kept of the store; a backup under an older key is sealed
    anew under the store's. `actor` does that, and `persons` counts whom. Returns path, store, position,
    chain_digest, replaced (where the store that was there is kept; None for none), key (whether the key is
    here), rekeyed (whether it was sealed anew), forgotten (how many persons were) and forgotten_in_replaced
    (None where what is kept could not be searched for them). Raises StoreMissing, NotAStore, StoreTooNew,
    StoreLocked, StoreFull, KeyWrong when the key here is not the backup's, KeyMissing when there are lists
    and no key, and StoreDamaged for a backup that does not verify; then the store is as it was.
    """
    path, store = Path(path), Path(store)
    if not path.is_file():
        raise StoreMissing(f"There is no backup at {path}: check the name.")
    if store.exists() and path.samefile(store):
        raise StoreExists(f"{path} is the store itself: name a backup of it.")
    if not store.parent.is_dir():
        raise StoreMissing(f"There is no folder {store.parent}: make it first.")
    with writer_lock(store, wait), draft_of(store) as draft:
        sweep(store)
        with explained(path), closing(connect(path)) as source:
            check_kind(source, path)
            copy_store(source, draft)
        with explained(draft), closing(connect(draft)) as copy:
            configure(copy)
            migrate(draft, copy, keep=False)
        for listed in (path, store):
            carry_erasures(listed, draft)
        with Store.open(draft, beside=store) as copied:
            key = _key_fits(copied, path, store)
            forgotten = _forget(copied, path, store, actor, persons)
            rekeyed = key and _seal_anew(copied, store, actor)
            with explained(path):
                copied.connection.execute("PRAGMA journal_mode = DELETE").fetchall()
            failed = [check for check in verify(copied) if not check.ok]
            if failed:
                raise StoreDamaged(
                    f"The backup {path} does not verify ({failed[0].name}: {failed[0].detail}): "
                    "restore another one; the store is as it was."
                )
            head = _head(copied)
        carry_erasures(draft, store)
        replaced, searched = _replace(store, draft, actor, persons)
        with Store.open(store) as restored:
            if _head(restored) != head:
                raise StoreDamaged(f"{store} is not what {path} holds: check the disk, and restore again.")
            restored.vault.settle()
            settle_erasures(restored)
            with suppress(OSError):
                segments.sweep(restored)
    kept = None if replaced is None else str(replaced)
    told = {"path": str(path), "store": str(store), **head, "replaced": kept, "key": key, "rekeyed": rekeyed}
    return told | {"forgotten": forgotten, "forgotten_in_replaced": searched}


def _head(store: Store) -> dict[str, Any]:
    return {"position": store.head(), "chain_digest": store.chain_digest().hex()}


def _key_fits(copied: Store, path: Path, store: Path) -> bool:
    """Whether the backup's key is at hand; raises KeyWrong when only another one is."""
    vault = copied.vault
    if not isinstance(vault, Vault):
        return True
    try:
        # It stands beside the store, not beside the draft.
        return keys.find_key(store, vault.check, keyring=vault.place == keys.KEYRING) is not None
    except KeyWrong as error:
        raise KeyWrong(
            f"The key of {store} is not the one {path} was made with: put that one in {keys.key_path(store)}."
        ) from error


def _forget(copied: Store, path: Path, store: Path, actor: str, persons: Counting) -> int:
    """Forgets erased persons in the draft."""
    try:
        return obey(copied, actor=actor, persons=persons)
    except KeyMissing as error:
        raise KeyMissing(
            f"{path} may hold persons who were erased, and the key to tell them is missing: put it back as "
            f"{keys.key_path(copied.beside)} first."
        ) from error
    except StoreDamaged as error:
        # The two lists were joined in the draft.
        raise StoreDamaged(str(error).replace(str(copied.path), str(store))) from error


def _seal_anew(copied: Store, store: Path, actor: str) -> bool:
    """Seals the draft under the key of the store it replaces, where that is another one and at hand.

    The backup's own key may have been replaced because it was given away.
    """
    vault, (key, place) = copied.vault, _key_of(store)
    if not isinstance(vault, Vault) or key is None or keys.key_check(key) == vault.check:
        return False
    with copied.transaction(actor=actor, source="restore") as tx:
        tx.append_decision("key_rotated", {"entries": vault.reseal(key, place)})
    return True


def _key_of(store: Path) -> tuple[bytes | None, str]:
    """The key of the store that stands there and its place; no key where it cannot be told."""
    nothing = None, keys.FILE
    if not store.exists() or not store.stat().st_size:
        return nothing
    with suppress(StoreError), explained(store), closing(connect(store)) as connection:
        check_kind(connection, store)
        vault = Store(store, connection).vault
        return (vault.master(), vault.place) if isinstance(vault, Vault) else nothing
    return nothing


def _replace(store: Path, draft: Path, actor: str, persons: Counting) -> tuple[Path | None, int | None]:
    """Puts the draft in the store's place; returns where what was there is kept, None for nothing.

    Second, how many persons were forgotten in that; None where it could not be searched for any.
    """
    aside = aside_path(store, "restore")
    there = store.exists()
    if there and store.stat().st_size:
        application = _application(store)
        if application == APPLICATION_ID:
            with suppress(StoreDamaged):
                return aside, _write_over(store, draft, aside, actor, persons)
        elif application is not None:
            raise NotAStore(f"{store} is a SQLite file of another program: name another --store.")
    _move_away(store, aside)
    put_in_place(draft, store)
    listed = there and erasures_path(draft).exists()
    return aside if there else None, None if listed else 0


def _application(path: Path) -> int | None:
    """The application id of a SQLite file; None for a file that SQLite cannot read."""
    with explained(path), closing(connect(path)) as connection:
        try:
            return int(connection.execute("PRAGMA application_id").fetchone()[0])
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:
            return None


def _write_over(store: Path, draft: Path, aside: Path, actor: str, persons: Counting) -> int | None:
    """Keeps the store as `aside`, then writes the draft into it in one transaction.

    Renaming a file that others have open would let them write into what is no longer the store. Returns how
    many persons were forgotten in what is kept, None where it could not be searched.
    """
    with explained(store), closing(connect(store)) as old:
        with draft_of(aside) as copy:
            copy_store(old, copy)
            forgotten = _forget_in_kept(copy, store, draft, actor, persons)
            if forgotten is None:
                remove_draft(copy)
                copy_store(old, copy)
            put_in_place(copy, aside)
        configure(old)
        old.execute("PRAGMA journal_mode = WAL").fetchall()
        with closing(connect(draft)) as source:
            source.backup(old)
        old.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return forgotten


def _forget_in_kept(copy: Path, store: Path, draft: Path, actor: str, persons: Counting) -> int | None:
    """Forgets in a copy of the store whom the lists name; None where that cannot be done.

    One of an older version becomes one of this version by it. The store may be restored because it is
    damaged: what cannot be read in it is no reason not to.
    """
    if not erasures_path(draft).exists():
        return 0
    try:
        carry_erasures(draft, copy)
        with closing(connect(copy)) as connection:
            configure(connection)
            migrate(copy, connection, keep=False)
        with Store.open(copy, beside=store) as kept:
            forgotten = obey(kept, actor=actor, persons=persons)
            kept.connection.execute("PRAGMA journal_mode = DELETE").fetchall()
    except UNREADABLE:
        return None
    return forgotten


def _move_away(store: Path, aside: Path) -> None:
    """Renames a file that SQLite cannot read, and what stands beside it lest it join the next one."""
    with explained(store):
        for left, kept in zip((store, *sidecars(store)), (aside, *sidecars(aside)), strict=True):
            if left.exists():
                left.replace(kept)
