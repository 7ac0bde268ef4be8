"""Parquet in pieces, however its rows are grouped."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from segtui.sources import files


@pytest.mark.parametrize(("size", "group"), [(10, 3), (10, 10), (4, 25), (100, 7), (7, 1)])
def test_every_row_comes_once_whatever_the_row_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, group: int
) -> None:
    monkeypatch.setattr(files, "PARQUET_ROWS", size)
    frame = pl.DataFrame({"n": range(25), "text": [f"row {at}" for at in range(25)]})
    path = tmp_path / "rows.parquet"
    frame.write_parquet(path, row_group_size=group)
    parts = list(files.parquet(path))
    assert pl.concat([part for _, part in parts]).equals(frame)
    assert [first for first, _ in parts] == [part["n"][0] + 1 for _, part in parts]
    assert all(part.height <= size for _, part in parts)
