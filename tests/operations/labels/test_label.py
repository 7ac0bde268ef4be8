"""Labels come and go as events: previewed, undone, and the others stay what they were."""

import pytest

from db import projections
from segtui.operations.changes import changes
from segtui.operations.decide import decide
from segtui.operations.definitions import definitions
from segtui.operations.errors import OperationError
from segtui.operations.label import add, merge, remove, rename
from segtui.operations.members import members
from segtui.operations.models import models, promote
from segtui.operations.policies import wish
from segtui.operations.rescore import rescore
from segtui.operations.segment import define, edit, retire
from segtui.operations.train import train
from segtui.operations.undo import undo
from segtui.operations.verify import verify
from tests.operations.labels.conftest import PEOPLE, held, last_edit, names


def test_a_label_is_added_by_examples_and_removed_without_a_trace_on_the_others(decided, tmp_path):
    lookers = [f"u{n}" for n in range(0, PEOPLE, 6)]
    path = tmp_path / "examples.txt"
    path.write_text("\n".join([*lookers[::2], *lookers[1::4], "nobody"]))
    with decided.open() as s:
        define(s, "best", "value = 'high'")
        before, state = held(s), projections.state_digest(s.store)
        seen = add(s, "value", "looker", examples=path, preview=True)
        assert projections.state_digest(s.store) == state
        done = add(s, "value", "looker", examples=path)
        assert done == seen | {"preview": False}
        assert done["labels"] == ["high", "medium", "low", "looker"]
        assert (done["unknown"], done["examples"]) == (1, 30)
        now = held(s)
        kept_out = set(lookers[3::4])
        assert len(now["looker"] & kept_out) / len(kept_out) >= 0.5
        moved = [each for each in changes(s, segment="value") if each["cause"] == "label"]
        (edited,) = names(s, "label_edited")
        assert len(moved) == done["changed"] == sum(n for _, _, n in done["flows"])
        assert {each["cause_seq"] for each in moved} == {edited["seq"]}
        assert {each["reason"] for each in moved} == {"the labels were changed"}
        assert (edited["body"]["edit"], edited["body"]["examples"]) == ("add", 30)
        assert any(each["name"] == done["name"] and each["promoted"] for each in models(s)["models"])
        assert verify(s, deep=True)["ok"]

        remove(s, "value", "looker")
        assert held(s) == before
        assert [each["body"]["edit"] for each in names(s, "label_edited")] == ["add", "remove"]
        found = verify(s, deep=True)
        assert found["ok"], [each for each in found["checks"] if not each["ok"]]


def test_an_edit_of_labels_is_undone_and_a_rule_gives_examples(decided):
    with decided.open() as s:
        before = projections.state_digest(s.store)
        add(s, "value", "looker", where="views_28d > 3")
        after = projections.state_digest(s.store)
        (edited,) = names(s, "label_edited")
        undone = undo(s, edited["seq"])
        assert projections.state_digest(s.store) == before
        undo(s, undone["seq"])
        assert projections.state_digest(s.store) == after
        decide(s, "value", wish(minimum=["looker=0.9"]))
    decided.at(43.5)
    with decided.open() as s:
        once = rescore(s)["state_digest"]
        assert rescore(s, full=True)["state_digest"] == once
        told = remove(s, "value", "looker")
        assert told["note"].startswith("What was decided for looker has no effect")
        assert verify(s, deep=True)["ok"]


def test_a_label_of_the_models_own_can_go_and_what_it_was_stays_in_the_log(decided):
    with decided.open() as s:
        before = held(s)
    decided.at(42.5)
    with decided.open() as s:
        told = remove(s, "value", "medium")
        assert told["labels"] == ["high", "low"]
        assert set(held(s)) <= {"high", "low"}
        then = members(s, "value=medium", at=decided.instant(41), limit=None)["members"]
        assert {each["user"] for each in then} == before["medium"]
        with pytest.raises(OperationError, match="any more"):
            remove(s, "value", "medium")
        with pytest.raises(OperationError, match=r"added, cut or merged by hand: .* train without --warm"):
            train(s, horizon="30d", warm=True)


@pytest.mark.parametrize(
    ("label", "given", "sentence"),
    [
        ("high", {"where": "orders_28d > 1"}, "has a label 'high' already"),
        ("big spender", {"where": "orders_28d > 1"}, "cannot be a label: use letters from a to z"),
        ("b" * 65, {"where": "orders_28d > 1"}, "cannot be a label: it has 65 characters, use at most 64"),
        ("rare", {"where": "orders_28d > 10000"}, "too few for a label"),
        ("rare", {}, "one of them"),
    ],
)
def test_what_cannot_be_added_is_said(decided, label, given, sentence):
    with decided.open() as s:
        head = s.store.head()
        with pytest.raises(OperationError, match=sentence):
            add(s, "value", label, **given)
        assert s.store.head() == head


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (lambda s: rename(s, "value", "hihg", "top"), "no label 'hihg': .*the nearest is high"),
        (lambda s: rename(s, "value", "high", "low"), "has a label 'low' already"),
        (lambda s: rename(s, "value", "high", "high"), "has a label 'high' already"),
        (lambda s: rename(s, "value", "high", "very high"), "cannot be a label"),
        (lambda s: rename(s, "best", "in", "inside"), "decided by a rule"),
        (lambda s: merge(s, "best", "in", "out"), "decided by a rule"),
        (lambda s: merge(s, "value", "low", "low"), "with itself"),
        (lambda s: merge(s, "value", "low", "lwo"), "the nearest is low"),
        (lambda s: merge(s, "value", "high", "medium", "low"), "has a label 'low' already"),
        (lambda s: merge(s, "value", "high", "medium"), "'best' reads value = 'high'.*edit its rule first"),
        (lambda s: merge(s, "value", "high", "low", "high"), "'best' reads value = 'high'"),
        (lambda s: remove(s, "value", "high"), "'best' reads value = 'high'"),
    ],
)
def test_what_cannot_be_renamed_or_merged_is_said(decided, edit, sentence):
    with decided.open() as s:
        define(s, "best", "value = 'high'")
        head = s.store.head()
        with pytest.raises(OperationError, match=sentence):
            edit(s)
        assert s.store.head() == head


def test_a_rule_that_followed_a_name_is_undone_with_it(decided):
    with decided.open() as s:
        define(s, "best", "value = 'high'")
        rename(s, "value", "high", "top")
        followed = names(s, "segmentation_edited")[-1]
        with pytest.raises(OperationError, match="undo the rename instead"):
            undo(s, followed["seq"])


def test_a_grown_label_goes_and_a_rename_since_stays(decided, tmp_path):
    path = tmp_path / "examples.txt"
    path.write_text("\n".join(f"u{n}" for n in range(0, PEOPLE, 6)))
    with decided.open() as s:
        before = held(s)
        add(s, "value", "looker", examples=path)
        rename(s, "value", "high", "top")
        told = remove(s, "value", "looker")
        assert told["labels"] == ["top", "medium", "low"]
        left = held(s)
        assert {"top" if label == "high" else label for label in before} == set(left)
        stayed = sum(
            len(users & left["top" if label == "high" else label]) for label, users in before.items()
        )
        assert stayed >= 0.99 * PEOPLE
        assert verify(s, deep=True)["ok"]


@pytest.mark.parametrize("way", ["merge", "remove", "promote"])
def test_what_is_taken_back_leaves_nobody_elsewhere(decided, way):
    with decided.open() as s:
        older = models(s)["models"][0]["name"]
        rename(s, "value", "high", "top")
        before = held(s)
        if way == "promote":
            promote(s, older)
            assert held(s) == {"high" if label == "top" else label: who for label, who in before.items()}
            edit = names(s, "model_promoted")[-1]["seq"]
        else:
            merge(s, "value", "top", "medium") if way == "merge" else remove(s, "value", "top")
            edit = last_edit(s)
        undo(s, edit)
        assert held(s) == before
        assert verify(s, deep=True)["ok"]


def test_a_name_that_is_given_anew_has_nothing_of_the_label_before(decided):
    with decided.open() as s:
        add(s, "value", "looker", where="views_28d > 0")
        decide(s, "value", wish(minimum=["looker=0.9"]))
        remove(s, "value", "looker")
        before = held(s)
        told = rename(s, "value", "high", "looker")
        assert told["flows"] == [["high", "looker", len(before["high"])]]
        assert held(s)["looker"] == before["high"]


def test_a_removed_label_is_none_that_gets_its_former_name(decided):
    with decided.open() as s:
        rename(s, "value", "high", "top")
        remove(s, "value", "top")
        rename(s, "value", "low", "high")
        assert definitions(s).segmentation("value").became == {"low": "high"}


def test_edits_are_taken_back_one_after_the_other_and_had_again(decided):
    with decided.open() as s:
        states = [held(s)]
        edits = []
        for edit in (
            lambda: add(s, "value", "looker", where="views_28d > 0"),
            lambda: rename(s, "value", "high", "top"),
            lambda: merge(s, "value", "medium", "low"),
        ):
            edit()
            edits.append(last_edit(s))
            states.append(held(s))
        with pytest.raises(OperationError, match=f"undo {edits[1]} .* first"):
            undo(s, edits[0])
        undone = []
        for seq, state in zip(reversed(edits), reversed(states[:-1]), strict=True):
            undone.append(undo(s, seq)["seq"])
            assert held(s) == state
        with pytest.raises(OperationError, match=f"{edits[0]} was taken back by {undone[-1]}"):
            undo(s, edits[0])
        again = undo(s, undone[-1])["seq"]
        assert held(s) == states[1]
        undo(s, again)
        assert held(s) == states[0]


def test_a_rule_is_taken_back_across_a_rename_and_under_the_new_name(decided):
    with decided.open() as s:
        define(s, "best", "value = 'high'")
        defined = names(s, "segmentation_defined")[-1]["seq"]
        edit(s, "best", "value = 'high' AND recency_days < 5")
        edited = names(s, "segmentation_edited")[-1]["seq"]
        rename(s, "value", "high", "top")
        undo(s, edited)
        assert definitions(s).segmentation("best").rule.where == "value = 'top'"
        retire(s, "best")
        undo(s, names(s, "segmentation_retired")[-1]["seq"])
        rename(s, "value", "top", "high")
        assert definitions(s).segmentation("best").rule.where == "value = 'high'"
        assert undo(s, defined, preview=True)["kind"] == "segmentation_defined"


def test_what_a_name_given_anew_lost_is_there_again_once_that_is_undone(decided):
    with decided.open() as s:
        add(s, "value", "looker", where="views_28d > 0")
        decide(s, "value", wish(minimum=["looker=0.9"]))
        before, policy = held(s), definitions(s).segmentation("value").policy
        edits = []
        for edit in (
            lambda: remove(s, "value", "looker"),
            lambda: rename(s, "value", "medium", "middle"),
            lambda: remove(s, "value", "middle"),
            lambda: rename(s, "value", "high", "looker"),
        ):
            edit()
            edits.append(last_edit(s))
        for seq in reversed(edits):
            undo(s, seq)
        found = definitions(s).segmentation("value")
        assert (held(s), found.policy) == (before, policy)


def test_a_rule_is_not_brought_back_about_another_label(decided):
    with decided.open() as s:
        define(s, "best", "value = 'high'")
        retire(s, "best")
        retired = names(s, "segmentation_retired")[-1]["seq"]
        remove(s, "value", "high")
        rename(s, "value", "low", "high")
        with pytest.raises(OperationError, match="'best' read value = 'high', and that is another label"):
            undo(s, retired)
