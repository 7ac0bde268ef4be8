"""Backups: whole, private, proven."""

from __future__ import annotations

import shutil
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from db import keys, log, segments
from db.backup import backup, restore
from db.chain import verify
from db.content import content_digest
from db.copies import kept_before
from db.erasures import ERASED, PURGED, Erasures, carry_erasures
from db.errors import KeyMissing, KeyWrong, NotAStore, StoreDamaged, StoreExists, StoreLocked, StoreMissing
from db.lock import writer_lock
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


def test_the_list_of_the_erased_goes_with_a_backup_and_the_key_does_not(
    filled: Store, tmp_path: Path
) -> None:
    listed = tmp_path / "shop.db.erasures"
    Erasures(filled).record(["gone"], ERASED, 1)
    backup(filled, tmp_path / "backup.db")
    copied = tmp_path / "backup.db.erasures"
    assert copied.read_text() == listed.read_text()
    assert stat.S_IMODE(copied.stat().st_mode) == 0o600
    assert not (tmp_path / "backup.db.key").exists()


@pytest.fixture
def saved(filled: Store, tmp_path: Path, events: Frame) -> Path:
    """A backup of the store, which has since gone on."""
    path = tmp_path / "backup.db"
    backup(filled, path)
    with filled.transaction(actor="bob") as tx:
        tx.append_behaviour(events({}, {}, {}))
    return path


def test_a_restore_puts_the_backup_in_the_stores_place_and_keeps_what_was_there(
    filled: Store, saved: Path, tmp_path: Path, events: Frame
) -> None:
    head, before = filled.chain_digest(), saved.read_bytes()
    filled.close()
    saved.chmod(0o644)
    told = restore(saved, filled.path)
    (aside,) = kept_before(filled.path)
    assert aside.name.startswith("shop.db.before-restore-")
    with Store.open(filled.path) as restored:
        assert told == {
            "path": str(saved),
            "store": str(filled.path),
            "position": 2,
            "chain_digest": restored.chain_digest().hex(),
            "replaced": str(aside),
            "key": True,
            "rekeyed": False,
            "forgotten": 0,
            "forgotten_in_replaced": 0,
        }
        assert log.summary(restored).events == 2
        assert [check for check in verify(restored) if not check.ok] == []
        assert restored.vault.external_ids([1]) == {1: "a"}
        with restored.transaction(actor="ann") as tx:
            tx.append_behaviour(events({}))
    with Store.open(aside) as kept:
        assert (kept.chain_digest(), log.summary(kept).events) == (head, 5)
    assert saved.read_bytes() == before
    assert {stat.S_IMODE(path.stat().st_mode) for path in (filled.path, aside)} == {0o600}
    assert list(tmp_path.glob("*.draft*")) == []


def test_whoever_has_the_store_open_sees_the_restored_one_and_can_go_on(
    filled: Store, saved: Path, events: Frame
) -> None:
    with Store.open(filled.path) as reader:
        seen = reader.data_version()
        with reader.reading():
            assert reader.head() == 5
            restore(saved, filled.path)
            assert log.behaviour(reader).height == 5
        assert reader.data_version() != seen
        assert log.behaviour(reader).height == 2
        with filled.transaction(actor="ann") as tx:
            tx.append_behaviour(events({}))
        assert reader.head() == 3
        assert [check for check in verify(reader) if not check.ok] == []


def test_a_restore_makes_a_store_where_there_is_none(filled: Store, saved: Path, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    left = tmp_path / "new" / "shop.db-wal"
    left.write_bytes(Path(f"{filled.path}-wal").read_bytes())
    told = restore(saved, tmp_path / "new" / "shop.db")
    assert (told["replaced"], told["key"]) == (None, False)
    assert not left.exists()
    with Store.open(tmp_path / "new" / "shop.db") as restored:
        assert [check for check in verify(restored) if not check.ok] == []
        assert restored.head() == 2


@pytest.mark.parametrize("damage", ["header", "page", "cut", "empty"])
def test_a_damaged_store_is_replaced_and_kept(filled: Store, saved: Path, damage: str) -> None:
    filled.close()
    content = bytearray(filled.path.read_bytes())
    if damage == "header":
        content[:100] = bytes(100)
    elif damage == "page":
        content[4096 : 4096 * 8] = b"\xff" * (4096 * 7)
    else:
        content = content[: 0 if damage == "empty" else 4096 * 5]
    filled.path.write_bytes(content)
    restore(saved, filled.path)
    with Store.open(filled.path) as restored:
        assert [check for check in verify(restored) if not check.ok] == []
        assert restored.head() == 2
    assert len([path for path in kept_before(filled.path) if path.suffix != "-shm"]) == 1


def test_a_backup_that_does_not_verify_replaces_nothing(
    filled: Store, saved: Path, tamper: Callable[[Path, str], None]
) -> None:
    tamper(saved, "UPDATE behaviour SET amount = 1")
    with pytest.raises(StoreDamaged, match=r"does not verify \(chain: commit 1.*the store is as it was"):
        restore(saved, filled.path)
    assert filled.head() == 5
    assert kept_before(filled.path) == []


def test_what_is_no_backup_is_refused(filled: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreMissing, match="no backup at"):
        restore(tmp_path / "missing.db", filled.path)
    with pytest.raises(StoreExists, match="the store itself"):
        restore(filled.path, filled.path)
    text = tmp_path / "notes.txt"
    text.write_text("lorem ipsum " * 1_000)
    with pytest.raises(NotAStore):
        restore(text, filled.path)
    assert filled.head() == 2


def test_another_programs_file_is_not_replaced(saved: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE t (a)")
    connection.close()
    before = other.read_bytes()
    with pytest.raises(NotAStore, match="another program"):
        restore(saved, other)
    assert other.read_bytes() == before


def test_a_restore_under_another_key_is_refused(saved: Path, tmp_path: Path) -> None:
    with Store.create(tmp_path / "elsewhere.db"):
        pass
    with pytest.raises(KeyWrong, match=r"put that one in .*elsewhere\.db\.key"):
        restore(saved, tmp_path / "elsewhere.db")
    assert kept_before(tmp_path / "elsewhere.db") == []


def test_a_restore_waits_for_the_writer(filled: Store, saved: Path) -> None:
    with writer_lock(filled.path, 0), pytest.raises(StoreLocked, match="holds the store since"):
        restore(saved, filled.path, wait=0.05)


def test_a_restore_keeps_everyones_erasure_and_forgets_them_in_it(
    filled: Store, saved: Path, tmp_path: Path
) -> None:
    Erasures(filled).record(["someone-else"], ERASED, 1)
    carry_erasures(filled.path, saved)
    Erasures(filled).record(["a"], ERASED, 2)
    both = (tmp_path / "shop.db.erasures").read_text()
    told = restore(saved, filled.path)
    assert told["forgotten"] == 1
    assert (tmp_path / "shop.db.erasures").read_text() == both
    with Store.open(filled.path) as restored:
        assert (restored.vault.surrogate("a"), restored.vault.surrogate("b")) == (None, 2)
        assert told["chain_digest"] == restored.chain_digest().hex()
        assert [check for check in verify(restored) if not check.ok] == []
    lookups = filled.vault.lookups(["a"], "id")
    assert lookups[0] in saved.read_bytes()
    assert lookups[0] not in filled.path.read_bytes()
    assert list(tmp_path.glob("*.draft*")) == []


def test_a_restore_without_the_key_is_refused_where_there_is_a_list(
    filled: Store, saved: Path, tmp_path: Path
) -> None:
    Erasures(filled).record(["a"], ERASED, 1)
    carry_erasures(filled.path, saved)
    (tmp_path / "new").mkdir()
    with pytest.raises(KeyMissing, match=r"put it back as .*new/shop\.db\.key first"):
        restore(saved, tmp_path / "new" / "shop.db")
    assert list((tmp_path / "new").glob("*.db")) == []
    shutil.copy(f"{filled.path}.key", tmp_path / "new" / "shop.db.key")
    assert restore(saved, tmp_path / "new" / "shop.db")["forgotten"] == 1


def rotated(store: Store, new: bytes) -> None:
    with store.transaction(actor="ann") as tx:
        keys.propose(store.path, new, keys.FILE)
        Erasures(store).reseal(new)
        store.vault.reseal(new, keys.FILE)
        tx.append_decision("key_rotated", {})


def test_a_backup_from_before_a_rotation_is_sealed_under_the_key_the_store_has(
    filled: Store, saved: Path, tmp_path: Path
) -> None:
    new = bytes(32)
    Erasures(filled).record(["gone"], ERASED, 1)
    old = filled.vault.check
    rotated(filled, new)
    filled.close()
    told = restore(saved, filled.path)
    assert (told["key"], told["rekeyed"]) == (True, True)
    assert keys.parse_key(keys.key_path(filled.path).read_text(), "") == new
    # Who threw away the key of before has a store that opens, and a list that does.
    keys.kept_path(filled.path, old).unlink()
    with Store.open(filled.path) as restored:
        assert [check for check in verify(restored) if not check.ok] == []
        assert [each.kind for each in log.decisions(restored)] == ["key_rotated"]
        assert Erasures(restored).states(["gone", "a"]) == {"gone": ERASED}
        with restored.transaction(actor="ann") as tx:
            assert tx.surrogates(pl.Series(["a", "c"])).to_list() == [1, 3]
    assert not restore(saved.rename(tmp_path / "again.db"), filled.path.with_name("new.db"))["key"]


def test_where_the_stores_own_key_cannot_be_told_the_backups_becomes_it(filled: Store, saved: Path) -> None:
    Erasures(filled).record(["gone"], ERASED, 1)
    old, new = filled.vault.master(), bytes(32)
    rotated(filled, new)
    filled.close()
    filled.path.unlink()
    told = restore(saved, filled.path)
    assert (told["key"], told["rekeyed"]) == (True, False)
    assert keys.parse_key(keys.key_path(filled.path).read_text(), "") == old
    assert keys.parse_key(keys.kept_path(filled.path, keys.key_check(new)).read_text(), "") == new
    keys.kept_path(filled.path, keys.key_check(new)).unlink()
    with Store.open(filled.path) as restored:
        assert restored.vault.surrogate("a") == 1
        assert Erasures(restored).states(["gone"]) == {"gone": ERASED}


def test_whom_the_backups_list_names_is_forgotten_in_what_is_kept_of_the_store(
    filled: Store, saved: Path, tmp_path: Path
) -> None:
    """Somebody erased where the backup was made, and not here."""
    lookups = filled.vault.lookups(["a", "b"], "id")
    Erasures(filled).record(["a"], ERASED, 2)
    Erasures(filled).record(["b"], PURGED, 2)
    (tmp_path / "shop.db.erasures").rename(f"{saved}.erasures")
    filled.close()
    told = restore(saved, filled.path)
    assert (told["forgotten"], told["forgotten_in_replaced"]) == (2, 2)
    (aside,) = kept_before(filled.path)
    assert [each for each in lookups if each in aside.read_bytes()] == []
    assert [path.name for path in tmp_path.glob("*before-*")] == [aside.name]
    with Store.open(aside, beside=filled.path) as kept:
        assert [check for check in verify(kept) if not check.ok] == []
        assert (log.summary(kept).events, log.summary(kept).users) == (4, 1)
        assert len(log.decisions(kept, kinds=("users_erased",))) == 2


def test_no_copy_of_the_store_shows_what_was_purged_in_the_restored_one(
    store: Store, tmp_path: Path, events: Frame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "SEGMENT_ROWS", 1)
    with store.transaction(actor="ann") as tx:
        tx.append_behaviour(events({}, {}).with_columns(tx.surrogates(pl.Series(["a", "b"])).alias("user")))
        tx.number("kind", "view")
    assert len(segments.held(store, "behaviour")) == 1
    backup(store, tmp_path / "backup.db")
    Erasures(store).record(["b"], PURGED, 2)
    (tmp_path / "shop.db.erasures").rename(tmp_path / "backup.db.erasures")
    store.close()
    assert restore(tmp_path / "backup.db", store.path)["forgotten"] == 1
    with Store.open(store.path) as restored:
        assert list(segments.folder(restored).iterdir()) == []
        assert log.behaviour(restored)["user"].to_list() == [1]
        assert [check for check in verify(restored) if not check.ok] == []


def test_a_store_too_damaged_to_be_searched_is_kept_and_said(
    filled: Store, saved: Path, tamper: Callable[[Path, str], None]
) -> None:
    Erasures(filled).record(["a"], ERASED, 2)
    filled.close()
    tamper(filled.path, "UPDATE vault SET ciphertext = zeroblob(40)")
    told = restore(saved, filled.path)
    assert (told["forgotten"], told["forgotten_in_replaced"]) == (1, None)
    (aside,) = kept_before(filled.path)
    with Store.open(aside) as kept:
        assert kept.rows("SELECT DISTINCT ciphertext FROM vault") == [(bytes(40),)]
        assert kept.head() == 5
