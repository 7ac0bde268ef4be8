"""Features are exact, and depend on nothing but the user's own events before the as-of."""

import random
from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import EngineError
from engine.feature_names import kinds_read
from engine.features import (
    FAMILIES,
    WIDE_WINDOWS,
    FeatureSpec,
    feature_names,
    features,
    longest_window,
    prepare,
    spec_for,
)
from engine.schema import EVENTS, IDENTITY, empty

DAY = 86_400_000_000
NOBODY = empty(IDENTITY)


# --- properties ------------------------------------------------------------------------------------------


@st.composite
def asked(draw, logs, zones, midnights):
    """(rows with seq, zone, as_of, canonical users)."""
    rows = [{"seq": at, **row} for at, row in enumerate(draw(logs), 1)]
    zone = draw(zones)
    aliases = draw(st.sampled_from([{}, {3: 1}, {2: 1, 4: 3}, {2: 1, 3: 1, 4: 1}]))
    return rows, zone, draw(midnights(zone)), aliases


@given(data=st.data(), seed=st.integers())
def test_order_of_rows_never_matters(data, seed, logs, zones, midnights, events_of, identity_of, wide_spec):
    rows, zone, as_of, aliases = data.draw(asked(logs, zones, midnights))
    shuffled = random.Random(seed).sample(rows, len(rows))
    spec, identity = wide_spec(zone), identity_of(aliases)
    one = features(events_of(rows), identity, as_of, spec)
    assert features(events_of(shuffled), identity, as_of, spec).equals(one)


@settings(max_examples=15)
@given(data=st.data())
def test_no_event_matters_but_of_the_kinds_a_feature_reads(
    data, logs, zones, midnights, events_of, identity_of, wide_spec
):
    rows, zone, as_of, aliases = data.draw(asked(logs, zones, midnights))
    spec, identity = wide_spec(zone), identity_of(aliases)
    told = features(events_of(rows), identity, as_of, spec)
    names = {}
    for name in feature_names(spec):
        names.setdefault(kinds_read(name, spec), []).append(name)
    del names[()]
    for kinds, read in names.items():
        only = features(events_of([row for row in rows if row["kind"] in kinds]), identity, as_of, spec)
        both = told.join(only, on="user", how="semi")
        assert both.select(read).equals(only.select(read))


def test_the_kinds_that_a_feature_reads():
    spec = FeatureSpec(windows=(7, 90), kinds=("purchase", "refund", "view", "add_to_cart", "tyre"))
    expected = {
        "recency_days": ("purchase",),
        "orders_90d": ("purchase",),
        "orders": ("purchase",),
        "spend_7d": ("purchase", "refund"),
        "refund_share": ("purchase", "refund"),
        "carts_7d": ("add_to_cart",),
        "views": ("view",),
        "count_tyre_90d": ("tyre",),
        "silence_days": (),
        "conversion": (),
        "sessions_7d": (),
        "none_such": (),
    }
    assert {name: kinds_read(name, spec) for name in expected} == expected


@given(data=st.data())
def test_events_at_or_after_the_as_of_never_matter(
    data, logs, zones, midnights, events_of, identity_of, wide_spec
):
    rows, zone, as_of, aliases = data.draw(asked(logs, zones, midnights))
    later = [{**row, "occurred_at": as_of + at * DAY} for at, row in enumerate(data.draw(logs))]
    spec, identity = wide_spec(zone), identity_of(aliases)
    alone = features(events_of(rows), identity, as_of, spec)
    # New ones come first as well, so that seq cannot be what keeps them out.
    mixed = [{**row, "seq": seq} for seq, row in enumerate([*later, *rows, *later], 1)]
    assert features(events_of(mixed), identity, as_of, spec).equals(alone)


@given(data=st.data(), wanted=st.sets(st.integers(1, 5)))
def test_a_subset_of_users_is_that_subset_of_everyone(
    data, wanted, logs, zones, midnights, events_of, identity_of, wide_spec
):
    rows, zone, as_of, aliases = data.draw(asked(logs, zones, midnights))
    spec, identity, events = wide_spec(zone), identity_of(aliases), events_of(rows)
    everyone = features(events, identity, as_of, spec)
    some = everyone.filter(pl.col("user").is_in(list(wanted)))
    assert features(events, identity, as_of, spec, users=sorted(wanted)).equals(some)
    own = events.filter(pl.Series([aliases.get(row["user"], row["user"]) in wanted for row in rows]))
    assert features(own, identity, as_of, spec).equals(some)


@given(data=st.data())
def test_a_merge_gives_the_features_of_the_union_of_events(
    data, logs, zones, midnights, events_of, identity_of, wide_spec
):
    rows, zone, as_of, aliases = data.draw(asked(logs, zones, midnights))
    # A session's ordinal counts within one user, so those of another become others.
    united = [
        {
            **row,
            "user": aliases.get(row["user"], row["user"]),
            "session": None if row["session"] is None else 10 * row["user"] + row["session"],
        }
        for row in rows
    ]
    spec = wide_spec(zone)
    merged = features(events_of(rows), identity_of(aliases), as_of, spec)
    assert features(events_of(united), NOBODY, as_of, spec).equals(merged)


@given(data=st.data())
def test_prepared_events_give_the_same(data, logs, zones, midnights, events_of, identity_of, wide_spec):
    rows, zone, first, aliases = data.draw(asked(logs, zones, midnights))
    spec, identity, events = wide_spec(zone), identity_of(aliases), events_of(rows)
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
def test_whoever_was_silent_for_the_longest_window_stays_as_they_are(
    data, logs, zones, midnights, events_of, wide_spec
):
    rows, zone, as_of, _ = data.draw(asked(logs, zones, midnights))
    spec, events = wide_spec(zone, windows=(7, 28)), events_of(rows)
    now = features(events, NOBODY, as_of, spec)
    silent = now.filter(pl.col("silence_days") > longest_window(spec))["user"]
    before_next = events.filter(pl.col("occurred_at") < as_of)
    for later in (as_of + DAY, as_of + 400 * DAY):
        after = features(before_next, NOBODY, later, spec)
        assert after.filter(pl.col("user").is_in(silent.implode())).equals(
            now.filter(pl.col("user").is_in(silent.implode()))
        )


@given(data=st.data())
def test_features_of_a_smaller_spec_are_the_same(data, logs, midnights, events_of, wide_spec):
    rows, as_of = data.draw(logs), data.draw(midnights("UTC"))
    events = events_of(rows)
    spec = spec_for(events, "UTC")
    frame = features(events, NOBODY, as_of, spec)
    everything = features(events, NOBODY, as_of, wide_spec())
    assert frame.equals(everything.select(frame.columns))


@given(data=st.data(), families=st.sets(st.sampled_from(sorted(FAMILIES))))
def test_a_family_does_not_depend_on_the_others(data, families, logs, midnights, events_of, wide_spec):
    rows, as_of = data.draw(logs), data.draw(midnights("UTC"))
    events, texts = events_of(rows), {1: "web", 2: "app", 3: "shop"}
    spec = spec_for(events, "UTC", windows=WIDE_WINDOWS, families=tuple(families), texts=texts)
    everything = replace(wide_spec(), places=spec.places)
    frame = features(events, NOBODY, as_of, spec)
    assert frame.equals(features(events, NOBODY, as_of, everything).select(frame.columns))


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


@pytest.mark.parametrize(
    "amounts",
    [
        [10**12, -(10**12) + 1, 10**12 - 7, 999_999_999_989],
        # Each one's square is of 63 bits, and not all of theirs.
        [2 * 10**9, -(2 * 10**9) + 1, 2 * 10**9 - 7, 1_999_999_989],
        [-4 * 10**9, -1, 3, -3 * 10**9],
    ],
)
def test_large_amounts_keep_every_digit(events_of, amounts):
    amounts = amounts * 50
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


def test_someone_who_only_signed_up_has_a_row_and_no_acts(events_of, wide_spec):
    events = events_of([{"user": 3, "occurred_at": 0, "kind": "identify", "platform": 1}])
    row = features(events, NOBODY, DAY, wide_spec()).row(0, named=True)
    assert (row["user"], row["tenure_days"], row["silence_days"], row["recency_days"]) == (3, 0, 366, 366)
    assert row["platform_share"] is None


def test_a_log_without_events_has_every_column_and_no_row(wide_spec):
    frame = features(empty(EVENTS), NOBODY, DAY, wide_spec())
    assert frame.is_empty()
    assert frame.columns == ["user", *feature_names(wide_spec())]


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


def test_the_numbers_of_an_attribute_that_has_texts_are_texts(events_of, attributes_of):
    events = events_of([{"user": user, "occurred_at": 0, "kind": "identify"} for user in (1, 2, 3, 4)])
    attributes = attributes_of(
        [
            {"user": 1, "occurred_at": 1, "name": "size", "number": 3.0, "seq": 1},
            {"user": 2, "occurred_at": 1, "name": "size", "number": 2.5, "seq": 2},
            {"user": 3, "occurred_at": 1, "name": "size", "number": 10.0, "seq": 3},
            {"user": 1, "occurred_at": 5, "name": "size", "text": "XL", "seq": 4},
        ]
    )
    spec = spec_for(events, "UTC", attributes)
    assert spec.attributes_text == ("size",)
    told = features(events, NOBODY, 9, spec, attributes)["size"].to_list()
    assert told == ["XL", "2.5", "10", None]
    assert features(events, NOBODY, 5, spec, attributes)["size"].to_list() == ["3", "2.5", "10", None]


def test_who_reads_an_attribute_as_a_number_reads_the_numbers_among_its_texts(events_of, attributes_of):
    """What was fixed when it was a number does not change its mind by another file, but for what it says."""
    texts = [" 7", "high", "1e3", "nan", "-inf", "", "2.50"]
    users = range(1, len(texts) + 2)
    events = events_of([{"user": user, "occurred_at": 0, "kind": "identify"} for user in users])
    told = [
        {"user": user, "occurred_at": 5, "name": "score", "text": text, "seq": user}
        for user, text in enumerate(texts, 1)
    ]
    told += [
        {"user": user, "occurred_at": 1, "name": "score", "number": 3.0, "seq": 20 + user} for user in users
    ]
    spec = FeatureSpec(kinds=(), fields=(), attributes_number=("score",))
    read = features(events, NOBODY, 9, spec, attributes_of(told))["score"].to_list()
    assert read == [7.0, None, 1000.0, None, None, None, 2.5, 3.0]


def test_prepared_events_answer_for_their_own_spec_only(events_of):
    events = events_of([{"user": 1, "occurred_at": 0, "kind": "purchase"}])
    with pytest.raises(EngineError, match="another feature spec"):
        features(prepare(events, NOBODY, FeatureSpec()), None, DAY, FeatureSpec(windows=(7,)))


def test_a_frame_without_a_column_is_refused(events_of):
    events = events_of([{"user": 1, "occurred_at": 0, "kind": "purchase"}]).drop("amount")
    with pytest.raises(EngineError, match="amount"):
        features(events, NOBODY, DAY, FeatureSpec())
