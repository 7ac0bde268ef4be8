"""Two labels become one, and are taken apart again."""

import pytest

from db import projections
from segtui.operations.changes import changes
from segtui.operations.decide import decide
from segtui.operations.definitions import definitions
from segtui.operations.errors import OperationError
from segtui.operations.evaluate import evaluate
from segtui.operations.label import merge
from segtui.operations.members import members
from segtui.operations.models import promote
from segtui.operations.policies import wish
from segtui.operations.rescore import rescore
from segtui.operations.segment import define, retire
from segtui.operations.segments import segments
from segtui.operations.undo import undo
from segtui.operations.verify import verify
from tests.operations.labels.conftest import PEOPLE, held, last_edit, names, passed


@pytest.mark.parametrize("into", [None, "upper", "medium"])
def test_two_labels_are_merged_and_taken_apart_again(decided, into):
    name = into or "high_medium"
    with decided.open() as s:
        define(s, "quiet", "value = 'low'")
        before, state = held(s), projections.state_digest(s.store)
        seen = merge(s, "value", "high", "medium", into, preview=True)
        assert projections.state_digest(s.store) == state
        done = merge(s, "value", "high", "medium", into)
        assert done == seen | {"preview": False}
        assert done["labels"] == [name, "low"]
        now = held(s)
        assert before["high"] | before["medium"] <= now[name]
        flows = {(left, to): users for left, to, users in done["flows"]}
        assert flows.pop(("high", name)) == len(before["high"])
        if into != "medium":
            assert flows.pop(("medium", name)) == len(before["medium"])
        assert set(flows) <= {("low", name)}
        assert {each["cause"] for each in changes(s, segment="value")} >= {"label"}
        passed(s)
        (edited,) = names(s, "label_edited")
        undo(s, edited["seq"])
        assert (held(s), projections.state_digest(s.store)) == (before, state)
        passed(s)
    decided.at(44.5)
    with decided.open() as s:
        retire(s, "quiet")
        merge(s, "value", "medium", "low", "rest")
    decided.at(47.5)
    with decided.open() as s:
        once = rescore(s)["state_digest"]
        assert rescore(s, full=True)["state_digest"] == once
        passed(s)


def test_two_labels_are_the_fewest_and_what_was_decided_for_one_is_not_guessed(decided):
    with decided.open() as s:
        decide(s, "value", wish(shares=["high=0.1"]))
        with pytest.raises(OperationError, match=r"for 'high' alone .*--argmax"):
            merge(s, "value", "low", "high")
        merge(s, "value", "medium", "low")
        with pytest.raises(OperationError, match="nothing to decide"):
            merge(s, "value", "high", "medium_low")


def test_a_model_whose_labels_were_edited_has_nothing_to_be_judged_by(decided):
    with decided.open() as s:
        name = merge(s, "value", "medium", "low")["name"]
        with pytest.raises(OperationError, match=f"{name} were added, cut or merged by hand"):
            evaluate(s, model=name)


def test_a_merge_into_one_of_the_two_is_not_taken_from_under_a_rule(decided):
    with decided.open() as s:
        merge(s, "value", "high", "medium", "high")
        merged = last_edit(s)
        define(s, "best", "value = 'high'")
        with pytest.raises(OperationError, match=r"'best' reads value = 'high'.*something else"):
            undo(s, merged)


def test_a_merge_into_one_of_the_two_leaves_no_margin_behind(decided):
    with decided.open() as s:
        decide(s, "value", wish(margin="0.3"))
        merge(s, "value", "high", "medium", "high")
    decided.at(42.5)
    with decided.open() as s:
        rescore(s)
        undo(s, last_edit(s))
        first = held(s)
        assert verify(s, deep=True)["ok"]
        (likeliest,) = (each for each in segments(s)["segmentations"] if each["name"] == "value")
        for each in likeliest["labels"]:
            found = members(s, f"value={each['label']}", limit=None)["members"]
            assert all(who["margin"] >= 0 for who in found), "nobody is held where another is likelier"
        assert sum(map(len, first.values())) == PEOPLE


def test_what_an_undo_brought_is_undone_as_if_it_had_never_been(decided):
    with decided.open() as s:
        decide(s, "value", wish(margin="0.3"))
    decided.at(42.5)
    with decided.open() as s:
        merge(s, "value", "high", "medium", "high")
        merged = last_edit(s)
    decided.at(44.5)
    with decided.open() as s:
        rescore(s)
        before = held(s)
        undo(s, undo(s, merged)["seq"])
        assert held(s) == before
        assert definitions(s).segmentation("value").policy.anew is None
        define(s, "best", "value = 'high'")
        with pytest.raises(OperationError, match=r"reads value = 'high', and to small that is another label"):
            promote(s, "small")
