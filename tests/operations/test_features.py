"""The catalogue of a store: what its log can tell of a user, and that rules may name it."""

import json

import pytest

from segtui.operations.errors import OperationError
from segtui.operations.features import features
from segtui.operations.ingest import import_files
from segtui.operations.members import members
from segtui.operations.rescore import rescore


@pytest.fixture
def places(shop):
    """A shop whose customers come by phone in the morning, or from a desk at night."""
    shop.at(20.5)
    path = shop.path.with_name("places.ndjson")
    lines = [
        {
            "user": f"u{number}",
            "time": f"2026-01-{day:02}T{'09' if number % 3 else '02'}:30:00Z",
            "kind": kind,
            "platform": "app" if number % 3 else "web",
            **({"amount": 10.0 + day, "currency": "EUR"} if kind != "view" else {}),
        }
        for number in range(9)
        for day in range(6, 20)
        for kind in ("view", "add_to_cart", "purchase")
        if kind == "view" or day % (number + 2) == 0
    ]
    path.write_text("".join(json.dumps(each) + "\n" for each in lines))
    with shop.open() as s:
        import_files(s, [path], format="events")
        rescore(s)
    return shop


def named(s, **how):
    return {each["name"]: each for each in features(s, **how)["features"]}


def everyone(s, where):
    """Members of all labels of `value` for whom the rule holds."""
    found = [members(s, f"value={label}", where=where, limit=None) for label in ("high", "medium", "low")]
    return {each["user"] for page in found for each in page["members"]}


def test_the_features_are_those_of_the_log(places):
    with places.open() as s:
        known = named(s)
    assert {"orders_1d", "share_of_platform_app", "amount_of_carts_28d", "btyd_frequency"} <= known.keys()
    assert not {"ratings", "rating_mean", "sessions", "regions", "refund_share"} & known.keys()
    assert known["recency_days"] == {
        "name": "recency_days",
        "unit": "days",
        "meaning": "since the last purchase, the day of the as-of being 1",
        "formula": "day(A) - day(last purchase) + 1, at most 366; 366 without a purchase",
        "rises": "no order for longer",
        "falls": "a new order",
        "group": "recency",
        "core": True,
    }
    assert not any(known[name]["core"] for name in ("orders_1d", "night_share", "platforms"))
    assert all(known[name]["core"] for name in ("orders_7d", "views", "platform_share", "conversion"))


def test_before_the_first_import_the_features_are_those_of_any_shop(shop):
    with shop.open() as s:
        known = named(s)
    assert {"orders_7d", "views_28d", "rating_mean", "region_share", "amount_of_carts"} <= known.keys()
    assert known["orders_7d"]["core"]


def test_one_feature_is_told_by_name_and_a_wrong_name_gets_the_nearest(places):
    with places.open() as s:
        assert list(named(s, name="cart_to_order_28d")) == ["cart_to_order_28d"]
        with pytest.raises(OperationError, match=r"no feature 'recency'.*nearest.*recency_days.*\.$"):
            features(s, "recency")


@pytest.mark.parametrize(
    ("where", "numbers"),
    [
        ("night_share = 1 AND views > 0", {0, 3, 6}),
        ("share_of_platform_app >= 0.5", {1, 2, 4, 5, 7, 8}),
        ("night_share = 0 AND share_of_platform_web > 0", set()),
        ("btyd_frequency >= 3", {0, 1}),
        ("probability IS NULL AND view_to_cart = 0.5", {0}),
    ],
)
def test_rules_may_name_every_feature(places, where, numbers):
    with places.open() as s:
        assert everyone(s, where) == {f"u{number}" for number in numbers}


def test_every_name_can_be_written_in_a_rule(places):
    with places.open() as s:
        known = named(s)
        clauses = [f'"{name}" IS NULL' for name in known]
        for start in range(0, len(clauses), 60):
            everyone(s, " OR ".join(clauses[start : start + 60]))
