"""Creating, opening, locking, committing and rolling back a store."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from db import bulk, log
from db.chain import verify
from db.errors import (
    NotAStore,
    StoreDamaged,
    StoreError,
    StoreExists,
    StoreFull,
    StoreLocked,
    StoreMissing,
    StoreTooNew,
)
from db.sqlite import explain
from db.store import Store
from db.version import SCHEMA_VERSION

Frame = Callable[..., pl.DataFrame]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_everything_a_store_writes_is_for_its_owner_alone(tmp_path: Path, events: Frame) -> None:
    old = os.umask(0)
    try:
        with Store.create(tmp_path / "shop.db") as store:
            with store.transaction(actor="ann") as tx:
                tx.append_behaviour(events(*({"user": user} for user in range(10_000))))
            with store.transaction(actor="ann"):
                modes = {path.name: mode(path) for path in tmp_path.rglob("*") if path.is_file()}
        assert {"shop.db", "shop.db.key", "shop.db-wal", "shop.db.lock.holder"} <= set(modes)
        assert set(modes.values()) == {0o600}
        assert mode(tmp_path / "shop.db.cache") == 0o700
    finally:
        os.umask(old)


def test_a_store_may_have_any_name(tmp_path: Path, events: Frame) -> None:
    path = tmp_path / "shop [1] #2 50%?.db"
    (tmp_path / f"{path.name}.staging-left").touch()
    with Store.create(path) as store:
        with store.transaction(actor="ann") as tx:
            tx.append_behaviour(events(*({"user": user} for user in range(10_000))))
        assert log.behaviour(store).height == 10_000
        assert [check for check in verify(store) if not check.ok] == []
    assert list(tmp_path.glob("*staging*")) == []


def test_create_refuses_what_is_there_and_leaves_it(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    path.write_text("precious")
    with pytest.raises(StoreExists, match="is there already"):
        Store.create(path)
    assert path.read_text() == "precious"
    assert not (tmp_path / "shop.db.key").exists()


def test_create_never_overwrites_a_key(tmp_path: Path) -> None:
    (tmp_path / "shop.db.key").write_text("the only key to something")
    with pytest.raises(StoreExists, match="only key"):
        Store.create(tmp_path / "shop.db")
    assert (tmp_path / "shop.db.key").read_text() == "the only key to something"
    assert not (tmp_path / "shop.db").exists()


def test_create_without_a_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreMissing, match="no folder"):
        Store.create(tmp_path / "nowhere" / "shop.db")


def test_create_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="32 bytes, not 5"):
        Store.create(tmp_path / "shop.db", key=b"short")
    assert list(tmp_path.iterdir()) == []


def test_open_tells_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(StoreMissing, match="no store at"):
        Store.open(tmp_path / "shop.db")
    assert not (tmp_path / "shop.db").exists()
    with pytest.raises(NotAStore, match="is a folder"):
        Store.open(tmp_path)
    empty = tmp_path / "empty.db"
    empty.touch()
    with pytest.raises(NotAStore, match="empty file"):
        Store.open(empty)
    text = tmp_path / "notes.txt"
    text.write_text("lorem ipsum " * 100)
    with pytest.raises(NotAStore, match="not a segtui store"):
        Store.open(text)
    other = tmp_path / "other.db"
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE t (a)")
    connection.close()
    with pytest.raises(NotAStore, match="another program"):
        Store.open(other)


def test_a_newer_version_is_refused(store: Store) -> None:
    store.connection.execute("PRAGMA user_version = 99")
    store.close()
    with pytest.raises(StoreTooNew, match=r"version 99.*upgrade segtui"):
        Store.open(store.path)


def test_an_older_version_is_migrated(store: Store) -> None:
    """A store made before its tables existed gets them when opened."""
    path = store.path.parent / "old.db"
    path.touch()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA application_id = 0x73677475")
    connection.close()
    with Store.open(path) as opened:
        assert opened.head() == 0
        assert opened.rows("PRAGMA user_version") == [(SCHEMA_VERSION,)]


def test_a_damaged_file_is_told(store: Store, events: Frame) -> None:
    with store.transaction(actor="ann") as tx:
        tx.append_behaviour(events(*({"user": user} for user in range(9_000))))
    store.close()
    with store.path.open("r+b") as file:
        file.seek(20 * 4096)
        file.write(b"\xff" * 4096 * 40)
    with pytest.raises(StoreDamaged, match="restore a backup"), Store.open(store.path) as opened:
        opened.rows("SELECT sum(user + occurred_at + late) FROM behaviour NOT INDEXED")


def test_an_exception_leaves_the_store_as_it_was(store: Store, events: Frame) -> None:
    before = store.chain_digest()
    with pytest.raises(ZeroDivisionError), store.transaction(actor="ann") as tx:  # noqa: PT012 (the body is the case)
        tx.append_behaviour(
            events({}).with_columns(
                tx.surrogates(pl.Series(["a"])).alias("user"), kind=tx.number("kind", "view")
            )
        )
        tx.append_decision("promoted", {})
        raise ZeroDivisionError
    assert (store.head(), store.chain_digest()) == (0, before)
    assert log.behaviour(store).is_empty()
    assert log.summary(store).events == 0
    assert store.vault.surrogate("a") is None
    with store.transaction(actor="ann") as tx:
        assert tx.number("kind", "search") == 1
        assert tx.append_decision("promoted", {}) == 1


def test_an_error_in_the_callers_own_files_is_not_the_stores(store: Store) -> None:
    with pytest.raises(PermissionError), store.transaction(actor="ann"):
        raise PermissionError(13, "Permission denied", "import.csv")


def test_a_transaction_that_appends_nothing_writes_no_commit(store: Store) -> None:
    with store.transaction(actor="ann"):
        pass
    assert log.commits(store) == []


def test_words_alone_are_committed_and_chained(store: Store) -> None:
    with store.transaction(actor="ann") as tx:
        tx.number("label", "high")
    assert store.head() == 0
    (commit,) = log.commits(store)
    assert (commit.vocabulary_first, commit.vocabulary_last) == (1, 1)
    assert all(check.ok for check in verify(store))


def test_transactions_do_not_nest(store: Store) -> None:
    with (
        store.transaction(actor="ann"),
        pytest.raises(ValueError, match="open already"),
        store.transaction(actor="ann"),
    ):
        pass


def test_a_reader_sees_the_new_commit_and_is_told(store: Store, events: Frame) -> None:
    with Store.open(store.path) as reader:
        version = reader.data_version()
        assert log.summary(reader).events == 0
        with store.transaction(actor="ann") as tx:
            tx.append_behaviour(events({}))
            assert log.behaviour(reader).is_empty()
        assert reader.data_version() != version
        assert log.behaviour(reader).height == 1
        assert reader.chain_digest() == store.chain_digest()


def test_reading_shows_one_state_whatever_is_committed_meanwhile(store: Store, events: Frame) -> None:
    with Store.open(store.path) as reader, reader.reading():
        assert reader.head() == 0
        with store.transaction(actor="ann") as tx:
            tx.append_behaviour(events(*({"user": user} for user in range(10_000))))
        assert reader.head() == 0
        assert log.behaviour(reader).is_empty()


def test_a_second_writer_is_told_who_holds_the_store_and_since_when(store: Store) -> None:
    with (
        Store.open(store.path) as second,
        store.transaction(actor="ann"),
        pytest.raises(
            StoreLocked, match=rf"Process {os.getpid()} \(.+\) holds the store since \d{{4}}-\d\d-\d\d .*UTC"
        ),
        second.transaction(actor="bob", wait=0.05),
    ):
        pass


def test_a_second_writer_waits_for_its_turn(store: Store) -> None:
    inside, done = threading.Event(), []

    def write() -> None:
        with Store.open(store.path) as second:
            inside.set()
            with second.transaction(actor="bob") as tx:
                done.append(tx.append_decision("noted", {}))

    with store.transaction(actor="ann") as tx:
        thread = threading.Thread(target=write)
        thread.start()
        inside.wait()
        tx.append_decision("noted", {})
        assert done == []
    thread.join()
    assert done == [2]
    assert [commit.actor for commit in log.commits(store)] == ["ann", "bob"]
    assert all(check.ok for check in verify(store))


def test_another_program_holding_the_file_is_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.connection.execute("PRAGMA busy_timeout = 0")
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreLocked, match="another program"), store.transaction(actor="ann"):
        pass
    other.close()


@pytest.mark.parametrize("rows", [5, 20_000])
def test_a_full_disk_is_told_and_leaves_the_store_as_it_was(store: Store, events: Frame, rows: int) -> None:
    with store.transaction(actor="ann") as tx:
        tx.append_behaviour(events({}))
    before = store.chain_digest()
    pages = store.rows("PRAGMA page_count")[0][0]
    store.connection.execute(f"PRAGMA max_page_count = {pages}")
    with (  # noqa: PT012 (which append meets the end of the disk depends on the rows)
        pytest.raises(StoreFull, match=r"No space left.*nothing was written"),
        store.transaction(actor="ann") as tx,
    ):
        tx.append_behaviour(events(*({"user": user} for user in range(rows))))
        tx.append_decision("noted", {"text": "x" * 100_000})
    assert store.chain_digest() == before
    assert log.behaviour(store).height == 1
    store.connection.execute("PRAGMA max_page_count = 1000000")
    assert all(check.ok for check in verify(store))
    assert list(store.path.parent.glob("*staging*")) == []


def test_a_disk_that_fills_up_under_the_staging_file_is_told(
    store: Store, events: Frame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "PRAGMAS", (*bulk.PRAGMAS, "max_page_count = 9"))
    with pytest.raises(StoreFull, match="nothing was written"), store.transaction(actor="ann") as tx:
        tx.append_behaviour(events(*({"user": user} for user in range(20_000))))
    assert log.behaviour(store).is_empty()
    assert list(store.path.parent.glob("*staging*")) == []


def test_a_full_disk_raised_by_the_callers_own_query_is_told(store: Store) -> None:
    with pytest.raises(StoreFull), store.transaction(actor="ann"):
        raise sqlite3.OperationalError("database or disk is full")


def test_system_errors_become_sentences(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    assert isinstance(explain(OSError(28, "No space left on device"), path), StoreFull)
    assert isinstance(explain(PermissionError(13, "Permission denied"), path), StoreFull)
    assert isinstance(
        explain(sqlite3.OperationalError("attempt to write a readonly database"), path), StoreFull
    )
    assert explain(FileNotFoundError(2, "No such file"), path) is None
    assert explain(sqlite3.IntegrityError("behaviour is append-only"), path) is None


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="takes root to give up the right to write")
def test_a_store_in_a_folder_without_write_permission_reads_and_says_why_it_cannot_write(
    store: Store, events: Frame
) -> None:
    with store.transaction(actor="ann") as tx:
        tx.append_behaviour(events({}))
    store.close()
    (store.path.parent / "shop.db.lock").unlink(missing_ok=True)
    for path in (store.path.parent, *store.path.parent.parents):
        if path.stat().st_uid == 0 and str(path).startswith(("/tmp/", "/var/")):
            path.chmod(0o755)
    store.path.chmod(0o644)
    done = run(
        """
        import os, sys
        from pathlib import Path
        from db import log
        from db.errors import StoreFull
        from db.store import Store
        path = Path(sys.argv[1])
        os.setuid(65534)
        with Store.open(path) as store:
            print(log.behaviour(store).height)
            try:
                with store.transaction(actor="bob", wait=0):
                    pass
            except StoreFull as error:
                print(error)
        try:
            Store.create(path.parent / "new.db")
        except StoreFull as error:
            print(error)
        """,
        str(store.path),
    )
    assert done.stderr == ""
    height, write, create = done.stdout.splitlines()
    assert height == "1"
    assert "cannot be written: check the permissions" in write
    assert "cannot be written: check the permissions" in create


KILLED = """
    import os, signal, sys
    from pathlib import Path
    import polars as pl
    from db import log
    from db.store import Store

    def rows(count):
        names = [name for name in log.BEHAVIOUR if name != "seq"]
        values = {"user": list(range(count)), "occurred_at": 1, "kind": 1, "late": 0}
        return pl.DataFrame({name: values.get(name) for name in names})

    with Store.open(Path(sys.argv[1])) as store:
        if sys.argv[2] == "staging":
            import db.bulk
            db.bulk._ingest = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        if sys.argv[2] == "after":
            Store._keep_up = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        with store.transaction(actor="doomed") as tx:
            tx.append_behaviour(rows(20_000))
            tx.append_decision("noted", {})
            if sys.argv[2] == "inside":
                os.kill(os.getpid(), signal.SIGKILL)
            if sys.argv[2] == "commit":
                tx.finish()
                os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(
    ("moment", "events_left"), [("staging", 3), ("inside", 3), ("commit", 3), ("after", 20_003)]
)
def test_kill_9_loses_no_commit_and_leaves_no_half_of_one(
    store: Store, events: Frame, moment: str, events_left: int
) -> None:
    with store.transaction(actor="ann") as tx:
        tx.append_behaviour(events({}, {}, {}))
    store.close()
    assert run(KILLED, str(store.path), moment).returncode == -signal.SIGKILL
    with Store.open(store.path) as opened:
        assert log.behaviour(opened).height == events_left
        assert log.summary(opened).events == events_left
        assert [check for check in verify(opened) if not check.ok] == []
        with opened.transaction(actor="ann") as tx:
            tx.append_behaviour(events({}))
        assert log.behaviour(opened).height == events_left + 1
        assert [check for check in verify(opened) if not check.ok] == []
    assert list(store.path.parent.glob("*staging*")) == []
