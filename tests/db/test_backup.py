"""Backups: whole, private, proven."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from db import log
from db.backup import backup
from db.chain import verify
from db.content import content_digest
from db.errors import StoreDamaged, StoreExists, StoreMissing
from db.store import Store

Frame = Callable[..., pl.DataFrame]


@pytest.fixture
def filled(store: Store, events: Frame) -> Store:
    with store.transaction(actor="ann") as tx:
        tx.append_behaviour(events({}, {}).with_columns(tx.surrogates(pl.Series(["a", "b"])).alias("user")))
        tx.number("kind", "view")
    return store


def test_a_backup_is_the_store_in_one_private_file(filled: Store, tmp_path: Path, events: Frame) -> None:
    path = tmp_path / "backup.db"
    assert backup(filled, path) == {
        "path": str(path),
        "position": 2,
        "chain_digest": filled.chain_digest().hex(),
    }
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {p.name for p in tmp_path.iterdir() if p.name.startswith("backup")} == {"backup.db"}
    shutil.copy(f"{filled.path}.key", f"{path}.key")
    with Store.open(path) as copy:
        assert [check for check in verify(copy) if not check.ok] == []
        assert content_digest(copy) == content_digest(filled)
        with copy.transaction(actor="bob") as tx:
            tx.append_behaviour(events({}))
        assert copy.rows("PRAGMA journal_mode") == [("wal",)]
        assert log.summary(copy).events == 3
    assert log.summary(filled).events == 2


def test_a_backup_may_be_made_while_someone_writes(filled: Store, tmp_path: Path, events: Frame) -> None:
    with Store.open(filled.path) as other, filled.transaction(actor="ann") as tx:
        tx.append_behaviour(events({}))
        assert backup(other, tmp_path / "backup.db")["position"] == 2


def test_a_backup_overwrites_nothing(filled: Store, tmp_path: Path) -> None:
    (tmp_path / "backup.db").write_text("yesterday's")
    with pytest.raises(StoreExists):
        backup(filled, tmp_path / "backup.db")
    assert (tmp_path / "backup.db").read_text() == "yesterday's"


def test_a_damaged_store_gives_no_backup(
    filled: Store, tmp_path: Path, tamper: Callable[[Path, str], None]
) -> None:
    tamper(filled.path, "UPDATE behaviour SET amount = 1")
    with pytest.raises(StoreDamaged, match=r"does not verify \(chain: commit 1"):
        backup(filled, tmp_path / "backup.db")
    assert list(tmp_path.glob("backup*")) == []


def test_a_folder_that_is_not_there_is_told(filled: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreMissing, match="no folder"):
        backup(filled, tmp_path / "nowhere" / "backup.db")
