"""What killed processes left: gone when the writer's lock is taken next, and nothing else is."""

from __future__ import annotations

import gzip
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from db.asides import forget_aside
from db.backup import backup
from db.copies import kept_before
from db.leftovers import noted, sweep
from db.store import Store

KILLED = """
    import os, signal, sys
    from pathlib import Path
    from db import backup, copies
    from db.store import Store

    what, store, other, place = sys.argv[1], *map(Path, sys.argv[2:4]), sys.argv[4]
    def dying(*given, **told):
        os.kill(os.getpid(), signal.SIGKILL)
    setattr({"backup": backup, "copies": copies}[place.split(".")[0]], place.split(".")[1], dying)
    if what == "backup":
        with Store.open(store) as opened:
            backup.backup(opened, other)
    elif what == "restore":
        backup.restore(other, store)
    else:
        Store.open(store)
"""
OLD = Path(__file__).parent / "stores" / "version-1.db.gz"


@pytest.fixture
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for backups."""
    return tmp_path_factory.mktemp("backups")


def killed(what: str, store: Path, other: Path, place: str) -> None:
    command = [sys.executable, "-c", textwrap.dedent(KILLED), what, str(store), str(other), place]
    done = subprocess.run(command, check=False, timeout=60, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr


def write(store: Path) -> None:
    with Store.open(store) as opened, opened.transaction(actor="ann") as tx:
        tx.append_decision("noted", {})


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if "draft" in path.name or "making" in path.name}


@pytest.mark.parametrize("place", ["backup.verify", "backup.carry_erasures", "backup.put_in_place"])
def test_the_next_writer_removes_what_a_killed_backup_left_elsewhere(
    store: Store, tmp_path: Path, elsewhere: Path, place: str
) -> None:
    write(store.path)
    killed("backup", store.path, elsewhere / "monday.db", place)
    assert "monday.db.draft" in left(elsewhere)
    (elsewhere / "mine.draft").touch()
    write(store.path)
    assert left(elsewhere) == {"mine.draft"}
    assert left(tmp_path) == set()


@pytest.mark.parametrize("place", ["backup.verify", "backup.carry_erasures", "backup._write_over"])
def test_the_next_writer_removes_what_a_killed_restore_left(
    store: Store, tmp_path: Path, elsewhere: Path, place: str
) -> None:
    write(store.path)
    backup(store, elsewhere / "monday.db")
    killed("restore", store.path, elsewhere / "monday.db", place)
    assert "shop.db.draft" in left(tmp_path)
    write(store.path)
    assert left(tmp_path) == set()


def test_opening_again_removes_what_a_killed_migration_left(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    path.write_bytes(gzip.decompress(OLD.read_bytes()))
    killed("migrate", path, path, "copies.put_in_place")
    assert len(left(tmp_path)) == 1
    shutil.move(next(tmp_path.glob("*.draft")), f"{path}.before-version-3-20200101T000000.draft")
    Store.open(path).close()
    assert left(tmp_path) == set()


def test_a_backup_that_is_being_made_keeps_its_draft(store: Store, tmp_path: Path, elsewhere: Path) -> None:
    draft = elsewhere / "monday.db.draft"
    draft.touch()
    with noted(store.path, draft):
        write(store.path)
        assert draft.exists()
        assert len(left(tmp_path)) == 1
    assert left(tmp_path) == set()


def test_a_backup_is_made_where_no_note_can_be(store: Store, tmp_path: Path, elsewhere: Path) -> None:
    with noted(tmp_path / "no folder" / "shop.db", elsewhere / "draft"):
        pass
    assert left(tmp_path) == set()


def test_nothing_but_what_this_store_left_is_swept(store: Store, tmp_path: Path) -> None:
    gone = [
        "shop.db.draft",
        "shop.db.draft-wal",
        "shop.db.draft.lock",
        "shop.db.erasures.draft",
        "shop.db.key.abc12_de.draft",
        "shop.db.before-restore-20260101T000000.draft",
        "shop.db.before-version-12-20260101T000000-2.draft-journal",
        "shop.db.staging-1234",
    ]
    kept = [
        "shop.db2.draft",
        "other.db.draft",
        "shop.db.before-monday.draft",
        "shop.db.before-restore-20260101T000000",
        "shop.db.key.12345678",
        "shop.db.draftsman",
        "shopXdb.draft",
    ]
    for name in (*gone, *kept):
        (tmp_path / name).touch()
    sweep(store.path)
    assert {path.name for path in tmp_path.iterdir()} & {*gone, *kept} == set(kept)


def test_what_stands_beside_a_copy_that_was_opened_is_no_copy(store: Store, tmp_path: Path) -> None:
    write(store.path)
    aside = Path(f"{store.path}.before-restore-20260101T000000")
    backup(store, aside)
    write(aside)
    beside = [Path(f"{aside}{each}") for each in (".lock", "-journal", "-wal", ".quarantine.ndjson")]
    for path in (*beside, tmp_path / "shop.db.before-christmas"):
        path.touch()
    assert kept_before(store.path) == [aside]
    assert forget_aside(store, ["nobody"], purge=False) == []
