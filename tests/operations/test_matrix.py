"""The features of everyone as a file: what a model reads, as the pure function gives it."""

import polars as pl
import pytest

from segtui.operations.errors import OperationError
from segtui.operations.score import matrix
from segtui.operations.user import user


def test_the_file_holds_what_each_user_is_told_by(shop, give_model, tmp_path):
    shop.at(20.5)
    shop.events([(f"u{n}", d + n / 10, "purchase", 10.0 + n) for n in range(6) for d in range(n, 18, 4)])
    out = tmp_path / "features.parquet"
    with shop.open() as s:
        plain = matrix(s, out)
        core = pl.read_parquet(out)
        assert (plain["rows"], plain["features"]) == (6, core.width - 1)
        give_model(s)
        told = matrix(s, out)
        table = pl.read_parquet(out)
        assert told["as_of"] == s.iso(s.as_of())
        assert sorted(table["user"]) == [f"u{n}" for n in range(6)]
        for row in table.iter_rows(named=True):
            name = row.pop("user")
            assert row == user(s, name)["features"]
        before = s.store.head()
        matrix(s, tmp_path / "then.csv", at=shop.instant(6))
        assert pl.read_csv(tmp_path / "then.csv")["orders"].max() < table["orders"].max()
        assert s.store.head() == before
        with pytest.raises(OperationError, match="choose a format"):
            matrix(s, tmp_path / "features.xlsx")
