"""What every benchmark prints: figure, peer's figure and their ratio, as a table and as JSON."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from segtui.operations.ingest import import_files
from segtui.operations.init import init
from segtui.operations.rescore import rescore
from segtui.operations.session import open_session
from tests.benchmarks.shown import show

MAP = """
[columns]
user = "user"
time = "time"
kind = "kind"
item = "item"
amount = "amount"

[constants]
currency = "EUR"
"""


@pytest.fixture
def report():
    """Prints rows of (what, ours, peer, unit), see `show`."""
    return show


def make_million(folder: Path, *, events: int = 1_000_000, users: int = 100_000) -> Path:
    """A store with that many events over a year, at least one of each user, rescored once under the starter
    rule; its path."""
    draw = np.random.default_rng(1)
    who = np.concatenate([np.arange(users), draw.integers(0, users, events - users)])
    seconds = 1_740_000_000 + np.sort(draw.integers(0, 365 * 86_400, events))
    frame = pl.DataFrame(
        {
            "user": draw.permutation(who).astype(str),
            "time": pl.Series(seconds * 1_000_000, dtype=pl.Datetime("us")).dt.strftime("%Y-%m-%dT%H:%M:%S"),
            "kind": draw.choice(["view", "add_to_cart", "purchase"], events, p=[0.7, 0.15, 0.15]),
            "item": draw.integers(0, 5_000, events).astype(str),
            "amount": (draw.integers(100, 20_000, events) / 100).round(2),
        }
    )
    data, mapping, store = folder / "made.parquet", folder / "made.toml", folder / "million.db"
    frame.write_parquet(data)
    mapping.write_text(MAP)
    init(store, clock="data")
    with open_session(store) as s:
        import_files(s, [data], mapping=mapping)
        rescore(s)
    return store


@pytest.fixture(scope="session")
def million(tmp_path_factory):
    """A store of a million behaviour events of 100,000 users."""
    return make_million(tmp_path_factory.mktemp("million"))
