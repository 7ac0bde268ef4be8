"""Features are exact, and depend on nothing but the user's own events before the as-of."""

import math
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import EngineError
from engine.features import FeatureSpec, feature_names, features, longest_window, prepare, spec_for
from engine.schema import EVENTS, IDENTITY, empty

ALL_KINDS = ("add_to_cart", "purchase", "refund", "review", "rotate tyres", "view")
PLURALS = {
    "add_to_cart": "carts",
    "refund": "refunds",
    "review": "reviews",
    "rotate tyres": "count_rotate tyres",
    "view": "views",
}
DAY = 86_400_000_000
NOBODY = empty(IDENTITY)


def full_spec(zone: str = "UTC", windows: tuple[int, ...] = (7, 28, 90, 365)) -> FeatureSpec:
    return FeatureSpec(zone=zone, windows=windows, kinds=ALL_KINDS)


# --- the same features once more, user by user, in plain Python ------------------------------------------


def naive_features(rows, canonical, as_of, spec):
    """{user: {feature: value}} of rows as dicts with seq, by lists and fractions."""
    users = {}
    for row in rows:
        if row["occurred_at"] < as_of:
            users.setdefault(canonical.get(row["user"], row["user"]), []).append(row)
    return {
        user: naive_user(sorted(own, key=lambda row: (row["occurred_at"], row["seq"])), as_of, spec)
        for user, own in users.items()
    }


def naive_user(rows, as_of, spec):
    zone = ZoneInfo(spec.zone)
    cap = spec.windows[-1] + 1

    def moment(us):
        return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)).astimezone(zone)

    def day(row):
        return moment(row["occurred_at"]).date().toordinal()

    def start(days):
        local = moment(as_of).replace(tzinfo=None) - timedelta(days=days)
        return int(local.replace(tzinfo=zone).timestamp()) * 1_000_000

    def since(day_then):
        return min(moment(as_of - 1).date().toordinal() - day_then + 1, cap)

    def within(some, days):
        return [row for row in some if row["occurred_at"] >= start(days)]

    def orders(some):
        numbers = {row["order"] for row in some if row["order"] is not None}
        return len(numbers) + sum(row["order"] is None for row in some)

    def total(some, name):
        return sum(row[name] or 0 for row in some)

    def values(some, name):
        return [row[name] for row in some if row[name] is not None]

    bought = [row for row in rows if row["kind"] == "purchase"]
    refunds = [row for row in rows if row["kind"] == "refund"]
    money = [row for row in rows if row["kind"] in ("purchase", "refund")]
    acts = [row for row in rows if row["kind"] != "identify"]
    days = sorted({day(row) for row in bought})
    gaps = [later - earlier for earlier, later in pairwise(days)]
    amounts = values(bought, "amount")
    out = {
        "recency_days": since(days[-1]) if days else cap,
        "customer_days": since(days[0]) if days else 0,
        "purchase_days": len(days),
        "gap_mean_days": mean(gaps),
        "gap_spread_days": None if variance(gaps) is None else math.sqrt(variance(gaps)),
        "gap_max_days": max(gaps, default=None),
        "overdue": None if not gaps else quotient(since(days[-1]) * len(gaps), sum(gaps)),
        "weekend_share": quotient(sum(at % 7 in (6, 0) for at in days), len(days)),
        "purchase_lines": len(bought),
        "orders": orders(bought),
        "spend": total(money, "amount"),
        "order_value_mean": quotient(sum(amounts), orders(bought)),
        "amount_mean": mean(amounts),
        "amount_variance": variance(amounts),
        "amount_min": min(amounts, default=None),
        "amount_max": max(amounts, default=None),
        "amount_last": amounts[-1] if amounts else None,
        "refund_share": quotient(-total(refunds, "amount"), max(sum(amounts), 0)),
        "quantity_mean": mean(values(bought, "quantity")),
        "quantity_max": max(values(bought, "quantity"), default=None),
        "conversion": quotient(orders(bought), sum(row["kind"] == "view" for row in rows)),
        "tenure_days": since(day(acts[0])) if acts else 0,
        "silence_days": since(day(acts[-1])) if acts else cap,
        "active_days": len({day(row) for row in acts}),
        "sessions": len({(row["user"], row["session"]) for row in acts if row["session"] is not None}),
        "duration_mean": mean(values(acts, "duration")),
        "duration_max": max(values(acts, "duration"), default=None),
        "items": len(set(values(acts, "item"))),
        "categories": len(set(values(acts, "category"))),
    }
    ratings = values(acts, "rating")
    out["rating_mean"] = None if not ratings else quotient(sum(ratings), 100 * len(ratings))
    for name, pick in (("min", min), ("max", max), ("last", lambda some: some[-1])):
        out[f"rating_{name}"] = pick(ratings) / 100 if ratings else None
    for name in ("platform", "device"):
        used = Counter(values(acts, name))
        out[f"{name}_share"] = quotient(max(used.values(), default=0), sum(used.values()))
    for kind, name in PLURALS.items():
        out[name] = sum(row["kind"] == kind for row in rows)
        for window in spec.windows:
            out[f"{name}_{window}d"] = sum(row["kind"] == kind for row in within(rows, window))
    for window in spec.windows:
        lately = within(acts, window)
        out[f"orders_{window}d"] = orders(within(bought, window))
        out[f"spend_{window}d"] = total(within(money, window), "amount")
        out[f"active_days_{window}d"] = len({day(row) for row in lately})
        sessions = {(row["user"], row["session"]) for row in lately if row["session"] is not None}
        out[f"sessions_{window}d"] = len(sessions)
        out[f"duration_{window}d"] = total(lately, "duration")
        if 2 * window <= spec.windows[-1]:
            new, both = orders(within(bought, window)), orders(within(bought, 2 * window))
            out[f"trend_{window}d"] = quotient(new - (both - new), both)
    return out


def quotient(above, below):
    return None if below == 0 else float(Fraction(above, below))


def mean(values):
    return quotient(sum(values), len(values))


def variance(values):
    n = len(values)
    return None if n < 2 else quotient(n * sum(v * v for v in values) - sum(values) ** 2, n * (n - 1))


def as_dict(frame):
    return {row.pop("user"): row for row in frame.iter_rows(named=True)}


# --- properties ------------------------------------------------------------------------------------------


@st.composite
def asked(draw, logs, zones, midnights):
    """(rows with seq, zone, as_of, canonical users)."""
    rows = [{"seq": at, **row} for at, row in enumerate(draw(logs), 1)]
    zone = draw(zones)
    aliases = draw(st.sampled_from([{}, {3: 1}, {2: 1, 4: 3}, {2: 1, 3: 1, 4: 1}]))
    return rows, zone, draw(midnights(zone)), aliases


@settings(max_examples=150)
@given(data=st.data())
def test_every_feature_is_what_its_formula_says(data, logs, zones, midnights, events_of, identity_of):
    rows, zone, as_of, aliases = data.draw(asked(logs, zones, midnights))
    spec = full_spec(zone)
    found = as_dict(features(events_of(rows), identity_of(aliases), as_of, spec))
    expected = naive_features(rows, aliases, as_of, spec)
    assert found.keys() == expected.keys()
    for user, own in expected.items():
        assert set(own) == set(feature_names(spec))
        assert found[user] == own


@given(data=st.data(), hour=st.integers(0, 23))
def test_windows_of_hour_ticks_start_at_the_same_hour(data, hour, logs, midnights, events_of):
    rows = [{"seq": at, **row} for at, row in enumerate(data.draw(logs), 1)]
    as_of = data.draw(midnights("UTC")) + hour * 3_600_000_000
    spec = full_spec()
    assert as_dict(features(events_of(rows), NOBODY, as_of, spec)) == naive_features(rows, {}, as_of, spec)


@given(data=st.data(), seed=st.integers())
def test_order_of_rows_never_matters(data, seed, logs, zones, midnights, events_of, identity_of):
    rows, zone, as_of, aliases = data.draw(asked(logs, zones, midnights))
    shuffled = random.Random(seed).sample(rows, len(rows))
    spec, identity = full_spec(zone), identity_of(aliases)
    one = features(events_of(rows), identity, as_of, spec)
    assert features(events_of(shuffled), identity, as_of, spec).equals(one)


@given(data=st.data())
def test_events_at_or_after_the_as_of_never_matter(data, logs, zones, midnights, events_of, identity_of):
    rows, zone, as_of, aliases = data.draw(asked(logs, zones, midnights))
    later = [{**row, "occurred_at": as_of + at * DAY} for at, row in enumerate(data.draw(logs))]
    spec, identity = full_spec(zone), identity_of(aliases)
    alone = features(events_of(rows), identity, as_of, spec)
    # New ones come first as well, so that seq cannot be what keeps them out.
    mixed = [{**row, "seq": seq} for seq, row in enumerate([*later, *rows, *later], 1)]
    assert features(events_of(mixed), identity, as_of, spec).equals(alone)


@given(data=st.data(), wanted=st.sets(st.integers(1, 5)))
def test_a_subset_of_users_is_that_subset_of_everyone(
    data, wanted, logs, zones, midnights, events_of, identity_of
):
    rows, zone, as_of, aliases = data.draw(asked(logs, zones, midnights))
    spec, identity, events = full_spec(zone), identity_of(aliases), events_of(rows)
    everyone = features(events, identity, as_of, spec)
    some = everyone.filter(pl.col("user").is_in(list(wanted)))
    assert features(events, identity, as_of, spec, users=sorted(wanted)).equals(some)
    own = events.filter(pl.Series([aliases.get(row["user"], row["user"]) in wanted for row in rows]))
    assert features(own, identity, as_of, spec).equals(some)


@given(data=st.data())
def test_prepared_events_give_the_same(data, logs, zones, midnights, events_of, identity_of):
    rows, zone, first, aliases = data.draw(asked(logs, zones, midnights))
    spec, identity, events = full_spec(zone), identity_of(aliases), events_of(rows)
    prepared = prepare(events, identity, spec)
    # An as-of on an event's own instant is where "before" and "not after" part.
    on_events = st.sampled_from(sorted({row["occurred_at"] for row in rows}))
    for as_of in (first, *data.draw(st.lists(midnights(zone) | on_events, min_size=2, max_size=3))):
        direct = features(events, identity, as_of, spec)
        assert features(prepared, None, as_of, spec).equals(direct)
        assert features(prepared, None, as_of, spec, users=[1, 3]).equals(
            direct.filter(pl.col("user").is_in([1, 3]))
        )


@given(data=st.data())
def test_whoever_was_silent_for_the_longest_window_stays_as_they_are(data, logs, zones, midnights, events_of):
    rows, zone, as_of, _ = data.draw(asked(logs, zones, midnights))
    spec, events = full_spec(zone, windows=(7, 28)), events_of(rows)
    now = features(events, NOBODY, as_of, spec)
    silent = now.filter(pl.col("silence_days") > longest_window(spec))["user"]
    before_next = events.filter(pl.col("occurred_at") < as_of)
    for later in (as_of + DAY, as_of + 400 * DAY):
        after = features(before_next, NOBODY, later, spec)
        assert after.filter(pl.col("user").is_in(silent.implode())).equals(
            now.filter(pl.col("user").is_in(silent.implode()))
        )


@given(data=st.data())
def test_features_of_a_smaller_spec_are_the_same(data, logs, midnights, events_of):
    rows, as_of = data.draw(logs), data.draw(midnights("UTC"))
    events = events_of(rows)
    spec = spec_for(events, "UTC")
    frame = features(events, NOBODY, as_of, spec)
    everything = features(events, NOBODY, as_of, full_spec())
    assert frame.equals(everything.select(frame.columns))


# --- examples --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "bought", "as_of", "days"),
    [
        ("UTC", "2024-02-28T23:59", "2024-02-29", 1),
        ("UTC", "2024-02-28T23:59", "2024-03-02", 3),
        ("UTC", "2024-02-29T00:00", "2025-03-01", 366),
        ("UTC", "2023-02-28T00:00", "2024-02-29", 366),
        # The day of 23 hours, and the one of 25, are one day each.
        ("Europe/Paris", "2024-03-30T23:30", "2024-04-01", 2),
        ("Europe/Paris", "2024-03-31T03:30", "2024-04-01", 1),
        ("Europe/Paris", "2024-10-26T23:30", "2024-10-28", 2),
        ("Europe/Paris", "2024-10-27T23:30", "2024-10-28", 1),
        # 22:30 UTC is the next day in Paris.
        ("Europe/Paris", "2024-07-01T22:30+00:00", "2024-07-04", 2),
    ],
)
def test_recency_counts_local_days(zone, bought, as_of, days, instant, events_of):
    spec = FeatureSpec(zone=zone, kinds=("purchase",))
    events = events_of([{"user": 1, "occurred_at": instant(bought, zone), "kind": "purchase"}])
    assert features(events, NOBODY, instant(as_of, zone), spec)["recency_days"].to_list() == [days]


@pytest.mark.parametrize(
    ("bought", "counted"), [("2024-03-25", 1), ("2024-03-24T23:59:59.999999", 0), ("2024-03-31T01:59", 1)]
)
def test_a_window_over_a_change_of_clocks_starts_at_midnight(bought, counted, instant, events_of):
    spec = FeatureSpec(zone="Europe/Paris", kinds=("purchase",))
    events = events_of([{"user": 1, "occurred_at": instant(bought, spec.zone), "kind": "purchase"}])
    found = features(events, NOBODY, instant("2024-04-01", spec.zone), spec)
    assert found["orders_7d"].to_list() == [counted]


def test_a_stray_date_of_long_ago_changes_nothing_else(instant, events_of):
    zone = "Europe/Paris"
    late = [
        {"user": 1, "occurred_at": instant(day, zone), "kind": "view"} for day in ("2024-03-31", "2024-10-27")
    ]
    stray = [{"user": 2, "occurred_at": at, "kind": "view"} for at in (0, instant("1066-10-14T09:00"))]
    as_of = instant("2024-10-28", zone)
    spec = FeatureSpec(zone=zone, kinds=("view",))
    alone = features(events_of(late), NOBODY, as_of, spec)
    mixed = features(events_of([*stray, *late]), NOBODY, as_of, spec)
    assert mixed.filter(pl.col("user") == 1).equals(alone)
    assert mixed.filter(pl.col("user") == 2)["active_days"].to_list() == [2]


def test_large_amounts_keep_every_digit(events_of):
    amounts = [10**12, -(10**12) + 1, 10**12 - 7, 999_999_999_989] * 50
    events = events_of(
        [{"user": 1, "occurred_at": at, "kind": "purchase", "amount": a} for at, a in enumerate(amounts)]
    )
    row = features(events, NOBODY, 10**6, FeatureSpec())
    n = len(amounts)
    above = n * sum(a * a for a in amounts) - sum(amounts) ** 2
    assert above > 2**64
    assert row["spend"].item() == sum(amounts)
    assert row["amount_variance"].item() == float(above) / float(n * (n - 1))


def test_the_last_amount_at_one_instant_is_the_one_with_the_largest_seq(events_of):
    rows = [
        {"user": 1, "occurred_at": 5, "kind": "purchase", "amount": amount, "seq": seq}
        for seq, amount in ((3, 300), (9, 900), (4, 400))
    ]
    assert features(events_of(rows), NOBODY, 6, FeatureSpec())["amount_last"].item() == 900


def test_an_order_is_counted_once_wherever_its_lines_are(events_of):
    lines = [(0, 7), (1, 7), (100, 7), (100, 8), (50, None), (60, None)]
    events = events_of(
        [{"user": 1, "occurred_at": day * DAY, "kind": "purchase", "order": order} for day, order in lines]
    )
    row = features(events, NOBODY, 101 * DAY, FeatureSpec()).row(0, named=True)
    assert (row["orders"], row["orders_7d"], row["orders_90d"], row["purchase_lines"]) == (4, 2, 4, 6)


def test_an_order_of_two_aliases_is_one_order(events_of, identity_of):
    rows = [{"user": user, "occurred_at": 1, "kind": "purchase", "order": 7, "session": 1} for user in (5, 9)]
    row = features(events_of(rows), identity_of({9: 5}), DAY, FeatureSpec()).row(0, named=True)
    assert (row["user"], row["orders"], row["sessions"]) == (5, 1, 2)


def test_someone_who_only_signed_up_has_a_row_and_no_acts(events_of):
    events = events_of([{"user": 3, "occurred_at": 0, "kind": "identify", "platform": 1}])
    row = features(events, NOBODY, DAY, full_spec()).row(0, named=True)
    assert (row["user"], row["tenure_days"], row["silence_days"], row["recency_days"]) == (3, 0, 366, 366)
    assert row["platform_share"] is None


def test_a_log_without_events_has_every_column_and_no_row():
    frame = features(empty(EVENTS), NOBODY, DAY, full_spec())
    assert frame.is_empty()
    assert frame.columns == ["user", *feature_names(full_spec())]


def test_kinds_may_be_plain_text(events_of):
    events = events_of([{"user": 1, "occurred_at": 0, "kind": "purchase", "amount": 5}])
    plain = events.with_columns(pl.col("kind").cast(pl.String))
    assert features(plain, NOBODY, DAY, FeatureSpec()).equals(features(events, NOBODY, DAY, FeatureSpec()))


def test_attributes_are_the_newest_before_the_as_of(events_of, attributes_of, identity_of):
    spec = FeatureSpec(kinds=(), fields=(), attributes_number=("visits", "user"), attributes_text=("plan",))
    events = events_of([{"user": user, "occurred_at": 0, "kind": "identify"} for user in (1, 2, 3)])
    attributes = attributes_of(
        [
            {"user": 2, "occurred_at": 5, "name": "visits", "number": 2.5, "seq": 9},
            {"user": 1, "occurred_at": 5, "name": "visits", "number": 1.5, "seq": 8},
            {"user": 1, "occurred_at": 9, "name": "visits", "number": 9.0, "seq": 1},
            {"user": 1, "occurred_at": 4, "name": "plan", "text": "gold", "seq": 2},
            {"user": 3, "occurred_at": 4, "name": "user", "number": 7.0, "seq": 3},
        ]
    )
    frame = features(events, identity_of({2: 1}), 9, spec, attributes)
    assert frame.to_dicts() == [
        {"user": 1, "visits": 2.5, "attribute_user": None, "plan": "gold"},
        {"user": 3, "visits": None, "attribute_user": 7.0, "plan": None},
    ]
    prepared = prepare(events, identity_of({2: 1}), spec, attributes)
    assert features(prepared, None, 9, spec).equals(frame)
    assert features(events, NOBODY, 9, spec)["visits"].to_list() == [None, None, None]


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


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"windows": (28, 7)}, "Windows"),
        ({"windows": ()}, "Windows"),
        ({"windows": (0, 7)}, "Windows"),
        ({"fields": ("amonut",)}, "amonut"),
        ({"zone": "Mars/Base"}, "Time zone"),
    ],
)
def test_specs_that_cannot_be_are_refused(wrong, says):
    with pytest.raises(EngineError, match=says):
        FeatureSpec(**wrong)


def test_prepared_events_answer_for_their_own_spec_only(events_of):
    events = events_of([{"user": 1, "occurred_at": 0, "kind": "purchase"}])
    with pytest.raises(EngineError, match="another feature spec"):
        features(prepare(events, NOBODY, FeatureSpec()), None, DAY, FeatureSpec(windows=(7,)))


def test_a_frame_without_a_column_is_refused(events_of):
    events = events_of([{"user": 1, "occurred_at": 0, "kind": "purchase"}]).drop("amount")
    with pytest.raises(EngineError, match="amount"):
        features(events, NOBODY, DAY, FeatureSpec())
