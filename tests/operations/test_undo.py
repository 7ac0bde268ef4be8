"""Decisions are listed, and taken back by others."""

from __future__ import annotations

from typing import Any

import pytest

from db import projections
from segtui.operations.errors import OperationError
from segtui.operations.log import log
from segtui.operations.rescore import rescore
from segtui.operations.segment import define, edit, retire
from segtui.operations.undo import undo
from segtui.operations.verify import verify


@pytest.fixture
def busy(shop: Any, give_model: Any) -> Any:
    """A shop with a rule's segment that was edited, and a promoted model."""
    shop.at(20)
    shop.events([(f"u{n}", 10 + n % 7, "purchase", 30.0 * (n % 4)) for n in range(20)])
    with shop.open() as s:
        rescore(s)
        define(s, "spenders", "spend_28d > 2000")
        edit(s, "spenders", "spend_28d > 4000")
        give_model(s)
    return shop


def newest(s: Any, kind: str) -> dict[str, Any]:
    return [each for each in log(s) if each["kind"] == kind][-1]


def state(s: Any) -> str:
    return projections.state_digest(s.store)


def test_the_log_tells_who_decided_what(busy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with busy.open() as s:
        told = list(log(s))
        assert [each["seq"] for each in told] == sorted(each["seq"] for each in told)
        assert told[0]["kind"] == "store_created"
        assert told[0]["source"] == "init"
        assert {each["actor"] for each in told} >= {s.actor}
        assert [each["kind"] for each in told if each["undo"]] == ["segmentation_edited"]
        moment = s.store.rows("SELECT recorded_at FROM commits WHERE id = 2")[0][0]
        later = list(log(s, from_=moment))
        assert 0 < len(later) < len(told)
        assert list(log(s, to=moment)) + later == told


def test_an_edit_goes_back_to_the_rule_before_and_forward_again(busy: Any) -> None:
    with busy.open() as s:
        after = state(s)
        edited = newest(s, "segmentation_edited")
        seen = undo(s, edited["seq"], preview=True)
        assert (seen["seq"], state(s)) == (None, after)
        done = undo(s, edited["seq"])
        assert done["where"] == "spend_28d > 2000"
        assert done["undone"] == edited["seq"] < done["seq"]
        assert (done["entering"], done["leaving"]) == (seen["entering"], seen["leaving"])
        assert done["entering"] > 0
        assert state(s) != after
        undo(s, done["seq"])
        assert state(s) == after
        assert verify(s, deep=True)["ok"]


def test_a_segment_is_retired_and_comes_back(busy: Any) -> None:
    with busy.open() as s:
        before = state(s)
        retire(s, "spenders")
        retired = newest(s, "segmentation_retired")
        undo(s, retired["seq"])
        assert state(s) == before
        defined = newest(s, "segmentation_defined")
        assert undo(s, defined["seq"])["kind"] == "segmentation_defined"
        assert newest(s, "segmentation_retired")["seq"] > defined["seq"]


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("segmentation_defined", "was edited again after"),
        ("model_promoted", "No model decided 'value' before"),
        ("imported", "Nothing takes back imported"),
        ("store_created", "Nothing takes back store_created"),
    ],
)
def test_what_cannot_be_taken_back_says_why(busy: Any, kind: str, told: str) -> None:
    with busy.open() as s:
        seq = newest(s, kind)["seq"]
        head = s.store.head()
        with pytest.raises(OperationError, match=told):
            undo(s, seq)
        assert s.store.head() == head


def test_a_number_that_is_no_decision_is_refused(busy: Any) -> None:
    with busy.open() as s, pytest.raises(OperationError, match="'segtui log' lists them"):
        undo(s, 10**6)
