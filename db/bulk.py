# ruff: noqa: S608  (the names put into SQL are this package's own; values are always bound)
"""Bulk appends: Arrow into a private staging file through ADBC, then one INSERT … SELECT.

The staging file is another file than the store, so a second SQLite library may open it.
"""

from __future__ import annotations

import glob
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from db.errors import StoreError
from db.identities import CLEAR_INDEX
from db.schema import BEHAVIOUR_INDEX, CHAINED, CHANGES_INDEXES, VAULT_INDEX, insert_trigger
from db.sqlite import explain, explained, full

if TYPE_CHECKING:
    from db.store import Store

BULK_ROWS = 10_000
INDEXES = {
    "behaviour": {"behaviour_by_user": BEHAVIOUR_INDEX},
    "membership_changes": dict(zip(("changes_by_as_of", "changes_by_user"), CHANGES_INDEXES, strict=True)),
    "vault": {"vault_by_user": VAULT_INDEX},
    "identities": {"identities_by_user": CLEAR_INDEX},
}
MOST_ATTACHED = 8
PRAGMAS = ("journal_mode = OFF", "synchronous = OFF")
# When the disk is full SQLite rolls back by itself; ADBC rolls back again, and tells that error instead.
ROLLED_BACK = "no transaction is active"


def _prefix(store: Path) -> str:
    return f"{store.name}.staging-"


def sweep(store: Path) -> None:
    """Removes staging files a killed writer left; the caller holds the writer's lock."""
    for left in store.parent.glob(f"{glob.escape(_prefix(store))}*"):
        left.unlink(missing_ok=True)


class Staging:
    """The staging files of one transaction: attached when made, detached and removed by `release`.

    SQLite detaches nothing that was read inside an open transaction, and attaches ten files at most, so
    `full` tells when rows must take the slower way.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._attached: dict[str, Path] = {}

    @property
    def full(self) -> bool:
        """Whether no further file can be attached before the transaction ends."""
        return len(self._attached) >= MOST_ATTACHED

    def table(self, frame: pl.DataFrame) -> str:
        """Stages the frame; returns the SQL name of a table with its columns."""
        path = self._store.path.parent / f"{_prefix(self._store.path)}{secrets.token_hex(8)}"
        name = f"staging{len(self._attached)}"
        with explained(self._store.path):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
            try:
                _ingest(self._store.path, path, frame)
                self._store.connection.execute(f"ATTACH ? AS {name}", (str(path),))
            except BaseException:
                path.unlink(missing_ok=True)
                raise
        self._attached[name] = path
        return f"{name}.rows"

    def insert(self, table: str, rows: pl.DataFrame) -> None:
        """Inserts rows with new keys: through sqlite-utils when few, else by one INSERT … SELECT."""
        if rows.height < BULK_ROWS or self.full:
            self._store.database.table(table).insert_all(rows.iter_rows(named=True))
            return
        connection = self._store.connection
        filled = rows.select(name for name in rows.columns if rows[name].null_count() < rows.height)
        staged = self.table(filled)
        columns = ", ".join(f'"{name}"' for name in filled.columns)
        indexes = INDEXES.get(table, {})
        empty = connection.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone() is None
        # New keys lie past every other, so the row trigger has nothing to refuse; it comes back right after.
        if table in CHAINED:
            connection.execute(f"DROP TRIGGER {table}_no_replace")
        for name in indexes if empty else ():
            connection.execute(f"DROP INDEX {name}")
        connection.execute(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {staged}")
        for sql in indexes.values() if empty else ():
            connection.execute(sql)
        if table in CHAINED:
            connection.execute(insert_trigger(table))

    def release(self) -> None:
        """Detaches and removes everything; the transaction has ended."""
        for name, path in self._attached.items():
            self._store.connection.execute(f"DETACH {name}")
            path.unlink(missing_ok=True)
        self._attached.clear()


def _ingest(store: Path, path: Path, frame: pl.DataFrame) -> None:
    # A fifth of a second to import, with Arrow: a command that only looks at the store should not pay it.
    import adbc_driver_manager
    import adbc_driver_sqlite.dbapi

    try:
        with (
            adbc_driver_sqlite.dbapi.connect(str(path), autocommit=True) as connection,
            connection.cursor() as cursor,
        ):
            for pragma in PRAGMAS:
                cursor.execute(f"PRAGMA {pragma}")
                cursor.fetchall()
            cursor.adbc_ingest("rows", frame.to_arrow(), mode="create")
    except adbc_driver_manager.Error as error:
        story = full(store) if ROLLED_BACK in str(error) else explain(error, store)
        raise story or StoreError(f"{store} could not take a bulk of rows: {error}.") from error
