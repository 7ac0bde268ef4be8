"""Two writers and four readers, each in a process: nothing is lost, and nobody meets a locked database."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from db import log
from db.store import Store
from segtui.operations.session import open_session
from segtui.operations.verify import verify

ROOT = Path(__file__).parents[2]
COMMON = """
import json, sys, time
from pathlib import Path
from db.store import Store
from segtui.operations.session import open_session
path, name, seconds = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
end, turn = time.monotonic() + seconds, 0
def told(**what):
    print(json.dumps({"name": name, **what}), flush=True)
"""
IMPORTER = (
    COMMON
    + """
from segtui.operations.ingest import import_files
while time.monotonic() < end or turn < 2:
    turn += 1
    file = path.with_name(f"{name}-{turn}.ndjson")
    lines = [
        {"user": f"u{n % 40}", "time": f"2026-01-{1 + n % 28:02}T10:00:00Z", "kind": "purchase", "amount": n,
         "currency": "EUR", "id": f"{name}-{turn}-{n}"}
        for n in range(1, 60)
    ]
    file.write_text("".join(json.dumps(line) + "\\n" for line in lines))
    with open_session(path) as s:
        result = import_files(s, [file], format="events", source=name)
    told(accepted=result["accepted"], last_seq=result["last_seq"])
"""
)
RESCORER = (
    COMMON
    + """
from segtui.operations.rescore import rescore
while time.monotonic() < end or turn < 2:
    turn += 1
    with open_session(path) as s:
        seq = rescore(s, full=True)["position"]
        with s.store.transaction(actor=name) as tx:
            seq = tx.append_decision("noted", {"name": name, "turn": turn})
    told(seq=seq, turn=turn)
"""
)
READER = (
    COMMON
    + """
from segtui.operations.changes import changes
from segtui.operations.members import members
from segtui.operations.segments import segments
from segtui.operations.status import status
from segtui.operations.verify import verify
with Store.open(path) as kept:
    last = 0
    while time.monotonic() < end or turn < 2:
        turn += 1
        with open_session(path) as s:
            status(s), segments(s), members(s, "value=high"), list(changes(s, first=True))
            assert turn % 10 or verify(s)["ok"], [c for c in verify(s)["checks"] if not c["ok"]]
        with kept.reading():
            head = kept.head()
            assert head >= last and len(kept.rows("SELECT seq FROM log")) == head
        last = head
    told(turns=turn)
"""
)


def start(script: str, path: Path, name: str, seconds: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, str(path), name, str(seconds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | {"SEGTUI_WAIT": "60", "SEGTUI_ACTOR": name},
    )


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("seconds", "readers"), [(2.0, 2), pytest.param(60.0, 4, marks=pytest.mark.soak)], ids=str
)
def test_writers_and_readers_side_by_side(shop: Any, seconds: float, readers: int) -> None:
    shop.at(40)
    shop.events([("u1", 1, "purchase", 20.0), ("u2", 2, "purchase", 90.0)])
    scripts = {"importer": IMPORTER, "rescorer": RESCORER}
    scripts |= {f"reader{n}": READER for n in range(readers)}
    running = {name: start(script, shop.path, name, seconds) for name, script in scripts.items()}
    for each in running.values():
        assert each.stdout is not None
        assert each.stdout.readline() == "ready\n"
    for each in running.values():
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()
    ended = {name: each.communicate(timeout=seconds + 300) for name, each in running.items()}
    assert {name: err for name, (_, err) in ended.items() if running[name].returncode} == {}
    assert all("locked" not in err for _, err in ended.values())
    told = {name: [json.loads(line) for line in out.splitlines()] for name, (out, _) in ended.items()}
    with open_session(shop.path) as s:
        result = verify(s, deep=seconds < 10)
        assert result["ok"], [check for check in result["checks"] if not check["ok"]]
        assert log.summary(s.store).events == 2 + sum(each["accepted"] for each in told["importer"])
        noted = [each.body["turn"] for each in log.decisions(s.store, kinds=("noted",))]
        assert noted == [each["turn"] for each in told["rescorer"]]
    assert all(out for out in told.values())


def test_who_waits_says_for_whom_and_gets_its_turn(
    shop: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("db.lock.QUIET_SECONDS", 0.05)
    script = """
import sys
from pathlib import Path
from db.store import Store
with Store.open(Path(sys.argv[1])) as store, store.transaction(actor="ann") as tx:
    tx.append_decision("noted", {})
    print("writing", flush=True)
    sys.stdin.readline()
"""
    other = start(script, shop.path, "", 0)
    assert other.stdout is not None
    assert other.stdin is not None
    assert other.stdout.readline() == "writing\n"
    seen: list[str] = []

    def let_go(record: Any) -> bool:
        seen.append(record.getMessage())
        other.stdin.write("done\n")
        other.stdin.flush()
        return True

    with (
        caplog.filtering(type("Filter", (), {"filter": staticmethod(let_go)})()),
        Store.open(shop.path) as store,
    ):
        before = store.head()
        with store.transaction(actor="bob", wait=60) as tx:
            assert tx.append_decision("noted", {}) == before + 2
    assert other.wait(60) == 0
    (message,) = seen
    assert f"Process {other.pid} " in message
    assert "holds the store since" in message
    assert "waiting for it, 60 s at most" in message
