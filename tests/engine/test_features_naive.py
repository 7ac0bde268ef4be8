"""Every feature, computed once more user by user in plain Python, agrees with the engine's."""

import math
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.catalogue_families import SINGLE, SPANS
from engine.catalogue_words import PLAIN, WINDOWED
from engine.features import FILLABLE, FeatureSpec, feature_names, features, prepare

STEMS = {
    "add_to_cart": "carts",
    "refund": "refunds",
    "review": "reviews",
    "rotate tyres": "count_rotate tyres",
    "view": "views",
}
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
PARTS = {"night": range(6), "morning": range(6, 12), "afternoon": range(12, 18), "evening": range(18, 24)}


def naive_features(rows, canonical, as_of, spec):
    """{user: {feature: value}} of rows as dicts with seq, by lists and fractions."""
    users = {}
    for row in rows:
        if row["occurred_at"] < as_of:
            users.setdefault(canonical.get(row["user"], row["user"]), []).append(row)
    return {
        user: Naive(sorted(own, key=lambda row: (row["occurred_at"], row["seq"])), as_of, spec).features()
        for user, own in users.items()
    }


class Naive:
    """One user's rows before the as-of, by time and seq."""

    def __init__(self, rows, as_of, spec):
        self.as_of, self.spec = as_of, spec
        self.zone, self.cap = ZoneInfo(spec.zone), spec.windows[-1] + 1
        self.acts = [row for row in rows if row["kind"] != "identify"]
        self.bought = [row for row in rows if row["kind"] == "purchase"]
        self.refunds = [row for row in rows if row["kind"] == "refund"]
        self.money = [row for row in rows if row["kind"] in ("purchase", "refund")]

    def clock(self, us):
        return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)).astimezone(self.zone)

    def day(self, row):
        return self.clock(row["occurred_at"]).date().toordinal()

    def since(self, day):
        return min(self.clock(self.as_of - 1).date().toordinal() - day + 1, self.cap)

    def within(self, rows, days):
        if days is None:
            return rows
        local = self.clock(self.as_of).replace(tzinfo=None) - timedelta(days=days)
        start = int(local.replace(tzinfo=self.zone).timestamp()) * 1_000_000
        return [row for row in rows if row["occurred_at"] >= start]

    def kind(self, kind):
        return [row for row in self.acts if row["kind"] == kind]

    def features(self):
        out = {
            **self.rhythm_of_purchases(),
            **self.money_spent(),
            **self.activity(),
            **self.moments(),
            **self.habits(),
            **self.btyd(),
        }
        for days in (None, *self.spec.windows):
            end = "" if days is None else f"_{days}d"
            out |= {stem + end: value for stem, value in self.window(days).items()}
        for days in self.spec.windows:
            if 2 * days <= self.spec.windows[-1]:
                out |= self.trends(days)
        # There is no name for these over all time, or the core has another.
        for absent in ("lines",):
            del out[absent]
        return out

    def window(self, days):
        bought, acts = self.within(self.bought, days), self.within(self.acts, days)
        refunds, paid = self.within(self.refunds, days), total(self.within(self.bought, days), "amount")
        views, carts = self.within(self.kind("view"), days), self.within(self.kind("add_to_cart"), days)
        out = {
            "orders": orders(bought),
            "spend": total(self.within(self.money, days), "amount"),
            "active_days": len({self.day(row) for row in acts}),
            "sessions": len({(row["user"], row["session"]) for row in acts if row["session"] is not None}),
            "duration": total(acts, "duration"),
            "lines": len(bought),
            "paid": paid,
            "refunded": -total(refunds, "amount"),
            "refund_share": quotient(-total(refunds, "amount"), max(paid, 0)),
            "pieces": total(bought, "quantity"),
            "items": len(set(values(acts, "item"))),
            "categories": len(set(values(acts, "category"))),
            "conversion": quotient(orders(bought), len(views)),
            "view_to_cart": quotient(len(carts), len(views)),
            "cart_to_order": quotient(orders(bought), len(carts)),
        }
        for kind, stem in STEMS.items():
            own = self.within(self.kind(kind), days)
            out[stem] = len(own)
            out |= {f"{name}_of_{stem}": total(own, name) for name in ("amount", "duration")}
        return out

    def trends(self, days):
        def trend(measure):
            new = measure(days)
            old = measure(2 * days) - new
            return quotient(new - old, abs(new) + abs(old))

        out = {
            f"trend_{days}d": trend(lambda span: orders(self.within(self.bought, span))),
            f"trend_of_spend_{days}d": trend(lambda span: total(self.within(self.money, span), "amount")),
        }
        for kind, stem in STEMS.items():
            out[f"trend_of_{stem}_{days}d"] = trend(
                lambda span, kind=kind: len(self.within(self.kind(kind), span))
            )
        return out

    def rhythm_of_purchases(self):
        days = sorted({self.day(row) for row in self.bought})
        gaps = [later - earlier for earlier, later in pairwise(days)]
        spread = variance(gaps)
        return {
            "recency_days": self.since(days[-1]) if days else self.cap,
            "customer_days": self.since(days[0]) if days else 0,
            "purchase_days": len(days),
            "gap_mean_days": mean(gaps),
            "gap_spread_days": None if spread is None else math.sqrt(spread),
            "gap_max_days": max(gaps, default=None),
            "overdue": None if not gaps else quotient(self.since(days[-1]) * len(gaps), sum(gaps)),
            "weekend_share": quotient(sum(at % 7 in (6, 0) for at in days), len(days)),
            "purchase_lines": len(self.bought),
        }

    def money_spent(self):
        amounts = values(self.bought, "amount")
        return {
            "order_value_mean": quotient(sum(amounts), orders(self.bought)),
            "amount_mean": mean(amounts),
            "amount_variance": variance(amounts),
            "amount_min": min(amounts, default=None),
            "amount_max": max(amounts, default=None),
            "amount_last": last(amounts),
        }

    def activity(self):
        days = [self.day(row) for row in self.acts]
        return {
            "tenure_days": self.since(days[0]) if days else 0,
            "silence_days": self.since(days[-1]) if days else self.cap,
        }

    def moments(self):
        out = {}
        for name, rows in (("quantity", self.bought), ("duration", self.acts), ("rating", self.acts)):
            parts = 100 if name == "rating" else 1
            own = [Fraction(value, parts) for value in values(rows, name)]
            spread = variance(own)
            found = {
                "mean": mean(own),
                "variance": spread,
                "min": min(own, default=None),
                "max": max(own, default=None),
                "last": last(own),
            }
            out |= {f"{name}_{which}": None if each is None else float(each) for which, each in found.items()}
        return out

    def habits(self):
        out = {}
        for name in ("platform", "device", "region"):
            used = Counter(values(self.acts, name))
            out[f"{name}s"] = len(used)
            out[f"{name}_share"] = quotient(max(used.values(), default=0), used.total())
            for column, number, text in self.spec.places:
                if column == name:
                    out[f"share_of_{name}_{text}"] = quotient(used[number], used.total())
        clocks = [self.clock(row["occurred_at"]) for row in self.acts]
        for index, weekday in enumerate(WEEKDAYS):
            out[f"{weekday}_share"] = quotient(sum(at.weekday() == index for at in clocks), len(clocks))
        for part, hours in PARTS.items():
            out[f"{part}_share"] = quotient(sum(at.hour in hours for at in clocks), len(clocks))
        return out

    def btyd(self):
        """As Fader and Hardie define them: what is bought on one day is one transaction."""
        days = sorted({self.day(row) for row in self.bought})
        if not days:
            none = {"btyd_frequency": 0, "btyd_recency_days": 0, "btyd_age_days": 0}
            return none | {"btyd_monetary": None}
        later = [row for row in self.bought if self.day(row) > days[0]]
        return {
            "btyd_frequency": len(days) - 1,
            "btyd_recency_days": days[-1] - days[0],
            "btyd_age_days": self.since(days[0]) - 1,
            "btyd_monetary": quotient(total(later, "amount"), len(days) - 1),
        }


def naive_filled(rows, canonical, as_of, columns):
    """The rows before the as-of with gaps filled along each user's kind, and {user: {COLUMN_filled: n}}."""
    known = sorted(
        (row for row in rows if row["occurred_at"] < as_of), key=lambda r: (r["occurred_at"], r["seq"])
    )
    out, counts = [dict(row) for row in known], {}
    for index, row in enumerate(known):
        user = canonical.get(row["user"], row["user"])
        own = counts.setdefault(user, {f"{name}_filled": 0 for name in columns})
        for name in columns:
            like = [
                (at, other)
                for at, other in enumerate(known)
                if canonical.get(other["user"], other["user"]) == user
                and other["kind"] == row["kind"]
                and other[name] is not None
            ]
            if row[name] is not None or not like:
                continue
            before = [other for at, other in like if at < index][-1:]
            after = [other for at, other in like if at > index][:1]
            out[index][name] = between(row["occurred_at"], *(before or after), *(after or before), name)
            own[f"{name}_filled"] += row["kind"] != "identify"
    return out, counts


def between(at, before, after, name):
    """The value at an instant on the line from one row to the other, rounded half away from zero."""
    span = after["occurred_at"] - before["occurred_at"]
    if span == 0:
        return before[name]
    rise = (after[name] - before[name]) * ((at - before["occurred_at"]) / span)
    return before[name] + int(math.copysign(math.floor(abs(rise) + 0.5), rise))


def orders(rows):
    numbers = {row["order"] for row in rows if row["order"] is not None}
    return len(numbers) + sum(row["order"] is None for row in rows)


def total(rows, name):
    return sum(row[name] or 0 for row in rows)


def values(rows, name):
    return [row[name] for row in rows if row[name] is not None]


def quotient(above, below):
    return None if below == 0 else float(Fraction(above, below))


def mean(values):
    return quotient(sum(values), len(values))


def variance(values):
    n = len(values)
    return None if n < 2 else quotient(n * sum(v * v for v in values) - sum(values) ** 2, n * (n - 1))


def last(values):
    return values[-1] if values else None


def as_dict(frame):
    return {row.pop("user"): row for row in frame.iter_rows(named=True)}


def compare(found, expected, names):
    """Integers and texts to the digit, the rest to 1e-9."""
    assert found.keys() == expected.keys()
    for user, own in expected.items():
        assert set(own) == set(names)
        whole = {name: value for name, value in own.items() if value is None or isinstance(value, int | str)}
        assert {name: found[user][name] for name in whole} == whole
        rest = {name: value for name, value in own.items() if name not in whole}
        assert {name: found[user][name] for name in rest} == pytest.approx(rest, rel=1e-9, abs=1e-9)


GIVEN = {"visits": "number", "orders": "number", "plan": "text"}
ATTRIBUTES = st.lists(
    st.fixed_dictionaries(
        {
            "user": st.integers(1, 4),
            "name": st.sampled_from([*GIVEN, "other"]),
            "number": st.floats(-1e6, 1e6),
            "text": st.sampled_from(["gold", "blue"]),
        }
    ),
    max_size=12,
)


def naive_attributes(rows, canonical, as_of, user):
    """{column: value} of one user, as the newest row of each name says."""
    own = {"visits": None, "attribute_orders": None, "plan": None}
    for row in sorted(rows, key=lambda row: (row["occurred_at"], row["seq"])):
        if canonical.get(row["user"], row["user"]) == user and row["occurred_at"] < as_of:
            name = row["name"]
            if name in GIVEN:
                own["attribute_orders" if name == "orders" else name] = row[GIVEN[name]]
    return own


def test_the_oracle_is_asked_for_every_feature_of_the_catalogue(wide_spec):
    named = set(feature_names(replace(wide_spec(), filled=FILLABLE)))
    assert {*PLAIN, *SINGLE} <= named
    assert {f"{stem}_7d" for stem in (*WINDOWED, *SPANS)} <= named


@settings(max_examples=100)
@given(data=st.data())
def test_every_feature_is_what_its_formula_says(
    data, long_logs, zones, midnights, events_of, attributes_of, identity_of, wide_spec
):
    rows = [{"seq": at, **row} for at, row in enumerate(data.draw(long_logs), 1)]
    zone = data.draw(zones)
    as_of = data.draw(midnights(zone))
    aliases = data.draw(st.sampled_from([{}, {3: 1}, {2: 1, 4: 3}, {2: 1, 3: 1, 4: 1}]))
    spec = replace(wide_spec(zone), attributes_number=("visits", "orders"), attributes_text=("plan",))
    given_at = st.sampled_from([row["occurred_at"] for row in rows])
    told = [
        {"seq": at, "occurred_at": data.draw(given_at), **row}
        for at, row in enumerate(data.draw(ATTRIBUTES), 1)
    ]
    found = as_dict(features(events_of(rows), identity_of(aliases), as_of, spec, attributes_of(told)))
    expected = naive_features(rows, aliases, as_of, spec)
    for user, own in expected.items():
        own |= naive_attributes(told, aliases, as_of, user)
    compare(found, expected, feature_names(spec))


@settings(max_examples=50)
@given(data=st.data())
def test_interpolated_columns_make_the_features_of_the_filled_events(
    data, logs, zones, midnights, events_of, identity_of, wide_spec
):
    rows = [{"seq": at, **row} for at, row in enumerate(data.draw(logs), 1)]
    zone = data.draw(zones)
    aliases = data.draw(st.sampled_from([{}, {2: 1, 4: 3}, {2: 1, 3: 1, 4: 1}]))
    columns = data.draw(st.sets(st.sampled_from(FILLABLE), min_size=1))
    spec = replace(wide_spec(zone), filled=tuple(sorted(columns)))
    events, identity = events_of(rows), identity_of(aliases)
    prepared = prepare(events, identity, spec)
    for as_of in data.draw(st.lists(midnights(zone), min_size=1, max_size=2)):
        frame = features(events, identity, as_of, spec)
        filled, counts = naive_filled(rows, aliases, as_of, spec.filled)
        expected = naive_features(filled, aliases, as_of, spec)
        compare(
            as_dict(frame), {user: own | counts[user] for user, own in expected.items()}, feature_names(spec)
        )
        assert features(prepared, None, as_of, spec).equals(frame)
        some = features(events, identity, as_of, spec, users=[1, 3])
        assert some.equals(frame.filter(frame["user"].is_in([1, 3])))


@settings(max_examples=50)
@given(data=st.data(), hour=st.integers(0, 23))
def test_windows_of_hour_ticks_start_at_the_same_hour(data, hour, logs, midnights, events_of, wide_spec):
    rows = [{"seq": at, **row} for at, row in enumerate(data.draw(logs), 1)]
    as_of = data.draw(midnights("UTC")) + hour * 3_600_000_000
    spec = wide_spec()
    found = as_dict(features(events_of(rows), None, as_of, spec))
    compare(found, naive_features(rows, {}, as_of, spec), feature_names(spec))


@pytest.mark.parametrize(
    ("zone", "at", "part"),
    [
        # Clocks go from 2 to 3 in the one night, and from 3 back to 2 in the other.
        ("Europe/Paris", "2024-03-31T03:59+02:00", "night_share"),
        ("Europe/Paris", "2024-03-31T06:00+02:00", "morning_share"),
        ("Europe/Paris", "2024-10-27T05:59+01:00", "night_share"),
        ("Europe/Paris", "2024-10-27T06:00+01:00", "morning_share"),
        ("America/New_York", "2024-11-03T17:59-05:00", "afternoon_share"),
        ("Asia/Kolkata", "2024-02-29T18:00+05:30", "evening_share"),
    ],
)
def test_hours_are_those_that_clocks_show(zone, at, part, instant, events_of):
    spec = FeatureSpec(zone=zone, kinds=("view",), families=("rhythm",))
    events = events_of([{"user": 1, "occurred_at": instant(at), "kind": "view"}])
    assert features(events, None, instant("2025-01-01"), spec)[part].to_list() == [1.0]
