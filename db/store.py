"""A store: one SQLite file, its connection, its single writer."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import polars as pl

from db import erasures, forgetting, keys, leftovers, log, segments, snapshots
from db.encoding import GENESIS
from db.errors import NotAStore, StoreError, StoreExists, StoreMissing, StoreTooNew
from db.identities import CLEAR_INDEX, CLEAR_TABLE, ClearIdentities, Identities
from db.lock import writer_lock
from db.migrate import apply_migrations, migrate, version_of
from db.schema import APPLICATION_ID
from db.sqlite import connect, explain, explained, utilities
from db.transaction import Transaction
from db.vault import Vault
from db.version import SCHEMA_VERSION

if TYPE_CHECKING:
    from sqlite_utils import Database

__all__ = ["Store", "Transaction"]

WAL_LIMIT = 64 * 1024 * 1024
FETCHED_ROWS = 2_000


class Store:
    """One thread's connection to the store at `path`. Use `create` or `open`; close it when done."""

    def __init__(self, path: Path, connection: sqlite3.Connection, *, beside: Path | None = None) -> None:
        self.path = path
        self.beside = beside or path
        """The store beside which the key and the list of erased persons stand, for a copy another path."""
        self.connection = connection
        self._vault: Identities | None = None
        self.open_transaction: Transaction | None = None

    @classmethod
    def create(
        cls, path: Path, *, key: bytes | None = None, place: str = keys.FILE, vault: bool = True
    ) -> Store:
        """Makes a store (mode 0600) and, unless SEGTUI_KEY is set, its key.

        `key`: the 32-byte master key, random by default. `place`: where it is kept, `file` (beside the
        store) or `keyring` (the operating system's). Without a vault external ids stand in clear and there
        is no key. Raises StoreExists, StoreMissing for a missing folder, StoreFull where nothing can be
        written, KeyMissing for a keyring that cannot be used.
        """
        path = Path(path)
        if path.exists():
            raise StoreExists(f"{path} is there already: open it, or choose another name.")
        if not path.parent.is_dir():
            raise StoreMissing(f"There is no folder {path.parent}: make it first.")
        made: list[Path] = []
        try:
            with explained(path):
                master = cls._master(path, key, place, made) if vault else None
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
                made.append(path)
                connection = connect(path)
                try:
                    connection.execute("PRAGMA journal_mode = WAL")
                    configure(connection)
                    connection.execute("BEGIN IMMEDIATE")
                    apply_migrations(connection)
                    connection.execute("INSERT INTO meta VALUES ('next_user', 1)")
                    if master is None:
                        connection.execute(CLEAR_TABLE)
                        connection.execute(CLEAR_INDEX)
                    else:
                        connection.execute(
                            "INSERT INTO meta VALUES ('key_check', ?), ('key_place', ?)",
                            (keys.key_check(master), place),
                        )
                    connection.execute("COMMIT")
                finally:
                    connection.close()
        except FileExistsError as error:
            raise StoreExists(f"{path} is there already: open it, or choose another name.") from error
        except BaseException:
            for file in made:
                file.unlink(missing_ok=True)
            raise
        return cls.open(path)

    @staticmethod
    def _master(path: Path, key: bytes | None, place: str, made: list[Path]) -> bytes:
        told = keys.told_key(keys.KEY_VARIABLE) if key is None else None
        if told is not None:
            return told
        master = os.urandom(keys.KEY_BYTES) if key is None else key
        if len(master) != keys.KEY_BYTES:
            raise StoreError(f"A master key has {keys.KEY_BYTES} bytes, not {len(master)}.")
        if place == keys.KEYRING:
            keys.put_in_keyring(path, master)
        else:
            keys.write_key(keys.key_path(path), master)
            made.append(keys.key_path(path))
        return master

    @classmethod
    def open(cls, path: Path, *, beside: Path | None = None) -> Store:
        """Opens the store at `path`, migrating an older one after a copy of it was kept (db.migrate).

        Raises StoreMissing, NotAStore, StoreTooNew, StoreDamaged, StoreLocked, StoreFull. A store in a
        folder that cannot be written opens for reading. `beside`: where the key of a copy stands.
        """
        path = Path(path)
        if not path.exists():
            raise StoreMissing(f"There is no store at {path}: create one with 'segtui init'.")
        if path.is_dir():
            raise NotAStore(f"{path} is a folder, not a store: name the file in it.")
        with explained(path):
            connection = connect(path)
            try:
                check_kind(connection, path)
                configure(connection)
                if version_of(connection) < SCHEMA_VERSION:
                    migrate(path, connection)
            except BaseException:
                connection.close()
                raise
        return cls(path, connection, beside=beside)

    @cached_property
    def database(self) -> Database:
        """The connection as sqlite-utils writes through it."""
        return utilities(self.connection)

    @property
    def is_copy(self) -> bool:
        """Whether this is a copy of the store whose key stands beside it."""
        return self.path != self.beside

    @property
    def vault(self) -> Identities:
        """Who stands behind the surrogates: the sealed vault, or the clear table of a store without one."""
        if self._vault is None:
            clear = self.rows("SELECT 1 FROM sqlite_schema WHERE name = ?", (ClearIdentities.table,))
            self._vault = ClearIdentities(self) if clear else Vault(self)
        return self._vault

    def close(self) -> None:
        """Closes the connection; the store is a single file again when it was the last one."""
        with explained(self.path):
            self.connection.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query, SQLite's errors told as StoreErrors."""
        with explained(self.path):
            return self.connection.execute(sql, parameters).fetchall()

    def batches(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[list[tuple[Any, ...]]]:
        """The rows of a query, so many at a time that they stay in the processor's cache."""
        with explained(self.path):
            cursor = self.connection.execute(sql, parameters)
            while rows := cursor.fetchmany(FETCHED_ROWS):
                yield rows

    def frame(self, sql: str, parameters: Sequence[Any], schema: dict[str, pl.DataType]) -> pl.DataFrame:
        """The rows of a query as a frame of `schema`, whose columns stand in the query's order."""
        parts = []
        for rows in self.batches(sql, parameters):
            columns = zip(schema.items(), zip(*rows, strict=True), strict=True)
            parts.append(
                pl.DataFrame([pl.Series(name, values, dtype=dtype) for (name, dtype), values in columns])
            )
        if len(parts) < 2:
            # A page: to put parts together is work for Polars' threads, which may be busy for long.
            return parts[0] if parts else pl.DataFrame(schema=schema)
        return pl.concat(parts, rechunk=True)

    def whole(self, sql: str, parameters: Sequence[Any], schema: dict[str, pl.DataType]) -> pl.DataFrame:
        """As `frame`, of columns of integers only and of a query with a LIMIT, all at once.

        No value becomes a Python object on its way, so that other threads get their turn while a million are
        read. Without a LIMIT SQLite may leave out the order that an aggregate stands on.
        """
        columns = ", ".join(f"json_group_array({name})" for name in schema)
        ((*texts,),) = self.rows(
            f"WITH told({', '.join(schema)}) AS ({sql}) SELECT {columns} FROM told",  # noqa: S608 (own names)
            parameters,
        )
        return pl.DataFrame(
            [
                pl.Series([text]).str.json_decode(pl.List(dtype))[0].alias(name)
                for (name, dtype), text in zip(schema.items(), texts, strict=True)
            ]
        )

    def last_seq(self, table: str) -> int:
        """The last seq in the table of a stream, those of the open transaction included; 0 for none."""
        return int(self.rows(f"SELECT coalesce(max(seq), 0) FROM {table}")[0][0])  # noqa: S608 (own names)

    def head(self) -> int:
        """The last committed seq, 0 when the log is empty."""
        found = self.rows(
            "SELECT coalesce(changes_last, decisions_last, behaviour_last) AS last FROM commits "
            "WHERE last IS NOT NULL ORDER BY id DESC LIMIT 1"
        )
        return int(found[0][0]) if found else 0

    def chain_digest(self) -> bytes:
        """The digest of the newest commit, 32 zero bytes before the first one."""
        found = self.rows("SELECT digest FROM commits ORDER BY id DESC LIMIT 1")
        return bytes(found[0][0]) if found else GENESIS

    def data_version(self) -> int:
        """A number that changes when another connection commits."""
        return int(self.rows("PRAGMA data_version")[0][0])

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Several queries over one state of the store, whatever is committed meanwhile."""
        if self.connection.in_transaction:
            yield
            return
        with explained(self.path):
            self.connection.execute("BEGIN")
        try:
            yield
        finally:
            if self.connection.in_transaction:
                self.connection.execute("COMMIT")

    @contextmanager
    def transaction(
        self,
        *,
        actor: str,
        source: str | None = None,
        wait: float | None = None,
        recorded_at: int | None = None,
    ) -> Iterator[Transaction]:
        """One commit of the log, or nothing: an exception inside leaves the store as it was.

        Waits `wait` seconds (default: db.lock.patience) for another writer, then raises StoreLocked naming
        it. `recorded_at`: µs UTC, default the wall clock.
        """
        if self.open_transaction is not None:
            raise ValueError("a transaction of this store is open already")
        with writer_lock(self.path, wait):
            with explained(self.path):
                leftovers.sweep(self.path)
                if not self.is_copy:
                    self.vault.settle()
                self.connection.execute("PRAGMA journal_mode = WAL").fetchall()
                self.connection.execute("BEGIN IMMEDIATE")
            moment = time.time_ns() // 1000 if recorded_at is None else recorded_at
            tx: Transaction | None = None
            try:
                tx = Transaction(self, actor=actor, source=source, recorded_at=moment)
                self.open_transaction = tx
                yield tx
                with explained(self.path):
                    tx.finish()
                    self.connection.execute("COMMIT")
            except BaseException as error:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                # Files the caller reads inside may fail too: only SQLite's errors are about the store.
                story = explain(error, self.path) if isinstance(error, sqlite3.Error) else None
                if story is not None:
                    raise story from error
                raise
            else:
                # The commit stands, whatever becomes of its copies: they are disposable.
                with suppress(StoreError, sqlite3.Error, OSError, pl.exceptions.PolarsError):
                    tx.copy()
            finally:
                self.open_transaction = None
                if tx is not None:
                    tx.release()
            self._keep_up()

    def _keep_up(self) -> None:
        """Checkpoints and copies. The commit stands: what fails here the next writer does as well."""
        with suppress(StoreError, sqlite3.OperationalError, OSError, pl.exceptions.PolarsError):
            forgetting.wipe(self)
            if self.is_copy:
                return
            self.vault.settle()
            erasures.settle(self)
            self.connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            segments.sweep(self)
            segments.compact(self, "behaviour", partial(log.stored_behaviour, self))
            segments.compact(self, "changes", partial(log.stored_changes, self))
            snapshots.keep_up(self)


def check_kind(connection: sqlite3.Connection, path: Path) -> None:
    """Raises NotAStore, or StoreTooNew for a version this program does not know."""
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    if application != APPLICATION_ID:
        what = "is an empty file" if path.stat().st_size == 0 else "is a SQLite file of another program"
        raise NotAStore(
            f"{path} {what}, not a segtui store: check --store, or create one with 'segtui init'."
        )
    version = version_of(connection)
    if version > SCHEMA_VERSION:
        raise StoreTooNew(
            f"{path} was written by a newer segtui (store version {version}, this one knows "
            f"{SCHEMA_VERSION}): upgrade segtui."
        )


def configure(connection: sqlite3.Connection) -> None:
    """Sets what every connection to a store must have: durable commits, and no checkpoint by the way."""
    for pragma in (
        "synchronous = FULL",
        "wal_autocheckpoint = 0",
        f"journal_size_limit = {WAL_LIMIT}",
        "temp_store = MEMORY",
        "cache_size = -65536",
    ):
        connection.execute(f"PRAGMA {pragma}").fetchall()
