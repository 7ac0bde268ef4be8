"""Bringing a store of an older version up to this one, with a copy of it kept first."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from db.copies import keep_aside
from db.identities import CLEAR_INDEX, CLEAR_TABLE
from db.leftovers import sweep
from db.lock import writer_lock
from db.sqlite import utilities
from db.version import SCHEMA_VERSION

logger = logging.getLogger(__name__)
TRIGGERS = ("trigger",)


def version_of(connection: sqlite3.Connection) -> int:
    """The store version of a database; 0 before its tables are made."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def apply_migrations(connection: sqlite3.Connection) -> None:
    """Makes the tables of this version from those of any older one; the caller commits."""
    from db.migrations import migrations

    migrations.apply(utilities(connection))
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def objects(connection: sqlite3.Connection, types: Sequence[str]) -> dict[str, str]:
    """SQL by name of a database's objects of these types, without those SQLite makes by itself."""
    return {
        name: sql
        for name, sql, kind in connection.execute("SELECT name, sql, type FROM sqlite_schema")
        if kind in types and not name.startswith("sqlite_")
    }


def made_objects(types: Sequence[str], *, clear: bool) -> dict[str, str]:
    """The objects of these types that a store of this version has; `clear`: one without a vault."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as fresh:
        apply_migrations(fresh)
        for sql in (CLEAR_TABLE, CLEAR_INDEX) if clear else ():
            fresh.execute(sql)
        return objects(fresh, types)


def mend(connection: sqlite3.Connection, *, clear: bool) -> list[str]:
    """Makes triggers, indexes and views as this version has them; returns those that were not.

    The caller commits. Added ones and changed tables stay: whoever made them knows what they are for.
    """
    mended = []
    for kind in (*TRIGGERS, "index", "view"):
        found = objects(connection, [kind])
        for name, sql in made_objects([kind], clear=clear).items():
            if found.get(name) != sql:
                connection.execute(f"DROP {kind} IF EXISTS {name}")
                connection.execute(sql)
                mended.append(name)
    return mended


def migrate(path: Path, connection: sqlite3.Connection, *, keep: bool = True) -> None:
    """Migrates the store at `path`, all or nothing, under the writer's lock.

    `keep`: a sound copy of the store as it was stays beside it, and the log `db.migrate` names it. Raises
    StoreLocked, StoreFull, and StoreDamaged for a store that SQLite does not find sound.
    """
    with writer_lock(path):
        found = version_of(connection)
        if found >= SCHEMA_VERSION:
            return
        sweep(path)
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
