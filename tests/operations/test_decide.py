"""Decisions: a preview shows what follows, every way of rescoring honours the policy of its time."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db import log, projections
from engine.errors import EngineError
from segtui.operations.changes import changes
from segtui.operations.decide import decide
from segtui.operations.errors import OperationError
from segtui.operations.log import log as decisions
from segtui.operations.members import members
from segtui.operations.policies import parse_decide, wish
from segtui.operations.replay import replay
from segtui.operations.rescore import rescore, rescore_range
from segtui.operations.segment import define
from segtui.operations.segments import segments
from segtui.operations.status import status
from segtui.operations.undo import undo
from segtui.operations.user import user
from segtui.operations.verify import verify
from segtui.operations.what_if import what_if
from segtui.operations.why import why
from tests.operations.conftest import few

SLOW = few(4)
PEOPLE = 30


def bought(days):
    """Orders of thirty people who differ in how often and for how much they buy."""
    return [
        (f"u{n}", day + 0.1 + n / 100, "purchase", 2.0 + n)
        for n in range(PEOPLE)
        for day in days
        if (day + n) % (2 + n % 9) == 0
    ]


@pytest.fixture
def decided(lived_through, give_model):
    """A shop of thirty whose `value` a model decides, with a rule's segment that reads it."""

    def story(shop):
        shop.at(40.5)
        shop.events(bought(range(40)))
        with shop.open() as s:
            give_model(s)
            define(s, "best", "value = 'high'")

    return lived_through(story)


def held(s, at=None):
    return {
        label: {each["user"] for each in members(s, f"value={label}", at=at, limit=None)["members"]}
        for label in ("high", "medium", "low")
    }


def moves(s, after):
    return sorted(
        (each["segmentation"], each["user"], each["from"], each["to"], each["cause"])
        for each in changes(s, first=True)
        if each["seq"] > after
    )


def told(s, name="value"):
    return next(each for each in segments(s)["segmentations"] if each["name"] == name)


@pytest.mark.parametrize(
    "asked",
    [
        wish(shares=["medium=0.4"]),
        wish(shares=["medium=30%", "high=0.5"], margin="0.02"),
        wish(minimum=["medium=0.05"]),
        wish(costs=["medium:low=9", "medium:high=9"]),
        wish(margin="0"),
    ],
)
def test_a_preview_shows_exactly_what_follows(decided, asked):
    decided.at(42.5)
    decided.events(bought(range(40, 42)))
    with decided.open() as s:
        rescore(s)
        decided.at(43.2)  # a tick and some events are pending
        decided.events([("u3", 42.9, "purchase", 500.0)])
        head, before = s.store.head(), projections.state_digest(s.store)
        seen = decide(s, "value", asked, preview=True)
        assert (s.store.head(), projections.state_digest(s.store)) == (head, before)
        done = decide(s, "value", asked)
        assert done == seen | {"preview": False}
        (set_,) = (each for each in decisions(s) if each["kind"] == "policy_set")
        moved = [each for each in moves(s, set_["seq"]) if each[4] == "decision"]
        own = [each for each in moved if each[0] == "value"]
        flows = {(left, came): n for left, came, n in done["flows"]}
        assert {(left, came) for _, _, left, came, _ in own} == set(flows)
        assert len(own) == sum(flows.values()) == done["changed"]
        assert done["sizes"] == {each["label"]: each["users"] for each in told(s)["labels"]}
        assert done["expected"] == {each["label"]: each["expected"] for each in told(s)["labels"]}
        followed = {each[1:4] for each in moved if each[0] == "best"}
        assert followed == {
            (who, "in" if left == "high" else "out", "in" if came == "high" else "out")
            for _, who, left, came, _ in own
            if "high" in (left, came)
        }
        causes = {each["cause_seq"] for each in changes(s) if each["cause"] == "decision"}
        assert causes <= {set_["seq"]}
        found = verify(s, deep=True)
        assert found["ok"], [each for each in found["checks"] if not each["ok"]]


def test_shares_are_met_once_and_then_labels_are_everyones_own(decided):
    with decided.open() as s:
        done = decide(s, "value", wish(shares=["medium=0.4"]))
        assert done["sizes"]["medium"] == 12
        assert done["decision"]["shares"] == {"medium": 0.4}
        offsets = done["decision"]["offsets"]
        known = held(s)
    decided.at(40.6)
    decided.events([(f"new{n}", 40.51, "purchase", 900.0) for n in range(20)])
    with decided.open() as s:
        rescore(s)
        assert {who for who in held(s)["medium"] if who.startswith("u")} == known["medium"]
        assert told(s)["decision"] == done["decision"]
        assert told(s)["decision"]["offsets"] == offsets


def test_undone_in_its_tick_it_never_was_and_later_the_former_way_decides_anew(decided):
    with decided.open() as s:
        before = projections.state_digest(s.store)
        decide(s, "value", wish(shares=["medium=0.5"]))
        after = projections.state_digest(s.store)
        assert before != after
        (set_,) = (each for each in decisions(s) if each["kind"] == "policy_set")
        assert set_["undo"]
        back = undo(s, set_["seq"])
        assert projections.state_digest(s.store) == before
        assert told(s)["decision"] == {"rule": "argmax", "margin": 0.05, "min_stay": 0}
        undo(s, back["seq"])
        assert projections.state_digest(s.store) == after
    decided.at(43.5)
    with decided.open() as s:
        rescore(s)
        newest = [each for each in decisions(s) if each["kind"] == "policy_set"][-1]
        undo(s, newest["seq"])
        likeliest = {each: set() for each in ("high", "medium", "low")}
        for who in {who for label in held(s).values() for who in label}:
            found = user(s, who)["probabilities"]
            likeliest[max(found, key=found.get)].add(who)
        assert held(s) == likeliest
        found = verify(s, deep=True)
        assert found["ok"], [each for each in found["checks"] if not each["ok"]]


def test_margins_are_those_of_the_decision(decided):
    with decided.open() as s:
        decide(s, "value", wish(shares=["medium=0.4"]))
        listed = members(s, "value=medium", order="margin", limit=None)["members"]
        assert all(each["margin"] >= 0 for each in listed), "nobody is held back at first"
        offset = told(s)["decision"]["offsets"]["medium"]
        for each in listed[:5]:
            found = user(s, each["user"])["probabilities"]
            lead = found["medium"] + offset - max(found["high"], found["low"])
            assert each["margin"] == pytest.approx(lead, abs=1e-6)


def test_a_minimum_stay_counts_closes_and_ends_at_its_tick(decided):
    """Who moved is held for five closes, then leaves by the clock although nothing happened."""
    with decided.open() as s:
        decide(s, "value", wish(min_stay="5d", margin="0"))
        first = sorted(held(s)["low"])[0]
    decided.at(41.5)
    decided.events([(first, 41.1 + n / 1000, "purchase", 40.0) for n in range(5)])
    decided.at(60.5)
    with decided.open() as s:
        rescore(s)
        left = [each for each in changes(s, segment="value") if each["user"] == first]
        assert left[0]["as_of"][:10] == decided.day(46), "first labelled at the close of day 41"
        mover = sorted(held(s)["low"] - {first})[0]
    decided.at(61.5)
    decided.events([(mover, 61.1 + n / 1000, "purchase", 40.0) for n in range(5)])
    with decided.open() as s:
        rescore(s)
        assert mover in held(s)["high"]
    # What was bought is given back at once: but for the stay the user would leave with the refund.
    decided.at(62.5)
    decided.events([(mover, 62.1 + n / 1000, "refund", -40.0) for n in range(5)])
    with decided.open() as s:
        rescore(s)
        assert mover in held(s)["high"]
        leaves = user(s, mover)["leaves"]
    decided.at(72.5)
    with decided.open() as s:
        rescore(s)
        left = [each for each in changes(s, segment="value") if each["user"] == mover][-1]
        assert left["as_of"][:10] == leaves["as_of"][:10] == decided.day(67)
        assert (left["from"], left["cause"]) == ("high", "clock")
        assert left["to"] == leaves["to"]
        assert left["reason"] == "the minimum stay was over"
        found = verify(s, deep=True)
        assert found["ok"], [each for each in found["checks"] if not each["ok"]]


def test_what_if_shows_what_deciding_then_would_have_shown(decided):
    decided.at(50.5)
    decided.events(bought(range(40, 50)))
    with decided.open() as s:
        rescore(s)
        head = s.store.head()
        asked = parse_decide("value --share medium=0.4 --margin=0.01")
        shown = list(what_if(s, from_=decided.instant(44), decide=asked))
        assert s.store.head() == head
        assert max(each["differs"]["value"] for each in shown) > 0
        decide(s, *asked)
        ticks = list(rescore_range(s, decided.instant(44)))
        assert ticks
        done = list(replay(s, from_=decided.instant(45)))
        now = decide(s, "value", wish())["sizes"]
        assert done[-1]["sizes"]["value"] == shown[-1]["sizes"]["value"] == now


def test_a_range_after_a_decision_names_it(decided):
    decided.at(44.5)
    with decided.open() as s:
        rescore(s)
        decide(s, "value", wish(shares=["medium=0.5"]))
        (set_,) = (each["seq"] for each in decisions(s) if each["kind"] == "policy_set")
        list(rescore_range(s, decided.instant(42)))
        moved = [each for each in changes(s, segment="value") if each["as_of"][:10] == decided.day(43)]
        assert moved
        assert {(each["cause"], each["cause_seq"]) for each in moved} == {("decision", set_)}


def test_everyone_knows_the_decision_of_the_moment(decided):
    decided.at(44.5)
    with decided.open() as s:
        rescore(s)
        decide(s, "value", wish(minimum=["medium=0.1"], margin="0.2"))
        now = {"rule": "min", "margin": 0.2, "min_stay": 0, "min": {"medium": 0.1}}
        assert told(s)["decision"] == status(s)["decision"] == now
        past = segments(s, at=decided.instant(42))["segmentations"][0]
        assert past["decision"] == {"rule": "argmax", "margin": 0.05, "min_stay": 0}
        assert decide(s, "value", wish())["decision"] == now
        found = why(s, "value=medium", from_=decided.instant(42))
        assert (found["decision_changed"], found["definition_changed"]) == (True, False)


def test_a_model_without_a_label_lets_what_was_said_of_it_fall_away(decided, give_model):
    with decided.open() as s:
        decide(s, "value", wish(shares=["medium=0.4"], margin="0.01"))
        (set_,) = (each["seq"] for each in decisions(s) if each["kind"] == "policy_set")
        noted = give_model(s, labels=("high", "middling", "low"), name="other")["note"]
        assert noted.startswith("What was decided for medium has no effect")
        assert told(s)["decision"] == {"rule": "argmax", "margin": 0.01, "min_stay": 0}
        assert verify(s, deep=True)["ok"]
        with pytest.raises(OperationError, match="model_promoted"):
            undo(s, set_)
        promoted = [each["seq"] for each in decisions(s) if each["kind"] == "model_promoted"][-1]
        assert "--share medium=0.4" in undo(s, promoted)["note"]
        assert told(s)["decision"]["shares"] == {"medium": 0.4}


@pytest.mark.parametrize(
    ("asked", "error", "sentence"),
    [
        (lambda: wish(shares=["middling=0.1"]), OperationError, "there are high, medium, low"),
        (lambda: wish(shares=["medium=0.7", "high=0.4"]), EngineError, r"add up to 1\.1"),
        (lambda: wish(shares=["medium=0.1"], minimum=["high=0.1"]), OperationError, "two ways"),
        (lambda: wish(shares=["medium"]), OperationError, "is not LABEL=NUMBER"),
        (lambda: wish(shares=["medium=much"]), OperationError, "holds no number"),
        (lambda: wish(shares=["medium=0.1", "medium=0.2"]), OperationError, "twice"),
        (lambda: wish(costs=["medium=3"]), OperationError, "FROM:TO=C"),
        (lambda: wish(costs=["medium:medium=3"]), EngineError, "no mistake"),
        (lambda: wish(margin="2"), EngineError, "from 0 to 1"),
        (lambda: wish(min_stay="900d"), OperationError, "at most 366d"),
        (lambda: wish(argmax=True), OperationError, "decided so already"),
        (lambda: wish(margin="0.05"), OperationError, "decided so already"),
    ],
)
def test_what_cannot_be_decided_is_said(decided, asked, error, sentence):
    with decided.open() as s:
        head = s.store.head()
        with pytest.raises(error, match=sentence) as caught:
            decide(s, "value", asked())
        assert "\n" not in str(caught.value)
        assert s.store.head() == head


def test_what_has_no_probabilities_cannot_be_decided(decided, make_shop):
    with decided.open() as s, pytest.raises(OperationError, match="'best' is decided by a rule"):
        decide(s, "best", wish(margin="0.1"))
    other = make_shop()
    other.at(1)
    other.events([("ann", 0.1, "purchase", 5.0)])
    with other.open() as s:
        rescore(s)
        with pytest.raises(OperationError, match="starter rule, which has no probabilities: train"):
            decide(s, "value", wish(margin="0.1"))


@pytest.mark.parametrize(
    "text", ["--share medium=0.1", "value", "value medium=0.1", "value --share", "value 'x"]
)
def test_words_that_say_no_decision_are_refused(text):
    with pytest.raises(OperationError):
        parse_decide(text)


event = st.tuples(
    st.sampled_from(["ann", "bob", "cat", "dan", "eve"]),
    st.floats(0, 0.99),
    st.sampled_from(["purchase", "purchase", "view"]),
    st.sampled_from([5.0, 40.0, 120.0]),
)
asked = st.sampled_from(
    [
        None,
        None,
        wish(shares=["medium=0.4"]),
        wish(minimum=["high=0.2"], min_stay="3d"),
        wish(costs=["medium:low=5"], margin="0"),
        wish(margin="0.3", min_stay="10d"),
        wish(argmax=True, min_stay="0d"),
    ]
)
days = st.lists(
    st.tuples(
        st.integers(1, 12),  # days since the last visit
        st.lists(event, max_size=5),
        st.lists(st.tuples(event, st.integers(2, 20)), max_size=2),  # late ones, days back
        st.booleans(),  # whether to rescore
        asked,  # what is decided then
    ),
    min_size=3,
    max_size=7,
)


def play(shop, story, give_model, *, full, deep=False):
    """Lives through the story; the state digest after each rescore and each decision."""
    shop.at(0)
    shop.events([(name, 0.01 * n, "purchase", 30.0 * n) for n, name in enumerate(("zoe", "yan", "xen"))])
    with shop.open() as s:
        give_model(s)
    today, digests = 0, []
    for pause, fresh, late, scores, wished in story:
        today += pause
        shop.at(today + 0.995)
        rows = [(user, today + offset, kind, amount) for user, offset, kind, amount in fresh]
        rows += [(user, max(0, today - back) + at, kind, amount) for (user, at, kind, amount), back in late]
        if rows:
            shop.events(rows)
        with shop.open() as s:
            if scores:
                digests.append(rescore(s, full=full)["state_digest"])
            if wished is not None:
                with suppress(OperationError):  # it may be decided so already
                    decide(s, "value", wished, preview=True)
                    if full:
                        rescore(s, full=True)
                    decide(s, "value", wished)
                    digests.append(projections.state_digest(s.store))
    with shop.open() as s:
        digests.append(rescore(s, full=full)["state_digest"])
        if deep:
            found = verify(s, deep=True)
            assert found["ok"], [each for each in found["checks"] if not each["ok"]]
            known = {each.seq for each in log.decisions(s.store, kinds=("policy_set",))}
            for each in changes(s, first=True):
                assert each["reason"]
                assert each["cause"] != "decision" or each["cause_seq"] in known
    return digests


@SLOW
@given(story=days)
def test_incremental_full_and_recomputed_agree_under_any_policies(make_shop, give_model, story):
    once = play(make_shop(), story, give_model, full=False, deep=True)
    again = play(make_shop(), story, give_model, full=True)
    assert once == again
