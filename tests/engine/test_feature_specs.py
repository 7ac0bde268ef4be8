"""Which features a spec names, what it keeps of itself, and what it refuses."""

import json

import pytest

from engine.errors import EngineError
from engine.features import FeatureSpec, feature_names, spec_for


def test_a_log_of_purchases_has_no_empty_features(events_of, attributes_of):
    events = events_of(
        [
            {"user": 1, "occurred_at": at, "kind": "purchase", "amount": 100, "quantity": at, "duration": 0}
            for at in (1, 2)
        ]
    )
    attributes = attributes_of(
        [
            {"user": 1, "occurred_at": 0, "name": "visits", "number": 2.0},
            {"user": 1, "occurred_at": 0, "name": "plan", "text": "gold"},
        ]
    )
    spec = spec_for(events, "Asia/Kolkata", attributes)
    assert spec == FeatureSpec(
        zone="Asia/Kolkata",
        kinds=("purchase",),
        attributes_number=("visits",),
        attributes_text=("plan",),
        fields=("amount", "quantity"),
    )
    assert "duration_mean" not in feature_names(spec)
    assert "quantity_mean" in feature_names(spec)


def test_a_table_of_users_has_its_attributes_only(events_of, attributes_of):
    events = events_of([{"user": 1, "occurred_at": 0, "kind": "identify"}])
    attributes = attributes_of([{"user": 1, "occurred_at": 0, "name": "visits", "number": 2.0}])
    assert feature_names(spec_for(events, "UTC", attributes)) == ("visits",)


def test_names_never_collide():
    spec = FeatureSpec(
        kinds=("a", "a_7d", "a_7d_", "purchase", "view", "views"),
        attributes_number=("orders", "attribute_orders", "x"),
        attributes_text=("user",),
    )
    names = feature_names(spec)
    assert len(names) == len(set(names))
    assert {"attribute_orders", "attribute_attribute_orders", "x", "attribute_user"} <= set(names)


def test_a_spec_comes_back_from_json():
    spec = FeatureSpec(
        zone="Europe/Paris", windows=(3, 30), kinds=("purchase", "view"), attributes_text=("plan",)
    )
    assert FeatureSpec.from_json(spec.to_json()) == spec


def test_a_wide_spec_comes_back_from_json(wide_spec):
    spec = wide_spec()
    assert FeatureSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


def test_the_json_of_a_core_spec_is_what_models_are_stored_with():
    assert FeatureSpec(kinds=("purchase", "view"), fields=("amount",)).to_json() == {
        "zone": "UTC",
        "windows": [7, 28, 90, 365],
        "kinds": ["purchase", "view"],
        "attributes_number": [],
        "attributes_text": [],
        "fields": ["amount"],
    }


def test_a_wide_spec_adds_up_what_is_there_and_shares_what_is_frequent(events_of):
    rows = [
        {"user": 1, "kind": "view", "duration": 5, "platform": 1 + at % 2, "region": 9} for at in range(300)
    ]
    rows += [
        {"user": 1, "kind": "add_to_cart", "amount": 700, "duration": 0, "platform": 3},
        {"user": 1, "kind": "purchase", "amount": 700},
        {"user": 1, "kind": "identify", "amount": 1, "device": 8},
    ]
    events = events_of([{"occurred_at": at, **row} for at, row in enumerate(rows)])
    spec = spec_for(events, "UTC", families=("places", "sums"), texts={1: "web", 2: "app", 3: "tv", 9: "FR"})
    assert spec.families == ("sums", "places")
    assert spec.sums == (("amount", "add_to_cart"), ("duration", "view"))
    # One region and one device are the same for everyone, and the third platform is rare.
    assert spec.places == (("platform", 1, "web"), ("platform", 2, "app"))
    names = feature_names(spec)
    assert {"amount_of_carts_7d", "duration_of_views", "share_of_platform_app", "platforms"} <= set(names)
    assert not [name for name in names if name.startswith("region")]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"windows": (28, 7)}, "Windows"),
        ({"windows": ()}, "Windows"),
        ({"windows": (0, 7)}, "Windows"),
        ({"fields": ("amonut",)}, "amonut"),
        ({"zone": "Mars/Base"}, "Time zone"),
        ({"families": ("sum",)}, "no family of features 'sum'"),
        (
            {"fields": ("amount",), "filled": ("rating",)},
            "'rating' cannot be interpolated: choose those of amount",
        ),
    ],
)
def test_specs_that_cannot_be_are_refused(wrong, says):
    with pytest.raises(EngineError, match=says):
        FeatureSpec(**wrong)
