"""An erasure that is killed: done whole by the next one, and never half."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from db import forgetting
from db.backup import backup
from segtui.operations.erase import erase
from segtui.operations.ingest import import_files
from segtui.operations.rescore import rescore
from segtui.operations.verify import verify

WHO = "customer-Zoe-77"
KILLED = """
    import os, signal, sys
    from pathlib import Path
    from db import forgetting, redactions
    from db.erasures import Erasures
    from db.store import Store
    from db.transaction import Transaction
    from segtui.operations import erase as operation, mentions
    from segtui.operations.session import open_session

    owner, name, when = sys.argv[2].split()
    owner = {"Erasures": Erasures, "Store": Store, "Transaction": Transaction, "mentions": mentions,
             "operation": operation, "redactions": redactions, "forgetting": forgetting}[owner]
    real = getattr(owner, name)
    def dying(*given, **told):
        if when == "after":
            real(*given, **told)
        os.kill(os.getpid(), signal.SIGKILL)
    setattr(owner, name, dying)
    with open_session(Path(sys.argv[1])) as s:
        operation.erase(s, ["customer-Zoe-77"], purge=True)
"""
MOMENTS = [
    "Erasures record after",
    "mentions remove after",
    "operation forget_aside after",
    "redactions cut after",
    "Transaction finish after",
    "Store _keep_up before",
    "forgetting wipe after",
]


def found(folder: Path, texts: list[bytes]) -> list[bytes]:
    contents = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    return [text for text in texts if any(text in content for content in contents)]


@pytest.mark.parametrize("moment", MOMENTS)
def test_what_a_killed_erasure_left_the_next_one_takes(shop, tmp_path_factory, moment: str) -> None:
    outside = tmp_path_factory.mktemp("outside") / "first.ndjson"
    lines = [
        {"user": user, "time": f"2026-01-0{day}", "kind": "purchase", "amount": day, "currency": "EUR"}
        for user in ("a", "b", WHO)
        for day in (5, 6, 7)
    ]
    bad = {"user": WHO, "time": "when?", "kind": "view", "mail": "zoe@example.org"}
    outside.write_text("".join(json.dumps(line) + "\n" for line in (*lines, bad)))
    shop.at(4)
    with shop.open() as s:
        import_files(s, [outside], format="events")
        rescore(s)
        row = s.store.rows("SELECT lookup, ciphertext FROM vault WHERE user = ?", (s.user(WHO),))[0]
        backup(s.store, Path(f"{shop.path}.before-version-2-20260101T000000"))
    traces = [WHO.encode(), b"zoe@example.org", *row]
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(shop.path), moment]
    done = subprocess.run(command, check=False, timeout=60, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    with shop.open() as s:
        assert [check for check in verify(s, deep=True)["checks"] if not check["ok"]] == []
        told = erase(s, [WHO], purge=True)
        # Killed after the commit, it was done: what the log's file still held goes with the next write.
        assert told["persons"] + told["already"] == 1
        with s.store.transaction(actor="test") as tx:
            tx.append_decision("noted", {})
        assert not forgetting.to_wipe(s.store)
        assert found(shop.path.parent, traces) == []
        assert import_files(s, [outside], format="events")["suppressed"] == 4
        assert [check for check in verify(s, deep=True)["checks"] if not check["ok"]] == []
    assert not [*shop.path.parent.rglob("*draft*"), *shop.path.parent.rglob("*staging*")]
