"""The views of docs/sql.md tell in SQL what the commands tell, and nothing of who a person is."""

import json
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from segtui.operations.changes import changes
from segtui.operations.erase import erase
from segtui.operations.ingest import import_files
from segtui.operations.members import members
from segtui.operations.replay import replay
from segtui.operations.rescore import rescore, rescore_range
from segtui.operations.segments import segments

VIEWS = ("log", "v_members", "v_changes", "v_sizes")
SQL = Path(__file__).parents[2] / "docs" / "sql.md"


@pytest.fixture
def lived(lived_through, give_model, tmp_path):
    """Customers under a rule, a model, a second pass and a late event; attributes of a table."""

    def story(shop):
        people = [f"customer-{n}" for n in range(20)]
        shop.at(3.5)
        shop.events(
            [(name, n / 10, "purchase", 10.0 + 9 * n) for n, name in enumerate(people)]
            + [("customer-1", 2.123456, "view", None)]
        )
        with shop.open() as s:
            rescore(s)
        table = tmp_path / "table.csv"
        table.write_text("id,size,plan\ncustomer-2,1.1,gold\n")
        with shop.open() as s:
            import_files(s, [table], format="table")
            give_model(s)
        for day in range(4, 8):
            shop.at(day + 0.5)
            shop.events([(name, day + 0.1, "purchase", 150.0) for name in people[day::6]])
            with shop.open() as s:
                rescore(s)
        with shop.open() as s:
            rescore_range(s, shop.instant(5), shop.instant(6))

    return lived_through(story)


def ask(path, sql, *parameters):
    """The rows of a query through a bare, read-only connection, as dicts."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as bare:
        bare.row_factory = sqlite3.Row
        return [dict(row) for row in bare.execute(sql, parameters)]


def test_members_are_those_of_the_command(lived):
    with lived.open() as s:
        for label in ("high", "medium", "low"):
            told = members(s, f"value={label}", limit=None)["members"]
            found = ask(
                lived.path,
                "SELECT * FROM v_members WHERE segmentation = 'value' AND label = ? ORDER BY user",
                label,
            )
            assert [
                (each["user"], each["probability"], each["margin"], s.instant(each["since"]), each["cause"])
                for each in told
            ] == [
                (
                    s.external([row["user"]])[row["user"]],
                    row["probability"],
                    row["margin"],
                    s.instant(row["since"]),
                    row["cause"],
                )
                for row in found
            ]


def test_changes_are_those_of_the_command_the_newest_pass_only(lived):
    same = ("seq", "segmentation", "probability", "cause", "cause_seq", "model")
    with lived.open() as s:
        told = list(changes(s, first=True))
        found = ask(lived.path, "SELECT * FROM v_changes ORDER BY as_of, seq")
        assert len(ask(lived.path, "SELECT seq FROM membership_changes")) > len(found) > 20
        for one, row in zip(told, found, strict=True):
            assert {name: one[name] for name in same} == {name: row[name] for name in same}
            assert (one["from"], one["to"]) == (row["from_label"], row["to_label"])
            assert (one["backfilled"], one["hindsight"]) == (row["backfilled"], row["hindsight"])
            assert one["reason_code"] == row["reason"]
            assert s.instant(one["as_of"]) == s.instant(row["as_of"])


def test_sizes_are_those_of_the_frames(lived):
    found = ask(lived.path, "SELECT * FROM v_sizes ORDER BY as_of")
    with lived.open() as s:
        scored = {s.instant(frame["as_of"]): frame["sizes"]["value"] for frame in replay(s)}
        (value,) = segments(s)["segmentations"]
        sizes = {}
        for row in found:
            sizes.setdefault(s.instant(row["as_of"]), {})[row["label"]] = row["users"]
        assert sizes
        for as_of, then in sizes.items():
            assert then == scored[as_of]
        last = {row["label"]: row for row in found if s.instant(row["as_of"]) == max(sizes)}
    for each in value["labels"]:
        assert last[each["label"]]["share"] == pytest.approx(each["share"], abs=1e-6)
        assert last[each["label"]]["expected"] == pytest.approx(each["expected"], abs=0.05)


def test_the_log_has_every_row_in_words(lived):
    rows = ask(lived.path, "SELECT * FROM log ORDER BY seq")
    with lived.open() as s:
        assert [row["seq"] for row in rows] == list(range(1, s.store.head() + 1))
        kinds = {"view", "purchase", "identify"}
        assert {row["what"] for row in rows if row["stream"] == "behaviour"} == kinds
        (viewed,) = (row for row in rows if row["what"] == "view")
        assert viewed["at"] == "2026-01-07T02:57:46.598400Z"
        assert s.external([viewed["user"]])[viewed["user"]] == "customer-1"
        (known,) = (json.loads(row["detail"]) for row in rows if row["what"] == "identify")
        assert known["attributes"] == {"size": 1.1, "plan": "gold"}
        bought = [json.loads(row["detail"]) for row in rows if row["what"] == "purchase"]
        assert {each["currency"] for each in bought} == {"EUR"}
        assert bought[0]["amount"] == 1_000
        moved = [json.loads(row["detail"]) for row in rows if row["stream"] == "changes"]
        assert all({"to", "cause", "reason"} <= set(each) for each in moved)
        assert {row["source"] for row in rows if row["stream"] == "decisions"} >= {"init", "rescore"}
        assert all(row["recorded_at"] and row["actor"] for row in rows)
        newest = ask(lived.path, "SELECT seq FROM log ORDER BY seq DESC LIMIT 2")
    assert [row["seq"] for row in newest] == [rows[-1]["seq"], rows[-2]["seq"]]


def test_pages_of_the_log_are_found_without_sorting_it(lived):
    for order in ("seq", "seq DESC"):
        plan = ask(lived.path, f"EXPLAIN QUERY PLAN SELECT * FROM log ORDER BY {order} LIMIT 50")
        assert not any("TEMP B-TREE" in step["detail"] for step in plan)


def test_no_view_tells_who_a_person_is_and_none_an_erased_one(lived):
    before = ask(lived.path, "SELECT count(*) AS rows FROM log")[0]["rows"]
    with lived.open() as s:
        gone = s.user("customer-3")
        for view in VIEWS:
            rows = ask(lived.path, f"SELECT * FROM {view}")
            assert rows
            assert not re.search(r"customer-\d", json.dumps(rows))
        erase(s, ["customer-3"])
    assert ask(lived.path, "SELECT count(*) AS rows FROM log")[0]["rows"] > before
    for view in ("log", "v_members", "v_changes"):
        assert ask(lived.path, f"SELECT * FROM {view} WHERE user = ?", gone) == []
    assert len(ask(lived.path, "SELECT * FROM v_changes WHERE user IS NULL")) >= 2


def test_the_documents_queries_answer_in_sqlite_utils_too(lived):
    blocks = re.findall(r"```sql\n(.*?)```", SQL.read_text(), flags=re.DOTALL)
    queries = [query.strip() for block in blocks for query in block.split(";") if query.strip()]
    assert len(queries) >= 4
    for query in queries:
        shell = [sys.executable, "-m", "sqlite_utils", "query", str(lived.path), query]
        done = subprocess.run(shell, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == ask(lived.path, query)


def test_the_document_names_every_column(lived):
    text = SQL.read_text()
    for view in VIEWS:
        section = text.split(f"## `{view}`")[1].split("\n## ")[0]
        for column in ask(lived.path, f"SELECT * FROM {view} LIMIT 1")[0]:
            assert f"`{column}`" in section, (view, column)
