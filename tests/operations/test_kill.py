"""kill -9 at any moment of an import: it is there whole or not at all, and what was acknowledged is there."""

import json
import os
import random
import select
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import suppress

import pytest

from db import log
from segtui.operations.ingest import import_files
from segtui.operations.init import init
from segtui.operations.session import open_session
from segtui.operations.verify import verify

NURSERY = """
    import os, signal, sys
    from pathlib import Path
    import adbc_driver_sqlite.dbapi, pyarrow.parquet
    from db import bulk, segments, spill
    from segtui.operations import ingest_rows
    from segtui.operations.ingest import import_files
    from segtui.operations.session import open_session

    # Small files go every way that large ones go.
    bulk.BULK_ROWS = segments.SEGMENT_ROWS = ingest_rows.PART_ROWS = 500
    spill.HELD_BYTES = 50_000
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        store, file = map(Path, line.rstrip("\\n").split("\\t"))
        child = os.fork()
        if child == 0:
            with open_session(store) as s:
                told = import_files(s, [file], format="events")
            os.write(1, f"done {told['accepted']}\\n".encode())
            os._exit(0)
        os.write(1, f"born {child}\\n".encode())
"""


class Nursery:
    """A process that forks one for each import, which is quicker than starting Python each time."""

    def __init__(self):
        self._process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(NURSERY)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        self._read = b""

    def start(self, store, file):
        """Begins an import; returns its process id."""
        self._process.stdin.write(f"{store}\t{file}\n".encode())
        word, child = self.line(60).split()
        assert word == "born"
        return int(child)

    def line(self, seconds):
        """The next line that comes within that time, else None."""
        until = time.monotonic() + seconds
        while b"\n" not in self._read:
            ready, _, _ = select.select([self._process.stdout], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                return None
            self._read += os.read(self._process.stdout.fileno(), 4_096)
        line, self._read = self._read.split(b"\n", 1)
        return line.decode()

    def close(self):
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()


@pytest.fixture
def nursery():
    made = Nursery()
    yield made
    made.close()


def write(path, rows, seed):
    """Event lines: some with an id that changes, some in sessions, one that cannot be read."""
    draw = random.Random(seed)
    with path.open("w") as file:
        for _ in range(rows):
            event = {
                "user": f"u{draw.randrange(rows // 10)}",
                "time": f"2026-01-{draw.randrange(1, 29):02}T{draw.randrange(24):02}:00:00Z",
                "kind": draw.choice(["view", "purchase"]),
                "item": f"i{draw.randrange(50)}",
                "amount": draw.randrange(1, 100),
                "session": f"s{draw.randrange(5)}",
            }
            if draw.random() < 0.3:
                event["id"] = f"e{draw.randrange(rows)}"
            file.write(json.dumps(event) + "\n")
        file.write("{\n")
    return path


def dead(process):
    with suppress(ProcessLookupError):
        while True:
            os.kill(process, 0)
            time.sleep(0.002)


@pytest.mark.parametrize(
    ("kills", "rows"), [(20, 3_000), pytest.param(200, 12_000, marks=pytest.mark.soak)], ids=str
)
@pytest.mark.timeout(3_600)
def test_an_import_that_is_killed_leaves_all_of_it_or_nothing(tmp_path, monkeypatch, nursery, kills, rows):
    monkeypatch.setenv("SEGTUI_NOW", "1772000000000000")
    files = [write(tmp_path / f"{at}.ndjson", rows, at) for at in range(2)]
    whole = tmp_path / "whole.db"
    init(whole, clock="data", currency="EUR")
    with open_session(whole) as s:
        counts = [import_files(s, [file], format="events")["accepted"] for file in files]
        wanted = import_files(s, files, format="events")["content_digest"]
        events = log.summary(s.store).events
    draw = random.Random(7)
    seconds, outcomes = None, set()
    for number in range(kills + 1):
        folder = tmp_path / f"shop-{number}"
        folder.mkdir()
        store = folder / "shop.db"
        init(store, clock="data", currency="EUR")
        with open_session(store) as s:
            import_files(s, files[:1], format="events")
            before = log.summary(s.store).events
        began = time.monotonic()
        process = nursery.start(store, files[1])
        if seconds is None:
            # The first one is let be, to know how long the others may take.
            assert nursery.line(600) == f"done {counts[1]}"
            seconds = time.monotonic() - began
        told = nursery.line(draw.uniform(0, seconds))
        if told is None:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        dead(process)
        acknowledged = told or nursery.line(0)
        with open_session(store) as s:
            found = log.summary(s.store).events
            assert found in (before, events)
            assert found == events or acknowledged is None
            outcomes.add(found == events)
            assert [check for check in verify(s)["checks"] if not check["ok"]] == []
            import_files(s, files[1:], format="events")
            again = import_files(s, files, format="events")
            assert (again["accepted"], again["changed"]) == (0, 0)
            assert again["content_digest"] == wanted
            assert [check for check in verify(s)["checks"] if not check["ok"]] == []
        assert list(folder.glob("*.staging-*")) == []
        assert list((folder / "shop.db.cache").glob("*.draft")) == []
    assert outcomes == {True, False}
