"""What is tried to move a user, and that each try is the user's own history with one thing more."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.counterfactual import Deed, deeds, done, histories
from engine.features import features
from engine.identity import LINKS
from engine.schema import EVENTS, empty

DAY = 86_400_000_000


@pytest.fixture(scope="module")
def recent(events_of):
    rows = [
        {"user": n, "occurred_at": n, "kind": "purchase", "order": n, "amount": 100 * n + 1, "session": n}
        for n in range(1, 101)
    ]
    rows += [
        {"user": 1, "occurred_at": 200, "kind": "view", "duration": d, "session": 9} for d in (10, 30, 20)
    ]
    rows += [{"user": 1, "occurred_at": 300, "kind": "refund", "order": 1, "amount": -101}]
    return events_of(rows)


def test_deeds_come_the_smallest_first(recent, events_of):
    own = events_of([{"user": 5, "occurred_at": 7, "kind": "purchase", "order": 3, "amount": 480}])
    tried = deeds(recent, own)
    light = [deed for deed in tried if deed.amount is None]
    assert light == [Deed("view", 1), Deed("view", 2), Deed("view", 5), Deed("view", 10)]
    assert tried[: len(light)] == light
    assert tried[len(light)] == Deed("refund", 1, -480)
    orders = tried[len(light) + 1 :]
    totals = [deed.times * deed.amount for deed in orders]
    assert totals == sorted(totals)
    assert {deed.kind for deed in orders} == {"purchase"}
    assert orders[0] == Deed("purchase", 1, 610)
    assert {deed.amount for deed in orders} >= {610, 1200, 5200, 11_000}
    assert all(deed.amount % 10 == 0 for deed in orders)


def test_only_what_the_store_knows_is_tried(events_of):
    viewed = events_of([{"user": 1, "occurred_at": 1, "kind": "view"}])
    assert {deed.kind for deed in deeds(viewed, viewed)} == {"view"}
    assert deeds(empty(EVENTS), viewed) == []


def test_an_order_given_back_is_what_is_left_of_it(recent, events_of):
    rows = [
        {"user": 5, "occurred_at": 7, "kind": "purchase", "order": 3, "amount": 480},
        {"user": 5, "occurred_at": 7, "kind": "purchase", "order": 3, "amount": 20},
        {"user": 5, "occurred_at": 8, "kind": "refund", "order": 3, "amount": -100},
    ]
    own = events_of(rows)
    assert Deed("refund", 1, -400) in deeds(recent, own)
    (row,) = done(Deed("refund", 1, -400), own, recent, 9).iter_rows(named=True)
    assert (row["order"], row["amount"], row["occurred_at"]) == (3, -400, 9)
    rows.append({"user": 5, "occurred_at": 8, "kind": "refund", "order": 3, "amount": -400})
    assert not [deed for deed in deeds(recent, events_of(rows)) if deed.kind == "refund"]


def test_a_deed_is_new_where_it_must_be_and_as_usual_elsewhere(recent, events_of):
    own = events_of(
        [
            {"user": 4, "occurred_at": 1, "kind": "view", "item": 8, "platform": 2, "session": 6},
            {
                "user": 5,
                "occurred_at": 2,
                "kind": "purchase",
                "item": 9,
                "order": 40,
                "session": 3,
                "amount": 5,
            },
        ]
    )
    visits = done(Deed("view", 2), own, recent, 11)
    assert visits["item"].to_list() == [8, 8]
    assert visits["duration"].to_list() == [20, 20]
    assert visits["session"].to_list() == [4, 5]
    assert visits["order"].to_list() == [None, None]
    assert visits["user"].to_list() == [5, 5]
    orders = done(Deed("purchase", 2, 700), own, recent, 11)
    assert orders["order"].to_list() == [41, 42]
    assert orders["item"].to_list() == [9, 9]
    assert orders["amount"].to_list() == [700, 700]
    assert orders["seq"].to_list() == [3, 4]


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_tried_history_has_the_features_of_the_real_one(data, logs, wide_spec, events_of):
    rows = data.draw(logs)
    own = events_of(rows)
    spec = wide_spec()
    as_of = int(own["occurred_at"].max()) // DAY * DAY + DAY
    everyone = own["user"].unique().to_list()
    persons = data.draw(st.sampled_from([everyone, everyone[:1]]))
    own = own.filter(pl.col("user").is_in(persons))
    links = pl.DataFrame(
        [(0, 0, min(persons), other, True) for other in persons if other != min(persons)],
        schema=LINKS,
        orient="row",
    )
    tried = deeds(own, own)
    added = [done(deed, own, own, as_of - 1) for deed in tried]
    if not added:
        return
    copies = histories(own, added, links, None, as_of)
    from engine.identity import identity_at

    found = features(copies.events, identity_at(copies.links), as_of, spec, users=copies.users)
    assert found["user"].to_list() == copies.users.tolist()
    index = data.draw(st.integers(0, len(added) - 1))
    real = pl.concat([own.select(list(EVENTS)), added[index]])
    (alone,) = features(real, identity_at(links), as_of, spec).drop("user").rows()
    assert found.drop("user").row(index) == alone


def test_no_two_tries_are_one_person(recent, events_of):
    own = events_of([{"user": u, "occurred_at": u, "kind": "purchase", "amount": 100} for u in (3, 8)])
    links = pl.DataFrame([(0, 0, 3, 8, True)], schema=LINKS, orient="row")
    added = [done(Deed("purchase", 1, 100 * n), own, recent, 10) for n in (1, 2, 3)]
    copies = histories(own, added, links, None, 20)
    assert len(np.unique(copies.users)) == 3
    assert copies.events.height == 9
