"""Importing: every row accounted for, all or nothing, first-import settings, sessions, attributes."""

import json
import re
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from db import log, spill, vocabulary
from segtui.operations import ingest, ingest_rows, reading, sifting
from segtui.operations.erase import erase
from segtui.operations.errors import OperationError
from segtui.operations.ingest import import_files
from segtui.operations.init import init
from segtui.operations.quarantine import Quarantine
from segtui.operations.rescore import rescore
from segtui.operations.session import open_session
from segtui.operations.status import status
from segtui.operations.user import user
from segtui.operations.verify import verify
from segtui.sources import files


def lines(path, rows):
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def purchase(user, day, amount=10.0, **more):
    fields = {"user": user, "time": f"2026-01-{day:02}T10:00:00Z", "kind": "purchase", "amount": amount}
    return fields | {"currency": "EUR"} | more


def adds_up(told):
    parts = ("accepted", "duplicates", "changed", "suppressed", "quarantined")
    return told["rows"] == sum(told[part] for part in parts)


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("SEGTUI_NOW", str(int(datetime(2026, 2, 1, tzinfo=UTC).timestamp()) * 1_000_000))
    init(tmp_path / "a.db")
    return tmp_path / "a.db"


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


arrival = st.builds(
    lambda user, day, amount, more: purchase(user, day, amount, **more),
    st.sampled_from(["ann", "bob", "cat", "dan", "eve"]),
    st.integers(1, 3),
    st.sampled_from([None, 1.0, 2.0]),
    st.fixed_dictionaries(
        {}, optional={"id": st.sampled_from(["1", "2", "3", "4"]), "session": st.sampled_from(["x", "y"])}
    ),
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(imports=st.lists(st.lists(arrival, min_size=1, max_size=12), min_size=1, max_size=3))
def test_an_import_in_small_pieces_is_the_same_import(tmp_path_factory, imports):
    """However few rows are held at a time: the same rows, sessions and counts."""
    folder = tmp_path_factory.mktemp("pieces")
    paths = [lines(folder / f"{at}.ndjson", rows) for at, rows in enumerate(imports)]
    told = []
    for name, size in (("whole", 1 << 20), ("pieces", 2)):
        init(folder / f"{name}.db", clock="data", currency="EUR")
        with pytest.MonkeyPatch.context() as patch, open_session(folder / f"{name}.db") as s:
            patch.setattr(files, "CHUNK_BYTES", 100 * size)
            patch.setattr(spill, "HELD_BYTES", 50 * size)
            patch.setattr(ingest_rows, "PART_ROWS", size)
            patch.setattr(sifting, "WINDOW_ROWS", size)
            patch.setattr(sifting, "FEW_USERS", size - 1)
            counts = [import_files(s, [path], format="events") for path in (*paths, paths[0])]
            kept = [{key: each[key] for key in each if key not in ("seconds", "position")} for each in counts]
            users = s.external(range(1, 6))
            rows = log.behaviour(s.store).sort("user", "occurred_at", "amount", "source_id", "session")
            rows = rows.with_columns(pl.col("user").replace_strict(users, default=None)).drop("seq")
            assert verify(s)["ok"]
        told.append((kept, rows.drop("kind").rows()))
    assert told[0] == told[1]


@pytest.mark.parametrize("vault", [True, False])
def test_ids_with_a_zero_character_are_ids_like_any_other(tmp_path, monkeypatch, vault):
    """SQLite ends a text that it takes out of JSON there."""
    init(tmp_path / "a.db", clock="data", currency="EUR", vault=vault)
    rows = [purchase(user, 5, item=item) for user, item in (("a\0b", "x\0y"), ("a", "x"), ("a\0c", "x\0z"))]
    with open_session(tmp_path / "a.db") as s:
        file = lines(tmp_path / "a.ndjson", rows)
        assert import_files(s, [file], format="events")["users"] == 3
        assert import_files(s, [file], format="events")["duplicates"] == 3


# An id, where a row has one, is its content's: such rows never change.
row = st.builds(
    lambda user, day, amount, named: (
        purchase(user, day, amount) | ({"id": f"{user}-{day}-{amount}"} if named else {})
    ),
    st.sampled_from(["ann", "bob"]),
    st.integers(1, 4),
    st.sampled_from([1.0, 2.0]),
    st.sampled_from([False, False, True]),
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=st.lists(st.lists(row, min_size=1, max_size=6), min_size=1, max_size=3), data=st.data())
def test_grown_files_in_any_order_end_in_one_content_digest(tmp_path_factory, files, data):
    """Files in any order, grouping and repetition hold each content as often as the fullest, each id once."""
    folder = tmp_path_factory.mktemp("imports")
    paths = [lines(folder / f"{index}.ndjson", rows) for index, rows in enumerate(files)]
    digests = set()
    for name in ("once", "again"):
        order = data.draw(st.permutations(paths)) + (paths if name == "again" else [])
        cut = data.draw(st.integers(0, len(order)))
        init(folder / f"{name}.db", clock="data", currency="EUR")
        with open_session(folder / f"{name}.db") as s:
            for group in (order[:cut], order[cut:]):
                if group:
                    digest = import_files(s, group, format="events")["content_digest"]
            digests.add(digest)
    assert len(digests) == 1


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


def net(s):
    return s.store.rows("SELECT sum(amount) FROM behaviour")[0][0]


version = st.builds(
    lambda name, user, day, kind, amount, more: (
        purchase(user, day, **more) | ({"kind": kind, "id": name, "amount": amount} if kind else {})
    ),
    st.sampled_from(["o-1", "o-2"]),
    st.sampled_from(["ann", "bob"]),
    st.integers(1, 3),
    st.sampled_from(["purchase", "purchase", "refund", "view", None]),
    st.sampled_from([None, 10.0, 20.0, 30.0]),
    st.fixed_dictionaries({}, optional={"item": st.sampled_from(["x", "y"])}),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=st.lists(st.lists(version, min_size=1, max_size=5), min_size=1, max_size=3), data=st.data())
def test_whatever_changed_any_file_again_adds_nothing(tmp_path_factory, files, data):
    folder = tmp_path_factory.mktemp("versions")
    paths = [lines(folder / f"{at}.ndjson", rows) for at, rows in enumerate(files)]
    init(folder / "a.db", clock="data", currency="EUR")
    with open_session(folder / "a.db") as s:
        for path in data.draw(st.permutations(paths)):
            told = import_files(s, [path], format="events")
            assert adds_up(told)
        for path in data.draw(st.lists(st.sampled_from(paths), max_size=4)):
            again = import_files(s, [path], format="events")
            assert (again["accepted"], again["changed"]) == (0, 0)
            assert again["content_digest"] == told["content_digest"]
        again = import_files(s, data.draw(st.permutations(paths)), format="events")
        assert (again["accepted"], again["changed"]) == (0, 0)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    versions=st.lists(
        st.tuples(st.integers(1, 3), st.sampled_from([10.0, 20.0, 30.0])), min_size=1, max_size=5, unique=True
    ),
    cuts=st.sets(st.integers(1, 4)),
)
def test_versions_of_one_id_end_at_the_last_one(tmp_path_factory, versions, cuts):
    folder = tmp_path_factory.mktemp("versions")
    rows = [purchase("ann", day, amount, id="o-1") for day, amount in versions]
    bounds = [0, *sorted(cut for cut in cuts if cut < len(rows)), len(rows)]
    init(folder / "a.db", clock="data", currency="EUR")
    with open_session(folder / "a.db") as s:
        for start, end in pairwise(bounds):
            import_files(s, [lines(folder / f"{end}.ndjson", rows[start:end])], format="events")
        assert net(s) == versions[-1][1] * 100
        assert log.summary(s.store).events == len(versions)


def test_a_change_without_an_amount_is_known_ever_after_and_counts_for_nothing(store, tmp_path):
    first = [purchase("ann", 5, 30.0, id="o-1"), purchase("bob", 5, 20.0)]
    moved = [purchase("ann", 7, 30.0, id="o-1")]
    with open_session(store) as s:
        old = lines(tmp_path / "a.ndjson", first)
        import_files(s, [old], format="events")
        before = s.events()
        rescore(s)
        told = import_files(s, [lines(tmp_path / "b.ndjson", moved)], format="events")
        assert (told["changed"], log.summary(s.store).events) == (1, 3)
        assert s.events().drop("kind").equals(before.drop("kind"))
        assert s.attributes().is_empty()
        assert rescore(s)["due"] == 0
        assert [event["kind"] for event in user(s, "ann")["events"]] == ["correction", "purchase"]
        import_files(s, [lines(tmp_path / "c.ndjson", [purchase("ann", 8, 10.0, id="o-1")])], format="events")
        for file in (old, tmp_path / "b.ndjson", tmp_path / "c.ndjson"):
            assert import_files(s, [file], format="events")["changed"] == 0
        assert verify(s)["ok"]


def test_an_id_that_comes_again_as_a_refund_is_taken_off_once(store, tmp_path):
    with open_session(store) as s:
        import_files(s, [lines(tmp_path / "a.ndjson", [purchase("ann", 5, 30.0, id="o-1")])], format="events")
        refund = [purchase("ann", 6, 30.0, id="o-1") | {"kind": "refund"}]
        file = lines(tmp_path / "b.ndjson", refund)
        assert import_files(s, [file], format="events")["changed"] == 1
        assert net(s) == 0
        assert import_files(s, [file], format="events")["duplicates"] == 1


def test_a_table_that_moves_a_user_to_and_fro_adds_nothing_the_second_time(store, tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("user_id,rating_star\nu1,1\nu1,2\nu1,2\nu2,5\n")
    with open_session(store) as s:
        assert import_files(s, [table, table], format="table")["accepted"] in (3, 5)
        for _ in range(2):
            assert import_files(s, [table], format="table")["accepted"] == 0


def test_table_rows_without_attributes_add_their_user_once(store, tmp_path, monkeypatch):
    table = tmp_path / "t.csv"
    table.write_text("user_id,rating_star\nu1,1\nu2,\n")
    with open_session(store) as s:
        assert import_files(s, [table], format="table")["accepted"] == 2
        monkeypatch.setenv("SEGTUI_NOW", str(int(datetime(2026, 2, 3, tzinfo=UTC).timestamp()) * 1_000_000))
        assert import_files(s, [table], format="table")["accepted"] == 0


def test_a_table_does_not_move_a_data_clock(tmp_path, monkeypatch):
    monkeypatch.setenv("SEGTUI_NOW", str(int(datetime(2027, 2, 1, tzinfo=UTC).timestamp()) * 1_000_000))
    init(tmp_path / "old.db", clock="data")
    table = tmp_path / "t.csv"
    table.write_text("user_id,rating_star\nu1,1\n")
    with open_session(tmp_path / "old.db") as s:
        import_files(s, [lines(tmp_path / "a.ndjson", [purchase("ann", 5)])], format="events")
        import_files(s, [table], format="table")
        assert status(s)["as_of"] == "2026-01-06T00:00:00+00:00"
