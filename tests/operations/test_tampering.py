"""Whatever is changed behind the store's back, in whatever table, verify finds it and says where."""

from __future__ import annotations

import random
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from db import lost_words
from segtui.operations.erase import erase
from segtui.operations.ingest import import_files
from segtui.operations.models import promote
from segtui.operations.rescore import rescore, rescore_range
from segtui.operations.retain import retain
from segtui.operations.session import open_session
from segtui.operations.verify import verify

LOG = {
    "behaviour": "behaviour",
    "attributes": "behaviour",
    "decisions": "decisions",
    "membership_changes": "changes",
    "vocabulary": "vocabulary",
}
"""The tables a commit covers, and the stream that verify calls them by."""
KEPT = {
    "commits": {"chain", "sequence"},
    "vault": {"vault", "erased"},
    "erased": {"erased"},
    "leaves": {"chain"},
    "redactions": {"chain", "sequence"},
    "meta": {"vault"},
    "models": {"models"},
    "members": {"memberships", "scores", "margins"},
    "member_counts": {"memberships"},
    "sizes": {"sizes"},
    "rescores": {"rescores"},
    "snapshots": {"totals", "content", "memberships"},
}
"""Every other table with rows, and the checks that look at it."""


@dataclass(frozen=True)
class Edit:
    """What was done to which table, and to the row of which commit, where a commit covers it."""

    what: str
    table: str
    commit: int | None


@pytest.fixture(scope="module")
def proved(tmp_path_factory: pytest.TempPathFactory, shops: Any, record_model: Any) -> Iterator[Path]:
    """A store with something in every table that verify answers for."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        shop = shops(tmp_path_factory.mktemp("proved"), monkeypatch)
        draw = random.Random(1)

        def bought(days: tuple[float, float], count: int) -> list[tuple[Any, ...]]:
            return [
                (f"u{draw.randrange(25)}", draw.uniform(*days), draw.choice(["purchase", "view"]), 40.0)
                for _ in range(count)
            ]

        shop.at(30)
        shop.events(bought((0, 30), 120))
        table = shop.path.with_name("table.csv")
        table.write_text("user_id,tier,visits\n" + "".join(f"u{n},gold,{n}\n" for n in range(25)))
        orders = shop.path.with_name("orders.ndjson")
        buys = '{{"user": "u{0}", "time": "2026-01-30", "kind": "view", "order": "o-{1}", "item": "i-{2}"}}\n'
        orders.write_text("".join(buys.format(3 + n % 2, n, n // 2) for n in range(6)))
        with shop.open() as s:
            import_files(s, [orders], format="events")
            import_files(s, [table], format="table")
            rescore(s)
            record_model(s)
            promote(s, "small")
        shop.at(34)
        shop.events(bought((28, 34), 40))
        with shop.open() as s:
            rescore(s)
            list(rescore_range(s, s.instant("-9d")))
            erase(s, ["u3"], purge=True)
            erase(s, ["u4"])
            retain(s, "20d")
            told = verify(s, deep=True)
            assert told["ok"], told
            assert lost_words.count(s.store) == 3
            s.store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        yield shop.path


def tables(connection: sqlite3.Connection) -> list[str]:
    """Every table with a row, but for the bookkeeping of migrations."""
    names = [
        name
        for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
        if not name.startswith(("sqlite_", "_sqlite_"))
    ]
    return [name for name in names if connection.execute(f"SELECT 1 FROM {name} LIMIT 1").fetchone()]


def columns(connection: sqlite3.Connection, table: str) -> tuple[list[str], list[str]]:
    """The key's columns, and the others."""
    found = connection.execute(f"PRAGMA table_info({table})").fetchall()
    key = [f'"{name}"' for _, name, _, _, _, place in found if place]
    return key, [f'"{name}"' for _, name, _, _, _, place in found if not place]


def rows(connection: sqlite3.Connection, table: str) -> list[tuple[Any, ...]]:
    key, others = columns(connection, table)
    names = ", ".join(key + others)
    return connection.execute(f"SELECT {names} FROM {table} ORDER BY {names}").fetchall()


def other(draw: random.Random, value: Any, nullable: bool) -> Any:
    """Another value of the same type."""
    if value is None or (nullable and draw.random() < 0.2):
        return draw.randrange(1, 1_000) if value is None else None
    if isinstance(value, bytes):
        at = draw.randrange(len(value))
        return value[:at] + bytes([value[at] ^ (1 << draw.randrange(8))]) + value[at + 1 :]
    if isinstance(value, str):
        at = draw.randrange(len(value) + 1)
        return value[:at] + draw.choice("ax07") + value[at + 1 :]
    if isinstance(value, float):
        return value + draw.choice([-1, 1, 1_000])
    return value + draw.choice([-1, 1, 5, 86_400_000_000])


def commit_of(connection: sqlite3.Connection, table: str, key: int) -> int | None:
    """The commit whose range holds the row of a log's table."""
    stream = LOG.get(table)
    if stream is None:
        return key if table == "commits" else None
    found = connection.execute(
        f"SELECT id FROM commits WHERE {stream}_first <= ? AND {stream}_last >= ?", (key, key)
    ).fetchone()
    return found[0] if found else None


def tampered(path: Path, draw: random.Random) -> Edit:
    """Makes one random edit, the triggers dropped before and put back after."""
    with closing(sqlite3.connect(path)) as connection:
        kept = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        for name, _ in kept:
            connection.execute(f"DROP TRIGGER {name}")
        edit = draw.choice([changed, changed, changed, removed, swapped, rewritten, cut])(connection, draw)
        for _, sql in kept:
            connection.execute(sql)
        connection.commit()
    return edit


def changed(connection: sqlite3.Connection, draw: random.Random) -> Edit:
    """Another value in one cell of any table."""
    while True:
        table = draw.choice(tables(connection))
        key, others = columns(connection, table)
        names = key + others
        row = draw.choice(rows(connection, table))
        at = draw.randrange(len(names))
        strict = {f'"{name}"': not needed for _, name, _, needed, _, _ in columns_of(connection, table)}
        value = other(draw, row[at], nullable=strict[names[at]] and at >= len(key))
        if value == row[at]:
            continue
        where = " AND ".join(f"{name} = ?" for name in key)
        try:
            connection.execute(f"UPDATE {table} SET {names[at]} = ? WHERE {where}", (value, *row[: len(key)]))
        except (sqlite3.IntegrityError, OverflowError):
            continue
        commit = commit_of(connection, table, row[0])
        return Edit(f"{names[at]} of {row[: len(key)]} from {row[at]!r} to {value!r}", table, commit)


def columns_of(connection: sqlite3.Connection, table: str) -> list[tuple[Any, ...]]:
    return connection.execute(f"PRAGMA table_info({table})").fetchall()


def removed(connection: sqlite3.Connection, draw: random.Random) -> Edit:
    """One row less. A snapshot may be dropped at will, and a key without a place stands in its file."""
    table = draw.choice([name for name in tables(connection) if name not in ("snapshots", "meta")])
    key, _ = columns(connection, table)
    row = draw.choice(rows(connection, table))
    commit = commit_of(connection, table, row[0])
    connection.execute(
        f"DELETE FROM {table} WHERE {' AND '.join(f'{name} = ?' for name in key)}", row[: len(key)]
    )
    return Edit(f"{row[: len(key)]} removed", table, commit)


def swapped(connection: sqlite3.Connection, draw: random.Random) -> Edit:
    """Two rows trade places: each has the other's values under its own key."""
    while True:
        table = draw.choice(tables(connection))
        key, others = columns(connection, table)
        held = rows(connection, table)
        if len(held) < 2 or not others:
            continue
        first, second = draw.sample(held, 2)
        values = slice(len(key), None)
        if first[values] == second[values]:
            continue
        where = " AND ".join(f"{name} = ?" for name in key)
        sets = ", ".join(f"{name} = ?" for name in others)
        commits = [commit_of(connection, table, row[0]) for row in (first, second)]
        try:
            if table == "vocabulary":
                gone = ("x", "out of the way", *first[: len(key)])
                connection.execute(f"UPDATE {table} SET {sets} WHERE {where}", gone)
            for row, values_of in ((second, first), (first, second)):
                told = (*values_of[values], *row[: len(key)])
                connection.execute(f"UPDATE {table} SET {sets} WHERE {where}", told)
        except sqlite3.IntegrityError:
            connection.rollback()
            continue
        known = [commit for commit in commits if commit is not None]
        return Edit(f"{first[: len(key)]} and {second[: len(key)]} swapped", table, min(known, default=None))


def rewritten(connection: sqlite3.Connection, draw: random.Random) -> Edit:
    """A commit whose row was forged along with its digests; what follows it still names the old one."""
    from db import carried, encoding, log
    from db.store import Store

    path = Path(connection.execute("PRAGMA database_list").fetchone()[2])
    held = connection.execute("SELECT id FROM commits WHERE behaviour_first IS NOT NULL").fetchall()
    number = draw.choice(held)[0]
    connection.execute(
        "UPDATE behaviour SET occurred_at = occurred_at + 1 "
        "WHERE seq = (SELECT behaviour_first FROM commits WHERE id = ?)",
        (number,),
    )
    connection.commit()
    with Store.open(path) as store:
        (commit,) = [each for each in log.commits(store) if each.id == number]
        before = [each for each in log.commits(store) if each.id == number - 1]
        span = (commit.behaviour_first, commit.behaviour_last)
        attributes = carried.everything(store, *span)
        leaves = encoding.behaviour_leaves(log.stored_behaviour(store, *span), attributes)
        streams = ("behaviour", "decisions", "changes", "vocabulary")
        digests = {name: getattr(commit, f"{name}_digest") for name in streams}
        digests["behaviour"] = encoding.stream_digest(leaves)
        counts = {
            "decisions": int(commit.decisions_first is not None),
            "changes": 0
            if commit.changes_first is None
            else log.stored_changes(store, commit.changes_first, commit.changes_last)["user"].n_unique(),
        }
        header = encoding.Header(
            id=number,
            recorded_at=commit.recorded_at,
            actor=commit.actor,
            source=commit.source,
            ranges={
                name: None
                if getattr(commit, f"{name}_first") is None
                else (getattr(commit, f"{name}_first"), getattr(commit, f"{name}_last"))
                for name in streams
            },
            leaves={"behaviour": int(leaves.size), **counts},
            digests=digests,
        )
        digest = header.digest(before[0].digest if before else encoding.GENESIS)
    connection.execute(
        "UPDATE commits SET behaviour_digest = ?, digest = ? WHERE id = ?",
        (digests["behaviour"], digest, number),
    )
    return Edit(f"commit {number} forged", "commits", number)


def cut(connection: sqlite3.Connection, draw: random.Random) -> Edit:
    """The tail gone, whole commits with all their rows."""
    last = connection.execute("SELECT max(id) FROM commits").fetchone()[0]
    kept = draw.randrange(1, last)
    for table, stream in LOG.items():
        key = "id" if table == "vocabulary" else "seq"
        connection.execute(
            f"DELETE FROM {table} WHERE {key} > "
            f"(SELECT coalesce(max({stream}_last), 0) FROM commits WHERE id <= ?)",
            (kept,),
        )
    connection.execute("DELETE FROM commits WHERE id > ?", (kept,))
    return Edit(f"cut after commit {kept}", "commits", None)


def found(path: Path, head: str) -> dict[str, str]:
    with open_session(path) as s:
        return {each["name"]: each["detail"] for each in verify(s, head=head)["checks"] if not each["ok"]}


def expect_found(proved: Path, folder: Path, seed: int) -> None:
    path = folder / "shop.db"
    shutil.copy(proved, path)
    shutil.copy(f"{proved}.key", f"{path}.key")
    with open_session(path) as s:
        head = s.store.chain_digest().hex()
    edit = tampered(path, random.Random(seed))
    told = found(path, head)
    if edit.what.startswith("cut"):
        assert "the log was cut" in told["head"], edit
    elif edit.table in LOG:
        stream = LOG[edit.table]
        assert told["chain"].startswith(f"commit {edit.commit} of 20"), (edit, told)
        assert f"its {stream} rows, " in told["chain"], (edit, told)
    else:
        assert KEPT[edit.table] & set(told), (edit, told)
        if edit.commit is not None:
            assert re.search(rf"\bcommit ({edit.commit}|{edit.commit + 1})\b|head", str(told)), (edit, told)


@pytest.mark.parametrize("seed", range(12))
def test_an_edit_behind_the_stores_back_is_found_where_it_is(proved: Path, tmp_path: Path, seed: int) -> None:
    expect_found(proved, tmp_path, seed)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(12, 112))
def test_a_hundred_edits_are_found_where_they_are(proved: Path, tmp_path: Path, seed: int) -> None:
    expect_found(proved, tmp_path, seed)


def test_what_the_program_itself_does_is_no_tampering(proved: Path, tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    shutil.copy(proved, path)
    shutil.copy(f"{proved}.key", f"{path}.key")
    with open_session(path) as s:
        head = s.store.chain_digest().hex()
        with s.store.transaction(actor="ann") as tx:
            tx.append_decision("noted", {})
    assert found(path, head) == {}


def test_a_made_up_next_user_does_not_make_everyone_before_it_missing(proved: Path, tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    shutil.copy(proved, path)
    shutil.copy(f"{proved}.key", f"{path}.key")
    with open_session(path) as s:
        head = s.store.chain_digest().hex()
        s.store.connection.execute("UPDATE meta SET value = 1000000 WHERE name = 'next_user'")
    told = found(path, head)
    assert told.keys() == {"vault", "erased"}
    assert "next_user does not follow" in told["erased"]
