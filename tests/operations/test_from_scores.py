"""Scores made elsewhere as a segmentation: what is taken, what is not, and that it lives like any other."""

import json
from pathlib import Path

import polars as pl
import pytest

from db import log
from segtui.operations.changes import changes
from segtui.operations.decide import decide
from segtui.operations.erase import erase
from segtui.operations.errors import OperationError
from segtui.operations.from_scores import from_scores
from segtui.operations.members import members
from segtui.operations.policies import Wish
from segtui.operations.rescore import rescore, rescore_range
from segtui.operations.score import score
from segtui.operations.segment import define, from_file
from segtui.operations.segments import segments
from segtui.operations.train import train
from segtui.operations.undo import undo
from segtui.operations.verify import verify
from segtui.sources.errors import SourceError

WIDE = """user,p_stays,p_leaves
ann,0.9,0.1
bob,0.3,0.7
ghost,0.5,0.5
cat,0.2,0.2
ann,0.1,0.9
dan,x,0.5
,0.5,0.5
"""


@pytest.fixture
def visited(shop):
    """Five customers, one of whom came a day later."""
    shop.at(5.3)
    shop.events([(name, 5.0, "purchase", 9.0) for name in ("ann", "bob", "cat", "dan")])
    with shop.open() as s:
        rescore(s)
    return shop


@pytest.fixture
def file(tmp_path):
    """Writes a file of scores, and gives its path."""

    def write(text, name="scores.csv"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def held(s, name):
    found = next(each for each in segments(s)["segmentations"] if each["name"] == name)
    labels = [each["label"] for each in found["labels"]]
    return {
        each["user"]: (label, each["probability"])
        for label in labels
        for each in members(s, f"{name}={label}", limit=None)["members"]
    }


def test_rows_become_labels_or_stand_in_quarantine(visited, file):
    path = file(WIDE)
    with visited.open() as s:
        before = s.store.head()
        seen = from_scores(s, "risk", path, preview=True)
        assert s.store.head() == before
        assert seen["quarantine_file"] is None
        told = from_scores(s, "risk", path)
        assert told["flows"] == seen["flows"] == [[None, "stays", 1], [None, "leaves", 1]]
        assert (told["rows"], told["accepted"], told["suppressed"], told["quarantined"]) == (7, 2, 0, 5)
        assert told["labels"] == [{"label": "stays", "users": 1}, {"label": "leaves", "users": 1}]
        assert held(s, "risk") == {"ann": ("stays", 0.9), "bob": ("leaves", 0.7)}
        found = next(each for each in segments(s)["segmentations"] if each["name"] == "risk")
        assert (found["kind"], found["decided_by"]) == ("scores", "scores")
        # Assigned stand beside expected ones, as of a model.
        assert [each["expected"] for each in found["labels"]] == [1.2, 0.8]
    lines = [json.loads(line) for line in Path(told["quarantine_file"]).read_text().splitlines()]
    assert {line["line"]: line["reason"] for line in lines} == {
        4: "no user has this id",
        5: "its probabilities add up to '0.4', not to 1",
        6: "the user is told before, in line '2'",
        7: "p_stays 'x' is not from 0 to 1",
        8: "user is empty",
    }


def test_the_same_file_again_adds_nothing(visited, file):
    with visited.open() as s:
        from_scores(s, "risk", file(WIDE))
        before = s.store.head()
        # Other ways to write the same: the columns in another order, the rows too.
        again = file("user,p_leaves,p_stays,more\nbob,.7,.3,1\nann,.1,.9,2\n")
        told = from_scores(s, "risk", again)
        assert s.store.head() == before
        assert (told["changed"], told["entering"], told["quarantine_file"]) == (False, 0, None)


def test_changes_have_a_cause_that_resolves(visited, file):
    with visited.open() as s:
        from_scores(s, "risk", file("user,label,probability\nann,safe,0.9\nbob,gone,\n"))
        (defined,) = log.decisions(s.store, kinds=("segmentation_defined",), newest_first=True, limit=1)
        told = {each["user"]: each for each in changes(s, segment="risk", first=True)}
        assert {name: each["probability"] for name, each in told.items()} == {"ann": 0.9, "bob": None}
        assert {(each["cause"], each["cause_seq"]) for each in told.values()} == {("definition", defined.seq)}
        from_scores(s, "risk", file("user,label\nann,gone\ncat,new\n"))
        why = "another definition decides"
        moves = {
            each["user"]: (each["from"], each["to"], each["reason"]) for each in changes(s, segment="risk")
        }
        assert moves == {"ann": ("safe", "gone", why), "bob": ("gone", None, why)}
        assert held(s, "risk") == {"ann": ("gone", None), "cat": ("new", None)}
        assert verify(s, deep=True)["ok"]


def test_it_lives_on_as_time_goes(visited, file):
    with visited.open() as s:
        from_scores(s, "risk", file(WIDE))
        define(s, "worry", "risk = 'leaves' AND recency_days < 400")
    visited.events([("eve", 5.25, "purchase", 9.0), ("bob", 5.28, "purchase", 9.0)])
    visited.at(9.5)
    with visited.open() as s:
        rescore(s)
        assert held(s, "risk") == {"ann": ("stays", 0.9), "bob": ("leaves", 0.7)}, "nobody else gets a label"
        assert {each["user"] for each in members(s, "worry")["members"]} == {"bob"}
        list(rescore_range(s, visited.instant(6)))
        assert held(s, "risk") == {"ann": ("stays", 0.9), "bob": ("leaves", 0.7)}
        told = verify(s, deep=True)
        assert told["ok"], told["checks"]
        with pytest.raises(OperationError, match="'worry' reads risk = 'leaves'"):
            from_scores(s, "risk", file("user,label\nann,stays\n"))
        with pytest.raises(OperationError, match="scores made elsewhere"):
            decide(s, "risk", Wish(margin=1))


def test_it_is_taken_back(visited, file):
    with visited.open() as s:
        from_scores(s, "risk", file(WIDE))
        defined = log.decisions(s.store, kinds=("segmentation_defined",), newest_first=True, limit=1)[0].seq
        assert undo(s, defined)["flows"] == [["stays", None, 1], ["leaves", None, 1]]
        assert "risk" not in {each["name"] for each in segments(s)["segmentations"]}
        told = from_scores(s, "risk", file(WIDE))
        assert told["changed"]
        from_scores(s, "risk", file("user,label\nann,stays\ndan,leaves\n"))
        edited = log.decisions(s.store, kinds=("segmentation_edited",), newest_first=True, limit=1)[0].seq
        with pytest.raises(
            OperationError, match="give the former ones again with 'segtui segment from-scores'"
        ):
            undo(s, edited)


def test_scores_that_were_exported_come_back(visited, give_model, tmp_path):
    out = tmp_path / "out.parquet"
    with visited.open() as s:
        give_model(s)
        list(score(s, out=out))
        told = from_scores(s, "copy", out)
        assert (told["accepted"], told["quarantined"]) == (4, 0)
        assert {label for label, _ in held(s, "copy").values()} == set(pl.read_parquet(out)["label"])
        assert {each["label"] for each in told["labels"]} == {"high", "medium", "low"}


def test_an_erased_person_stays_forgotten(visited, file):
    with visited.open() as s:
        erase(s, ["cat"])
        told = from_scores(s, "risk", file("user,label\nann,a\ncat,b\n"))
        assert (told["accepted"], told["suppressed"], told["quarantined"]) == (1, 1, 0)
        assert told["quarantine_file"] is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id,label\nann,a\n", "has no column 'user' but id, label"),
        ("user,p_a\nann,1\n", "neither a column 'label' nor one of probabilities"),
        ("user,label\nghost,a\n", "gives no known user a label .no user has this id, in line 2"),
        ("user,p_a=b,p_c\nann,1,0\n", "'a=b' cannot be a label"),
    ],
)
def test_what_is_no_table_of_scores_is_said(visited, file, text, said):
    with visited.open() as s, pytest.raises((OperationError, SourceError), match=said):
        from_scores(s, "risk", file(text))


def test_names_that_are_taken_are_refused(visited, file, tmp_path):
    listed = tmp_path / "list.txt"
    listed.write_text("ann\n")
    with visited.open() as s:
        from_scores(s, "risk", file(WIDE))
        with pytest.raises(OperationError, match="'risk' is decided by scores made elsewhere, not by a list"):
            from_file(s, "risk", listed)
        from_file(s, "chosen", listed)
        with pytest.raises(OperationError, match="'chosen' is decided by a list of its own"):
            from_scores(s, "chosen", file(WIDE))
        for name, how in (("risk", "scores made elsewhere"), ("chosen", "a list")):
            with pytest.raises(
                OperationError, match=f"'{name}' is decided by {how}, so there is nothing to train"
            ):
                train(s, segmentation=name)
