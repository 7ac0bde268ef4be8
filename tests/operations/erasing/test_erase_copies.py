"""Forgetting reaches the copies kept aside, and holds for what a restore or another history brings."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import pytest

from db import log
from db.backup import backup
from db.copies import kept_before
from db.errors import StoreDamaged
from db.store import Store
from segtui.operations.erase import erase
from segtui.operations.ingest import import_files
from segtui.operations.key import rotate
from segtui.operations.rescore import rescore
from segtui.operations.restore import restore
from tests.operations.erasing.conftest import DAYS, WHO, found, holders, purchase, sound


@pytest.mark.parametrize("purge", [False, True])
def test_a_restore_of_an_older_backup_does_not_bring_them_back(peopled, tmp_path: Path, purge: bool) -> None:
    with peopled.open() as s:
        gone = s.user(WHO)
        others = pl.col("user") != gone
        lookup, sealed = s.store.rows("SELECT lookup, ciphertext FROM vault WHERE user = ?", (gone,))[0]
        before = holders(s)
        older = backup(s.store, tmp_path / "older.db")
        erase(s, [WHO], purge=purge)
    assert sealed in (tmp_path / "older.db").read_bytes()
    told = restore(tmp_path / "older.db", peopled.path)
    assert told["forgotten"] == 1
    assert told["position"] > older["position"]
    with peopled.open() as s:
        assert s.store.vault.surrogate(WHO) is None
        assert holders(s).equals(before.filter(others))
        assert log.behaviour(s.store).filter(~others).height == (0 if purge else DAYS)
        assert found(peopled.path.parent, lookup, sealed) == []
        sound(s)
        assert rescore(s, full=True)["changed"] == 0


def test_a_restore_obeys_erasures_of_both_kinds(peopled, tmp_path: Path) -> None:
    with peopled.open() as s:
        backup(s.store, tmp_path / "older.db")
        gone = [s.user(WHO), s.user("customer-3")]
        erase(s, [WHO], purge=True)
        erase(s, ["customer-3"])
    assert restore(tmp_path / "older.db", peopled.path)["forgotten"] == 2
    with peopled.open() as s:
        assert not set(gone) & set(holders(s)["user"].to_list())
        assert log.behaviour(s.store, users=gone)["user"].unique().to_list() == gone[1:]
        sound(s)


def test_a_copy_kept_aside_can_be_restored_after_it_was_made_to_forget(peopled) -> None:
    with peopled.open() as s:
        others = pl.col("user") != s.user(WHO)
        before = holders(s)
        backup(s.store, Path(f"{peopled.path}.before-version-2-20260101T000000"))
        erase(s, [WHO])
    (aside,) = kept_before(peopled.path)
    assert restore(aside, peopled.path)["forgotten"] == 1
    with peopled.open() as s:
        assert holders(s).equals(before.filter(others))
        sound(s)


def test_a_purge_by_number_is_remembered_by_a_restore(peopled, tmp_path: Path) -> None:
    aside = Path(f"{peopled.path}.before-version-2-20260101T000000")
    with peopled.open() as s:
        gone, other = s.user(WHO), s.user("customer-1")
        backup(s.store, tmp_path / "older.db")
        backup(s.store, aside)
        what = s.store.rows("SELECT source_id FROM behaviour WHERE user = ? LIMIT 1", (gone,))[0]
        erase(s, [WHO])
        assert found(peopled.path.parent, *what) == [*what]
        assert erase(s, [f"#{gone}"], purge=True)["removed"] == [str(aside)]
        assert found(peopled.path.parent, *what) == []
        rows = log.behaviour(s.store)
    assert restore(tmp_path / "older.db", peopled.path)["forgotten"] == 1
    with peopled.open() as s:
        assert log.behaviour(s.store, users=[gone]).is_empty()
        assert log.behaviour(s.store).equals(rows)
        assert log.behaviour(s.store, users=[other]).height == DAYS
        sound(s)


def test_a_number_of_another_history_is_somebody_else(peopled, write, make_shop) -> None:
    """After a restore the same number may be given to another person."""
    more = [write([purchase(who, 6.5, 3)], f"{who}.ndjson") for who in ("hers", "his")]
    with peopled.open() as s:
        backup(s.store, peopled.path.with_name("older.db"))
        import_files(s, [more[0]], format="events")
        number = s.user("hers")
        erase(s, ["hers"])
        erase(s, [f"#{number}"], purge=True)
    restore(peopled.path.with_name("older.db"), peopled.path)
    with peopled.open() as s:
        import_files(s, [more[1]], format="events")
        assert s.user("his") == number
        backup(s.store, peopled.path.with_name("newer.db"))
    assert restore(peopled.path.with_name("newer.db"), peopled.path)["forgotten"] == 0
    with peopled.open() as s:
        assert log.behaviour(s.store, users=[number]).height == 1


def test_a_copy_kept_aside_is_searched_with_its_own_key(peopled) -> None:
    with peopled.open() as s:
        backup(s.store, Path(f"{peopled.path}.before-version-2-20260101T000000"))
        rotate(s)
        erase(s, [WHO])
    (aside,) = kept_before(peopled.path)
    with Store.open(aside, beside=peopled.path) as copy:
        assert copy.vault.surrogate(WHO) is None
        assert copy.vault.surrogate("customer-1") is not None


def test_what_sqlite_keeps_beside_a_copy_is_part_of_it(peopled) -> None:
    aside = Path(f"{peopled.path}.before-restore-20260101T000000")
    with peopled.open() as s:
        gone = s.user(WHO)
        sealed = s.store.rows("SELECT ciphertext FROM vault WHERE user = ?", (gone,))[0][0]
        # As they stand while someone writes: a file, and its write-ahead log with the newest commit.
        for suffix in ("", "-wal"):
            shutil.copy(f"{peopled.path}{suffix}", f"{aside}{suffix}")
        erase(s, [WHO])
    assert found(peopled.path.parent, sealed) == []
    assert restore(aside, peopled.path)["forgotten"] == 1
    with peopled.open() as s:
        sound(s)


def test_nobody_is_erased_while_a_copy_cannot_be_searched(peopled) -> None:
    aside = Path(f"{peopled.path}.before-restore-20260101T000000")
    aside.write_bytes(b"not a database at all" * 500)
    with peopled.open() as s:
        with pytest.raises(StoreDamaged, match="cannot be read, so nobody can be forgotten in it"):
            erase(s, [WHO])
        assert s.user(WHO)
        aside.unlink()
        assert erase(s, [WHO])["persons"] == 1
