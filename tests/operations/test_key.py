"""Rotating the key: whenever it is killed, the store opens with a key that is there."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from db import keys
from db.chain import verify
from db.content import content_digest
from db.errors import KeyWrong
from segtui.operations.errors import OperationError
from segtui.operations.init import init
from segtui.operations.key import rotate
from segtui.operations.session import open_session

ROWS = [(f"c-{number}", 0.1, "purchase", 5) for number in range(40)]
KILLED = """
    import os, signal, sys
    from pathlib import Path
    from db import keys
    from db.store import Store
    from db.vault import Vault
    from segtui.operations.key import rotate
    from segtui.operations.session import open_session

    moment = sys.argv[2]
    def die(*arguments, **options):
        os.kill(os.getpid(), signal.SIGKILL)
    def before(owner, name):
        setattr(owner, name, die)
    def after(owner, name):
        real = getattr(owner, name)
        setattr(owner, name, lambda *given, **told: (real(*given, **told), die()))
    {
        "proposing": lambda: before(keys, "propose"),
        "proposed": lambda: after(keys, "propose"),
        "resealed": lambda: after(Vault, "reseal"),
        "committed": lambda: before(Store, "_keep_up"),
        "retired": lambda: after(keys, "retire"),
        "settled": lambda: after(keys, "settle"),
    }[moment]()
    if moment == "settled":  # not the settling before, which has nothing to do
        real, killing = keys.settle, keys.settle
        calls = []
        keys.settle = lambda *given: (calls.append(1), killing(*given) if len(calls) > 1 else None)
    with open_session(Path(sys.argv[1])) as s:
        rotate(s)
"""


@pytest.mark.parametrize("moment", ["proposing", "proposed", "resealed", "committed", "retired", "settled"])
def test_a_rotation_killed_anywhere_leaves_a_store_that_opens(shop, moment: str) -> None:
    shop.events(ROWS)
    with shop.open() as s:
        digest = content_digest(s.store)
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(shop.path), moment]
    assert subprocess.run(command, check=False, timeout=60).returncode == -signal.SIGKILL
    with shop.open() as s:
        assert s.user("c-7") > 0
        assert content_digest(s.store) == digest
        assert [check for check in verify(s.store) if not check.ok] == []
    with shop.open() as s:
        told = rotate(s)
        assert told["entries"] == len(ROWS)
        assert s.user("c-7") > 0
    with shop.open() as s:
        assert content_digest(s.store) == digest
    assert keys.key_path(shop.path).exists()
    assert not keys.next_path(shop.path).exists()


def test_rotating_is_a_decision_and_keeps_the_old_key(shop) -> None:
    shop.events(ROWS)
    old = keys.key_path(shop.path).read_bytes()
    with shop.open() as s:
        told = rotate(s)
        assert s.store.rows("SELECT kind, body FROM decisions WHERE seq = ?", (told["seq"],)) == [
            ("key_rotated", '{"entries":40}')
        ]
    assert keys.key_path(shop.path).read_bytes() != old
    assert Path(told["old_key"]).read_bytes() == old
    assert shop.events(ROWS)["accepted"] == 0


def test_a_key_told_by_the_environment_is_replaced_by_one_told_there(
    shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.events(ROWS)
    old = keys.key_path(shop.path).read_text()
    keys.key_path(shop.path).unlink()
    monkeypatch.setenv("SEGTUI_KEY", old)
    with shop.open() as s, pytest.raises(OperationError, match="tell the new one in SEGTUI_NEW_KEY"):
        rotate(s)
    monkeypatch.setenv("SEGTUI_NEW_KEY", old)
    with shop.open() as s, pytest.raises(OperationError, match="holds the key the store has already"):
        rotate(s)
    new = bytes(range(32)).hex()
    monkeypatch.setenv("SEGTUI_NEW_KEY", new)
    with shop.open() as s:
        told = rotate(s)
    assert (told["key"], told["old_key"]) == ("SEGTUI_NEW_KEY", None)
    with shop.open() as s, pytest.raises(KeyWrong):
        s.user("c-7")
    monkeypatch.setenv("SEGTUI_KEY", new)
    with shop.open() as s:
        assert s.user("c-7") > 0
    assert list(shop.path.parent.glob("*.key*")) == []


def test_a_store_without_a_vault_has_nothing_to_rotate(tmp_path: Path) -> None:
    init(tmp_path / "clear.db", vault=False)
    with open_session(tmp_path / "clear.db") as s, pytest.raises(OperationError, match="no key to rotate"):
        rotate(s)


def test_a_store_without_a_vault_tells_the_same_story(shop, tmp_path: Path) -> None:
    from segtui.operations.ingest import import_files
    from segtui.operations.status import status

    told = shop.events(ROWS)
    init(tmp_path / "clear.db", vault=False, currency="EUR", clock="wall")
    with open_session(tmp_path / "clear.db") as s:
        clear = import_files(s, [shop.path.with_name("events-0.ndjson")], format="events")
        assert clear["content_digest"] == told["content_digest"]
        assert status(s)["ids"] == "in clear: there is no vault"
        assert s.external([1]) == {1: "c-0"}
        assert [check for check in verify(s.store) if not check.ok] == []
    with open_session(tmp_path / "clear.db") as s:
        again = import_files(s, [shop.path.with_name("events-0.ndjson")], format="events")
        assert again["duplicates"] == len(ROWS)
