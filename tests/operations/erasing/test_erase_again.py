"""Erasing who was erased before, and what a restore of an older backup makes of it."""

import json
import re
from pathlib import Path

import pytest

from db import log
from db.backup import backup
from db.erasures import erasures_path
from db.errors import StoreDamaged
from segtui.operations.erase import erase
from segtui.operations.ingest import import_files
from segtui.operations.restore import restore
from segtui.operations.verify import verify

ORDER = b"order-of-hers"
BOUGHT = {"time": "2026-01-06", "kind": "purchase", "amount": 5, "currency": "EUR"}
ROWS = (
    BOUGHT | {"user": "ann@x.eu", "order": ORDER.decode()},
    BOUGHT | {"user": "bob"},
    {"user": "ann@x.eu", "time": "2026-01-07", "kind": "alias", "previous": "ann-2"},
)


@pytest.fixture
def older(shop, tmp_path: Path) -> Path:
    """A backup of a shop of two persons, one of whom has two ids."""
    shop.at(20)
    rows = tmp_path / "rows.ndjson"
    rows.write_text("".join(f"{json.dumps(each)}\n" for each in ROWS))
    with shop.open() as s:
        import_files(s, [rows], format="events")
        backup(s.store, tmp_path / "older.db")
    return tmp_path / "older.db"


def test_a_purge_of_who_was_erased_holds_for_what_a_restore_brings(shop, older: Path) -> None:
    with shop.open() as s:
        assert erase(s, ["ann@x.eu"])["persons"] == 1
        told = erase(s, ["ann@x.eu"], purge=True)
        assert (told["persons"], told["already"], told["seq"]) == (0, 1, None)
    restore(older, shop.path)
    with shop.open() as s:
        assert log.behaviour(s.store).height == 1
        assert ORDER not in shop.path.read_bytes()
        assert verify(s, deep=True)["ok"]


def test_a_dry_run_of_such_a_purge_notes_nothing(shop, older: Path) -> None:
    with shop.open() as s:
        erase(s, ["ann@x.eu"])
        listed = erasures_path(shop.path).read_bytes()
        erase(s, ["ann@x.eu"], purge=True, dry_run=True)
        assert erasures_path(shop.path).read_bytes() == listed


def test_a_restore_counts_persons_however_many_ids_they_have(shop, older: Path) -> None:
    with shop.open() as s:
        told = erase(s, ["ann-2"])
        assert (told["persons"], told["identities"]) == (1, 2)
    assert restore(older, shop.path)["forgotten"] == 1
    with shop.open() as s:
        body = log.decisions(s.store, kinds=("users_erased",))[-1].body
        assert (body["persons"], body["identities"]) == (1, 2)


def test_a_damaged_list_of_the_erased_is_named(shop, older: Path) -> None:
    with shop.open() as s:
        erase(s, ["bob"])
    listed = erasures_path(shop.path)
    listed.write_text("garbage")
    with pytest.raises(StoreDamaged, match=f"{re.escape(str(listed))} is not a list"):
        restore(older, shop.path)
