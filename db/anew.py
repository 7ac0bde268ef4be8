"""Tables made anew, so that no page of the file keeps what is not taken over."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from db.store import Store


@contextmanager
def made_anew(
    store: Store, table: str, *, indexes: Sequence[str] = (), triggers: dict[str, str] | None = None
) -> Iterator[str]:
    """Empties a table inside the open transaction, to be filled again from what is yielded.

    Pages that were split hold copies of rows, which deleting the rows leaves there, and which dropping the
    whole table overwrites. `indexes` and `triggers` (by name) are those of the table, as SQL.
    """
    connection, former = store.connection, f"former_{table}"
    sql = store.rows("SELECT sql FROM sqlite_schema WHERE name = ?", (table,))[0][0]
    connection.execute("PRAGMA secure_delete = ON").fetchall()
    for name in triggers or {}:
        connection.execute(f"DROP TRIGGER {name}")
    # Or else a view that somebody made over the table follows it, and the next renaming fails over it.
    connection.execute("PRAGMA legacy_alter_table = ON")
    connection.execute(f"ALTER TABLE {table} RENAME TO {former}")
    connection.execute("PRAGMA legacy_alter_table = OFF")
    connection.execute(sql)
    yield former
    connection.execute(f"DROP TABLE {former}")
    for statement in (*indexes, *(triggers or {}).values()):
        connection.execute(statement)
