"""Importing in pieces, in any order and over again ends in the same store."""

from datetime import UTC, datetime
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from db import log, spill
from segtui.operations import ingest_rows, sifting
from segtui.operations.ingest import import_files
from segtui.operations.init import init
from segtui.operations.rescore import rescore
from segtui.operations.session import open_session
from segtui.operations.user import user
from segtui.operations.verify import verify
from segtui.sources import files
from tests.operations.conftest import few
from tests.operations.importing.conftest import adds_up, lines, purchase

arrival = st.builds(
    lambda user, day, amount, more: purchase(user, day, amount, **more),
    st.sampled_from(["ann", "bob", "cat", "dan", "eve"]),
    st.integers(1, 3),
    st.sampled_from([None, 1.0, 2.0]),
    st.fixed_dictionaries(
        {}, optional={"id": st.sampled_from(["1", "2", "3", "4"]), "session": st.sampled_from(["x", "y"])}
    ),
)


@few(8)
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


@few(10)
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


@few(20)
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


@few(15)
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
