"""What status says to do next can be done, and is what fits."""

import pytest

from segtui.operations.errors import OperationError
from segtui.operations.ingest import import_files
from segtui.operations.rescore import rescore
from segtui.operations.status import status
from segtui.operations.train import train

MORE = "segtui import FILE  # there is too little to train on yet"


def buyers(users, bought):
    """Everyone looks around on the first day; so many buy three weeks later, within 90 d of the last look."""
    seen = [(f"u{n:04}", 0.5, "view", None) for n in range(users)] + [("u0000", 90.5, "view", None)]
    return seen + [(f"u{n:04}", 20.5, "purchase", 10.0 + n) for n in range(bought)]


def test_an_empty_store_wants_a_file_and_one_without_orders_more_of_them(shop):
    with shop.open() as s:
        assert status(s)["next"] == "segtui import FILE"
    shop.events([("ann", 0.0, "view", None)])
    with shop.open() as s:
        with pytest.raises(OperationError):
            rescore(s)
        assert status(s)["next"] == MORE


def test_too_few_orders_are_rescored_and_then_more_are_wanted(shop):
    shop.at(91.5)
    shop.events(buyers(600, 499))
    with shop.open() as s:
        with pytest.raises(OperationError, match="Too few to learn from"):
            train(s)
        assert status(s)["next"] == "segtui rescore"
        rescore(s)
        assert status(s)["next"] == MORE


def test_enough_orders_are_trained_on(shop):
    shop.at(91.5)
    shop.events(buyers(600, 500))
    with shop.open() as s:
        assert status(s)["next"] == "segtui train"
        assert train(s, kind="logistic", options={"epochs": "1"})["promoted"]
        assert status(s)["next"] == "segtui"
    shop.at(92.5)
    with shop.open() as s:
        assert status(s)["next"] == "segtui rescore"


def test_buyers_nobody_knew_before_are_none_to_train_on(shop):
    shop.at(91.5)
    shop.events([row for row in buyers(600, 500) if row[2] == "purchase"] + [("zoe", 0.0, "view", None)])
    with shop.open() as s:
        assert status(s)["next"] == "segtui rescore"


def test_a_table_has_labels_to_train_on(shop, tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("id,age,plan\n1,30,gold\n2,41,free\n")
    with shop.open() as s:
        import_files(s, [table], format="table")
        assert status(s)["next"] == "segtui train --label COLUMN"
