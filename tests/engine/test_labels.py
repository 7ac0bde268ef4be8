"""Labels come from the future, an attribute or a rule of thumb; thresholds from training users alone."""

from statistics import median

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from engine.errors import EngineError
from engine.features import FeatureSpec, features
from engine.labels import (
    OUTCOMES,
    apply_outcome,
    apply_thresholds,
    future_value,
    given_labels,
    outcome_labels,
    value_labels,
)
from engine.schema import IDENTITY, empty
from engine.starter import HIGH, LOW, MEDIUM, VALUE_LABELS, Starter, fit_starter, starter_labels

DAY = 86_400_000_000
NOBODY = empty(IDENTITY)

outcomes_lists = st.lists(
    st.tuples(st.integers(0, 3), st.integers(-10_000, 10_000), st.booleans()), min_size=1, max_size=40
)


def outcomes_of(drawn):
    orders, spend, training = zip(*drawn, strict=True)
    frame = pl.DataFrame({"user": range(len(drawn)), "orders": orders, "spend": spend})
    return frame, np.array(training)


def test_the_future_is_what_happens_from_the_cutoff_to_before_the_end(events_of):
    rows = [
        (1, 9, "purchase", None, 100),  # before the cutoff
        (1, 10, "purchase", 7, 200),
        (1, 11, "purchase", 7, 300),  # the same order
        (1, 12, "purchase", None, 400),
        (1, 19, "refund", 7, -50),
        (1, 20, "purchase", 8, 900),  # at the end
        (2, 15, "refund", None, -70),
        (3, 15, "view", None, 999),
        (4, 15, "purchase", None, None),
        (5, 15, "identify", None, None),
    ]
    events = events_of(
        [
            {"user": user, "occurred_at": at, "kind": kind, "order": order, "amount": amount}
            for user, at, kind, order, amount in rows
        ]
    )
    found = future_value(events, NOBODY, 10, 20, np.array([4, 3, 2, 1, 5]))
    assert found.rows() == [(4, 1, 0, 1), (3, 0, 0, 1), (2, 0, -70, 1), (1, 2, 850, 4), (5, 0, 0, 0)]


def test_the_future_of_aliases_is_one(events_of, identity_of):
    events = events_of(
        [{"user": user, "occurred_at": 5, "kind": "purchase", "order": 1, "amount": 10} for user in (3, 8)]
    )
    found = future_value(events, identity_of({8: 3}), 0, 10, [3])
    assert found.rows() == [(3, 1, 20, 2)]


def test_will_buy_is_about_orders_and_churn_about_anything():
    outcomes = pl.DataFrame({"orders": [2, 0, 0], "spend": [5, 0, 0], "events": [2, 1, 0]})
    for policy, labels in (("will_buy", [0, 1, 1]), ("churn", [1, 1, 0])):
        told, thresholds = outcome_labels(policy, outcomes, np.array([True, True, False]))
        assert told.tolist() == labels
        assert thresholds == {}
        assert OUTCOMES[policy][0] == "yes"


def test_the_policy_of_value_is_the_one_with_thresholds():
    outcomes, training = outcomes_of([(1, 10, True), (1, 30, True), (0, 0, False), (1, 99, False)])
    told, thresholds = outcome_labels("future_value", outcomes, training)
    assert (told.tolist(), thresholds) == ([MEDIUM, HIGH, LOW, HIGH], {"high_above": 20})
    assert apply_outcome("future_value", outcomes, thresholds).tolist() == told.tolist()


@given(drawn=outcomes_lists)
def test_labels_follow_the_median_of_the_training_buyers(drawn):
    outcomes, training = outcomes_of(drawn)
    bought = [spend for orders, spend, trained in drawn if orders and trained]
    assume(bought)
    labels, thresholds = value_labels(outcomes, training)
    assert thresholds == {"high_above": median(bought)}
    for (orders, spend, _), label in zip(drawn, labels, strict=True):
        expected = "low" if not orders else "high" if spend > median(bought) else "medium"
        assert VALUE_LABELS[label] == expected
    assert (apply_thresholds(outcomes, thresholds) == labels).all()


@given(
    drawn=outcomes_lists, other=st.lists(st.tuples(st.integers(0, 3), st.integers(-99, 10**9)), min_size=40)
)
def test_test_users_change_no_threshold(drawn, other):
    outcomes, training = outcomes_of(drawn)
    assume(any(orders and trained for orders, _, trained in drawn))
    changed = [
        (row[0], row[1], True) if row[2] else (*new, False) for row, new in zip(drawn, other, strict=False)
    ]
    labels, thresholds = value_labels(outcomes, training)
    labels_then, thresholds_then = value_labels(outcomes_of(changed)[0], training)
    assert thresholds_then == thresholds
    assert (labels_then[training] == labels[training]).all()


def test_without_a_buyer_to_train_on_there_is_no_threshold():
    outcomes, _ = outcomes_of([(1, 10, False), (0, 0, True)])
    with pytest.raises(EngineError, match="No training user bought"):
        value_labels(outcomes, np.array([False, True]))


def test_given_labels_are_the_newest_of_each_user(attributes_of):
    attributes = attributes_of(
        [
            {"user": 1, "occurred_at": 5, "name": "value", "text": "low", "seq": 8},
            {"user": 1, "occurred_at": 5, "name": "value", "text": "high", "seq": 9},
            {"user": 1, "occurred_at": 9, "name": "other", "text": "low", "seq": 10},
            {"user": 2, "occurred_at": 1, "name": "value", "text": "low", "seq": 11},
        ]
    )
    labels, names = given_labels(attributes, "value", [2, 3, 1])
    assert names == ("high", "low")
    assert labels.dtype == np.int32
    assert labels.tolist() == [1, -1, 0]


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ([10.0, 9.0, -1.0], ("-1", "9", "10")),
        ([0.5, 1.0], ("0.5", "1")),
        (["FALSE", "TRUE"], ("FALSE", "TRUE")),
        (["low", "medium", "high"], VALUE_LABELS),
        (["low", "high", "gone"], ("gone", "high", "low")),
    ],
)
def test_given_labels_come_in_the_order_of_their_values(values, names, attributes_of):
    kind = "text" if isinstance(values[0], str) else "number"
    rows = [{"user": at, "occurred_at": 0, "name": "label", kind: value} for at, value in enumerate(values)]
    labels, found = given_labels(attributes_of(rows), "label", range(len(values)))
    assert found == names
    shown = [str(int(value)) if value in (-1, 1, 9, 10) else str(value) for value in values]
    assert [found[label] for label in labels] == shown


def test_a_label_nobody_has_is_refused_with_those_there_are(attributes_of):
    rows = [{"user": 1, "occurred_at": 0, "name": name, "text": "x"} for name in ("plan", "city")]
    with pytest.raises(EngineError, match="'valeu'; attributes there are: city, plan"):
        given_labels(attributes_of(rows), "valeu", [1])


def test_the_starter_rule_is_recency_then_spend(events_of):
    bought = [(1, 0, 900), (2, 30, 100), (3, 30, 200), (4, 30, 300), (5, 30, 300)]
    events = events_of(
        [
            {"user": user, "occurred_at": day * DAY, "kind": "purchase", "amount": amount}
            for user, day, amount in bought
        ]
    )
    frame = features(events, NOBODY, 100 * DAY, FeatureSpec())
    starter = fit_starter(frame)
    assert starter == Starter(recency_days=90, spend_above=250)
    assert starter_labels(frame, starter).tolist() == [LOW, MEDIUM, MEDIUM, HIGH, HIGH]


@pytest.mark.parametrize(("days", "label"), [(90, MEDIUM), (91, LOW)])
def test_the_starter_rule_counts_whole_days(days, label):
    frame = pl.DataFrame({"user": [1], "recency_days": [days], "spend_365d": [0]})
    assert starter_labels(frame, Starter(spend_above=0)).tolist() == [label]


def test_a_log_without_purchases_is_all_low():
    frame = pl.DataFrame({"user": [1, 2], "views": [3, 4]})
    assert fit_starter(frame) == Starter(spend_above=0)
    assert starter_labels(frame, Starter(spend_above=0)).tolist() == [LOW, LOW]


def test_a_log_without_amounts_knows_no_high():
    frame = pl.DataFrame({"user": [1, 2], "recency_days": [3, 400]})
    assert fit_starter(frame) == Starter(spend_above=0)
    assert starter_labels(frame, Starter(spend_above=0)).tolist() == [MEDIUM, LOW]


def test_a_shop_asleep_has_a_starter_rule():
    frame = pl.DataFrame({"user": [1], "recency_days": [366], "spend_365d": [0]})
    assert starter_labels(frame, fit_starter(frame)).tolist() == [LOW]
