"""Streams on the command line: how they end, and what they say on the way."""

import os
import signal
import threading
import time

import pytest

from db import log
from segtui.cli.streaming import unread
from segtui.operations.rescore import rescore
from segtui.operations.session import open_session
from tests.cli.conftest import shop_events, write_events


@pytest.fixture
def store(cli, tmp_path):
    """A store with a few events, never rescored."""
    path = tmp_path / "shop.db"
    assert cli("init", "--store", path).code == 0
    assert (
        cli("import", write_events(tmp_path / "few.ndjson", shop_events(5, 100, 1)), "--store", path).code
        == 0
    )
    return path


def told_when(ready, number, then=lambda: None):
    """Sends this process a signal once something is so."""

    def wait():
        until = time.monotonic() + 120
        while not ready() and time.monotonic() < until:
            time.sleep(0.02)
        then()
        os.kill(os.getpid(), number)

    threading.Thread(target=wait).start()


def counted(path, sql):
    """A count in a store that somebody else writes."""
    with open_session(path) as s:
        return s.store.rows(sql)[0][0]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_a_followed_file_is_committed_before_the_end(cli, store, tmp_path, number, code):
    file = write_events(tmp_path / "shop.log", shop_events(3, 30, 2))
    before = counted(store, "SELECT count(*) FROM behaviour")
    told_when(lambda: counted(store, "SELECT count(*) FROM behaviour") > before, number)
    ended = cli("ingest", file, "--follow", "--json", "--source", "log", "--store", store)
    assert ended.code == code, ended.err
    assert sum(each["accepted"] for each in ended.lines) == len(file.read_text().splitlines())
    assert ended.lines[-1]["offset"] == file.stat().st_size


def test_one_result_at_the_end_of_what_is_not_followed(cli, store, tmp_path):
    file = write_events(tmp_path / "shop.log", shop_events(3, 30, 2))
    told = cli("ingest", file, "--rows", 2, "--source", "log", "--json", "--store", store).document
    needed = (
        "rows accepted duplicates changed suppressed quarantined quarantine_file users first_seq last_seq"
    )
    assert told.keys() >= {*needed.split(), "content_digest", "seconds"}
    assert told["rows"] == told["accepted"] == len(file.read_text().splitlines())


def test_rescoring_follows_commits_until_it_is_told_to_stop(cli, store):
    scored = "SELECT count(*) FROM decisions WHERE kind = 'rescored'"
    told_when(lambda: counted(store, scored), signal.SIGTERM)
    ended = cli("rescore", "--follow", "--json", "--store", store)
    assert (ended.code, [each["changed"] for each in ended.lines]) == (0, [5])
    assert cli("rescore", "--follow", "--full", "--store", store).code == 2


def test_changes_are_told_as_they_happen_until_nobody_reads(cli, store, monkeypatch):
    def happen():
        time.sleep(0.2)
        with open_session(store) as s:
            rescore(s)
            assert log.changes(s.store).height == 5
        time.sleep(0.5)

    told_when(lambda: True, signal.SIGINT, happen)
    monkeypatch.setattr("segtui.cli.streaming.unread", lambda _: False)
    ended = cli("watch", "--first", "--json", "--store", store)
    assert ended.code == 130
    assert [each["from"] for each in ended.lines] == [None] * 5
    monkeypatch.setattr("segtui.cli.streaming.unread", lambda _: True)
    ended = cli("watch", "--json", "--store", store)
    assert (ended.code, ended.out) == (0, "")


def test_a_pipe_is_unread_once_its_reader_is_gone():
    reading, writing = os.pipe()
    assert not unread(writing)
    os.close(reading)
    assert unread(writing)
    os.close(writing)
