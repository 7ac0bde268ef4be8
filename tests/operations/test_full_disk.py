"""A disk that fills up anywhere in an import, and a folder that cannot be written: a sentence, no change."""

import json
import os
import shutil
import subprocess

import pytest

from db import bulk, log, segments, spill
from db.errors import StoreFull
from segtui.operations import ingest_rows
from segtui.operations.ingest import import_files
from segtui.operations.init import init
from segtui.operations.session import open_session
from segtui.operations.verify import verify

KIB = 1024


def events(path, rows, *, bad=0):
    """Event lines of a day, the last ones unreadable."""
    lines = [
        json.dumps(
            {"user": f"user-{at % 900}", "time": "2026-01-05T10:00:00Z", "kind": "view", "item": f"i{at}"}
        )
        for at in range(rows)
    ]
    path.write_text("".join(line + "\n" for line in lines + ['{"x": ' + "y" * 200] * bad))
    return path


def attempt(store, file):
    """Imports a file; returns why the disk refused it, or None."""
    try:
        with open_session(store) as s:
            import_files(s, [file], format="events")
    except StoreFull as error:
        return str(error)
    return None


@pytest.fixture
def disk(tmp_path):
    """disk(bytes, way): a small disk of its own, or the same one with another size, rw or ro."""
    where = tmp_path / "disk"
    where.mkdir()
    mount = shutil.which("mount")

    def sized(size, way="rw"):
        again = ["-o", "remount"] if where.is_mount() else []
        done = subprocess.run(
            [mount or "mount", "-t", "tmpfs", *again, "-o", f"size={size},{way}", "tmpfs", where],
            capture_output=True,
            check=False,
        )
        if done.returncode != 0:
            pytest.skip("takes the right to mount a small disk")
        return where

    if mount is None or os.geteuid() != 0:
        pytest.skip("takes the right to mount a small disk")
    yield sized
    if where.is_mount():
        subprocess.run(["umount", "-l", where], check=True)


@pytest.mark.parametrize("whole", [True, False], ids=["in one piece", "in many"])
def test_a_disk_that_fills_up_is_told_and_nothing_changed(disk, tmp_path, monkeypatch, whole):
    monkeypatch.setenv("SEGTUI_NOW", "1772000000000000")
    if not whole:
        monkeypatch.setattr(spill, "HELD_BYTES", 50_000)
        for module, name in ((bulk, "BULK_ROWS"), (segments, "SEGMENT_ROWS"), (ingest_rows, "PART_ROWS")):
            monkeypatch.setattr(module, name, 500)
    store = disk(64 * KIB * KIB) / "shop.db"
    first, more = events(tmp_path / "a.ndjson", 300), events(tmp_path / "b.ndjson", 6_000, bad=600)
    init(store, clock="data", currency="EUR")
    with open_session(store) as s:
        import_files(s, [first], format="events")
        s.store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        before = s.store.chain_digest(), log.summary(s.store)
    taken = shutil.disk_usage(store.parent).used
    refused = []
    for room in (0, 40, 160, 320, 640, 1_000, 1_400, 1_900, 2_500, 3_200):
        disk(taken + room * KIB)
        told = attempt(store, more)
        if told is None:
            break
        refused.append(told)
        disk(64 * KIB * KIB)
        with open_session(store) as s:
            assert (s.store.chain_digest(), log.summary(s.store)) == before
            assert [check for check in verify(s)["checks"] if not check["ok"]] == []
            s.store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        assert list(store.parent.glob("*staging*")) == []
    assert len(refused) >= 3
    assert all(told.startswith("No space left for ") and told.endswith("try again.") for told in refused)
    disk(64 * KIB * KIB)
    with open_session(store) as s:
        import_files(s, [more], format="events")
        assert log.summary(s.store).events == 6_000
        assert verify(s)["ok"]


def test_a_folder_that_became_read_only_is_told_and_nothing_changed(disk, tmp_path, monkeypatch):
    monkeypatch.setenv("SEGTUI_NOW", "1772000000000000")
    size = 64 * KIB * KIB
    store = disk(size) / "shop.db"
    init(store, clock="data", currency="EUR")
    with open_session(store) as s:
        import_files(s, [events(tmp_path / "a.ndjson", 300)], format="events")
        before = s.store.chain_digest()
    held = {path.name: path.read_bytes() for path in store.parent.iterdir() if path.is_file()}
    disk(size, "ro")
    more = events(tmp_path / "b.ndjson", 600, bad=1)
    with open_session(store) as s, pytest.raises(StoreFull, match="cannot be written: check the permissions"):
        import_files(s, [more], format="events")
    disk(size)
    assert {path.name: path.read_bytes() for path in store.parent.iterdir() if path.is_file()} == held
    with open_session(store) as s:
        assert s.store.chain_digest() == before
        assert import_files(s, [more], format="events")["accepted"] == 300
