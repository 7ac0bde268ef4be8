"""Bringing a store of an older version up to this one, with a copy of it kept first."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path

from sqlite_utils import Database

from db.copies import keep_aside
from db.lock import writer_lock
from db.schema import migrations
from db.version import SCHEMA_VERSION

logger = logging.getLogger(__name__)
LOCK_SECONDS = 10.0


def version_of(connection: sqlite3.Connection) -> int:
    """The store version of a database; 0 before its tables are made."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def apply_migrations(connection: sqlite3.Connection) -> None:
    """Makes the tables of this version from those of any older one; the caller commits."""
    migrations.apply(Database(connection))
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def migrate(path: Path, connection: sqlite3.Connection, *, keep: bool = True) -> None:
    """Migrates the store at `path`, all or nothing, under the writer's lock.

    `keep`: a sound copy of the store as it was stays beside it, and the log `db.migrate` names it. Raises
    StoreLocked, StoreFull, and StoreDamaged for a store that SQLite does not find sound.
    """
    with writer_lock(path, wait=LOCK_SECONDS):
        found = version_of(connection)
        if found >= SCHEMA_VERSION:
            return
        aside = keep_aside(connection, path, f"version-{SCHEMA_VERSION}") if keep and found else None
        connection.execute("BEGIN IMMEDIATE")
        try:
            apply_migrations(connection)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    if aside is not None:
        logger.warning(
            "%s was of store version %s and is now of version %s; as it was it is kept in %s: "
            "delete that once all is well.",
            path,
            found,
            SCHEMA_VERSION,
            aside,
        )
