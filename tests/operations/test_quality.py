"""The report of an import: counted by rule and by field, and kept in the log."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from segtui.operations import quarantine
from segtui.operations.errors import OperationError
from segtui.operations.ingest import import_files
from segtui.operations.init import init
from segtui.operations.quality import COUNTS, FIELDS, quality
from segtui.operations.session import open_session

NOW = "1772000000000000"  # 2026-02-25


def line(**members: object) -> str:
    return json.dumps({"user": "u1", "time": "2026-01-05T10:00:00Z", "kind": "view"} | members) + "\n"


@pytest.fixture
def s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SEGTUI_NOW", NOW)
    init(tmp_path / "shop.db", currency="EUR")
    with open_session(tmp_path / "shop.db") as session:
        yield session


def test_a_report_counts_by_rule_and_by_field(s, tmp_path):
    path = tmp_path / "events.ndjson"
    path.write_text(
        line(item="a")
        + line(user="u2", kind="purchase", item="b", amount=5, time="2026-01-07T10:00:00Z")
        + line(user=None)
        + line(time="1985-01-01")
        + line(time="2031-01-01")
        + line(duration=0)
        + line(duration="0.0")
        + line(rating=6)
        + line(quantity=-2)
    )
    told = import_files(s, [path])
    report = quality(s)
    assert {name: report[name] for name in COUNTS} == {name: told[name] for name in COUNTS}
    assert report["rules"] == [
        ["duration is 0", 2],
        ["negative quantity", 1],
        ["no customer: row cannot belong to a user", 1],
        ["rating '…' is not between 0 and 5", 1],
        ["time '…' lies before 1990", 1],
        ["time '…' lies in the future", 1],
    ]
    assert (report["events"], report["users"]) == (2, 2)
    assert (report["first"][:10], report["last"][:10]) == ("2026-01-05", "2026-01-07")
    assert report["kinds"] == {"purchase": 1, "view": 1}
    fields = {field["name"]: (field["filled"], field["missing"]) for field in report["fields"]}
    assert set(fields) == set(FIELDS)
    assert (fields["item"], fields["amount"], fields["order"]) == ((2, 0), (1, 1), (0, 2))


def test_a_report_needs_no_quarantine_file(s, tmp_path):
    path = tmp_path / "events.ndjson"
    path.write_text(line() + line(user=None))
    import_files(s, [path])
    before = quality(s)
    shutil.rmtree(quarantine.folder(s.store.path))
    assert quality(s) == before
    assert before["rules"] == [["no customer: row cannot belong to a user", 1]]


def test_every_import_has_its_own_report(s, tmp_path):
    first, second = tmp_path / "a.ndjson", tmp_path / "b.ndjson"
    first.write_text(line() + line(user=None))
    second.write_text(line(user="u2", rating=4) + line(user="u3", rating=5))
    import_files(s, [first], source="web")
    import_files(s, [second], source="till")
    newest = quality(s)
    assert [one["source"] for one in newest["imports"]] == ["till", "web"]
    oldest = quality(s, newest["imports"][1]["import"])
    assert (newest["source"], newest["events"], newest["quarantined"]) == ("till", 2, 0)
    assert (oldest["source"], oldest["events"], oldest["quarantined"]) == ("web", 1, 1)


def test_what_is_no_import_is_told_in_a_sentence(s, tmp_path):
    with pytest.raises(OperationError, match="Nothing was imported yet"):
        quality(s)
    path = tmp_path / "a.ndjson"
    path.write_text(line())
    import_files(s, [path])
    with pytest.raises(OperationError, match="There is no import 99999: the newest are"):
        quality(s, 99_999)
