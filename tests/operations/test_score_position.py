"""Scores from the log as it stood at a position."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from segtui.operations.errors import OperationError
from segtui.operations.ingest import import_files
from segtui.operations.rescore import rescore
from segtui.operations.score import matrix, score
from tests.operations.conftest import line


def test_scores_at_a_position_are_those_of_that_day(shop: Any, give_model: Any, tmp_path: Path) -> None:
    shop.at(20)
    shop.events([(f"u{n}", 10 + n % 7, "purchase", 30.0 * (n % 4)) for n in range(12)])
    with shop.open() as s:
        rescore(s)
        unpromoted = s.store.head()
        give_model(s)
        as_of, position = s.require_as_of(), s.store.head()
        then = list(score(s))
        known = matrix(s, tmp_path / "then.csv")
    # Late: they happened before that as-of, and were told after it; so was who is who.
    shop.events([(f"u{n}", 15, "purchase", 500.0) for n in range(6)])
    late = tmp_path / "late.ndjson"
    late.write_text(json.dumps(line("u7", 16, "alias", previous="u8")))
    with shop.open() as s:
        import_files(s, [late], format="events")
        assert matrix(s, tmp_path / "now.csv", at=as_of)["rows"] == known["rows"] - 1
        again = matrix(s, tmp_path / "again.csv", at=as_of, position=position)
        assert again["file_digest"] == known["file_digest"]
        assert list(score(s, at=as_of)) != then
        assert list(score(s, at=as_of, position=position)) == then
        with pytest.raises(OperationError, match="no model to score with"):
            list(score(s, at=as_of, position=unpromoted))
