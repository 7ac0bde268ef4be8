"""Reading small files written by the tests, and the real ones where they are there."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from segtui import sources
from segtui.sources.schema import ATTRIBUTES

NOW = 1_790_000_000_000_000  # 2026-09-21


@pytest.fixture
def options() -> sources.Options:
    return sources.Options(now=NOW)


Outcome = tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]


def outcome(path: Path, format: str, options: sources.Options, mapping: Path | None = None) -> Outcome:
    """Accepted rows, rejected rows and attributes of a file."""
    batches = list(sources.read(path, format, options, mapping))
    nothing = pl.DataFrame(schema=ATTRIBUTES)
    return (
        pl.concat([batch.accepted for batch in batches]),
        pl.concat([batch.rejected for batch in batches]),
        pl.concat([nothing if batch.attributes is None else batch.attributes for batch in batches]),
    )


@pytest.fixture
def read(tmp_path: Path, options: sources.Options) -> Callable[..., Outcome]:
    """read(text, format, *, mapping=None, **options): what becomes of a file with that text."""

    def reading(text: str, format: str = "auto", *, mapping: str | None = None, **changes: object) -> Outcome:
        path = tmp_path / "rows.txt"
        path.write_text(text)
        told = None
        if mapping is not None:
            told = tmp_path / "map.toml"
            told.write_text(mapping)
        chosen = sources.Options(**({"now": NOW} | changes))
        return outcome(path, format, chosen, told)

    return reading


@pytest.fixture
def real() -> Callable[[str], Path]:
    """real(name): a file of the real data sets, or the test is skipped with a sentence."""

    def find(name: str) -> Path:
        beside = Path(__file__).resolve().parents[2].parent / "shared" / "data"
        path = Path(os.environ.get("SEGTUI_TEST_DATA", beside)) / name
        if not path.exists():
            pytest.skip(f"There is no {path}: set SEGTUI_TEST_DATA to the folder of the real data sets.")
        return path

    return find
