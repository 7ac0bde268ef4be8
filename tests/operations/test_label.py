"""Labels come and go as events: previewed, undone, and the others stay what they were."""

import pytest

from db import projections
from segtui.operations.changes import changes
from segtui.operations.decide import decide
from segtui.operations.errors import OperationError
from segtui.operations.label import add, remove
from segtui.operations.log import log
from segtui.operations.members import members
from segtui.operations.models import models
from segtui.operations.policies import wish
from segtui.operations.rescore import rescore
from segtui.operations.segment import define
from segtui.operations.segments import segments
from segtui.operations.undo import undo
from segtui.operations.verify import verify

PEOPLE = 240


@pytest.fixture
def decided(shop, give_model):
    """Two hundred and forty people whose `value` a model decides; every sixth looks around a lot."""
    shop.at(40.5)
    shop.events(
        [
            (f"u{n}", day + 0.1 + n / 1_000, "purchase", 4.0 + (n * 7) % 60)
            for n in range(PEOPLE)
            for day in range(n % 11, 40, 9 + n % 7)
        ]
        + [(f"u{n}", 38.2 + k / 100, "view", None) for n in range(0, PEOPLE, 6) for k in range(12)]
    )
    with shop.open() as s:
        give_model(s)
    return shop


def held(s):
    (value,) = (each for each in segments(s)["segmentations"] if each["name"] == "value")
    return {
        each["label"]: {who["user"] for who in members(s, f"value={each['label']}", limit=None)["members"]}
        for each in value["labels"]
        if each["users"]
    }


def names(s, kind):
    return [each for each in log(s) if each["kind"] == kind]


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


@pytest.mark.parametrize(
    ("label", "given", "sentence"),
    [
        ("high", {"where": "orders_28d > 1"}, "has a label 'high' already"),
        ("big spender", {"where": "orders_28d > 1"}, "cannot be a label"),
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
