"""What-if replays: what they show is what doing it would record, and nothing is written."""

import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from db import log
from engine.errors import EngineError
from segtui.operations.decide import decide
from segtui.operations.errors import OperationError
from segtui.operations.models import promote
from segtui.operations.policies import Wish
from segtui.operations.replay import replay
from segtui.operations.rescore import rescore, rescore_range
from segtui.operations.segment import define, edit
from segtui.operations.trials import Trial, parse_trial
from segtui.operations.what_if import what_if

SAME = ("as_of", "changes", "by_cause", "sizes", "flows", "frame_digest", "state_digest")


def lively(shop, days):
    shop.events(
        [
            (f"u{each}", day + 0.1, "purchase", 15.0 * (each + 1))
            for each in range(10)
            for day in range(each % 5, days, 3 + 4 * each)
        ]
    )


def told(frame, *names):
    return {name: frame[name] for name in names or SAME}


@pytest.fixture
def scored(shop):
    """Sixty days, each closed and recorded."""
    shop.at(60.5)
    lively(shop, 60)
    with shop.open() as s:
        list(rescore_range(s, shop.instant(10)))
    return shop


def test_deciding_again_what_decides_today_differs_in_nothing(scored):
    with scored.open() as s:
        recorded = list(replay(s, from_=scored.instant(30)))
        head, seqs = s.store.head(), log.changes(s.store, governing=False).height
        again = list(what_if(s, from_=scored.instant(30)))
        assert [told(each) for each in again] == [told(each) for each in recorded]
        assert all(each["differs"] == {"value": 0} for each in again)
        assert (s.store.head(), log.changes(s.store, governing=False).height) == (head, seqs)


visits = st.lists(
    st.tuples(
        st.sampled_from(["ann", "bob", "cat"]),
        st.floats(0.1, 8),  # how many days before it comes
        st.sampled_from([10.0, 30.0, 90.0]),
    ),
    min_size=1,
    max_size=3,
)


@settings(
    max_examples=4,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@example(days=[[("bob", 0.1, 10.0)], [("ann", 1.5, 90.0)], [("cat", 0.1, 10.0)], [("dan", 0.1, 10.0)]])
@given(days=st.lists(visits, min_size=4, max_size=5))
def test_what_decided_then_decides_otherwise_only_for_whom_events_came_late(make_shop, days):
    shop = make_shop()
    shop.at(0.9)
    shop.events([(name, 0.1, "purchase", 20.0) for name in ("ann", "bob", "cat", "dan")])
    with shop.open() as s:
        rescore(s)
        define(s, "lately", "orders_7d >= 2")
    for day, rows in enumerate(days, 1):
        shop.at(day + 0.9)
        with shop.open() as s:
            rescore(s)
        shop.events([(name, max(0.2, day + 0.8 - ago), "purchase", amount) for name, ago, amount in rows])
    with shop.open() as s:
        rescore(s)
        late = s.events().filter(pl.col("late").cast(pl.Boolean))["user"].unique().to_list()
        tardy = set(s.external(late).values())
        frames = list(what_if(s, from_=shop.instant(1), named=9))
        assert any(each["differs"]["lately"] for each in frames) or ("ann", 1.5, 90.0) not in days[1]
        for frame in frames:
            assert frame["late"] == frame["differs"]
            assert {each["user"] for each in frame["differing"]} <= tardy
            assert all(each["late"] for each in frame["differing"])


def test_a_label_that_the_margin_holds_since_an_event_came_late_is_counted_so(shop, give_model):
    shop.at(0.9)
    shop.events([("ann", 0.1, "purchase", 20.0)])
    with shop.open() as s:
        rescore(s)
        give_model(s)
        decide(s, "value", Wish(margin=990_000))
    for day in range(1, 6):
        shop.at(day + 0.9)
        with shop.open() as s:
            rescore(s)
        if day == 1:
            shop.events([("bob", 1.1, "view", None), ("cat", 1.1, "view", None)])
        if day == 3:
            shop.events([("bob", 1.2, "purchase", 120.0), ("cat", 3.2, "view", None)])
    with shop.open() as s:
        rescore(s)
        frames = list(what_if(s, from_=shop.instant(1), named=9))
        assert {each["differs"]["value"] for each in frames} == {1}, "also where the record knows it"
        assert frames[-1]["late"] == {"value": 1}
        (bob,) = frames[-1]["differing"]
        assert (bob["user"], bob["recorded"], bob["late"]) == ("bob", "low", True)
        # Under another rule many differ, and not because of what came late.
        tried = list(what_if(s, from_=shop.instant(1), define=("new", "recency_days >= 0")))
        assert tried[-1]["differs"] == {"new": 3}
        assert tried[-1]["late"] == {"new": 1}


def test_another_model_shows_what_promoting_it_then_would_have_shown(scored, record_model):
    with scored.open() as s:
        record_model(s)
        shown = list(what_if(s, from_=scored.instant(40), model="small"))
        assert max(each["differs"]["value"] for each in shown) > 0
        recorded = {each["as_of"]: each for each in replay(s, from_=scored.instant(40))}
        promote(s, "small")
        list(rescore_range(s, scored.instant(40)))
        done = list(replay(s, from_=scored.instant(40)))
        assert [told(each) for each in done] == [told(each) for each in shown]
        for frame in shown:
            before, after = (each["sizes"]["value"] for each in (recorded[frame["as_of"]], frame))
            moved = sum(abs(before[label] - after[label]) for label in after)
            assert frame["differs"]["value"] >= moved / 2


def test_a_rule_is_tried_with_what_it_reads_as_recorded(scored):
    with scored.open() as s:
        define(s, "lately", "recency_days < 20 AND value <> 'low'")
        list(rescore_range(s, scored.instant(30)))
        head = s.store.head()
        same = list(
            what_if(s, from_=scored.instant(30), define=("lately", "value <> 'low' AND recency_days < 20"))
        )
        assert all(each["differs"] == {"lately": 0} for each in same)
        shown = list(what_if(s, from_=scored.instant(30), define=("lately", "recency_days < 5")))
        assert max(each["differs"]["lately"] for each in shown) > 0
        new = list(what_if(s, from_=scored.instant(30), define=("fresh", "value = 'high'")))
        for frame in new:
            assert frame["sizes"]["fresh"]["in"] == frame["sizes"]["value"]["high"]
            assert frame["differs"] == {"fresh": 10}, "nobody was recorded in it"
        assert s.store.head() == head
        edit(s, "lately", "recency_days < 5")
        list(rescore_range(s, scored.instant(30)))
        done = list(replay(s, from_=scored.instant(30)))
        sizes = [each["sizes"]["lately"] for each in done]
        assert sizes == [each["sizes"]["lately"] for each in shown]


def test_users_who_differ_are_named(scored):
    with scored.open() as s:
        define(s, "lately", "recency_days < 20")
        list(rescore_range(s, scored.instant(30)))
        changed = {"from_": scored.instant(50), "define": ("lately", "recency_days < 5")}
        recorded = list(replay(s, from_=scored.instant(50)))
        for frame, then in zip(what_if(s, **changed, named=99), recorded, strict=True):
            assert frame["recorded"] == then["sizes"]
            named = frame["differing"]
            assert len(named) == frame["differs"]["lately"]
            pairs = [(each["recorded"], each["decided"]) for each in named]
            assert {(left, to): users for _, left, to, users in frame["corrections"]} == {
                pair: pairs.count(pair) for pair in pairs
            }
            for label, users in frame["sizes"]["lately"].items():
                came = sum(to == label for _, to in pairs) - sum(left == label for left, _ in pairs)
                assert users == then["sizes"]["lately"][label] + came
        assert frame["differs"]["lately"] > 2
        assert [each["differing"] for each in what_if(s, **changed, named=2)][-1] == named[:2]


@pytest.mark.parametrize(
    ("text", "trial", "arguments"),
    [
        ("small", Trial(model="small", text="small"), "--mode what-if --model small"),
        (
            "new=recency_days = 3",
            Trial(define=("new", "recency_days = 3"), text="new=recency_days = 3"),
            "--mode what-if --define new=recency_days = 3",
        ),
        (
            "value --margin 0.1",
            Trial(decide=("value", Wish(margin=100_000)), text="value --margin 0.1"),
            "--mode what-if --decide value --margin 0.1",
        ),
    ],
)
def test_what_is_typed_is_read(scored, record_model, text, trial, arguments):
    with scored.open() as s:
        record_model(s)
        promote(s, "small")
        assert parse_trial(s, text) == trial
        assert " ".join(trial.arguments) == arguments
        for wrong in ("", "smal", "value = 'high'", "gone --margin 1", "new = rec > 3"):
            with pytest.raises((OperationError, EngineError)):
                parse_trial(s, wrong)


def test_what_cannot_be_tried_is_said(scored):
    with scored.open() as s:
        rescore(s)
        head = s.store.head()
        with pytest.raises(OperationError, match="No model"):
            what_if(s, model="none")
        with pytest.raises(OperationError, match="not by a rule"):
            what_if(s, define=("value", "orders > 1"))
        with pytest.raises(OperationError, match="widen the range"):
            what_if(s, from_=scored.instant(20), to=scored.instant(20))
        assert s.store.head() == head
