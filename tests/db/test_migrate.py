"""Stores of older versions: kept aside, migrated whole or not at all, and the same log as before."""

from __future__ import annotations

import gzip
import hashlib
import logging
import sqlite3
import stat
import struct
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database, Migrations

from db import log, migrate, projections, version
from db.backup import restore
from db.chain import verify
from db.content import content_digest
from db.copies import kept_before
from db.errors import StoreDamaged, StoreLocked, StoreTooNew
from db.lock import writer_lock
from db.migrations import migrations
from db.store import Store

STORES = Path(__file__).parent / "stores"
KEY = bytes(range(32)).hex()
MADE_AS = {
    1: {
        "chain": "d29d785a06cf3f20cc0b2ecd934dc4c9680515d3ba68783b68a908063899b584",
        "content": "8503c99ad5af7a870a3a17a7e196e6e7437b7e2c7f778adc03bf1f53a5a1fcfd",
        "state": "ddf7b54f991d70ceddd37681670b91dcb81657f4f18f5850cb7f4e06fdaa4cf0",
    }
}
"""The digests that each older program told of the store it left in `stores`."""


def unpacked(number: int, folder: Path) -> Path:
    """The store that the program of that version left."""
    path = folder / "shop.db"
    path.write_bytes(gzip.decompress((STORES / f"version-{number}.db.gz").read_bytes()))
    return path


def former(states: dict[str, dict[str, Any]]) -> str:
    """The state digest as programs told it before it became a sum, over segmentation -> label -> users."""
    digest = hashlib.sha256()

    def add(text: str) -> None:
        digest.update(len(text.encode()).to_bytes(4, "little") + text.encode())

    for segmentation in sorted(states):
        add(segmentation)
        digest.update(len(states[segmentation]).to_bytes(8, "little"))
        for label in sorted(states[segmentation]):
            users = sorted(states[segmentation][label])
            add(label)
            digest.update(len(users).to_bytes(8, "little") + struct.pack(f"<{len(users)}q", *users))
    return digest.hexdigest()


def digests(store: Store) -> dict[str, str | None]:
    return {
        "chain": store.chain_digest().hex(),
        "content": content_digest(store),
        "state": projections.state_digest(store, position=store.head()),
    }


@pytest.mark.parametrize("number", MADE_AS)
def test_a_store_of_an_older_version_opens_and_folds_to_the_same_digests(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGTUI_KEY", KEY)
    monkeypatch.setattr(projections, "digest_of", former)
    path = unpacked(number, tmp_path)
    with Store.open(path) as store:
        before = store.rows("SELECT seq, body FROM decisions ORDER BY seq")
        assert digests(store) == MADE_AS[number]
        rescored = log.decisions(store, kinds=("rescored",))
        assert rescored
        assert all("sizes" in each.body for each in rescored)
        assert store.rows("SELECT seq, body FROM decisions ORDER BY seq") == before
        assert [check for check in verify(store) if not check.ok] == []
        assert store.rows("PRAGMA user_version") == [(version.SCHEMA_VERSION,)]
        with store.transaction(actor="bob") as tx:
            tx.append_decision("noted", {})
        assert [check for check in verify(store) if not check.ok] == []


@pytest.fixture
def next_version(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Database], None]], int]:
    """Makes this program one version newer; `change` is that version's migration."""

    def add(change: Callable[[Database], None]) -> int:
        longer = Migrations("segtui")
        for step in migrations._migrations:
            longer(name=step.name)(step.fn)
        longer(name="next")(change)
        number = version.SCHEMA_VERSION + 1
        for module in (migrate, version):
            monkeypatch.setattr(module, "SCHEMA_VERSION", number)
        monkeypatch.setattr("db.store.SCHEMA_VERSION", number)
        monkeypatch.setattr("db.migrations.migrations", longer)
        return number

    return add


def add_table(db: Database) -> None:
    db.execute("CREATE TABLE added (a INTEGER) STRICT")


def test_a_migration_keeps_the_store_as_it_was_and_says_where(
    store: Store, next_version: Callable[..., int], caplog: pytest.LogCaptureFixture
) -> None:
    with store.transaction(actor="ann") as tx:
        tx.append_decision("noted", {})
    head = store.chain_digest()
    store.close()
    number = next_version(add_table)
    assert version.outdated(store.path)
    with caplog.at_level(logging.WARNING, "db"), Store.open(store.path) as opened:
        assert opened.rows("SELECT * FROM added") == []
        assert opened.rows("PRAGMA user_version") == [(number,)]
        assert opened.chain_digest() == head
    assert not version.outdated(store.path)
    (aside,) = kept_before(store.path)
    assert stat.S_IMODE(aside.stat().st_mode) == 0o600
    with closing(sqlite3.connect(aside)) as kept:
        assert kept.execute("PRAGMA user_version").fetchone() == (number - 1,)
        assert kept.execute("SELECT digest FROM commits").fetchall() == [(head,)]
    (told,) = caplog.messages
    assert str(aside) in told
    assert f"of store version {number - 1} and is now of version {number}" in told
    with Store.open(store.path):
        pass
    assert kept_before(store.path) == [aside]


def test_a_migration_that_fails_leaves_the_store_as_it_was(
    store: Store, next_version: Callable[..., int]
) -> None:
    def half(db: Database) -> None:
        add_table(db)
        raise ZeroDivisionError

    store.close()
    number = next_version(half)
    with pytest.raises(ZeroDivisionError):
        Store.open(store.path)
    with closing(sqlite3.connect(store.path)) as left:
        assert left.execute("PRAGMA user_version").fetchone() == (number - 1,)
        assert left.execute("SELECT 1 FROM sqlite_schema WHERE name = 'added'").fetchall() == []


def test_a_damaged_store_is_not_migrated(store: Store, next_version: Callable[..., int]) -> None:
    with store.transaction(actor="ann") as tx:
        tx.append_decision("noted", {"text": "x" * 50_000})
    store.close()
    root = sqlite3.connect(store.path).execute(
        "SELECT rootpage FROM sqlite_schema WHERE name = 'decisions_by_kind'"
    )
    with store.path.open("r+b") as file:
        file.seek((root.fetchone()[0] - 1) * 4096)
        file.write(b"\xff" * 400)
    next_version(add_table)
    before = store.path.read_bytes()
    with pytest.raises(StoreDamaged, match="restore a backup"):
        Store.open(store.path)
    assert store.path.read_bytes() == before
    assert kept_before(store.path) == []
    assert list(store.path.parent.glob("*.draft*")) == []


def test_a_migration_waits_for_the_writer(
    store: Store, next_version: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    store.close()
    next_version(add_table)
    monkeypatch.setenv("SEGTUI_WAIT", "0.05")
    with writer_lock(store.path, 0), pytest.raises(StoreLocked, match="holds the store since"):
        Store.open(store.path)


def test_a_backup_of_an_older_version_is_restored_and_stays_as_it_is(
    store: Store, tmp_path: Path, next_version: Callable[..., int]
) -> None:
    with store.transaction(actor="ann") as tx:
        tx.append_decision("noted", {})
    store.close()
    old = store.path.rename(tmp_path / "old.db")
    before = old.read_bytes()
    number = next_version(add_table)
    told = restore(old, store.path)
    with Store.open(store.path) as opened:
        assert opened.rows("PRAGMA user_version") == [(number,)]
        assert [each.kind for each in log.decisions(opened)] == ["noted"]
        assert told["chain_digest"] == opened.chain_digest().hex()
    assert old.read_bytes() == before
    assert kept_before(store.path) == kept_before(old) == []


def test_a_backup_of_a_newer_version_is_refused(store: Store, tmp_path: Path) -> None:
    store.connection.execute("PRAGMA user_version = 99")
    store.close()
    newer = store.path.rename(tmp_path / "newer.db")
    with pytest.raises(StoreTooNew, match="upgrade segtui"):
        restore(newer, store.path)
    assert not store.path.exists()
