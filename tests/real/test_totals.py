"""The published totals of the data sets, summed from the log."""

from pathlib import Path

import pytest

from segtui.operations.ingest import import_files
from segtui.operations.session import open_session
from segtui.operations.status import status

pytestmark = pytest.mark.real

OF_KIND = "FROM behaviour b JOIN vocabulary v ON v.id = b.kind AND v.kind = 'kind' WHERE v.text = 'purchase'"


def adds_up(told):
    parts = ("accepted", "duplicates", "changed", "suppressed", "quarantined")
    return told["rows"] == sum(told[part] for part in parts)


def test_cdnow_totals_and_twice(new_store, data):
    with open_session(new_store()) as s:
        told = import_files(s, [data("CDNOW_master.txt.gz")])
        assert (told["accepted"], told["users"], told["quarantined"]) == (69_659, 23_570, 0)
        rows = s.store.rows("SELECT sum(amount), sum(quantity), count(DISTINCT user) FROM behaviour")
        assert rows == [(250_031_563, 167_881, 23_570)]
        again = import_files(s, [data("CDNOW_master.txt.gz")])
        assert (again["accepted"], again["duplicates"]) == (0, 69_659)
        assert again["content_digest"] == told["content_digest"]
        assert (status(s)["clock"], status(s)["currency"]) == ("data", "USD")


def test_half_of_cdnow_then_all_of_it_is_all_of_it(new_store, data, cdnow, tmp_path):
    header, rows = cdnow
    cut = len(rows) // 2
    while rows[cut] == rows[cut - 1]:
        cut += 1
    half = tmp_path / "half.txt"
    half.write_text("\n".join([header, *rows[:cut]]) + "\n")
    with open_session(new_store("whole")) as s:
        whole = import_files(s, [data("CDNOW_master.txt.gz")])["content_digest"]
    with open_session(new_store("halves")) as s:
        assert import_files(s, [half])["accepted"] == cut
        told = import_files(s, [data("CDNOW_master.txt.gz")])
    assert told["accepted"] == len(rows) - cut
    assert told["content_digest"] == whole


def test_online_retail_totals(new_store, data):
    with open_session(new_store()) as s:
        told = import_files(s, [data("online_retail.parquet")])
        assert told["rows"] == 541_909
        assert adds_up(told)
        assert told["reasons"]["no customer: row cannot belong to a user"] == 135_080
        rows = s.store.rows(
            f'SELECT count(*), sum(amount), count(DISTINCT user), count(DISTINCT "order") {OF_KIND} '
            "AND amount > 0"
        )
        assert rows == [(397_880, 891_140_790, 4_338, 18_532)]
        assert s.store.rows(f"SELECT count(*) {OF_KIND} AND amount = 0") == [(4,)]
        assert len(Path(told["quarantine_file"]).read_text().splitlines()) == told["quarantined"]


def test_rees46_and_online_shoppers_are_accounted_for(new_store, data):
    for name, rows in (("rees46_2019-Oct_head.csv.gz", 17_435), ("online_shoppers_intention.csv.gz", 12_330)):
        with open_session(new_store(name[:5])) as s:
            told = import_files(s, [data(name)])
            assert told["rows"] == rows
            assert adds_up(told)
            assert import_files(s, [data(name)])["accepted"] == 0
