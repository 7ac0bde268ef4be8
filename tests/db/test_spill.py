"""Rows set aside: in memory or in private files, back by ranges of their key; and where to cut."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from db import spill
from db.errors import StoreFull
from db.spill import Histogram
from db.store import Store


def folders(store: Store) -> list[Path]:
    return list(store.path.parent.glob("*.staging-*"))


@pytest.mark.parametrize("held", [0, 1 << 30])
def test_every_row_comes_back_in_its_range(store: Store, monkeypatch: pytest.MonkeyPatch, held: int) -> None:
    monkeypatch.setattr(spill, "HELD_BYTES", held)
    frames = [pl.DataFrame({"user": [7, 1, 7, 3], "row": [at, at + 1, at + 2, at + 3]}) for at in (0, 4, 8)]
    with store.transaction(actor="ann") as tx:
        rows = tx.scratch.spill("rows", "user")
        assert rows.between(0, 99) is None
        for frame in frames:
            rows.add(frame)
            rows.add(frame.clear())
        assert rows.rows == 12
        found = [rows.between(low, high) for low, high in ((0, 3), (3, 7), (7, 8), (8, 99))]
        assert [part.height for part in found if part is not None] == [3, 3, 6, 0]
        everything = pl.concat([part for part in found if part is not None])
        assert everything.sort("row").equals(pl.concat(frames))


def test_what_is_set_aside_is_private_and_goes(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spill, "HELD_BYTES", 0)
    with store.transaction(actor="ann") as tx:
        tx.scratch.spill("rows", "user").add(pl.DataFrame({"user": [1]}))
        (folder,) = folders(store)
        assert oct(folder.stat().st_mode & 0o777) == "0o700"
        assert [oct(path.stat().st_mode & 0o777) for path in folder.iterdir()] == ["0o600"]
    assert folders(store) == []
    left = store.path.parent / f"{store.path.name}.staging-killed"
    left.mkdir()
    (left / "rows-0.parquet").write_text("left by a killed writer")
    with store.transaction(actor="ann"):
        assert folders(store) == []


def test_no_room_to_set_rows_aside_is_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spill, "HELD_BYTES", 0)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", refuse)
    with pytest.raises(StoreFull, match="No space left for"), store.transaction(actor="ann") as tx:
        tx.scratch.spill("rows", "user").add(pl.DataFrame({"user": [1]}))


@given(batches=st.lists(st.lists(st.integers(1, 12), max_size=30), max_size=4), rows=st.integers(1, 20))
def test_cuts_divide_no_user_and_leave_nobody_out(batches: list[list[int]], rows: int) -> None:
    histogram = Histogram()
    for users in batches:
        histogram.add(pl.Series(users, dtype=pl.Int64))
    counts = Counter(user for users in batches for user in users)
    assert histogram.users == len(counts)
    cuts = histogram.cuts(rows)
    assert [high for _, high in cuts[:-1]] == [low for low, _ in cuts[1:]]
    assert sum(counts[user] for low, high in cuts for user in range(low, high)) == counts.total()
    biggest = max(counts.values(), default=0)
    for low, high in cuts:
        assert 0 < sum(counts[user] for user in range(low, high)) < rows + biggest
