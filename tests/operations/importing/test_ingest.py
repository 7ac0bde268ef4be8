"""Importing: every row accounted for, all or nothing, first-import settings, sessions, attributes."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from db import log, vocabulary
from segtui.operations import ingest, reading
from segtui.operations.erase import erase
from segtui.operations.errors import OperationError
from segtui.operations.ingest import import_files
from segtui.operations.init import init
from segtui.operations.quarantine import Quarantine
from segtui.operations.session import open_session
from segtui.operations.status import status
from segtui.sources import files
from tests.operations.importing.conftest import adds_up, lines, purchase


def test_bad_rows_go_to_quarantine_with_line_and_reason_and_the_rest_goes_in(store, tmp_path):
    rows = [
        purchase("ann", 5),
        purchase("bob", 6) | {"time": "not a time"},
        purchase("cat", 7) | {"amount": "two"},
        "{broken",
        purchase("dan", 8),
    ]
    with open_session(store) as s:
        told = import_files(s, [lines(tmp_path / "events.ndjson", rows)], format="events")
        assert (told["rows"], told["accepted"], told["quarantined"]) == (5, 2, 3)
        assert adds_up(told)
        assert log.summary(s.store).events == 2
    kept = [json.loads(line) for line in Path(told["quarantine_file"]).read_text().splitlines()]
    assert [row["line"] for row in kept] == [2, 3, 4]
    assert all(row["reason"] and row["row"] for row in kept)
    assert oct(Path(told["quarantine_file"]).stat().st_mode & 0o777) == "0o600"


def test_reasons_in_the_log_hold_no_value_of_a_row(store, tmp_path):
    rows = [purchase("ann", 5), purchase("bob", 6) | {"time": "SECRET"}]
    with open_session(store) as s:
        import_files(s, [lines(tmp_path / "e.ndjson", rows)], format="events")
        body = log.decisions(s.store, kinds=("imported",))[0].body
    assert "SECRET" not in json.dumps(body)
    assert sum(body["reasons"].values()) == 1


def test_the_first_import_settles_currency_and_clock(store, tmp_path):
    with open_session(store) as s:
        import_files(s, [lines(tmp_path / "a.ndjson", [purchase("ann", 5)])], format="events")
        assert (status(s)["currency"], status(s)["clock"]) == ("EUR", "wall")
        old = [purchase("ann", 6) | {"currency": "USD"}, purchase("ann", 7)]
        told = import_files(s, [lines(tmp_path / "b.ndjson", old)], format="events")
        assert (told["accepted"], told["quarantined"]) == (1, 1)
        assert "USD" in next(iter(told["reasons"])) or "currency" in next(iter(told["reasons"]))


def test_old_data_gets_the_data_clock(tmp_path, monkeypatch):
    monkeypatch.setenv("SEGTUI_NOW", str(int(datetime(2027, 2, 1, tzinfo=UTC).timestamp()) * 1_000_000))
    init(tmp_path / "old.db")
    with open_session(tmp_path / "old.db") as s:
        import_files(s, [lines(tmp_path / "a.ndjson", [purchase("ann", 5)])], format="events")
        assert status(s)["clock"] == "data"
        assert status(s)["as_of"] == "2026-01-06T00:00:00+00:00"


def test_limits_leave_the_store_as_it_was(store, tmp_path):
    file = lines(tmp_path / "e.ndjson", [purchase("ann", 5), "{broken"])
    with open_session(store) as s:
        before = (s.store.head(), s.store.chain_digest())
        with pytest.raises(OperationError, match="max-quarantine"):
            import_files(s, [file], format="events", max_quarantine=10)
        with pytest.raises(OperationError, match="min-accepted"):
            import_files(s, [file], format="events", min_accepted=2)
        assert (s.store.head(), s.store.chain_digest()) == before
        assert s.store.rows("SELECT count(*) FROM vault") == [(0,)]


def test_a_dry_run_writes_nothing_and_shows_what_would_come(store, tmp_path):
    with open_session(store) as s:
        head = s.store.head()
        told = import_files(
            s, [lines(tmp_path / "e.ndjson", [purchase("ann", 5), "{"])], format="events", dry_run=True
        )
        assert (told["rows"], told["accepted"], told["quarantined"]) == (2, 1, 1)
        assert told["preview"][0]["user"] == "ann"
        assert s.store.head() == head
    assert not list(tmp_path.glob("*.quarantine"))


def test_an_id_that_comes_again_refunded_becomes_a_refund(store, tmp_path):
    with open_session(store) as s:
        import_files(s, [lines(tmp_path / "a.ndjson", [purchase("ann", 5, 30.0, id="o-1")])], format="events")
        again = [purchase("ann", 6, 10.0, id="o-1"), purchase("ann", 7, 5.0, id="o-2")]
        file = lines(tmp_path / "b.ndjson", again)
        told = import_files(s, [file], format="events")
        assert (told["accepted"], told["changed"], told["duplicates"]) == (1, 1, 0)
        kinds = vocabulary.texts(s.store, "kind")
        rows = log.behaviour(s.store)
        assert [(kinds[row["kind"]], row["amount"]) for row in rows.iter_rows(named=True)] == [
            ("purchase", 3_000),
            ("refund", -2_000),
            ("purchase", 500),
        ]
        told = import_files(s, [file], format="events")
        assert (told["accepted"], told["changed"], told["duplicates"]) == (0, 0, 2)


def test_the_log_holds_no_external_id_and_the_file_neither(store, tmp_path):
    with open_session(store) as s:
        file = lines(tmp_path / "a.ndjson", [purchase("very-secret-ann", 5)])
        import_files(s, [file], format="events")
        assert s.external([1]) == {1: "very-secret-ann"}
    for path in tmp_path.glob("a.db*"):
        if path.is_file():
            assert b"very-secret-ann" not in path.read_bytes()


def test_sessions_become_ordinals_that_continue(store, tmp_path):
    first = [
        purchase("ann", 5, session="x"),
        purchase("ann", 6, session="y"),
        purchase("bob", 5, session="x"),
    ]
    later = [purchase("ann", 9, session="z")]
    with open_session(store) as s:
        import_files(s, [lines(tmp_path / "a.ndjson", first)], format="events")
        import_files(s, [lines(tmp_path / "b.ndjson", later)], format="events")
        rows = log.behaviour(s.store, columns=["user", "session"]).rows()
    assert rows == [(1, 1), (1, 2), (2, 1), (1, 3)]


def test_a_table_row_equal_to_the_users_latest_is_a_duplicate(store, tmp_path):
    table = tmp_path / "user_behavior_data.csv"
    head = "user_id,browse_time,purchase_frequency,rating_star,user_value\n"
    table.write_text(head + "u1,12.5,3,4.5,high\nu2,1.0,0,2,low\n")
    with open_session(store) as s:
        told = import_files(s, [table], format="table")
        assert (told["accepted"], told["users"]) == (2, 2)
        assert import_files(s, [table], format="table")["duplicates"] == 2
        table.write_text(head + "u1,12.5,3,4.5,high\nu2,1.0,1,2,low\n")
        told = import_files(s, [table], format="table")
        assert (told["accepted"], told["duplicates"]) == (1, 1)
        names = set(s.attributes()["name"])
    assert {"browse_time", "user_value"} <= names


def test_a_table_that_brings_texts_for_an_attribute_of_numbers_is_told(store, tmp_path):
    table = tmp_path / "users.csv"
    with open_session(store) as s:
        for content, told in (
            ("u1,3,gold\n", []),
            ("u2,4,blue\n", []),
            ("u3,large,gold\n", ["size"]),
            ("u4,5,gold\n", []),
        ):
            table.write_text("user_id,size,plan\n" + content)
            assert import_files(s, [table], format="table")["retyped"] == told
        assert s.attributes().filter(name="size")["number"].to_list() == [3.0, 4.0, None, 5.0]


def test_a_session_keeps_its_ordinal_when_a_grown_file_comes(store, tmp_path):
    """What came before tells which session is which, also for rows with an id."""
    first = [
        purchase("ann", 5, session="x"),
        purchase("ann", 6, session="y"),
        purchase("bob", 5, session="v", id="b-1"),
        purchase("bob", 6, session="w", id="b-2"),
    ]
    more = [
        purchase("ann", 1, session="z"),
        purchase("ann", 7, session="y"),
        purchase("bob", 8, session="w", id="b-3"),
    ]
    with open_session(store) as s:
        import_files(s, [lines(tmp_path / "a.ndjson", first)], format="events")
        assert import_files(s, [lines(tmp_path / "b.ndjson", first + more)], format="events")["accepted"] == 3
        rows = log.behaviour(s.store, columns=["user", "occurred_at", "session"]).sort("user", "occurred_at")
    assert rows["session"].to_list() == [3, 1, 2, 2, 1, 2, 2]


@pytest.fixture
def before_the_lock(monkeypatch):
    """before_the_lock(other): the next import calls it when it is about to wait for the writer's lock."""

    def hook(other):
        waiting = [other]

        def quarantine(*arguments, **options):
            if waiting:
                waiting.pop()()
            return Quarantine(*arguments, **options)

        monkeypatch.setattr(ingest, "Quarantine", quarantine)

    return hook


def test_what_another_writer_settled_while_an_import_waited_counts(store, tmp_path, before_the_lock):
    euros = lines(tmp_path / "euros.ndjson", [purchase("ann", 5)])
    dollars = lines(tmp_path / "dollars.ndjson", [purchase("bob", 6, currency="USD")])
    with open_session(store) as s, open_session(store) as other:
        before_the_lock(lambda: import_files(other, [euros], format="events"))
        told = import_files(s, [dollars], format="events")
        assert (told["accepted"], told["quarantined"], told["currency"]) == (0, 1, "EUR")
        before_the_lock(lambda: erase(other, ["ann"]))
        told = import_files(s, [lines(tmp_path / "more.ndjson", [purchase("ann", 7)])], format="events")
        assert (told["accepted"], told["suppressed"]) == (0, 1)


def test_the_currency_of_most_rows_wins_whatever_comes_first(store, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "CHUNK_BYTES", 150)
    few, many = (
        [purchase(f"{currency}-{at}", 5, currency=currency) for at in range(count)]
        for currency, count in (("USD", 2), ("EUR", 5))
    )
    file = lines(tmp_path / "a.ndjson", few + many)
    with open_session(store) as s:
        dry = import_files(s, [file], format="events", dry_run=True)
        told = import_files(s, [file], format="events")
        assert status(s)["currency"] == "EUR"
        assert (told["rows"], told["accepted"], told["quarantined"], told["users"]) == (7, 5, 2, 5)
        for name in ("rows", "accepted", "quarantined", "users", "currency"):
            assert dry[name] == told[name]
    kept = [json.loads(line) for line in Path(told["quarantine_file"]).read_text().splitlines()]
    assert [(row["file"], row["line"]) for row in kept] == [(str(file), 1), (str(file), 2)]
    assert [row["row"] for row in kept] == file.read_text().splitlines()[:2]
    assert kept[0]["reason"] == "currency 'USD' is not the store's, which is EUR: give --rates"
    assert len(list((tmp_path / "a.db.quarantine").iterdir())) == 1


def test_progress_tells_rows_pace_and_the_rest(store, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "CHUNK_BYTES", 1_000)
    monkeypatch.setattr(reading, "PATIENCE", -1.0)
    file = lines(tmp_path / "a.ndjson", [purchase(f"u{at}", 5) for at in range(60)])
    told = []
    with open_session(store) as s:
        import_files(s, [file], format="events", progress=lambda what, share: told.append((what, share)))
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert 0.0 == shares[0] < shares[-1] < 1.0
    read = [what for what, _ in told if what.startswith("reading a.ndjson: ")]
    assert len(read) > 3
    assert re.fullmatch(r"reading a.ndjson: 60 rows, [\d,.]+( [MG])? rows/s, .* left", read[-1])


@pytest.mark.parametrize("vault", [True, False])
def test_ids_with_a_zero_character_are_ids_like_any_other(tmp_path, monkeypatch, vault):
    """SQLite ends a text that it takes out of JSON there."""
    init(tmp_path / "a.db", clock="data", currency="EUR", vault=vault)
    rows = [purchase(user, 5, item=item) for user, item in (("a\0b", "x\0y"), ("a", "x"), ("a\0c", "x\0z"))]
    with open_session(tmp_path / "a.db") as s:
        file = lines(tmp_path / "a.ndjson", rows)
        assert import_files(s, [file], format="events")["users"] == 3
        assert import_files(s, [file], format="events")["duplicates"] == 3


def test_files_of_two_formats_in_one_command_are_refused(store, tmp_path):
    events = lines(tmp_path / "a.ndjson", [purchase("ann", 5)])
    table = tmp_path / "t.csv"
    table.write_text("user_id,rating_star\nu1,4\n")
    with open_session(store) as s, pytest.raises(OperationError, match="one format at a time"):
        import_files(s, [events, table])


def test_a_file_of_bad_rows_only_is_kept_and_changes_nothing(store, tmp_path):
    with open_session(store) as s:
        head = s.store.head()
        told = import_files(s, [lines(tmp_path / "e.ndjson", ["{", "nonsense"])], format="events")
        assert (told["rows"], told["accepted"], told["quarantined"]) == (2, 0, 2)
        assert s.store.head() == head
    assert len(Path(told["quarantine_file"]).read_text().splitlines()) == 2


def test_a_table_does_not_move_a_data_clock(tmp_path, monkeypatch):
    monkeypatch.setenv("SEGTUI_NOW", str(int(datetime(2027, 2, 1, tzinfo=UTC).timestamp()) * 1_000_000))
    init(tmp_path / "old.db", clock="data")
    table = tmp_path / "t.csv"
    table.write_text("user_id,rating_star\nu1,1\n")
    with open_session(tmp_path / "old.db") as s:
        import_files(s, [lines(tmp_path / "a.ndjson", [purchase("ann", 5)])], format="events")
        import_files(s, [table], format="table")
        assert status(s)["as_of"] == "2026-01-06T00:00:00+00:00"
