"""A draft's size is that of the preview and of the segment once it is saved, and nothing is written."""

from __future__ import annotations

import pytest

from engine.errors import EngineError
from segtui.operations.members import members
from segtui.operations.rescore import rescore
from segtui.operations.rule_size import Draft
from segtui.operations.segment import define, edit

RULE = "orders >= 4 AND value != 'low'"


@pytest.fixture
def crowded(shop):
    shop.at(60.5)
    shop.events(
        [
            (f"u{n}", day + 0.1, "purchase", 15.0 * (n + 1))
            for n in range(10)
            for day in range(n, 60, 4 + 5 * n)
        ]
    )
    with shop.open() as s:
        rescore(s)
    return shop


def test_a_draft_agrees_with_what_is_saved(crowded):
    with crowded.open() as s:
        draft, head = Draft(s), s.store.head()
        told = draft.size(s, "loyal", RULE)
        assert s.store.head() == head
        assert 1 < told["users"] == told["entering"] < 10
        assert told["leaving"] == 0
        saved = define(s, "loyal", RULE)
        assert (told["users"], told["share"]) == (saved["users"], pytest.approx(saved["share"], abs=1e-6))
        assert set(told["sample"]) <= {each["user"] for each in members(s, "loyal", limit=None)["members"]}
        narrower = "orders >= 8 AND value != 'low'"
        told = Draft(s).size(s, "loyal", narrower)
        saved = edit(s, "loyal", narrower, preview=True)
        assert {name: told[name] for name in ("users", "entering", "leaving")} == {
            name: saved[name] for name in ("users", "entering", "leaving")
        }
        assert told["leaving"] > 0


def test_a_rule_that_cannot_be_read_is_a_sentence(crowded):
    with crowded.open() as s, pytest.raises(EngineError, match="ordrs_90d"):
        Draft(s).size(s, "loyal", "ordrs_90d > 1")
