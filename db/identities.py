# ruff: noqa: S608  (the names put into SQL are this package's own; values are always bound)
"""Which external id a surrogate number stands for: what all stores have in common, and ids in clear.

A surrogate that was handed out and has no entry is an erased person.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import polars as pl

from db.anew import made_anew

if TYPE_CHECKING:
    from db.bulk import Staging
    from db.store import Store

ID = "id"
NUMBERED = "#[0-9]{1,18}"
"""How a surrogate is written, as a regular expression."""
CHUNK = 10_000
ENTRIES = {"user": pl.Int64(), "name": pl.String(), "external": pl.String()}
Entry = tuple[int, str, str]
"""A user, a name such as `id`, and a text."""
CLEAR_TABLE = """
CREATE TABLE identities (
    external TEXT NOT NULL,
    name TEXT NOT NULL,
    user INTEGER NOT NULL,
    PRIMARY KEY (external, name)
) STRICT, WITHOUT ROWID
"""
CLEAR_INDEX = "CREATE INDEX identities_by_user ON identities (user)"


class Identities(ABC):
    """Surrogates and external ids of one store."""

    table: ClassVar[str]
    column: ClassVar[str]
    """Where an entry's text stands, sealed or in clear."""
    index: ClassVar[str]
    told: ClassVar[str]

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def clear(self) -> bool:
        """Whether ids stand in clear."""
        return False

    @property
    @abstractmethod
    def available(self) -> bool:
        """Whether ids can be told; raises KeyWrong when the key is another store's."""

    @property
    def key_stands(self) -> str | None:
        """Where the key is looked for: a variable, a file, or `keyring`; None for ids in clear."""
        return None

    @abstractmethod
    def require(self) -> None:
        """Raises KeyMissing, saying where the key was looked for, when ids cannot be told."""

    @abstractmethod
    def known(self, external_ids: Sequence[str], name: str = ID) -> dict[str, int]:
        """User numbers of those ids that have one; raises KeyMissing."""

    @abstractmethod
    def add(self, staging: Staging, external_ids: Sequence[str], users: range, name: str = ID) -> None:
        """Keeps new ids under their users, inside the open transaction; raises KeyMissing."""

    @abstractmethod
    def _opened(self, rows: list[Any]) -> list[Entry]:
        """Entries of which `column` was read; raises KeyMissing, StoreDamaged."""

    @abstractmethod
    def misplaced(self) -> int:
        """How many entries cannot be found by their own id; raises StoreDamaged."""

    @abstractmethod
    def settle(self) -> None:
        """Ends a rotation of the key that was cut off; the caller holds the writer's lock."""

    def entries(self, users: Sequence[int] | None = None) -> Iterator[Entry]:
        """Every entry, or those of some users; raises KeyMissing, StoreDamaged."""
        for batch in self._batches(users):
            yield from batch

    def named(self, users: Sequence[int] | None = None) -> Iterator[pl.DataFrame]:
        """The same as frames of ENTRIES, batch by batch: between two of them a long reading can end."""
        for batch in self._batches(users):
            columns = zip(ENTRIES.items(), zip(*batch, strict=True), strict=True)
            yield pl.DataFrame([pl.Series(name, values, dtype=kind) for (name, kind), values in columns])

    def _batches(self, users: Sequence[int] | None) -> Iterator[list[Entry]]:
        condition, parameters = self.among(users)
        wanted = None if users is None or condition else self._marks(users)
        for rows in self._store.batches(
            f"SELECT user, name, {self.column} FROM {self.table}{condition}", parameters
        ):
            asked = rows if wanted is None else [row for row in rows if wanted[row[0]]]
            if asked:
                yield self._opened(asked)

    def _marks(self, users: Sequence[int]) -> bytes:
        """A byte by surrogate, 1 for these users: a set of a million takes four times as long to ask."""
        marks = np.zeros(self.newest_user() + 1, np.uint8)
        known = np.asarray(users, np.int64)
        marks[known[(known >= 0) & (known < len(marks))]] = 1
        return marks.tobytes()

    def count(self) -> int:
        """How many entries there are."""
        return int(self._store.rows(f"SELECT count(*) FROM {self.table}")[0][0])

    def newest_user(self) -> int:
        """The greatest surrogate that has an entry, 0 for none."""
        return int(self._store.rows(f"SELECT coalesce(max(user), 0) FROM {self.table}")[0][0])

    def surrogate(self, external_id: str, name: str = ID) -> int | None:
        """The user number of an external id, None for an unknown one; raises KeyMissing."""
        return self.known([external_id], name).get(external_id)

    def external_ids(self, users: Sequence[int]) -> dict[int, str]:
        """External ids by user, the name 'id' before any other; {} without the key."""
        if not self.available:
            return {}
        found: dict[int, tuple[bool, str, str]] = {}
        for user, name, text in self.entries(users):
            rank = (name != ID, name, text)
            found[user] = min(found.get(user, rank), rank)
        return {user: text for user, (_, _, text) in found.items()}

    def all_external(self) -> pl.DataFrame:
        """user Int64, external String: everyone's external id, by user; empty without the key."""
        found = self.named() if self.available else ()
        return first_named(pl.concat([pl.DataFrame(schema=ENTRIES), *found])).sort("user")

    def next_user(self) -> int:
        """The next surrogate to hand out; those below were."""
        return int(self._store.rows("SELECT value FROM meta WHERE name = 'next_user'")[0][0])

    def orphans(self) -> list[int]:
        """Surrogates that were handed out and have no entry, in ascending order."""
        known = [
            user for (user,) in self._store.rows(f"SELECT DISTINCT user FROM {self.table} ORDER BY user")
        ]
        handed_out = self.next_user() - 1
        return [] if len(known) == handed_out else sorted(set(range(1, handed_out + 1)) - set(known))

    def made_anew(self) -> AbstractContextManager[str]:
        """Empties the table inside the open transaction, see db.anew."""
        return made_anew(self._store, self.table, indexes=(self.index,))

    def forget(self, users: Sequence[int]) -> None:
        """Removes every entry of some users, inside the open transaction."""
        condition = "WHERE user NOT IN (SELECT value FROM json_each(?))"
        with self.made_anew() as former:
            self._store.connection.execute(
                f"INSERT INTO {self.table} SELECT * FROM {former} {condition}",
                (json.dumps([int(user) for user in users]),),
            )

    def among(self, users: Sequence[int] | None) -> tuple[str, list[str]]:
        """A condition on the column user and its parameters; nothing for everyone and for very many."""
        wanted = None if users is None else {int(user) for user in users}
        if wanted is None or len(wanted) > CHUNK:
            return "", []
        return " WHERE user IN (SELECT value FROM json_each(?))", [json.dumps(list(wanted))]


def first_named(entries: pl.DataFrame) -> pl.DataFrame:
    """user, external of each user in frames of ENTRIES: the name `id` before any other."""
    if not entries["user"].is_unique().all():
        entries = entries.sort(pl.col("name") != ID, "name", "external").unique("user", keep="first")
    return entries.select("user", "external")


class ClearIdentities(Identities):
    """Ids that are pseudonyms already, in clear: a store made with `init --no-vault`."""

    table = "identities"
    column = "external"
    index = CLEAR_INDEX
    told = "ids in clear, there is no vault"

    @property
    def clear(self) -> bool:
        """They do."""
        return True

    @property
    def available(self) -> bool:
        """Always: there is no key."""
        return True

    def require(self) -> None:
        """There is no key to miss."""

    def settle(self) -> None:
        """There is no key to rotate."""

    def known(self, external_ids: Sequence[str], name: str = ID) -> dict[str, int]:
        """User numbers of those ids that have one."""
        found: dict[str, int] = {}
        for start in range(0, len(external_ids), CHUNK):
            chunk = external_ids[start : start + CHUNK]
            marks = ",".join("?" * len(chunk))
            found.update(
                self._store.rows(
                    f"SELECT external, user FROM identities WHERE name = ? AND external IN ({marks})",
                    (name, *chunk),
                )
            )
        return found

    def add(self, staging: Staging, external_ids: Sequence[str], users: range, name: str = ID) -> None:
        """Keeps new ids under their users, inside the open transaction."""
        rows = {
            "external": list(external_ids),
            "name": pl.repeat(name, len(external_ids), eager=True),
            "user": pl.int_range(users.start, users.stop, dtype=pl.Int64, eager=True),
        }
        staging.insert("identities", pl.DataFrame(rows).sort("external"))

    def _opened(self, rows: list[Any]) -> list[Entry]:
        return rows

    def misplaced(self) -> int:
        """None can be: an entry is found by itself."""
        return 0
