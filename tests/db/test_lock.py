"""Who holds a store."""

from __future__ import annotations

import json
import sys

import pytest

from db.lock import holder_path, writer_lock
from db.store import Store


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["bin/segtui", "erase", "ann@example.org"], "segtui erase"),
        (["segtui", "--wait", "60", "--store", "shop.db", "import", "a.csv"], "segtui import"),
        (["segtui", "--quiet", "erase", "ann@example.org"], "segtui"),
        (["segtui"], "segtui"),
        ([""], "python"),
    ],
)
def test_whoever_holds_the_store_is_named_by_a_command_and_no_more(
    store: Store, monkeypatch: pytest.MonkeyPatch, argv: list[str], told: str
) -> None:
    monkeypatch.setattr(sys, "argv", argv)
    with writer_lock(store.path, 0):
        assert json.loads(holder_path(store.path).read_text())["command"] == told
