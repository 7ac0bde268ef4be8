"""Discovered segments live like any other: scored, replayed, verified, previewed, retired, taken back."""

import pytest

from db import log
from segtui.operations.changes import changes
from segtui.operations.definitions import definitions
from segtui.operations.discover import discover
from segtui.operations.errors import OperationError
from segtui.operations.evaluate import compare, evaluate
from segtui.operations.members import members
from segtui.operations.models import models
from segtui.operations.replay import replay
from segtui.operations.rescore import rescore
from segtui.operations.segment import define, retire
from segtui.operations.segments import segments
from segtui.operations.undo import undo
from segtui.operations.user import user
from segtui.operations.verify import verify


@pytest.fixture
def grouped(shop, give_model):
    """Customers of three kinds under a model: many small orders, few large ones, and one long ago."""
    shop.at(40.5)
    rows = [
        (f"a{n:02}", d + n / 99, "purchase", 12.0 + n % 3) for n in range(40) for d in range(n % 3, 40, 3)
    ]
    rows += [(f"b{n:02}", 30 + n % 9, "purchase", 180.0 + n) for n in range(40)]
    rows += [(f"c{n:02}", 1 + n % 4, "purchase", 30.0 + n) for n in range(40)]
    shop.events(rows)
    with shop.open() as s:
        give_model(s)
    return shop


def sizes(s, name):
    found = {each["name"]: each for each in segments(s)["segmentations"]}
    return {each["label"]: each["users"] for each in found[name]["labels"]} if name in found else None


def test_they_are_found_and_kept(grouped):
    with grouped.open() as s:
        before = s.store.head()
        seen = discover(s, "kinds", preview=True)
        assert s.store.head() == before
        told = discover(s, "kinds")
        assert {each["label"]: each["users"] for each in told["labels"]} == sizes(s, "kinds")
        assert (seen["labels"], seen["flows"]) == (told["labels"], told["flows"])
        assert 2 <= told["clusters"] <= 8
        assert all(each["by"] for each in told["labels"])
        assert told["users"] == 120
        held = user(s, "a07")["labels"]["kinds"]
        assert held["label"] in sizes(s, "kinds")
        define(s, "first_kind", f"kinds = '{held['label']}'")
        assert members(s, "first_kind")["total"] == sizes(s, "kinds")[held["label"]]


def test_they_move_with_behaviour_and_are_verified_and_replayed(grouped):
    with grouped.open() as s:
        discover(s, "kinds")
        was = user(s, "c03")["labels"]["kinds"]["label"]
    for day in (43, 50):
        grouped.at(day + 0.5)
        grouped.events(
            [(f"c{n:02}", day - 0.2 - k / 7, "purchase", 12.0) for n in range(6) for k in range(4)]
        )
        with grouped.open() as s:
            rescore(s)
    with grouped.open() as s:
        assert user(s, "c03")["labels"]["kinds"]["label"] != was
        causes = {each["cause"] for each in changes(s, segment="kinds", first=True)}
        assert {"definition", "event"} <= causes
        deep = verify(s, deep=True)
        assert deep["ok"], deep["checks"]
        assert any(frame["sizes"].get("kinds") for frame in replay(s))


def test_they_are_retired_and_taken_back(grouped):
    with grouped.open() as s:
        discover(s, "kinds")
        found = sizes(s, "kinds")
        told = retire(s, "kinds")
        assert told["leaving"] == 120
        assert sizes(s, "kinds") is None
        seq = log.decisions(s.store, kinds=("segmentation_retired",))[-1].seq
        undo(s, seq)
        assert sizes(s, "kinds") == found
        seq = log.decisions(s.store, kinds=("segmentation_defined",))[-1].seq
        undo(s, seq)
        assert sizes(s, "kinds") is None
        assert verify(s, deep=True)["ok"]


def test_other_segments_under_the_same_name_are_another_model(grouped):
    with grouped.open() as s:
        first = discover(s, "kinds", clusters=3)
        with pytest.raises(OperationError, match="these very segments already"):
            discover(s, "kinds", clusters=3)
        second = discover(s, "kinds", clusters=2)
        assert second["model"] != first["model"]
        assert sum(users for users in sizes(s, "kinds").values() if users) == 120
        seq = log.decisions(s.store, kinds=("model_promoted",))[-1].seq
        undo(s, seq)
        assert definitions(s).segmentations["kinds"].model == first["model"]


def test_what_cannot_be_is_told(grouped, make_shop):
    with grouped.open() as s:
        with pytest.raises(OperationError, match="ask for 2 to 32"):
            discover(s, "kinds", clusters=1)
        with pytest.raises(OperationError, match="'value' is decided by a model of its own"):
            discover(s, "value")
        with pytest.raises(OperationError, match="is a feature's name"):
            discover(s, "recency_days")
        with pytest.raises(OperationError, match="cannot be retired"):
            retire(s, "value")
    empty = make_shop()
    empty.at(9)
    empty.events([("u1", 1, "purchase", 9.0)])
    with empty.open() as s, pytest.raises(OperationError, match="no model yet"):
        discover(s, "kinds")


def test_they_are_listed_and_not_judged(grouped):
    with grouped.open() as s:
        told = discover(s, "kinds")
        (listed,) = [each for each in models(s)["models"] if each["model"] == told["model"]]
        assert listed["promoted"]
        assert listed["discovered"]["labels"] == told["labels"]
        told_why = "groups users and predicts nothing"
        with pytest.raises(OperationError, match=told_why):
            evaluate(s, model=listed["name"])
        with pytest.raises(OperationError, match=told_why):
            compare(s, listed["name"], "small")
