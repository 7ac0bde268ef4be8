# ruff: noqa: S608  (the names put into SQL are this package's own; values are always bound)
"""Bulk appends: Arrow into a private staging file through ADBC, then one INSERT … SELECT.

The staging file is another file than the store, so a second SQLite library may open it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from db.errors import StoreError
from db.identities import CLEAR_INDEX
from db.leftovers import private_name
from db.schema import CHAINED, CHANGES_INDEXES, VAULT_INDEX, insert_trigger
from db.sqlite import explain, explained, full

if TYPE_CHECKING:
    from db.store import Store

BULK_ROWS = 10_000
# Texts and identities go in row by row, which is quicker for few columns behind a random key.
STAGED = ("behaviour", "attributes", "membership_changes")
# Dropped while an empty table is filled. That of behaviour stays: an import comes in its order.
INDEXES = {
    "membership_changes": dict(zip(("changes_by_as_of", "changes_by_user"), CHANGES_INDEXES, strict=True)),
    "vault": {"vault_by_user": VAULT_INDEX},
    "identities": {"identities_by_user": CLEAR_INDEX},
}
MOST_ATTACHED = 8
PRAGMAS = ("journal_mode = OFF", "synchronous = OFF")
# When the disk is full SQLite rolls back by itself; ADBC rolls back again, and tells that error instead.
ROLLED_BACK = "no transaction is active"


class Staging:
    """The staging files of one transaction: attached when made, detached and removed by `release`.

    SQLite detaches nothing that was read inside an open transaction, and attaches ten files at most, so
    `full` tells when rows must take the slower way.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._attached = 0
        self._files: list[Path] = []
        self._loader: ThreadPoolExecutor | None = None

    @property
    def full(self) -> bool:
        """Whether no further file can be attached before the transaction ends."""
        return len(self._files) >= MOST_ATTACHED

    def table(self, frame: pl.DataFrame) -> str:
        """Stages the frame; returns the SQL name of a table with its columns."""
        staged = self.gather()
        staged.add(frame)
        return self.attach(staged)

    def gather(self) -> Staged:
        """A staging file to fill; `attach` it when all is in."""
        path = private_name(self._store.path)
        with explained(self._store.path):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        self._files.append(path)
        self._loader = self._loader or ThreadPoolExecutor(1)
        return Staged(self._store.path, path, self._loader)

    def attach(self, staged: Staged) -> str:
        """Makes a filled file readable for the store's connection; returns the SQL name of its rows."""
        staged.settle()
        name = f"staging{self._attached}"
        with explained(self._store.path):
            self._store.connection.execute(f"ATTACH ? AS {name}", (str(staged.path),))
        self._attached += 1
        return f"{name}.rows"

    def appender(self, table: str) -> Appender:
        """Takes new rows of a table in parts."""
        return Appender(self._store, self, table)

    def insert(self, table: str, rows: pl.DataFrame) -> None:
        """Inserts rows with new keys."""
        appender = self.appender(table)
        appender.add(rows)
        appender.finish()

    def put(self, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Inserts rows with new keys, given as tuples of all columns."""
        marks = ", ".join("?" * len(rows[0]))
        with self.unhindered(table) if len(rows) >= BULK_ROWS else nullcontext():
            self._store.connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)

    @contextmanager
    def unhindered(self, table: str) -> Iterator[None]:
        """Without the row trigger, for new keys lie past every other, and the indexes of an empty table.

        Both come back right after.
        """
        connection = self._store.connection
        indexes = INDEXES.get(table, {})
        empty = connection.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone() is None
        if table in CHAINED:
            connection.execute(f"DROP TRIGGER {table}_no_replace")
        for name in indexes if empty else ():
            connection.execute(f"DROP INDEX {name}")
        yield
        for sql in indexes.values() if empty else ():
            connection.execute(sql)
        if table in CHAINED:
            connection.execute(insert_trigger(table))

    def release(self) -> None:
        """Detaches and removes everything; the transaction has ended."""
        if self._loader is not None:
            self._loader.shutdown(cancel_futures=True)
            self._loader = None
        for number in range(self._attached):
            self._store.connection.execute(f"DETACH staging{number}")
        for path in self._files:
            path.unlink(missing_ok=True)
        self._attached = 0
        self._files.clear()


class Staged:
    """A staging file, filled by another thread; its table has the columns of all frames added."""

    def __init__(self, store: Path, path: Path, loader: ThreadPoolExecutor) -> None:
        self._store = store
        self.path = path
        self.columns: list[str] = []
        self._loader = loader
        self._loading: Future[None] | None = None

    def add(self, frame: pl.DataFrame) -> None:
        """Appends rows, those given before first; raises what went wrong with those."""
        self.settle()
        fresh = [name for name in frame.columns if name not in self.columns]
        self._loading = self._loader.submit(
            _ingest, self._store, self.path, frame, fresh if self.columns else []
        )
        self.columns += fresh

    def settle(self) -> None:
        """Waits until everything added is in the file."""
        loading, self._loading = self._loading, None
        if loading is not None:
            loading.result()


class Appender:
    """Rows with new keys for one table, given in parts: in one INSERT when they are few, else staged."""

    def __init__(self, store: Store, staging: Staging, table: str) -> None:
        self._store, self._staging, self._table = store, staging, table
        self._held: list[pl.DataFrame] = []
        self._staged: Staged | None = None

    def add(self, rows: pl.DataFrame) -> None:
        """The next rows."""
        if self._staged is not None:
            self._staged.add(_filled(rows))
            return
        self._held.append(rows)
        if sum(part.height for part in self._held) >= BULK_ROWS and self._table in STAGED:
            if self._staging.full:
                self._insert_held()
                return
            self._staged = self._staging.gather()
            for part in self._held:
                self._staged.add(_filled(part))
            self._held.clear()

    def finish(self) -> None:
        """All rows are in the table when this returns."""
        if self._staged is None:
            self._insert_held()
            return
        columns = ", ".join(f'"{name}"' for name in self._staged.columns)
        source = self._staging.attach(self._staged)
        with self._staging.unhindered(self._table):
            self._store.connection.execute(
                f"INSERT INTO {self._table} ({columns}) SELECT {columns} FROM {source}"
            )

    def _insert_held(self) -> None:
        rows = sum(part.height for part in self._held)
        if rows:
            columns = self._held[0].columns
            names, marks = ", ".join(f'"{name}"' for name in columns), ", ".join("?" * len(columns))
            sql = f"INSERT INTO {self._table} ({names}) VALUES ({marks})"
            with self._staging.unhindered(self._table) if rows >= BULK_ROWS else nullcontext():
                for part in self._held:
                    self._store.connection.executemany(sql, part.iter_rows())
        self._held.clear()


def _filled(rows: pl.DataFrame) -> pl.DataFrame:
    """The columns that hold something: most logs leave some empty."""
    return rows.select(name for name in rows.columns if rows[name].null_count() < rows.height)


def _ingest(store: Path, path: Path, frame: pl.DataFrame, fresh: Sequence[str] = ()) -> None:
    """Appends a frame to the staging file's rows, whose table lacks the columns `fresh`."""
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
            for name in fresh:
                cursor.execute(f'ALTER TABLE rows ADD COLUMN "{name}"')
            cursor.adbc_ingest("rows", frame.to_arrow(), mode="create_append")
    except adbc_driver_manager.Error as error:
        story = full(store) if ROLLED_BACK in str(error) else explain(error, store)
        raise story or StoreError(f"{store} could not take a bulk of rows: {error}.") from error
