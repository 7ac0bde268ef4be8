"""Who is named in a row that could not be read."""

from __future__ import annotations

import json

import pytest

from segtui.operations.mentions import mentioned, naming, remove, told_in


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
        ("ZOË ÅNGSTRÖM", {"zoë ångström"}),
        ("zoë ångströms", set()),
        ("", set()),
    ],
)
def test_an_id_is_found_as_a_word_of_its_own(text: str, named: set[str]) -> None:
    assert naming(["12", "ann@example.org", "Zoë Ångström"])(text) == named


def test_every_value_and_word_of_a_row_may_be_an_id() -> None:
    row = '{"user": "Zo\\u00eb \\u00c5", "n": 12, "nested": [{"mail": "ann@example.org"}], "ok": true'
    assert {"Zoë Å", "12", "ann@example.org"} <= set(told_in(row + "}"))
    assert "True" not in set(told_in(row + "}"))
    # cut off, it is no JSON any more
    assert "ann@example.org" in set(told_in(row))
    assert {"c-17", "2026-01-05", "9.99"} <= set(told_in("c-17;2026-01-05;9.99."))


@pytest.fixture
def store(tmp_path):
    """A store's path with two quarantine files beside it, one cut off inside a character."""
    path = tmp_path / "shop.db"
    folder = tmp_path / "shop.db.quarantine"
    folder.mkdir()
    rows = [("ann,view", "no time"), ('{"user": "Zo\\u00eb"}', "no kind"), ("bob,12", "user 'ann' is odd")]
    lines = [json.dumps({"file": "f", "line": 1, "reason": why, "row": row}) for row, why in rows]
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


def test_without_quarantine_nobody_is_named(tmp_path) -> None:
    assert mentioned(tmp_path / "shop.db", ["ann"]) == (set(), 0)
    assert remove(tmp_path / "shop.db", ["ann"]) == 0
