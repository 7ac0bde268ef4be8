"""Shopify's and WooCommerce's exports: orders as states, from their first row to their refunds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from segtui import sources
from segtui.sources import files

Read = Callable[..., Any]
SAMPLES = Path(__file__).parents[1] / "contract" / "samples"
SHOPIFY = (SAMPLES / "shopify-orders.csv").read_text()
WOO = (SAMPLES / "woocommerce.csv").read_text()
API = (SAMPLES / "woocommerce.ndjson").read_text()
TOLD = ("user", "kind", "order", "item", "quantity", "amount", "refunded")


def test_shopify_rows(read: Read) -> None:
    good, bad, _ = read(SHOPIFY)
    assert bad.is_empty()
    assert good.select(TOLD).rows() == [
        ("ann@example.org", "purchase", "#1001", "MUG-B", 2, 2700, None),
        ("ann@example.org", "purchase", "#1001", "POT-1", 1, 1800, None),
        ("bo@example.org", "order_placed", "#1002", "Mug - red", 1, 0, None),
        ("cy@example.org", "purchase", "#1003", "MUG-R", 2, 3000, 1500),
    ]
    assert good["id"].to_list()[:2] == ["#1001/MUG-B/1", "#1001/POT-1/1"]
    assert good.select("region", "platform").rows()[1] == ("FR", "web")
    assert good["time"].n_unique() == 3
    assert good["email"].to_list() == good["user"].to_list()


HEADER = (
    "Name,Email,Financial Status,Currency,Total,Created at,Lineitem quantity,Lineitem name,Lineitem price"
)


def shopify(*rows: str, refunds: bool = False) -> str:
    return "\n".join([HEADER + (",Refunded Amount" if refunds else ""), *rows]) + "\n"


def test_shopify_fields_reach_an_orders_later_rows_and_no_other_orders(read: Read) -> None:
    good, bad, _ = read(
        shopify(
            "#1,a@b.c,paid,EUR,30,2026-01-05,1,Mug,10",
            "#1,,,,,,1,Mug,10",
            "#1,,,,,,1,Mug,10",
            "#2,,,,,,1,Mug,10",
            "#3,d@e.f,paid,EUR,10,2026-01-06,1,Mug,10",
        )
    )
    assert good.select("user", "id").rows() == [
        ("a@b.c", "#1/Mug/1"),
        ("a@b.c", "#1/Mug/2"),
        ("a@b.c", "#1/Mug/3"),
        ("d@e.f", "#3/Mug/1"),
    ]
    assert bad.select("line", "reason").rows() == [(5, "no customer: row cannot belong to a user")]


def test_shopify_refunds_are_taken_off_the_lines(read: Read) -> None:
    def amounts(status: str, refunded: str, total: str = "36") -> list[int]:
        text = shopify(
            f"#1,a@b.c,{status},EUR,{total},2026-01-05,1,Mug,10,{refunded}",
            "#1,,,,,,1,Pot,20,",
            refunds=True,
        )
        good = read(text)[0]
        return (good["amount"] - good["refunded"].fill_null(0)).to_list()

    assert amounts("paid", "0.00") == [1000, 2000]
    assert amounts("partially_refunded", "12") == [667, 1333]
    assert amounts("refunded", "36") == [0, 0]
    assert amounts("refunded", "") == [0, 0]
    assert amounts("partially_refunded", "99") == [0, 0]
    assert amounts("partially_refunded", "0.01", total="") == [1000, 1999]
    assert amounts("voided", "") == [0, 0]


def test_an_order_may_lie_across_chunks(
    tmp_path: Path, options: sources.Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "orders.csv"
    path.write_text(SHOPIFY)
    whole = pl.concat(batch.accepted for batch in sources.read(path, "auto", options))
    monkeypatch.setattr(files, "CHUNK_BYTES", 300)
    parts = pl.concat(batch.accepted for batch in sources.read(path, "auto", options))
    assert parts.equals(whole)


def test_woocommerce_rows_and_guests(read: Read) -> None:
    good, bad, _ = read(WOO)
    assert bad.is_empty()
    assert good.select(TOLD).rows() == [
        ("12", "purchase", "701", "MUG", 2, 2800, None),
        ("12", "purchase", "701", "89", 1, 2000, None),
        ("bo@example.org", "order_placed", "702", "MUG", 1, 0, None),
        ("cy@example.org", "purchase", "703", "MUG", 2, 3000, 1500),
        ("cy@example.org", "purchase", "703", "SPOON", 1, 1000, None),
    ]
    assert good["id"].to_list() == ["31", "32", "33", "34", "35"]
    assert good["email"].to_list() == [None, None, "bo@example.org", "cy@example.org", "cy@example.org"]


def test_woocommerces_api_tells_the_same(read: Read) -> None:
    from_api, bad, _ = read(API)
    assert bad.is_empty()
    columns = [*TOLD, "time", "region", "currency", "id", "email"]
    from_csv = read(WOO)[0]
    assert from_api.select(columns).rows()[:3] == from_csv.select(columns).rows()[:3]
    assert from_api.select("amount", "refunded", "quantity").rows()[3] == (4000, 1500, 3)


def test_an_order_told_twice_in_a_row_by_the_api_is_two_tellings(read: Read) -> None:
    line = API.splitlines()[-1]
    once, twice = read(line + "\n")[0], read(f"{line}\n{line}\n")[0]
    assert once["refunded"].drop_nulls().len()
    assert twice.drop("line").equals(pl.concat([once, once]).drop("line"))


@pytest.mark.parametrize(
    ("told", "amount", "refunded"),
    [
        ({"total": "50"}, 5000, None),
        ({"total": "59.00", "shipping_total": "4.00", "total_tax": "5.00"}, 5000, None),
        ({"total": "50", "refunds": [{"total": "-12.5"}]}, 5000, 1250),
    ],
)
def test_a_woocommerce_order_without_line_items_is_one_row_at_what_it_cost(
    read: Read, told: dict[str, Any], amount: int, refunded: int | None
) -> None:
    order = json.loads(API.splitlines()[0]) | {"line_items": [], "refunds": []}
    lacking = dict.fromkeys(("shipping_total", "total_tax"))
    good, bad, _ = read(json.dumps(order | lacking | told) + "\n", "woocommerce")
    assert bad.is_empty()
    assert good.select("kind", "item", "amount", "refunded").rows() == [("purchase", None, amount, refunded)]
    _, bad, _ = read(json.dumps(order | {"total": "much"}) + "\n")
    assert bad["reason"].to_list()[0].startswith("amount 'much' is not a number")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("completed", "purchase"),
        ("wc-processing", "purchase"),
        ("Refunded", "purchase"),
        ("pending", "order_placed"),
        ("Pending payment", "order_placed"),
        ("wc-on-hold", "order_placed"),
        ("cancelled", "order_cancelled"),
        ("checkout-draft", "order_placed"),
    ],
)
def test_other_plugins_name_woocommerces_columns_otherwise(read: Read, status: str, kind: str) -> None:
    text = (
        "Order Number,Order Status,Order Date,Customer User ID,Email (Billing),SKU,Item Name,Quantity,"
        "Order Line Total,Order Total Amount\n"
        f"9,{status},01/05/2026 10:00,0,Bo@Example.org,M,Mug,2,20.00,24\n"
    )
    good, bad, _ = read(text)
    assert bad.is_empty()
    amount = 2000 if kind == "purchase" else 0
    back = 2000 if status == "Refunded" else None
    assert good.select(TOLD).row(0) == ("bo@example.org", kind, "9", "M", 2, amount, back)


@pytest.mark.parametrize("lacking", ["order_date", "status", "order_id"])
def test_a_column_of_woocommerces_that_is_not_there_is_told(read: Read, tmp_path: Path, lacking: str) -> None:
    there = [name for name in ("order_id", "status", "order_date", "billing_email") if name != lacking]
    with pytest.raises(sources.SourceError, match=f"woocommerce needs the columns? .*{lacking}"):
        read(",".join(there) + "\n", "woocommerce")
    assert sources.columns([tmp_path / "rows.txt"], "woocommerce").vaulted == ("billing_email",)
    assert "email" in sources.fields(tmp_path / "rows.txt", "woocommerce")


def test_a_woocommerce_row_may_be_a_whole_order(read: Read) -> None:
    text = (
        "order_id,status,date_created_gmt,customer_id,billing_email,shipping_total,total_tax,order_total,"
        "refunded_total,currency\n9,completed,2026-01-05 10:00:00,4,a@b.c,5.00,4.00,29.00,14.50,EUR\n"
    )
    good, _, _ = read(text, timezone="Europe/Paris")
    told = good.select("user", "amount", "refunded", "id", "time").row(0)
    assert told == ("4", 2000, 1000, "9//1", 1_767_607_200_000_000)


def test_a_woocommerce_order_that_lacks_its_list_is_broken(read: Read) -> None:
    lines = [json.loads(line) for line in API.splitlines()]
    lines[0]["line_items"] = "none"
    lines[1]["billing"] = 5
    good, bad, _ = read("".join(json.dumps(line) + "\n" for line in lines))
    assert good.height == 1
    assert bad.select("line", "reason").rows() == [
        (1, "line_items is not a list"),
        (2, "billing is not an object, or holds one that is none"),
    ]
