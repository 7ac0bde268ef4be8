"""Probabilities become labels: on integers, by a policy, held back by a margin and a minimum stay."""

import json
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.deciding import (
    MILLION,
    NEVER,
    DecisionPolicy,
    decide,
    fit_shares,
    margins,
    preferences,
)
from engine.errors import EngineError

LABELS = ("high", "medium", "low")
NOBODY = np.array([-1])

probabilities = st.lists(st.integers(0, 20), min_size=3, max_size=3)
policies = st.one_of(
    st.just({}),
    st.fixed_dictionaries(
        {
            "rule": st.just("min"),
            "minimum": st.dictionaries(st.sampled_from(LABELS), st.integers(0, 20), min_size=1),
        }
    ),
    st.fixed_dictionaries(
        {"rule": st.just("share"), "offsets": st.dictionaries(st.sampled_from(LABELS), st.integers(-20, 20))}
    ),
    st.fixed_dictionaries(
        {
            "rule": st.just("cost"),
            "costs": st.dictionaries(
                st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS)).filter(
                    lambda pair: pair[0] != pair[1]
                ),
                st.integers(0, 9).map(lambda cost: 1_000 * cost),
            ),
        }
    ),
)


def table(*rows):
    return np.array(rows, np.int32)


def first(policy, *scores):
    """The label of a user with these probabilities, who held none."""
    return LABELS[decide(table(scores), LABELS, policy, NOBODY)[0]]


def naive(scores, closed, policy, stays):
    """What the policy says, read out for one user: the label preferred, and whether it takes the place."""
    if policy.rule == "min":
        others = [code for code in range(3) if LABELS[code] not in policy.minimum]
        best = max((scores[code] for code in others), default=0)
        value = [
            scores[code] - (best if code in others else policy.minimum[LABELS[code]]) for code in range(3)
        ]
    elif policy.rule == "share":
        value = [scores[code] + policy.offsets.get(LABELS[code], 0) for code in range(3)]
    elif policy.rule == "cost":
        cost = {
            (true, to): 0 if true == to else policy.costs.get((true, to), 1_000)
            for true, to in product(LABELS, LABELS)
        }
        value = [-sum(scores[at] * cost[true, to] for at, true in enumerate(LABELS)) / 1_000 for to in LABELS]
    else:
        value = list(scores)
    top = max(range(3), key=lambda code: (value[code], LABELS[code] in policy.minimum, -code))
    if closed < 0:
        return top
    if policy.min_stay and stays:
        return closed
    return top if value[top] - value[closed] > policy.margin else closed


@given(
    st.lists(st.tuples(probabilities, st.integers(-1, 2), st.booleans()), min_size=1, max_size=30),
    policies,
    st.integers(0, 10),
    st.integers(0, 3),
)
def test_labels_are_what_the_policy_says_user_by_user(rows, rule, margin, min_stay):
    policy = DecisionPolicy(margin=margin, min_stay=min_stay, **rule)
    scores = np.array([row[0] for row in rows], np.int32)
    closed, stays = np.array([row[1] for row in rows]), np.array([row[2] for row in rows])
    expected = [
        naive([int(p) for p in each], int(c), policy, bool(h))
        for each, c, h in zip(scores, closed, stays, strict=True)
    ]
    assert decide(scores, LABELS, policy, closed, stays).tolist() == expected


@given(policies, st.integers(0, MILLION), st.integers(0, 99), st.sampled_from([None, 7]))
def test_a_policy_comes_back_from_json(rule, margin, min_stay, anew):
    policy = DecisionPolicy(margin=margin, min_stay=min_stay, anew=anew, **rule)
    assert DecisionPolicy.from_json(json.loads(json.dumps(policy.to_json()))) == policy


def test_a_first_label_is_the_likeliest_and_the_earlier_on_a_tie():
    scores = table((400_000, 400_000, 200_000), (100_000, 450_000, 450_000))
    assert decide(scores, LABELS, DecisionPolicy(), np.array([-1, -1])).tolist() == [0, 1]


def test_the_margin_must_be_beaten_not_met():
    policy = DecisionPolicy(margin=50_000)
    scores = table((525_000, 475_000), (525_001, 475_000))
    assert decide(scores, ("a", "b"), policy, np.array([1, 1])).tolist() == [1, 0]


def test_the_margin_counts_from_the_label_held_not_from_the_second_best():
    scores = table((500_000, 480_000, 20_000))
    assert decide(scores, LABELS, DecisionPolicy(), np.array([2])).tolist() == [0]


def test_a_minimum_stay_holds_until_it_is_over():
    scores = table((900_000, 100_000), (900_000, 100_000))
    policy = DecisionPolicy(min_stay=7)
    assert decide(scores, ("a", "b"), policy, np.array([1, 1]), np.array([True, False])).tolist() == [1, 0]


def test_a_minimum_stay_needs_to_know_how_long():
    with pytest.raises(EngineError, match="how long"):
        decide(table((1, 0)), ("a", "b"), DecisionPolicy(min_stay=1), np.array([0]))


def test_a_minimum_is_enough_when_reached_and_keeps_out_below():
    policy = DecisionPolicy(rule="min", minimum={"medium": 200_000})
    assert first(policy, 50_000, 200_000, 750_000) == "medium"
    assert first(policy, 50_000, 199_999, 750_001) == "low"
    high = DecisionPolicy(rule="min", minimum={"high": 600_000})
    assert first(high, 590_000, 10_000, 400_000) == "low"
    both = DecisionPolicy(rule="min", minimum={"high": 600_000, "medium": 300_000})
    assert first(both, 610_000, 390_000, 0) == "medium", "it exceeds its own by more"


def test_the_cheapest_mistake_is_risked():
    policy = DecisionPolicy(rule="cost", costs={("medium", "low"): 4_000})
    assert first(policy, 50_000, 200_000, 750_000) == "medium"
    assert first(policy, 50_000, 150_000, 800_000) == "low"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"margin": -1}, "margin must be from 0 to 1"),
        ({"margin": MILLION + 1}, "margin must be from 0 to 1"),
        ({"min_stay": -1}, "0 ticks or more"),
        ({"minimum": {"high": MILLION + 1}}, "minimum of high"),
        ({"shares": {"high": -1}}, "share of high"),
        ({"shares": {"high": 600_000, "low": 500_000}}, "add up to 1.1"),
        ({"costs": {("high", "high"): 1}}, "no mistake"),
        ({"costs": {("high", "low"): -1}}, "cost of high:low"),
    ],
)
def test_a_policy_out_of_range_is_refused(settings, told):
    with pytest.raises(EngineError, match=told):
        DecisionPolicy(**settings)


def test_nobody_is_decided_to_nobody():
    nothing = np.zeros((0, 3), np.int32)
    for policy in (DecisionPolicy(), DecisionPolicy(rule="min", minimum={"high": 1})):
        assert decide(nothing, LABELS, policy, np.zeros(0, int)).shape == (0,)


def test_what_is_said_of_labels_that_are_gone_falls_away():
    shares = DecisionPolicy(
        rule="share", shares={"medium": 1, "top": 1}, offsets={"medium": 5, "top": 3}, margin=7
    )
    assert shares.of(LABELS).offsets == {"medium": 5}
    assert shares.of(("yes", "no")) == DecisionPolicy(margin=7)
    costs = DecisionPolicy(rule="cost", costs={("high", "low"): 5_000, ("high", "gone"): 2_000})
    assert costs.of(LABELS).costs == {("high", "low"): 5_000}
    assert shares.of(("medium", "top")) == shares


@given(st.lists(probabilities, min_size=1, max_size=20), policies)
def test_a_margin_is_how_far_the_label_preferred_is_ahead(rows, rule):
    scores, policy = table(*rows), DecisionPolicy(margin=0, **rule)
    preferred = preferences(scores, LABELS, policy)
    given_first = decide(scores, LABELS, policy, np.full(len(rows), -1))
    ahead = margins(preferred, given_first)
    assert (ahead >= 0).all()
    for code in range(3):
        held = np.full(len(rows), code)
        left = decide(scores, LABELS, policy, held) != held
        assert (left == (margins(preferred, held) < 0)).all()


def draw(seed, users, concentration=(0.6, 0.9, 5)):
    random = np.random.default_rng(seed)
    return np.round(random.dirichlet(concentration, users) * MILLION).astype(np.int32)


def sizes(scores, labels, shares):
    offsets = fit_shares(scores, labels, shares)
    policy = DecisionPolicy(rule="share", shares=shares, offsets=offsets)
    return np.bincount(decide(scores, labels, policy, np.full(len(scores), -1)), minlength=len(labels))


@given(
    st.integers(0, 50),
    st.integers(40, 400),
    st.lists(st.integers(0, 300_000), min_size=1, max_size=3),
)
def test_shares_are_met_up_to_those_at_the_edge(seed, users, parts):
    scores = draw(seed, users)
    _, alike = np.unique(scores, axis=0, return_counts=True)
    shares = dict(zip(LABELS, parts, strict=False))
    if len(shares) == 3:
        shares["low"] = MILLION - shares["high"] - shares["medium"]
    given_ = sizes(scores, LABELS, shares)
    for label, share in shares.items():
        assert abs(given_[LABELS.index(label)] - share * users / MILLION) <= 1 + alike.max()


@given(st.integers(0, 50), st.randoms(use_true_random=False))
def test_shares_depend_on_no_order(seed, random):
    scores = draw(seed, 60)
    shares = {"medium": 200_000, "high": 150_000}
    known = fit_shares(scores, LABELS, shares)
    rows = list(range(60))
    random.shuffle(rows)
    assert fit_shares(scores[rows], LABELS, dict(reversed(shares.items()))) == known


def test_a_share_goes_to_those_who_lead_by_most():
    scores = table(*[(0, 100_000 * n, MILLION - 100_000 * n) for n in range(5)])
    offsets = fit_shares(scores, LABELS, {"medium": 400_000})
    policy = DecisionPolicy(rule="share", offsets=offsets)
    assert decide(scores, LABELS, policy, np.full(5, -1)).tolist() == [2, 2, 2, 1, 1]


def test_users_who_are_alike_are_not_divided():
    scores = np.repeat(table((300_000, 300_000, 400_000)), 100, axis=0)
    assert sizes(scores, LABELS, {"high": 300_000, "medium": 300_000}).tolist() == [0, 0, 100]
    assert sizes(scores, LABELS, {"medium": 700_000}).tolist() == [0, 100, 0]


def test_shares_of_nothing_and_of_everything():
    scores = draw(3, 200)
    assert sizes(scores, LABELS, {"medium": MILLION}).tolist() == [0, 200, 0]
    assert fit_shares(scores, LABELS, {"medium": 0}) == {"medium": NEVER}
    assert sizes(scores, LABELS, {"high": 250_000, "low": 750_000}).tolist() == [50, 0, 150]


def test_shares_that_cannot_be_are_refused():
    with pytest.raises(EngineError, match=r"add up to 0\.6"):
        fit_shares(draw(1, 9), LABELS, dict.fromkeys(LABELS, 200_000))
    with pytest.raises(EngineError, match="nobody"):
        fit_shares(np.zeros((0, 3), np.int32), LABELS, {"high": 1})


def test_many_labels_have_their_shares():
    labels = tuple("abcdefgh")
    given_ = sizes(draw(5, 4_000, [1] * 8), labels, dict.fromkeys("abcdefg", 120_000))
    assert (abs(given_[:7] - 480) <= 3).all()
