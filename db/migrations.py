"""The steps from each store version to the next."""

from __future__ import annotations

from sqlite_utils import Database, Migrations

from db.schema import APPLICATION_ID, BEHAVIOUR_INDEX, CHANGES_INDEXES, TABLES, VAULT_INDEX, triggers
from db.views import CHANGES_COMMITS_INDEX, VIEWS

migrations = Migrations("segtui")
"""One function per store version, in order: the n-th makes version n of version n - 1. See db.version."""


@migrations()
def create_tables(db: Database) -> None:
    """Version 1: every table, index and trigger."""
    for statement in TABLES.split(";\n"):
        if statement.strip():
            db.execute(statement)
    for statement in (BEHAVIOUR_INDEX, VAULT_INDEX, *CHANGES_INDEXES, *triggers().values()):
        db.execute(statement)
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")


@migrations()
def list_erased(db: Database) -> None:
    """Version 2: the surrogates of erased persons, whose rows nothing may read as somebody's any more."""
    db.execute("CREATE TABLE erased (user INTEGER PRIMARY KEY) STRICT")


@migrations()
def add_views(db: Database) -> None:
    """Version 3: the views for people who ask in SQL, in place of the first one's bare numbers."""
    for statement in ("DROP VIEW IF EXISTS log", CHANGES_COMMITS_INDEX, *VIEWS):
        db.execute(statement)
