"""The catalogue says what every feature means, and turns reason codes into words."""

import dataclasses
import re

import pytest

from engine.catalogue import catalogue, phrase
from engine.features import FAMILIES, FIELDS, FeatureSpec, feature_names

KINDS = ("add_to_cart", "purchase", "refund", "review", "rotate tyres", "view")
SPEC = FeatureSpec(
    zone="Europe/Paris",
    windows=(7, 30, 90),
    kinds=KINDS,
    attributes_number=("visits", "orders"),
    attributes_text=("plan",),
    fields=(*FIELDS, "region"),
    families=tuple(FAMILIES),
    sums=tuple((name, kind) for name in ("amount", "duration") for kind in KINDS),
    places=(("platform", 1, "web"), ("region", 2, "New York"), ("region", 3, "zone_7d")),
)


def test_every_feature_is_described():
    known = catalogue(SPEC)
    assert tuple(known) == feature_names(SPEC)
    for name, feature in known.items():
        assert feature.name == name
        for text in dataclasses.astuple(feature):
            assert text
            assert not re.search(r"[{}]", text), text


def test_phrases_are_of_the_features_own_window():
    known = catalogue(SPEC)
    for name, feature in known.items():
        window = re.search(r"_(\d+)d$", name)
        if window and not name.startswith("share_of_"):
            assert f"{window[1]} d" in feature.phrase_up
            assert f"{window[1]} d" in feature.meaning
            assert f"{window[1]} d" in feature.group


def test_caps_are_one_more_than_the_longest_window():
    assert "at most 91" in catalogue(SPEC)["recency_days"].formula


def test_what_moves_together_is_one_group():
    known = catalogue(SPEC)
    groups = {name: feature.group for name, feature in known.items()}
    assert groups["orders_90d"] == groups["spend_90d"] == groups["trend_30d"].replace("30", "90")
    assert groups["recency_days"] == groups["silence_days"] == groups["overdue"]
    assert groups["orders_90d"] != groups["orders_7d"]
    assert groups["visits"] != groups["plan"]


def test_an_attribute_with_a_taken_name_is_still_the_attribute():
    known = catalogue(SPEC)
    assert known["attribute_orders"].meaning == "the attribute orders"
    assert known["orders"].unit == "orders"
    assert known["plan"].unit == "text"


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("first", "first label"),
        ("model", "another model decides"),
        ("rule", "the rule's answer changed"),
        ("recency_days:up", "no order for longer"),
        ("recency_days:up:90", "no order for 90 d"),
        ("recency_days:down:60", "an order within 60 d"),
        ("silence_days:up:30", "silent for 30 d"),
        ("orders_90d:down", "an order left the 90 d window"),
        ("orders_45d:up", "an order in the last 45 d"),
        ("orders_90d:down:3", "orders of 90 d fell to 3"),
        ("orders_90d:below:3", "orders of 90 d fell below 3"),
        ("orders_90d:reached:3", "orders of 90 d rose to 3"),
        ("recency_days:reached:90", "no order for 90 d"),
        ("spend_28d:below:5495", "spend of 28 d fell below the bound"),
        ("active_days_28d:up:2.5", "active days of 28 d rose over 2.5"),
        ("spend_365d:up:5495", "spend of 365 d rose over the bound"),
        ("paid_28d:down:5495", "paid of 28 d fell to the bound"),
        ("refunds_28d:up", "a refund in the last 28 d"),
        ("carts_7d:down", "an item put into the cart left the 7 d window"),
        ("count_open letter_7d:up", "an open letter in the last 7 d"),
        ("refund_share:up", "a refund"),
        ("visits:up", "visits went up"),
        ("amount_of_carts_28d:up", "a larger amount of carts in the last 28 d"),
        ("trend_of_count_open letter_7d:down", "less open letter than in the 7 d before"),
        ("share_of_region_New York:up", "more with the region New York"),
        ("share_of_region_zone_7d:down", "less with the region zone_7d"),
        ("night_share:up", "more at night"),
        ("btyd_monetary:down", "smaller repeat purchases"),
        ("a:b:down", "a:b went down"),
        ("sequence:orders:up", "more ordering of late"),
        ("sequence:spend:down", "less spent of late"),
        ("sequence:count_open letter:down", "less open letter of late"),
        ("something_else", "something_else"),
        ("", ""),
    ],
)
def test_reasons_have_words(reason, words):
    assert phrase(reason) == words


def test_every_feature_has_the_words_of_its_spec_as_a_reason():
    for name, feature in catalogue(SPEC).items():
        if not feature.group.startswith("attribute"):
            assert phrase(f"{name}:up") == feature.phrase_up
            assert phrase(f"{name}:down") == feature.phrase_down
