"""Scores from the log as it stood at a position."""

from __future__ import annotations

from typing import Any

import pytest

from segtui.operations.errors import OperationError
from segtui.operations.rescore import rescore
from segtui.operations.score import score


def test_scores_at_a_position_are_those_of_that_day(shop: Any, give_model: Any) -> None:
    shop.at(20)
    shop.events([(f"u{n}", 10 + n % 7, "purchase", 30.0 * (n % 4)) for n in range(12)])
    with shop.open() as s:
        rescore(s)
        unpromoted = s.store.head()
        give_model(s)
        as_of, position = s.require_as_of(), s.store.head()
        then = list(score(s))
    # Late: they happened before that as-of, and were told after it.
    shop.events([(f"u{n}", 15, "purchase", 500.0) for n in range(12)])
    with shop.open() as s:
        assert list(score(s, at=as_of)) != then
        assert list(score(s, at=as_of, position=position)) == then
        with pytest.raises(OperationError, match="no model to score with"):
            list(score(s, at=as_of, position=unpromoted))
