"""kill -9 while a file is followed that grows at full speed: no line is lost, none is there twice."""

import json
import random
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from db import content, projections
from segtui.operations.follow import ingest, total
from segtui.operations.init import init
from segtui.operations.rescore import rescore
from segtui.operations.session import open_session
from segtui.operations.verify import verify

MOST_COMMITS = 2
LINES = 40 * (MOST_COMMITS + 1)
"""So many lines a life of the follower, which commits forty at once."""
FOLLOW = """
    import sys
    from pathlib import Path
    from segtui.operations.follow import ingest
    from segtui.operations.session import open_session

    with open_session(Path(sys.argv[1])) as s:
        print("ready", flush=True)
        for told in ingest(s, Path(sys.argv[2]), follow=True, rows=40, delay=0.01):
            print(told["offset"], flush=True)
"""


def write(path, rows):
    """Event lines, many of them alike, some with an id, some no events."""
    draw = random.Random(7)
    with path.open("w") as file:
        for number in range(rows):
            event = {
                "user": f"u{draw.randrange(30)}",
                "time": f"2026-01-{draw.randrange(1, 20):02}T{draw.randrange(24):02}:00:00Z",
                "kind": "purchase",
                "amount": draw.randrange(1, 5),
                "currency": "EUR",
            }
            if draw.random() < 0.3:
                event["id"] = f"e{draw.randrange(rows)}"
            file.write(
                ("" if draw.random() < 0.02 else json.dumps(event)) + f"{'' if number % 50 else 'bad'}\n"
            )


def left(store):
    """Digests of what is there, after a rescore."""
    with open_session(store) as s:
        rescore(s)
        found = verify(s)
        assert found["ok"], found["checks"]
        rows = s.store.rows("SELECT count(*) FROM behaviour")
        return rows, content.content_digest(s.store), projections.state_digest(s.store)


class Growing(threading.Thread):
    """Copies a file to another in pieces that end anywhere, as far as it may."""

    def __init__(self, whole, file):
        super().__init__(daemon=True)
        self._raw, self._file = whole.read_bytes(), file
        self._may, self._ended = 0, threading.Event()

    def run(self):
        draw, written = random.Random(1), 0
        with self._file.open("ab", buffering=0) as end:
            while written < len(self._raw):
                if written < self._may:
                    written += end.write(self._raw[written : written + draw.randrange(1, 700)])
                self._ended.wait(0.002)

    def more(self):
        """Lets it write on: enough for the commits that are waited for."""
        self._may += LINES * 100

    def end(self):
        """Writes the rest."""
        self._may = len(self._raw)
        self._ended.set()
        self.join()


def follow_killed(folder, kills, monkeypatch):
    """Follows a growing file through that many kills; compares with what an undisturbed run leaves."""
    monkeypatch.setenv("SEGTUI_NOW", "1768953600000000")
    whole, file = folder / "whole.ndjson", folder / "shop.log"
    write(whole, 2 * LINES * kills)
    draw = random.Random(kills)
    once, again = folder / "once.db", folder / "again.db"
    for store in (once, again):
        init(store, clock="wall")
    with open_session(once) as s:
        wanted = total(s, ingest(s, whole))
    file.touch()
    writer = Growing(whole, file)
    writer.start()
    offsets = []
    for _ in range(kills):
        follower = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(FOLLOW), again, file], stdout=subprocess.PIPE
        )
        assert follower.stdout.readline() == b"ready\n"
        writer.more()
        commits = draw.randrange(MOST_COMMITS + 1)
        offsets += [int(follower.stdout.readline() or 0) for _ in range(commits)]
        time.sleep(draw.uniform(0, 0.05))
        follower.kill()
        follower.wait(60)
        follower.stdout.close()
    writer.end()
    with open_session(again) as s:
        told = total(s, ingest(s, file))
    assert told["offset"] in (None, file.stat().st_size)
    assert offsets == sorted(offsets)
    assert wanted["accepted"] + wanted["changed"] > 100
    assert left(again) == left(once)


def test_a_follower_killed_now_and_then_loses_nothing(tmp_path, monkeypatch):
    follow_killed(tmp_path, 2, monkeypatch)


@pytest.mark.soak
@pytest.mark.timeout(3_600)
def test_a_follower_killed_a_hundred_times_loses_nothing(tmp_path, monkeypatch):
    follow_killed(tmp_path, 100, monkeypatch)
