"""The real data sets, against the totals that are known of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from segtui import sources

pytestmark = pytest.mark.real
Real = Callable[[str], Path]
PURCHASE = pl.col("kind") == "purchase"


def whole(path: Path, options: sources.Options) -> tuple[str, pl.DataFrame, pl.DataFrame, list[pl.DataFrame]]:
    """The format found, accepted, rejected, attributes."""
    found, _ = sources.detect(path)
    batches = list(sources.read(path, "auto", options))
    return (
        found,
        pl.concat([batch.accepted for batch in batches]),
        pl.concat([batch.rejected for batch in batches]),
        [batch.attributes for batch in batches if batch.attributes is not None],
    )


def test_cdnow_master(real: Real, options: sources.Options) -> None:
    found, good, bad, _ = whole(real("CDNOW_master.txt.gz"), options)
    assert found == "cdnow"
    assert bad.is_empty()
    assert good.height == 69_659
    assert good["user"].n_unique() == 23_570
    assert good["amount"].sum() == 250_031_563
    assert good["quantity"].sum() == 167_881
    assert good.filter(pl.col("amount") == 0).height == 80
    assert good["line"].to_list() == list(range(2, 69_661))
    assert good.height - good.drop("line").unique().height == 255


def test_cdnow_sample(real: Real, options: sources.Options) -> None:
    found, good, bad, _ = whole(real("CDNOW_sample.txt.gz"), options)
    assert found == "cdnow"
    assert bad.is_empty()
    assert (good.height, good["user"].n_unique()) == (6_919, 2_357)


def test_cdnows_sample_is_part_of_the_master(real: Real, options: sources.Options) -> None:
    master = whole(real("CDNOW_master.txt.gz"), options)[1].drop("line")
    sample = whole(real("CDNOW_sample.txt.gz"), options)[1].drop("line")
    assert sample.join(master, on=sample.columns, how="anti", nulls_equal=True).is_empty()


def test_online_retail(real: Real, options: sources.Options) -> None:
    found, good, bad, _ = whole(real("online_retail.parquet"), options)
    assert found == "online-retail"
    assert good.height + bad.height == 541_909
    assert dict(bad.group_by("reason").len().rows()) == {
        "no customer: row cannot belong to a user": 135_080,
        "price is 0: a gift or a correction, not a sale": 40,
    }
    bought = good.filter(PURCHASE)
    assert bought.filter(pl.col("amount") > 0).height == 397_880
    assert bought.filter(pl.col("amount") == 0).height == 4
    assert bought["user"].n_unique() == 4_338
    assert bought["order"].n_unique() == 18_532
    assert bought["amount"].sum() == 891_140_790
    refunds = good.filter(~PURCHASE)
    assert refunds.height == 8_905
    assert refunds["kind"].unique().to_list() == ["refund"]
    assert (refunds["amount"] <= 0).all()
    assert (good["quantity"] > 0).all()


def test_rees46(real: Real, options: sources.Options) -> None:
    found, good, bad, _ = whole(real("rees46_2019-Oct_head.csv.gz"), options)
    assert found == "rees46"
    assert good.height + bad.height == 17_435
    assert bad.select("line", "reason").rows() == [(17_436, "the line has 8 columns, the header 9")]
    kinds = dict(good.group_by("kind").len().rows())
    assert kinds == {"view": 17_055, "add_to_cart": 165, "purchase": 214}


def test_online_shoppers(real: Real, options: sources.Options) -> None:
    found, good, bad, attributes = whole(real("online_shoppers_intention.csv.gz"), options)
    assert found == "table"
    assert bad.is_empty()
    assert good.height == good["user"].n_unique() == 12_330
    assert set(good["time"]) == {options.now}
    label = pl.concat(attributes).filter(pl.col("name") == "Revenue")
    assert dict(label.group_by("text").len().rows()) == {"TRUE": 1_908, "FALSE": 10_422}
    assert pl.concat(attributes)["name"].n_unique() == 18
