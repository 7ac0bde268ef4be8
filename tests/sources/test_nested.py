"""Segment's calls and GA4's events: lists within rows, as JSON lines and as Parquet."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segtui import sources
from segtui.sources import files, ndjson

Read = Callable[..., Any]
SAMPLES = Path(__file__).parents[1] / "contract" / "samples"
SEGMENT = (SAMPLES / "segment.ndjson").read_text()
GA4 = (SAMPLES / "ga4.ndjson").read_text()
TOLD = ("user", "kind", "order", "item", "category", "quantity", "amount", "currency")


def test_segment_rows(read: Read) -> None:
    good, bad, _ = read(SEGMENT)
    assert bad.is_empty()
    assert good.select(TOLD).rows() == [
        ("a-1", "page_view", None, None, None, None, None, None),
        ("u-1", "view", None, "507f1f77", "mugs", None, None, None),
        ("u-1", "purchase", "50314b8e", "507f1f77", "mugs", 2, 2700, "EUR"),
        ("u-1", "purchase", "50314b8e", "505bd76785", "pots", 1, 1800, "EUR"),
        ("u-1", "refund", "50314b8e", "505bd76785", None, 1, -2000, "EUR"),
        ("u-1", "review", None, "507f1f77", None, None, None, None),
        ("u-1", "coupon_denied", None, None, None, None, None, None),
        ("u-1", "identify", None, None, None, None, None, None),
    ]
    assert good["id"].to_list() == ["m-1", "m-2", "m-3/1", "m-3/2", "m-4", "m-5", "m-6", "m-7"]
    assert good["rating"].to_list()[5] == 450
    assert good.select("platform", "device", "region").row(1) == ("browser", "ios", "France")


def call(event: str = "Order Completed", **properties: Any) -> str:
    told = {"type": "track", "event": event, "userId": "u", "timestamp": "2026-01-05T10:00:00Z"}
    return json.dumps(told | {"messageId": "m", "properties": properties}) + "\n"


def test_a_segment_order_without_products_is_one_row(read: Read) -> None:
    good, _, _ = read(call(revenue=12.5, total=20, currency="EUR") + call(total=20, products=[]))
    assert good.select("kind", "amount", "quantity", "id").rows() == [
        ("purchase", 1250, None, "m"),
        ("purchase", 2000, None, "m"),
    ]


def test_products_without_a_price_share_what_the_order_cost(read: Read) -> None:
    three = [{"sku": "A", "quantity": 2}, {"sku": "B"}, {"sku": "C", "price": " "}]
    good, bad, _ = read(
        call(products=three, revenue=10, currency="EUR")
        + call(products=three, total=1000, currency="JPY")
        + call("Order Refunded", products=three, total=0.05)
        + call(products=three[:1], revenue=10, subtotal=8)
        + call("Product Viewed", products=three, revenue=10)
    )
    assert bad.is_empty()
    assert good.group_by("line", maintain_order=True).agg("amount")["amount"].to_list() == [
        [333, 334, 333],
        [333, 334, 333],
        [-2, -1, -2],
        [800],
        [None],
    ]
    assert good["currency"].to_list() == ["EUR"] * 3 + ["JPY"] * 3 + ["EUR"] * 4 + [None]
    assert good["quantity"].to_list()[:3] == [2, None, None]


def test_a_price_of_one_product_leaves_the_others_without(read: Read) -> None:
    good, _, _ = read(call(products=[{"sku": "A", "price": 3}, {"sku": "B"}], revenue=10))
    assert good.select("amount", "currency").rows() == [(300, "EUR"), (None, None)]


def test_a_cost_that_is_none_rejects_the_rows_that_would_share_it(read: Read) -> None:
    two = [{"sku": "A"}, {"sku": "B"}]
    _, bad, _ = read(call(products=two, revenue="x") + call(products=two, revenue=-1))
    assert bad["reason"].to_list() == [
        *["amount 'x' is not a number"] * 2,
        *["negative amount outside a refund"] * 2,
    ]


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 10**9), st.integers(1, 7)), min_size=1, max_size=6),
    st.sampled_from([("EUR", 2), ("JPY", 0), ("KWD", 3)]),
)
def test_even_shares_add_up_to_what_the_order_cost(
    read: Read, orders: list[tuple[int, int]], currency: tuple[str, int]
) -> None:
    name, digits = currency

    def order(minor: int, pieces: int) -> str:
        products = [{"sku": str(at)} for at in range(pieces)]
        return call(products=products, revenue=str(Decimal(minor).scaleb(-digits)), currency=name)

    good, bad, _ = read("".join(order(*one) for one in orders), "segment")
    assert bad.is_empty()
    of_line = good.group_by("line", maintain_order=True).agg("amount")["amount"].to_list()
    assert [sum(shares) for shares in of_line] == [minor for minor, _ in orders]
    assert [len(shares) for shares in of_line] == [pieces for _, pieces in orders]
    assert all(max(shares) - min(shares) <= 1 for shares in of_line)


def test_one_product_without_a_quantity_is_one_piece(read: Read) -> None:
    good, _, _ = read(call(products=[{"sku": "A", "price": 3}]))
    assert good.select("item", "amount", "quantity", "id").row(0) == ("A", 300, 1, "m")


def test_a_segment_alias_joins_its_previous_id(tmp_path: Path, options: sources.Options) -> None:
    path = tmp_path / "calls.ndjson"
    told = {"type": "alias", "userId": "u", "timestamp": "2026-01-05T10:00:00Z"}
    path.write_text(json.dumps(told | {"previousId": "a"}) + "\n" + json.dumps(told) + "\n")
    batches = list(sources.read(path, "segment", options))
    joined = [row for batch in batches if batch.aliases is not None for row in batch.aliases["other"]]
    assert joined == ["a"]
    assert [row for batch in batches for row in batch.rejected["reason"]] == [
        "an alias without a previous id"
    ]
    assert "previousId" in sources.columns([path], "segment").vaulted


@pytest.mark.parametrize(
    ("outside", "kind"),
    [
        ("Product List Viewed", "view_list"),
        ("Product Viewed", "view"),
        ("Product Clicked", "click"),
        ("Products Searched", "search"),
        ("Product Added", "add_to_cart"),
        ("Product Removed", "remove_from_cart"),
        ("Product Added to Wishlist", "add_to_wishlist"),
        ("Checkout Started", "begin_checkout"),
        ("Order Completed", "purchase"),
        ("Order Refunded", "refund"),
        ("Order Cancelled", "refund"),
        ("Product Reviewed", "review"),
        ("Product Shared", "share"),
        ("Cart Shared", "share"),
    ],
)
def test_segments_shop_events_have_the_kinds_of_the_log(read: Read, outside: str, kind: str) -> None:
    good, bad, _ = read(call(outside, products=[{"product_id": "A", "price": 3}]))
    assert bad.is_empty()
    assert good["kind"].to_list() == [kind]
    paid = {"purchase": 300, "refund": -300}
    assert good["amount"].to_list() == [paid.get(kind)]


def test_a_segment_identify_call_joins_the_anonymous_id(tmp_path: Path, options: sources.Options) -> None:
    told = {"type": "identify", "timestamp": "2026-01-05T10:00:00Z"}
    calls = [
        told | {"userId": "u", "anonymousId": "a"},
        told | {"userId": "u"},
        told | {"anonymousId": "b"},
        told | {"userId": " ", "anonymousId": "c"},
        told | {"userId": "d", "anonymousId": "d"},
        {**told, "type": "track", "event": "Product Viewed", "userId": "u", "anonymousId": "e"},
    ]
    path = tmp_path / "calls.ndjson"
    path.write_text("".join(json.dumps(one) + "\n" for one in calls))
    assert links(path, options) == [(1, "u", "a")]
    batches = list(sources.read(path, "segment", options))
    assert sum(batch.accepted.height for batch in batches) == len(calls)


def test_segments_own_events_keep_their_names_in_snake_case(read: Read) -> None:
    names = ["Signed Up", "videoPlayed", "Cart  Viewed!", "Product Added", "  "]
    good, bad, _ = read("".join(call(name) for name in names))
    assert good["kind"].to_list() == ["signed_up", "video_played", "cart_viewed", "add_to_cart"]
    assert bad["reason"].to_list() == ["no kind"]


def test_a_segment_call_of_another_shape_is_broken_alone(read: Read) -> None:
    good, bad, _ = read(call() + call(products={"sku": "A"}) + call(products=["A"]) + call(revenue="x"))
    assert good.height == 1
    assert bad.select("line", "reason").rows() == [
        (2, "properties is not a list"),
        (3, "properties is not an object, or holds one that is none"),
        (4, "amount 'x' is not a number"),
    ]


def test_lines_at_fault_leave_the_others_as_they_are(read: Read) -> None:
    calls = [call(products=[{"sku": str(n), "price": 1.5}]) for n in range(5 * ndjson.ALONE)]
    alone = read("".join(calls))[0]
    beside = read("".join([*calls[:70], call(products=5), *calls[70:]]))[0]
    assert beside.drop("line").equals(alone.drop("line"))


def test_ga4_rows(read: Read) -> None:
    good, bad, _ = read(GA4)
    assert bad.is_empty()
    assert good.select(TOLD).rows() == [
        ("1026454.4271112504", "page_view", None, None, None, None, None, None),
        ("1026454.4271112504", "view", None, "MUG-B", "mugs", None, None, None),
        ("u-1", "purchase", "T-77", "MUG-B", "mugs", 2, 2700, "EUR"),
        ("u-1", "purchase", "T-77", "Teapot", None, 1, 1800, "EUR"),
        ("u-1", "identify", None, None, None, None, None, None),
        ("u-1", "refund", "T-77", None, None, None, -1800, "EUR"),
        ("99.1", "view_list", None, None, None, None, None, None),
    ]
    assert good.select("time", "session", "duration", "platform", "device", "region").row(0) == (
        1_767_607_200_123_456,
        "1767607199",
        2450,
        "web",
        "mobile",
        "France",
    )


def ga4_event(name: str = "page_view", **members: Any) -> str:
    told = {"event_timestamp": "1767607200123456", "event_name": name, "user_pseudo_id": "1.2"}
    return json.dumps(told | members) + "\n"


@pytest.mark.parametrize(
    ("outside", "kind"),
    [
        ("view_item_list", "view_list"),
        ("view_item", "view"),
        ("select_item", "click"),
        ("search", "search"),
        ("add_to_cart", "add_to_cart"),
        ("remove_from_cart", "remove_from_cart"),
        ("add_to_wishlist", "add_to_wishlist"),
        ("begin_checkout", "begin_checkout"),
        ("purchase", "purchase"),
        ("refund", "refund"),
        ("share", "share"),
        ("generate_lead", "generate_lead"),
    ],
)
def test_ga4_events_have_the_kinds_of_the_log(read: Read, outside: str, kind: str) -> None:
    good, bad, _ = read(ga4_event(outside, items=[{"item_id": "A"}]))
    assert bad.is_empty()
    assert good["kind"].to_list() == [kind]


def test_ga4_items_without_a_price_share_the_events_revenue(read: Read) -> None:
    items = [{"item_id": "A", "quantity": 2}, {"item_id": "B"}]
    good, bad, _ = read(
        ga4_event("purchase", items=items, ecommerce={"purchase_revenue": 10.01})
        + ga4_event("refund", items=items, ecommerce={"refund_value": 10})
        + ga4_event(
            "purchase", items=[*items, {"item_id": "C", "price": 3}], ecommerce={"purchase_revenue": 9}
        )
        + ga4_event("purchase", items=[*items, {"item_id": "C", "item_revenue": 3}])
        + ga4_event("add_to_cart", items=items, ecommerce={"purchase_revenue": 10})
    )
    assert bad.is_empty()
    assert good["amount"].to_list() == [501, 500, -500, -500, None, None, 300, None, None, 300, None, None]


def test_the_engagement_time_of_a_ga4_event_stands_on_its_first_row(read: Read) -> None:
    parameters = [{"key": "engagement_time_msec", "value": {"int_value": "900"}}]
    good, _, _ = read(
        ga4_event("purchase", items=[{"item_id": "A"}, {"item_id": "B"}], event_params=parameters)
        + ga4_event(event_params=parameters)
        + ga4_event("view_item", items=[{"item_id": "A"}], event_params=parameters)
    )
    assert good["duration"].to_list() == [900, None, 900, 900]


def links(path: Path, options: sources.Options) -> list[tuple[int, str, str]]:
    """(line, user, other id) of every row that joins two ids."""
    found = []
    for batch in sources.read(path, "auto", options):
        if batch.aliases is not None:
            joined = batch.aliases.join(batch.accepted.select("line", "user", "kind"), on="line")
            found += joined.filter(kind="identify").select("line", "user", "other").rows()
    return found


def test_a_ga4_device_is_its_users_once_in_a_file(
    tmp_path: Path, options: sources.Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "events.ndjson"
    at, late = "1767607200123456", "soon"
    lines = [
        ga4_event(),
        ga4_event(user_id="u-1", event_timestamp=late),
        ga4_event(user_id="u-1", event_timestamp=at),
        ga4_event(user_id="u-1"),
        ga4_event(user_id="u-1", user_pseudo_id="3.4"),
        ga4_event(user_id="3.4", user_pseudo_id="3.4"),
        ga4_event(user_id=" ", user_pseudo_id="5.6"),
        ga4_event(user_id="u-1"),
    ]
    path.write_text("".join(lines))
    assert links(path, options) == [(3, "u-1", "1.2"), (5, "u-1", "3.4")]
    assert sources.fields(path, "ga4")["previous"] == "user_pseudo_id"
    monkeypatch.setattr(files, "CHUNK_BYTES", 40)
    assert links(path, options) == [(3, "u-1", "1.2"), (5, "u-1", "3.4")]


def typed(line: str) -> dict[str, Any]:
    """An event as BigQuery types it: integers, floats, lists of structs."""
    event = json.loads(line)
    empty = dict.fromkeys(("string_value", "int_value", "double_value"))
    parameters = [{"key": one["key"], "value": empty | one["value"]} for one in event.get("event_params", [])]
    for one in parameters:
        if one["value"]["int_value"] is not None:
            one["value"]["int_value"] = int(one["value"]["int_value"])
    names = ("item_id", "item_name", "item_category", "price", "quantity", "item_revenue")
    items = [{name: item.get(name) for name in names} for item in event["items"]]
    for item in items:
        item["quantity"] = None if item["quantity"] is None else int(item["quantity"])
    shop = {name: event.get("ecommerce", {}).get(name) for name in ("transaction_id", "purchase_revenue")}
    shop["refund_value"] = event.get("ecommerce", {}).get("refund_value")
    return {
        "event_timestamp": int(event["event_timestamp"]),
        "event_name": event["event_name"],
        "event_params": parameters,
        "user_id": event.get("user_id"),
        "user_pseudo_id": event["user_pseudo_id"],
        "device": {"category": event.get("device", {}).get("category"), "language": "fr"},
        "geo": {"country": event.get("geo", {}).get("country")},
        "ecommerce": shop,
        "platform": event["platform"],
        "items": items,
        "stream_id": "1",
    }


@pytest.mark.parametrize("wrapped", [False, True])
def test_ga4_in_parquet_tells_the_same(tmp_path: Path, options: sources.Options, wrapped: bool) -> None:
    frame = pl.DataFrame([typed(line) for line in GA4.splitlines()], infer_schema_length=None)
    if wrapped:
        frame = frame.with_columns(
            pl.col(name).list.eval(pl.struct(pl.element().alias("element"))).alias(name)
            for name in ("items", "event_params")
        )
    path, lines = tmp_path / "events.parquet", tmp_path / "events.ndjson"
    frame.write_parquet(path)
    lines.write_text(GA4)
    assert sources.detect(path)[0] == "ga4"
    (told,) = sources.read(path, "auto", options)
    again = pl.concat(batch.accepted for batch in sources.read(lines, "auto", options))
    assert told.rejected.is_empty()
    assert told.accepted.equals(again)
    assert "stream_id" in sources.columns([path], "ga4").dropped


def test_ga4_in_parquet_without_items_or_in_another_shape(tmp_path: Path, options: sources.Options) -> None:
    path = tmp_path / "events.parquet"
    frame = pl.DataFrame([typed(GA4.splitlines()[0])]).drop("items", "user_id")
    frame.write_parquet(path)
    (told,) = sources.read(path, "ga4", options)
    assert told.accepted.select("user", "kind").row(0) == ("1026454.4271112504", "page_view")
    frame.with_columns(pl.lit(5).alias("geo")).write_parquet(path)
    with pytest.raises(sources.SourceError, match=r"column 'geo' holds Int32, not Struct"):
        list(sources.read(path, "ga4", options))


def test_not_a_number_in_nested_parquet_is_a_missing_value(tmp_path: Path, options: sources.Options) -> None:
    path = tmp_path / "events.parquet"
    event = next(told for told in map(typed, GA4.splitlines()) if told["event_name"] == "purchase")
    nan = float("nan")
    items = [item | {"price": nan, "item_revenue": nan, "quantity": nan} for item in event["items"]]
    pl.DataFrame([event | {"items": items[:1]}], infer_schema_length=None).write_parquet(path)
    (told,) = sources.read(path, "ga4", options)
    assert told.rejected.is_empty()
    assert told.accepted.filter(kind="purchase")["quantity"].to_list() == [1]
