"""kill -9 at any moment of an import: it is there whole or not at all, and what was acknowledged is there."""

import json
import os
import random
import select
import shutil
import subprocess
import sys
import textwrap
import time

import pytest

from db import log
from segtui.operations.ingest import import_files
from segtui.operations.init import init
from segtui.operations.session import open_session
from segtui.operations.verify import verify

IMPORT = """
    import sys
    from pathlib import Path
    import adbc_driver_sqlite.dbapi, pyarrow.parquet
    from db import bulk, segments, spill
    from segtui.operations import ingest_rows
    from segtui.operations.ingest import import_files
    from segtui.operations.session import open_session

    # Small files go every way that large ones go.
    bulk.BULK_ROWS = segments.SEGMENT_ROWS = ingest_rows.PART_ROWS = 500
    spill.HELD_BYTES = 50_000
    print("ready", flush=True)
    store, file = map(Path, sys.stdin.readline().rstrip("\\n").split("\\t"))
    with open_session(store) as s:
        told = import_files(s, [file], format="events")
    print("done", told["accepted"], flush=True)
"""


class Importer:
    """A process that has loaded all it needs, and imports one file when told.

    A process forked off a loaded one would start sooner, and now and then hang for ever: the threads that
    hold its locks are not forked with it.
    """

    def __init__(self):
        self._process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(IMPORT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        self._read = b""

    def begin(self, store, file):
        """Begins the import."""
        assert self.line(120) == "ready"
        self._process.stdin.write(f"{store}\t{file}\n".encode())

    def line(self, seconds):
        """The next line that comes within that time, else None."""
        until = time.monotonic() + seconds
        while b"\n" not in self._read:
            ready, _, _ = select.select([self._process.stdout], [], [], max(0.0, until - time.monotonic()))
            more = os.read(self._process.stdout.fileno(), 4_096) if ready else b""
            if not more:
                return None
            self._read += more
        line, self._read = self._read.split(b"\n", 1)
        return line.decode()

    def kill(self):
        """SIGKILL, unless it has ended; returns what it had said by then, once it is gone."""
        self._process.kill()
        self._process.wait(60)
        told = self.line(0)
        self._process.stdin.close()
        self._process.stdout.close()
        return told


class Nursery:
    """Keeps one importer ready, so that nobody waits for its start."""

    def __init__(self):
        self._next = Importer()

    def start(self, store, file):
        """An importer that has begun."""
        importer, self._next = self._next, Importer()
        importer.begin(store, file)
        return importer

    def close(self):
        self._next.kill()


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


@pytest.mark.parametrize(
    ("kills", "rows"),
    [(20, 3_000), pytest.param(200, 12_000, marks=[pytest.mark.soak, pytest.mark.timeout(3_600)])],
    ids=str,
)
def test_an_import_that_is_killed_leaves_all_of_it_or_nothing(tmp_path, monkeypatch, nursery, kills, rows):
    monkeypatch.setenv("SEGTUI_NOW", "1772000000000000")
    files = [write(tmp_path / f"{at}.ndjson", rows, at) for at in range(2)]
    begun = tmp_path / "begun"
    begun.mkdir()
    init(begun / "shop.db", clock="data", currency="EUR")
    with open_session(begun / "shop.db") as s:
        import_files(s, files[:1], format="events")
        before = log.summary(s.store).events
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
        shutil.copytree(begun, folder)
        store = folder / "shop.db"
        began = time.monotonic()
        process = nursery.start(store, files[1])
        if seconds is None:
            # The first one is let be, to know how long the others may take.
            told = process.line(600)
            assert told == f"done {counts[1]}"
            seconds = time.monotonic() - began
        else:
            told = process.line(draw.uniform(0, seconds))
        acknowledged = process.kill() or told
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
