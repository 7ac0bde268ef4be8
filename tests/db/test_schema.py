"""The log refuses to be changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

import polars as pl
import pytest

from db.migrations import migrations
from db.schema import triggers
from db.store import Store
from db.version import SCHEMA_VERSION

Frame = Callable[..., pl.DataFrame]

KEYED = {
    "behaviour": ("late = late + 1", "(seq, user, occurred_at, kind, late) VALUES (1, 9, 9, 9, 0)"),
    "attributes": ("value = value + 1", "(seq, name, value) VALUES (1, 1, 99)"),
    "decisions": ("body = '{}'", "(seq, kind, body) VALUES (3, 'forged', '{}')"),
    "membership_changes": (
        "user = user + 1",
        "VALUES (4, 1, 9, NULL, NULL, NULL, 9, 1, 'event', NULL, 1, NULL, 0, 0)",
    ),
    "commits": (
        "actor = 'nobody'",
        "(id, recorded_at, actor, encoding, digest) VALUES (1, 1, 'x', 1, x'00')",
    ),
    "vocabulary": ("text = 'x'", "(id, kind, text) VALUES (1, 'kind', 'forged')"),
    "models": ("spec = '{}'", "(digest, spec, parameters) VALUES ('ab', '{}', x'00')"),
}


@pytest.fixture
def filled(store: Store, events: Frame, moves: Frame) -> Store:
    """Seq 1 and 2 behaviour, 3 a decision, 4 a change; one word, one model."""
    with store.transaction(actor="ann") as tx:
        kind = tx.number("kind", "view")
        tx.append_behaviour(
            events({"kind": kind}, {"kind": kind}), pl.DataFrame({"row": [0], "name": [1], "value": [2]})
        )
        tx.append_decision("noted", {"a": 1})
        tx.append_changes(moves({"to_label": 1}))
        tx.put_model("ab", '{"kind":"mlp"}', b"\x01")
    return store


@pytest.mark.parametrize("table", KEYED)
def test_rows_cannot_be_updated_deleted_or_replaced(filled: Store, table: str) -> None:
    before = filled.rows(f"SELECT * FROM {table}")
    change, insert = KEYED[table]
    for statement in (
        f"UPDATE {table} SET {change}",
        f"DELETE FROM {table}",
        f"INSERT INTO {table} {insert}",
        f"INSERT OR REPLACE INTO {table} {insert}",
        f"REPLACE INTO {table} {insert}",
        f"INSERT OR IGNORE INTO {table} {insert}",
    ):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            filled.connection.execute(statement)
    assert filled.rows(f"SELECT * FROM {table}") == before


def test_a_word_cannot_be_replaced_by_its_text(filled: Store) -> None:
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        filled.connection.execute("INSERT OR REPLACE INTO vocabulary VALUES (77, 'kind', 'view')")


def test_a_bulk_append_leaves_the_triggers_and_indexes_as_they_were(
    store: Store, events: Frame, moves: Frame
) -> None:
    schema = "SELECT type, name, sql FROM sqlite_schema ORDER BY name"
    before = store.rows(schema)
    with store.transaction(actor="ann") as tx:
        tx.append_behaviour(
            events(*({"user": user} for user in range(10_000))),
            pl.DataFrame({"row": range(10_000), "name": 1, "value": 2}),
        )
        tx.append_changes(moves(*({"user": user, "to_label": 1} for user in range(10_000))))
    assert store.rows(schema) == before
    assert {name for kind, name, _ in before if kind == "trigger"} == set(triggers())


def test_wrong_types_are_refused(filled: Store) -> None:
    with pytest.raises(sqlite3.IntegrityError, match="cannot store"):
        filled.connection.execute(
            "INSERT INTO behaviour (seq, user, occurred_at, kind, late) VALUES (9, 'ann@a.org', 1, 1, 0)"
        )


def test_every_table_of_ours_is_strict(store: Store) -> None:
    tables = store.rows("SELECT name, strict FROM pragma_table_list WHERE schema = 'main' AND type = 'table'")
    loose = {name for name, strict in tables if not strict}
    assert {name for name in loose if not name.startswith("sqlite_")} == {"_sqlite_migrations"}


def test_the_log_view_is_the_streams_in_order(filled: Store) -> None:
    assert filled.rows("SELECT seq, stream FROM log ORDER BY seq") == [
        (1, "behaviour"),
        (2, "behaviour"),
        (3, "decisions"),
        (4, "changes"),
    ]


def test_the_version_counts_the_migrations(store: Store) -> None:
    assert len(migrations.applied(store.database)) == SCHEMA_VERSION
    assert store.rows("PRAGMA user_version") == [(SCHEMA_VERSION,)]
