"""An init that was killed is ended by the next one."""

from __future__ import annotations

from pathlib import Path

import pytest

from db.errors import StoreExists
from db.store import Store
from segtui.operations.errors import OperationError
from segtui.operations.init import init
from segtui.operations.session import open_session
from segtui.operations.verify import verify


def test_a_store_without_a_commit_is_completed_as_it_was_begun(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    # As an init leaves it that is killed before its first commit.
    Store.create(path).close()
    with pytest.raises(OperationError, match="was begun with another choice"):
        init(path, vault=False)
    assert init(path, timezone="Europe/Berlin")["vault"]
    with open_session(path) as s:
        assert s.settings.timezone == "Europe/Berlin"
        assert verify(s)["ok"]
    with pytest.raises(StoreExists):
        init(path)
