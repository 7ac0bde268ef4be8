"""Parquet: in pieces, however its rows are grouped; its types, and what it cannot say."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from segtui import sources
from segtui.sources import files

SHOP = """\
[columns]
user = "customer"
time = "when"
kind = "what"
amount = "total"
quantity = "pieces"
[constants]
currency = "USD"
"""


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


def test_parquet_numbers_and_times_are_taken_as_they_are(tmp_path: Path, options: sources.Options) -> None:
    path, told = tmp_path / "rows.parquet", tmp_path / "map.toml"
    told.write_text(SHOP + '[numbers]\ndecimal = ","\n[time]\nzone = "Europe/Paris"\n')
    pl.DataFrame(
        {
            "customer": [17850.0, None],
            "when": [datetime(2026, 1, 5, 10), datetime(2026, 1, 5, 11)],
            "what": pl.Series(["purchase", "view"], dtype=pl.Categorical),
            "total": [12.5, None],
            "pieces": pl.Series([2, None], dtype=pl.UInt8),
        }
    ).write_parquet(path)
    batch = next(iter(sources.read(path, "auto", options, told)))
    assert batch.accepted.select("line", "user", "time", "amount", "quantity").rows() == [
        (1, "17850", 1_767_603_600_000_000, 1250, 2)
    ]
    assert batch.rejected.select("line", "reason").rows() == [(2, "no customer: row cannot belong to a user")]


def test_a_parquet_column_of_lists_is_refused(tmp_path: Path, options: sources.Options) -> None:
    path = tmp_path / "rows.parquet"
    pl.DataFrame({"user_id": ["u1"], "likes": [["a", "b"]]}).write_parquet(path)
    with pytest.raises(sources.SourceError, match=r"column 'likes' holds List\(String\)"):
        list(sources.read(path, "table", options))


def test_a_parquet_column_of_durations_is_refused(tmp_path: Path, options: sources.Options) -> None:
    path = tmp_path / "rows.parquet"
    pl.DataFrame({"user_id": ["u1"], "stay": [timedelta(seconds=4)]}).write_parquet(path)
    with pytest.raises(sources.SourceError, match=r"column 'stay' holds Duration\(.*: export it as text, or"):
        list(sources.read(path, "table", options))


@pytest.mark.parametrize("dtype", [pl.Float32, pl.Float64])
def test_not_a_number_in_a_parquet_column_is_a_missing_value(
    tmp_path: Path, options: sources.Options, dtype: pl.DataType
) -> None:
    path, told, nan = tmp_path / "rows.parquet", tmp_path / "map.toml", float("nan")
    told.write_text(SHOP)
    numbers = pl.DataFrame(
        {"customer": [7.0, nan], "total": [nan, 1.0], "pieces": [nan, 1.0], "user_id": [7.0, 8.0]},
        schema_overrides=dict.fromkeys(("customer", "total", "pieces"), dtype),
    )
    numbers.with_columns(when=pl.lit("2026-01-05"), what=pl.lit("purchase")).write_parquet(path)
    batch = next(iter(sources.read(path, "auto", options, told)))
    assert batch.accepted.select("user", "amount", "quantity").rows() == [("7", None, None)]
    assert batch.rejected["reason"].to_list() == ["no customer: row cannot belong to a user"]

    numbers.select("user_id", "total", blank=pl.lit(nan, dtype=dtype)).write_parquet(path)
    batch = next(iter(sources.read(path, "table", options)))
    assert batch.rejected.is_empty()
    assert batch.attributes is not None
    assert batch.attributes.rows() == [(2, "total", 1.0, None)]
