"""Who is named in a row that could not be read."""

from __future__ import annotations

import json

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from db.erasures import ERASED, Erasures, mention
from db.store import Store
from segtui.operations.mentions import as_named, cells, mentioned, naming, remove
from segtui.operations.suppression import suppress
from segtui.sources.schema import PARSED

IDS = ["12", "ann@example.org", "Zoë Ångström", "user:7", "123456789", "(x9)", "C-17.", "17850"]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("12,view,2026-01-05", {"12"}),
        ("7,12.50,view", set()),
        ("user 12.", {"12"}),
        ("a-12,x12,12x,2012", set()),
        ("mail=Ann@Example.org;", {"ann@example.org"}),
        ("<ann@example.org>,1", {"ann@example.org"}),
        ("jo-ann@example.org", set()),
        ("ann@example.org.uk", set()),
        ('"Zoë Ångström",3', {"zoë ångström"}),
        ("ZOË  ÅNGSTRÖM", {"zoë ångström"}),
        ("zoë ångströms", set()),
        ("ref/user:7/x", {"user:7"}),
        ("tel 123456789", {"123456789"}),
        ("by x9, c-17", {"x9", "c-17"}),
        ('{"user": "Zo\\u00eb \\u00c5ngstr', set()),
        ('{"user": "Zo\\u00eb \\u00c5ngstr\\u00f6m", "cut', {"zoë ångström"}),
        ("", set()),
    ],
)
def test_an_id_is_found_as_words_of_its_own_in_a_row_that_cannot_be_split(text: str, named: set[str]) -> None:
    assert naming(IDS)(cells(text, "no time", ["customer"])) == named
    assert naming(IDS)(cells(json.dumps({"text": text}), "", ["customer"])) == named


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ({"customer": "12", "note": "x"}, {"12"}),
        ({"customer": 12}, {"12"}),
        ({"customer": "17850.0", "quantity": "12"}, {"17850"}),
        ({"customer": "7", "quantity": "12", "note": "12 of 17850", "day": 17850}, set()),
        ({"customer": "7", "note": "ask ann@example.org, 123456789"}, {"ann@example.org", "123456789"}),
        ({"customer": "mailto:ANN@example.org"}, {"ann@example.org"}),
        ({"customer": "(X9)"}, {"x9"}),
        ({"customer": None, "lines": [{"customer": "12"}, {"n": "user:7"}]}, {"12", "user:7"}),
        ({"customer": ["12"], "ok": True}, {"12"}),
        ({"row": '{"customer": "12"}', "contradicts": {"user": "17850", "line": 12}}, {"12", "17850"}),
        ({"row": '{"n": "12"}', "contradicts": {"previous": "12"}}, {"12"}),
    ],
)
def test_a_number_is_an_id_where_ids_stand(row: dict[str, object], named: set[str]) -> None:
    assert naming(IDS)(cells(json.dumps(row), "12 columns", ["customer"])) == named


def test_where_nothing_is_known_of_the_columns_a_number_may_be_anybody() -> None:
    row = json.dumps({"customer": "7", "quantity": "12"})
    assert naming(IDS)(cells(row, "", None)) == {"12"}
    assert naming(IDS)(cells(row, "", [])) == set()
    assert naming(IDS)(cells(row, "'Ann@example.org' is odd", [])) == {"ann@example.org"}


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    ids=st.lists(st.text(min_size=1, max_size=12).filter(lambda text: text.strip()), min_size=1, max_size=3),
    texts=st.lists(st.text(max_size=30), min_size=1, max_size=4),
    around=st.tuples(st.sampled_from(["", " ", ",", "x", "<"]), st.sampled_from(["", " ", ";", "9", "."])),
    columns=st.sampled_from([["c0"], ["c1"], []]),
    split=st.booleans(),
)
def test_an_import_keeps_out_what_an_erasure_removes_and_nothing_else(
    tmp_path_factory, ids, texts, around, columns, split
) -> None:
    texts = [*texts, around[0] + ids[0].upper() + around[1]]
    row = json.dumps({f"c{at}": text for at, text in enumerate(texts)}) if split else " ".join(texts)
    removed = bool(naming(ids)(cells(row, "no time", columns)))
    with Store.create(tmp_path_factory.mktemp("named") / "shop.db", vault=False) as store:
        Erasures(store).record([*ids, *(mention(as_named(each)) for each in ids)], ERASED, 1)
        rejected = pl.DataFrame({"line": [1], "reason": ["no time"], "row": [row]})
        nobody = pl.DataFrame(schema=PARSED)
        _, kept = suppress(Erasures(store), nobody, rejected, None, columns)
    assert kept.is_empty() == removed


@pytest.fixture
def store(tmp_path):
    """A store's path with two quarantine files beside it, one cut off inside a character."""
    path = tmp_path / "shop.db"
    folder = tmp_path / "shop.db.quarantine"
    folder.mkdir()
    rows = [("ann,view", "no time"), ('{"user": "Zo\\u00eb"}', "no kind"), ("bob,12", "user 'ann' is odd")]
    told = {"file": "f", "line": 1, "ids": ["user"]}
    lines = [json.dumps(told | {"reason": why, "row": row}) for row, why in rows]
    (folder / "1.ndjson").write_text("\n".join(lines) + "\n")
    (folder / "2.ndjson").write_bytes(b'{"file": "f", "line": 1, "reason": "x", "row": "Zo\xc3')
    (folder / "3.draft").write_text("left by a killed one, names ann")
    return path


def test_rows_are_counted_and_removed_with_the_file_that_is_left_empty(store) -> None:
    folder = store.with_name("shop.db.quarantine")
    assert mentioned(store, ["ann", "zoë", "carl"]) == ({"ann", "zoë"}, 3)
    assert remove(store, ["ann"]) == 2
    assert sorted(path.name for path in folder.iterdir()) == ["1.ndjson", "2.ndjson"]
    assert mentioned(store, ["ann", "zoë"]) == ({"zoë"}, 1)
    assert (folder / "1.ndjson").stat().st_mode & 0o777 == 0o600
    cut = (folder / "2.ndjson").read_bytes()
    assert remove(store, ["Zoë"]) == 1
    assert [path.name for path in folder.iterdir()] == ["2.ndjson"]
    assert (folder / "2.ndjson").read_bytes() == cut


def test_rows_that_hold_a_number_that_is_somebodys_id_stay(store) -> None:
    told = {"file": "f", "line": 1, "ids": ["user"], "reason": "no time"}
    rows = [{"user": "7", "n": 3}, {"user": "3", "n": 7}, {"user": "5", "n": 5}]
    file = store.with_name("shop.db.quarantine") / "4.ndjson"
    file.write_text("".join(json.dumps(told | {"row": json.dumps(row)}) + "\n" for row in rows))
    assert remove(store, ["7"]) == 1
    assert [json.loads(json.loads(line)["row"]) for line in file.read_text().splitlines()] == rows[1:]


def test_without_quarantine_nobody_is_named(tmp_path) -> None:
    assert mentioned(tmp_path / "shop.db", ["ann"]) == (set(), 0)
    assert remove(tmp_path / "shop.db", ["ann"]) == 0
