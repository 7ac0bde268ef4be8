"""Where a key is found, and that a rotation cut off anywhere leaves one that fits."""

from __future__ import annotations

import base64
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import keyring
import polars as pl
import pytest
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked

from db import keys
from db.chain import verify
from db.content import content_digest
from db.errors import KeyMissing, KeyWrong, StoreFull
from db.store import Store

OLD, NEW = bytes(range(32)), bytes(range(1, 33))
CHECK = keys.key_check(OLD)


class Memory(KeyringBackend):
    """A keyring that forgets with the process."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[tuple[str, str], str] = {}
        self.locked = False

    def get_password(self, service: str, username: str) -> str | None:
        if self.locked:
            raise KeyringLocked("The collection is locked. More words.")
        return self.held.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.held[service, username] = password


@pytest.fixture
def memory() -> Iterator[Memory]:
    before, made = keyring.get_keyring(), Memory()
    keyring.set_keyring(made)
    yield made
    keyring.set_keyring(before)


def test_a_store_that_keeps_its_key_in_the_keyring(tmp_path: Path, memory: Memory) -> None:
    path = tmp_path / "shop.db"
    with Store.create(path, place=keys.KEYRING) as store, store.transaction(actor="ann") as tx:
        assert tx.surrogates(pl.Series(["ann"])).to_list() == [1]
    assert not keys.key_path(path).exists()
    with Store.open(path) as store:
        assert store.vault.external_ids([1]) == {1: "ann"}
        assert store.vault.key_stands == "keyring"
    memory.locked = True
    with Store.open(path) as store, pytest.raises(KeyMissing, match=r"The collection is locked.*: unlock it"):
        store.vault.require()
    memory.locked = False
    memory.held.clear()
    with Store.open(path) as store, pytest.raises(KeyMissing, match="put back the keyring's entry or set"):
        store.vault.require()


def test_a_moved_store_finds_its_key_in_the_keyring(tmp_path: Path, memory: Memory) -> None:
    Store.create(tmp_path / "shop.db", place=keys.KEYRING).close()
    (tmp_path / "shop.db").rename(tmp_path / "moved.db")
    with Store.open(tmp_path / "moved.db") as store:
        assert store.vault.available


def test_no_usable_keyring_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "keyring", None)
    with pytest.raises(KeyMissing, match=r"pip install 'segtui\[keyring\]'"):
        Store.create(tmp_path / "shop.db", place=keys.KEYRING)
    assert list(tmp_path.iterdir()) == []


def test_the_variable_comes_before_the_keyring(
    tmp_path: Path, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    Store.create(tmp_path / "shop.db", place=keys.KEYRING).close()
    (text,) = memory.held.values()
    memory.held.clear()
    monkeypatch.setenv(keys.KEY_VARIABLE, text)
    with Store.open(tmp_path / "shop.db") as store:
        assert store.vault.available
    monkeypatch.setenv(keys.KEY_VARIABLE, base64.b64encode(NEW).decode())
    with (
        Store.open(tmp_path / "shop.db") as store,
        pytest.raises(KeyWrong, match="SEGTUI_KEY is not the one"),
    ):
        store.vault.require()


def find(store: Path, key: bytes) -> bytes | None:
    return keys.find_key(store, keys.key_check(key), keyring=False)


def test_at_every_step_of_a_rotation_the_key_in_force_is_found(tmp_path: Path) -> None:
    store = tmp_path / "shop.db"
    keys.write_key(keys.key_path(store), OLD)
    keys.propose(store, NEW, keys.FILE)
    assert (find(store, OLD), find(store, NEW)) == (OLD, NEW)
    keys.settle(store, keys.key_check(NEW), keys.FILE)
    assert keys.parse_key(keys.key_path(store).read_text(), "") == NEW
    assert not keys.next_path(store).exists()
    # the backups of before need the old one
    assert find(store, OLD) == OLD
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in tmp_path.iterdir())
    # killed between moving the old key aside and putting the new one in its place
    keys.key_path(store).rename(keys.next_path(store))
    assert find(store, NEW) == NEW
    keys.settle(store, keys.key_check(NEW), keys.FILE)
    assert find(store, NEW) == NEW


def test_a_key_that_was_never_taken_is_removed(tmp_path: Path) -> None:
    store = tmp_path / "shop.db"
    keys.write_key(keys.key_path(store), OLD)
    keys.propose(store, NEW, keys.FILE)
    keys.settle(store, CHECK, keys.FILE)
    assert [path.name for path in tmp_path.iterdir()] == ["shop.db.key"]
    assert find(store, OLD) == OLD


@pytest.mark.parametrize("torn", ["", "QUJD"])
def test_a_key_that_was_not_written_whole_was_never_taken(tmp_path: Path, torn: str) -> None:
    store = tmp_path / "shop.db"
    keys.write_key(keys.key_path(store), OLD)
    keys.next_path(store).write_text(torn)
    assert find(store, OLD) == OLD
    keys.settle(store, CHECK, keys.FILE)
    assert [path.name for path in tmp_path.iterdir()] == ["shop.db.key"]
    Path(f"{keys.next_path(store)}.killed.draft").touch()
    keys.propose(store, NEW, keys.FILE)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shop.db.key", "shop.db.key.new"]


def test_a_key_that_cannot_be_written_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreFull):
        Store.create(tmp_path / "shop.db")
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_went_to_the_keyring_leaves_its_file_to_the_backups(
    tmp_path: Path, memory: Memory
) -> None:
    store = tmp_path / "shop.db"
    keys.write_key(keys.key_path(store), OLD)
    keys.propose(store, NEW, keys.KEYRING)
    keys.settle(store, keys.key_check(NEW), keys.KEYRING)
    assert not keys.key_path(store).exists()
    assert find(store, OLD) == OLD
    assert keys.find_key(store, keys.key_check(NEW), keyring=True) == NEW


def test_resealing_changes_every_entry_and_no_id(store: Store) -> None:
    ids = [f"customer-{number}" for number in range(500)]
    with store.transaction(actor="ann") as tx:
        users = tx.surrogates(pl.Series(ids))
    before = {blob for row in store.rows("SELECT lookup, ciphertext FROM vault") for blob in row}
    digest = content_digest(store)
    with store.transaction(actor="ann") as tx:
        keys.propose(store.path, NEW, keys.FILE)
        assert store.vault.reseal(NEW, keys.FILE) == 500
        tx.append_decision("key_rotated", {})
    assert store.vault.external_ids(users.to_list()) == dict(zip(users, ids, strict=True))
    assert store.vault.surrogate("customer-7") == users[7]
    assert not before & {blob for row in store.rows("SELECT lookup, ciphertext FROM vault") for blob in row}
    assert [check for check in verify(store) if not check.ok] == []
    assert content_digest(store) == digest
    store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    everything = store.path.read_bytes()
    assert not [blob for blob in before if blob in everything]


def test_whoever_has_the_store_open_follows_a_rotation(store: Store) -> None:
    with store.transaction(actor="ann") as tx:
        tx.surrogates(pl.Series(["ann"]))
    with Store.open(store.path) as other:
        assert other.vault.surrogate("ann") == 1
        with store.transaction(actor="ann"):
            keys.propose(store.path, NEW, keys.FILE)
            store.vault.reseal(NEW, keys.FILE)
        assert other.vault.surrogate("ann") == 1
        assert other.vault.external_ids([1]) == {1: "ann"}


def test_ids_in_clear_work_without_a_key(tmp_path: Path) -> None:
    with Store.create(tmp_path / "shop.db", vault=False) as store:
        with store.transaction(actor="ann") as tx:
            assert tx.surrogates(pl.Series(["p-1", "p-2"])).to_list() == [1, 2]
        with store.transaction(actor="ann") as tx:
            assert tx.surrogates(pl.Series(["p-2", "p-3"])).to_list() == [2, 3]
        assert store.vault.available
        assert store.vault.surrogate("p-3") == 3
        assert store.vault.external_ids([1, 9]) == {1: "p-1"}
        assert store.rows("SELECT user FROM identities WHERE external = 'p-2'") == [(2,)]
        assert store.rows("SELECT count(*) FROM vault") == [(0,)]
        assert [check for check in verify(store) if not check.ok] == []
    assert {path.name for path in tmp_path.iterdir()} <= {"shop.db", "shop.db.lock"}


def test_many_ids_in_clear(tmp_path: Path) -> None:
    ids = [f"p-{number}" for number in range(25_000)]
    with Store.create(tmp_path / "shop.db", vault=False) as store:
        with store.transaction(actor="ann") as tx:
            first = tx.surrogates(pl.Series(ids))
        with store.transaction(actor="ann") as tx:
            assert tx.surrogates(pl.Series(ids)).equals(first)
        assert store.vault.all_external()["external"].to_list() == ids
