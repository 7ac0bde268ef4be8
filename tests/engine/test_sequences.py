"""Sequences put each event into its bin of local days, newest last, exactly."""

import math
import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import EngineError
from engine.features import FeatureSpec
from engine.schema import EVENTS, IDENTITY, empty
from engine.sequences import SequenceSpec, sequence_spec_for, sequences

DAY = 86_400_000_000
NOBODY = empty(IDENTITY)
CHANNELS = ("orders", "spend", "views", "refunds", "count_rotate tyres")
KIND_OF = {"views": "view", "refunds": "refund", "count_rotate tyres": "rotate tyres"}


def squashed(number):
    return np.float32(math.copysign(math.log1p(abs(number)), number)) if number else np.float32(0)


def naive(rows, canonical, as_of, spec, users):
    """The same by dates and dicts: the bin of an event is how many bins of days it lies before the as-of."""
    zone = ZoneInfo(spec.zone)

    def edge(back):
        local = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=as_of)
        local = local.astimezone(zone).replace(tzinfo=None) - timedelta(days=back * spec.bin_days)
        return int(local.replace(tzinfo=zone).timestamp()) * 1_000_000

    edges = [edge(back) for back in range(spec.bins, -1, -1)]
    totals = defaultdict(int)
    latest = {}
    for row in sorted(rows, key=lambda row: row["occurred_at"]):
        user = canonical.get(row["user"], row["user"])
        if not edges[0] <= row["occurred_at"] < as_of:
            continue
        at = max(index for index, start in enumerate(edges) if start <= row["occurred_at"])
        for channel, kind in KIND_OF.items():
            totals[user, at, channel] += row["kind"] == kind
        if row["kind"] in ("purchase", "refund"):
            totals[user, at, "spend"] += row["amount"] or 0
        if row["kind"] == "purchase":
            order = row["order"] if row["order"] is not None else ("line", row["seq"])
            latest[user, order] = at
    for (user, _), at in latest.items():
        totals[user, at, "orders"] += 1
    cells = np.zeros((len(users), spec.bins, len(spec.channels)), dtype=np.float32)
    for place, user in enumerate(users):
        for at in range(spec.bins):
            for index, channel in enumerate(spec.channels):
                cells[place, at, index] = squashed(totals[user, at, channel])
    return cells


@given(data=st.data(), bins=st.integers(1, 60), bin_days=st.sampled_from([1, 7, 30]))
def test_every_cell_is_what_its_bin_holds(
    data, bins, bin_days, logs, zones, midnights, events_of, identity_of
):
    rows = [{"seq": at, **row} for at, row in enumerate(data.draw(logs), 1)]
    zone = data.draw(zones)
    as_of = data.draw(midnights(zone))
    aliases = data.draw(st.sampled_from([{}, {2: 1}, {2: 1, 4: 3}]))
    users = data.draw(st.lists(st.integers(1, 6), max_size=6))
    spec = SequenceSpec(channels=CHANNELS, zone=zone, bins=bins, bin_days=bin_days)
    found = sequences(events_of(rows), identity_of(aliases), as_of, spec, np.array(users, dtype=np.int64))
    expected = naive(rows, aliases, as_of, spec, users)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert ((found == 0) == (expected == 0)).all()


@given(data=st.data(), seed=st.integers())
def test_neither_order_nor_company_nor_the_future_matter(data, seed, logs, midnights, events_of):
    rows = [{"seq": at, **row} for at, row in enumerate(data.draw(logs), 1)]
    as_of = data.draw(midnights("UTC"))
    spec = SequenceSpec(channels=CHANNELS)
    users = np.arange(1, 5)
    one = sequences(events_of(rows), NOBODY, as_of, spec, users)
    later = [{**row, "seq": 1000 + row["seq"], "occurred_at": as_of} for row in rows]
    mixed = random.Random(seed).sample([*rows, *later], 2 * len(rows))
    assert (sequences(events_of(mixed), NOBODY, as_of, spec, users) == one).all()
    for user in users:
        own = events_of([row for row in rows if row["user"] == user])
        assert (sequences(own, NOBODY, as_of, spec, np.array([user]))[0] == one[user - 1]).all()


def test_the_newest_bin_is_last(events_of):
    events = events_of(
        [
            {"user": 1, "occurred_at": 27 * DAY, "kind": "view"},
            {"user": 1, "occurred_at": 20 * DAY, "kind": "view"},
            {"user": 1, "occurred_at": 20 * DAY, "kind": "view"},
        ]
    )
    spec = SequenceSpec(channels=("views",), bins=3)
    found = sequences(events, NOBODY, 28 * DAY, spec, np.array([1]))[0, :, 0]
    np.testing.assert_allclose(found, [0, math.log(3), math.log(2)], rtol=1e-6)


def test_an_order_stands_in_the_bin_of_its_latest_line(events_of):
    lines = [(0, 7), (8, 7), (8, 7), (16, 7), (8, None), (8, None)]
    events = events_of(
        [{"user": 1, "occurred_at": day * DAY, "kind": "purchase", "order": order} for day, order in lines]
    )
    spec = SequenceSpec(channels=("orders",), bins=3)
    whole = sequences(events, NOBODY, 21 * DAY, spec, np.array([1]))[0, :, 0]
    np.testing.assert_allclose(whole, [0, math.log(3), math.log(2)], rtol=1e-6)
    # Before its last line is known, the order's latest one is another.
    earlier = sequences(events, NOBODY, 15 * DAY, spec, np.array([1]))[0, :, 0]
    np.testing.assert_allclose(earlier, [0, 0, math.log(4)], rtol=1e-6)


def test_a_bin_over_a_change_of_clocks_is_made_of_local_days(instant, events_of):
    zone = "Europe/Paris"
    spec = SequenceSpec(channels=("views",), zone=zone, bins=2, bin_days=1)
    at = instant("2024-03-31", zone)
    events = events_of([{"user": 1, "occurred_at": t, "kind": "view"} for t in (at - 1, at)])
    found = sequences(events, NOBODY, instant("2024-04-01", zone), spec, np.array([1]))[0, :, 0]
    assert (found == squashed(1)).all()


def test_users_without_events_and_no_users_are_zeros(events_of):
    spec = SequenceSpec(channels=("orders", "nothing_of_the_kind"), bins=4)
    events = events_of([{"user": 1, "occurred_at": 0, "kind": "purchase"}])
    assert sequences(events, NOBODY, DAY, spec, np.array([7, 9])).tolist() == np.zeros((2, 4, 2)).tolist()
    assert sequences(events, NOBODY, DAY, spec, np.array([], dtype=np.int64)).shape == (0, 4, 2)
    assert sequences(empty(EVENTS), NOBODY, DAY, spec, np.array([1])).sum() == 0


def test_spend_may_be_negative(events_of):
    events = events_of([{"user": 1, "occurred_at": 0, "kind": "refund", "amount": -50}])
    spec = SequenceSpec(channels=("spend",), bins=1)
    assert sequences(events, NOBODY, DAY, spec, np.array([1])).item() == squashed(-50)


def test_channels_follow_the_features_of_the_log():
    spec = sequence_spec_for(FeatureSpec(zone="Asia/Kolkata", kinds=("purchase", "view"), fields=("amount",)))
    assert spec == SequenceSpec(channels=("orders", "spend", "views"), zone="Asia/Kolkata")
    assert sequence_spec_for(FeatureSpec(kinds=("purchase",), fields=())).channels == ("orders",)
    assert SequenceSpec.from_json(spec.to_json()) == spec
    assert spec.days == 364


@pytest.mark.parametrize("wrong", [{"bins": 0}, {"bin_days": 0}, {"bins": 5000}, {"zone": "Nowhere"}])
def test_sequences_that_cannot_be_are_refused(wrong):
    with pytest.raises(EngineError):
        SequenceSpec(**wrong)
