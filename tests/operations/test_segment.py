"""Segments by rule and from lists: a preview shows what follows, all ways of rescoring agree."""

import time
from contextlib import suppress

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from db import log, projections, vocabulary
from engine.errors import EngineError
from segtui.operations.changes import changes
from segtui.operations.errors import OperationError
from segtui.operations.members import members
from segtui.operations.replay import replay
from segtui.operations.rescore import rescore, rescore_range
from segtui.operations.segment import define, edit, from_file, retire
from segtui.operations.segments import segments
from segtui.operations.train import train
from segtui.operations.transitions import transitions
from segtui.operations.user import user
from segtui.operations.verify import verify
from segtui.operations.what_if import what_if
from tests.operations.conftest import few

SLOW = few(5)
RULES = [
    "recency_days < 30",
    "orders_28d >= 2 OR spend > 20000",
    "value = 'high' AND recency_days <= 20",
    "value <> 'low'",
    "tenure_days > 400",
    "recency_days > 40 AND orders_7d = 0",
]


def crowd(shop, days=60):
    rows = []
    for index in range(10):
        rows += [
            (f"u{index}", day + 0.1, "purchase", 15.0 * (index + 1))
            for day in range(index, days, 4 + 5 * index)
        ]
    shop.events(rows)


def within(s, name):
    return {each["user"] for each in members(s, name, limit=None)["members"]}


def test_a_preview_shows_what_follows(shop):
    shop.at(60.5)
    crowd(shop)
    with shop.open() as s:
        rescore(s)
        head = s.store.head()
        shown = define(s, "lately", "recency_days < 14", preview=True)
        assert s.store.head() == head
        told = define(s, "lately", "recency_days < 14")
        assert {name: shown[name] for name in told if name != "preview"} | {"preview": False} == told
        assert shown["trend"][-1]["users"] == told["users"] == len(within(s, "lately"))
        assert told["entering"] == told["users"] > 0
        assert told["share"] == round(told["users"] / 10, 6)

        shown = edit(s, "lately", "recency_days < 5", preview=True)
        known = s.store.head()
        told = edit(s, "lately", "recency_days < 5")
        moves = [each for each in changes(s, segment="lately") if each["seq"] > known]
        assert len(moves) == shown["leaving"] == told["leaving"] > 0
        assert {(each["from"], each["to"], each["cause"]) for each in moves} == {("in", "out", "definition")}
        overlap = {each["segment"]: each for each in told["overlap"]}
        high = within(s, "value=high")
        assert overlap["value=high"]["users"] == len(high & within(s, "lately"))
        assert verify(s)["ok"]


def test_the_movers_previewed_are_the_changes_and_the_frame(shop, tmp_path):
    shop.at(60.5)
    crowd(shop)
    with shop.open() as s:
        rescore(s)
        define(s, "lately", "recency_days < 5")
        define(s, "both", "lately AND spend > 0")
    shop.at(61.5)
    with shop.open() as s:
        rescore(s)
        shown = edit(s, "lately", "recency_days < 25", preview=True, out=tmp_path / "movers.csv")
        known = s.store.head()
        edit(s, "lately", "recency_days < 25")
        listed = pl.read_csv(tmp_path / "movers.csv", schema_overrides={"user": pl.String})
        made = [each for each in changes(s) if each["seq"] > known]
        own = {(each["user"], each["from"], each["to"]) for each in made if each["segmentation"] == "lately"}
        assert own == set(listed.select("user", "from", "to").rows())
        assert len(own) == sum(count for *_, count in shown["flows"]) > 0
        assert {each["segmentation"] for each in made} == {"lately", "both"}, "dependents move with it"
        *_, frame = replay(s)
        flows = sorted([left, to, count] for name, left, to, count in frame["flows"] if name == "lately")
        assert flows == sorted(shown["flows"])


def test_silence_moves_a_user_out_at_the_tick_the_rule_names(shop):
    shop.at(5.5)
    shop.events([("ann", 5.2, "purchase", 50.0), ("bob", 1.0, "purchase", 9.0)])
    with shop.open() as s:
        define(s, "lately", "recency_days < 10")
    shop.at(40.5)
    with shop.open() as s:
        rescore(s)
        moves = {each["user"]: each for each in changes(s, segment="lately")}
    assert moves["ann"]["as_of"][:10] == shop.day(15)
    assert (moves["ann"]["cause"], moves["ann"]["to"]) == ("clock", "out")
    assert moves["ann"]["reason"] == "no order for 10 d"


def test_a_rule_follows_the_segment_it_reads(shop):
    shop.at(5.5)
    shop.events([("ann", 5.2, "purchase", 50.0), ("bob", 5.0, "purchase", 9.0)])
    with shop.open() as s:
        rescore(s)
        define(s, "gone", "value = 'low'")
        define(s, "both", "gone AND recency_days > 95")
    shop.at(120.5)
    with shop.open() as s:
        rescore(s)
        lost = next(each for each in changes(s, segment="value") if each["user"] == "ann")
        gone = next(each for each in changes(s, segment="gone") if each["user"] == "ann")
        both = next(each for each in changes(s, segment="both") if each["user"] == "ann")
        assert gone["as_of"] == lost["as_of"]
        assert (gone["cause"], gone["reason"]) == ("clock", "moved in value")
        assert both["as_of"][:10] == shop.day(6 + 95)
        assert [each["name"] for each in segments(s)["segmentations"]] == ["value", "gone", "both"]


story = st.lists(
    st.tuples(
        st.integers(1, 45),
        st.lists(
            st.tuples(
                st.sampled_from(["ann", "bob", "cat"]), st.floats(0, 0.9), st.sampled_from([5.0, 300.0])
            ),
            max_size=3,
        ),
        st.integers(0, 60),
        st.booleans(),
        st.sampled_from(["", "define", "edit", "list", "retire"]),
        st.sampled_from(RULES),
    ),
    min_size=2,
    max_size=6,
)


def live(shop, days, *, full, tmp_path):
    """Lives through imports, late events, ticks and edits; the state digest after each rescore."""
    shop.at(0.9)
    shop.events([("zoe", 0.0, "purchase", 80.0), ("ann", 0.1, "purchase", 10.0)])
    path = tmp_path / "listed.txt"
    path.write_text("ann\nzoe\nnobody\n")
    today, digests = 0, []
    for pause, fresh, back, scores, what, where in days:
        today += pause
        shop.at(today + 0.995)
        if fresh:
            shop.events(
                [(user, max(0, today - back) + offset, "purchase", amount) for user, offset, amount in fresh]
            )
        with shop.open() as s:
            known = {each["name"] for each in segments(s)["segmentations"]}
            if what == "define" and "ruled" not in known:
                define(s, "ruled", where)
                define(s, "nested", "ruled OR value = 'high'")
            elif what == "edit" and "ruled" in known:
                with suppress(OperationError):  # it may have that very rule
                    edit(s, "ruled", where)
            elif what == "list":
                from_file(s, "listed", path)
            elif what == "retire" and "listed" in known:
                retire(s, "listed")
            if scores:
                digests.append(rescore(s, full=full)["state_digest"])
    with shop.open() as s:
        digests.append(rescore(s, full=full)["state_digest"])
        as_of = s.require_as_of()
        assert projections.state_digest(s.store, as_of=as_of) == digests[-1]
        told = verify(s, deep=True)
        assert told["ok"], told["checks"]
        labels = next(each for each in told["checks"] if each["name"] == "labels")["detail"]
        assert set(labels.partition("not decided again: ")[2].split(", ")) <= {"", "listed"}
        moves = [
            (
                each["user"],
                each["segmentation"],
                each["from"],
                each["to"],
                each["as_of"],
                each["cause"],
                each["reason"],
            )
            for each in changes(s, first=True)
        ]
    return digests, sorted(moves, key=str)


@SLOW
@given(days=story)
def test_incremental_equals_full_whatever_is_edited(make_shop, tmp_path, days):
    once = live(make_shop(), days, full=False, tmp_path=tmp_path)
    again = live(make_shop(), days, full=True, tmp_path=tmp_path)
    assert once == again


def test_a_range_decides_rules_by_the_labels_of_each_tick(shop):
    shop.at(60.5)
    crowd(shop)
    with shop.open() as s:
        rescore(s)
        define(s, "lately", "recency_days < 14 AND value <> 'low'")
        before = projections.state_digest(s.store)
        list(rescore_range(s, shop.instant(20)))
        assert projections.state_digest(s.store) == before
        number = vocabulary.number(s.store, "segmentation", "lately")
        past = projections.memberships(s.store, number, as_of=shop.instant(30))
        told = define(s, "again", "recency_days < 14 AND value <> 'low'", preview=True)
        then = next(each for each in told["trend"] if each["as_of"][:10] == shop.day(61 - 28))
        held = projections.memberships(s.store, number, as_of=shop.instant(61 - 28))
        code = vocabulary.number(s.store, "label", "in")
        assert then["users"] == held.filter(pl.col("label") == code).height
        assert past.height == 10


def test_a_list_holds_who_was_listed(shop, tmp_path):
    shop.at(5.3)
    shop.events([("ann", 5.2, "purchase", 50.0), ("bob", 5.0, "purchase", 9.0)])
    path = tmp_path / "listed.txt"
    path.write_text("ann\n\nghost\nann\n")
    with shop.open() as s:
        rescore(s)
        told = from_file(s, "listed", path)
        assert (told["users"], told["entering"], told["unknown"]) == (1, 1, 1)
        assert within(s, "listed") == {"ann"}
    shop.events([("cat", 5.25, "purchase", 50.0), ("ann", 5.29, "purchase", 1.0)])
    with shop.open() as s:
        rescore(s)
        assert within(s, "listed") == {"ann"}, "inside the open tick, too"
        assert within(s, "listed=out") == {"bob", "cat"}
    shop.at(9.5)
    path.write_text("#2\n")
    with shop.open() as s:
        rescore(s)
        told = from_file(s, "listed", path)
        assert (told["entering"], told["leaving"]) == (1, 1)
        told = retire(s, "listed")
        assert told["flows"] == [["out", None, 2], ["in", None, 1]]
        assert "listed" not in {each["name"] for each in segments(s)["segmentations"]}
        assert verify(s)["ok"]


def test_movers_are_listed_in_a_file(shop, tmp_path):
    shop.at(60.5)
    crowd(shop)
    with shop.open() as s:
        rescore(s)
        told = define(s, "lately", "recency_days < 14", preview=True, out=tmp_path / "movers.csv")
    listed = pl.read_csv(tmp_path / "movers.csv")
    assert listed.filter(pl.col("to") == "in").height == told["entering"]
    assert listed.columns == ["user", "from", "to"]


def test_what_cannot_be_a_segment_is_said(shop, tmp_path):
    shop.at(5.5)
    shop.events([("ann", 5.2, "purchase", 50.0)])
    with shop.open() as s:
        rescore(s)
        define(s, "one", "value = 'high'")
        define(s, "two", "one OR orders > 3")
        head = s.store.head()
        for call, error, said in (
            (lambda: define(s, "one", "orders > 1"), OperationError, "already"),
            (lambda: define(s, "orders", "orders > 1"), OperationError, "feature's name"),
            (lambda: define(s, "a b", "orders > 1"), OperationError, "letters from a to z"),
            (lambda: define(s, "高", "orders > 1"), OperationError, "letters from a to z"),
            (
                lambda: define(s, "a" * 65, "orders > 1"),
                OperationError,
                "it has 65 characters, use at most 64",
            ),
            (lambda: define(s, "three", "order > 1"), EngineError, "orders"),
            (lambda: define(s, "three", "value = 'hihg'"), EngineError, "high"),
            (lambda: define(s, "three", "three OR orders > 1"), EngineError, "three"),
            (lambda: edit(s, "one", "two"), OperationError, "reads 'one' itself"),
            (lambda: edit(s, "one", "value = 'high'"), OperationError, "very rule"),
            (lambda: edit(s, "value", "orders > 1"), OperationError, "not decided by a rule"),
            (lambda: retire(s, "one"), OperationError, "read by two"),
            (lambda: retire(s, "value"), OperationError, "by a trained model"),
            (lambda: from_file(s, "l", tmp_path / "none"), OperationError, "not there"),
        ):
            with pytest.raises(error, match=said) as caught:
                call()
            assert "\n" not in str(caught.value)
        assert s.store.head() == head


@pytest.mark.parametrize(
    "name",
    ["AND", "or", "Not", "NULL", "true", "false", "in", "between", "is", "user", "probability", "Margin"],
)
def test_a_segment_is_not_called_what_rules_read_as_something_else(shop, name):
    shop.at(5.5)
    shop.events([("ann", 5.2, "purchase", 50.0)])
    with shop.open() as s:
        head = s.store.head()
        for call in (
            lambda: define(s, name, "orders > 1"),
            lambda: from_file(s, name, ["ann"]),
            lambda: train(s, segmentation=name),
        ):
            with pytest.raises(OperationError, match=f"'{name}' is .* a rule could not tell them apart"):
                call()
        assert s.store.head() == head
        # sqlglot's other keywords are names like any other.
        assert define(s, "like", "orders >= 1")["users"] == define(s, "date", "like")["users"] == 1


@pytest.mark.parametrize(
    "where",
    [
        "(" * 2_000 + "orders > 1" + ")" * 2_000,
        " AND ".join(["orders > 1"] * 50_000),
        "lpad('x', 1000000000, 'y') = orders",
        '"^.*$" > 1',
        "orders > (SELECT 1)",
        "now() > 1",
    ],
)
def test_a_hostile_rule_is_refused_before_anything_is_read(shop, where):
    shop.at(5.5)
    shop.events([("ann", 5.2, "purchase", 50.0)])
    with shop.open() as s:
        rescore(s)
        started = time.perf_counter()
        with pytest.raises(EngineError) as caught:
            define(s, "hostile", where)
        print(f"refused in {1000 * (time.perf_counter() - started):.0f} ms")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_range_leaves_lists_as_they_were_recorded(shop, tmp_path):
    shop.at(60.5)
    crowd(shop)
    path = tmp_path / "listed.txt"
    path.write_text("u1\nu2\n")
    with shop.open() as s:
        rescore(s)
        from_file(s, "listed", path)
        define(s, "both", "listed AND recency_days < 400")
    shop.at(64.5)
    with shop.open() as s:
        rescore(s)
        assert within(s, "both") == {"u1", "u2"}
        list(rescore_range(s, shop.instant(55)))
        assert within(s, "listed") == within(s, "both") == {"u1", "u2"}
        told = verify(s, deep=True)
        assert told["ok"], told["checks"]
        assert {tuple(each["differs"].items()) for each in what_if(s, from_=shop.instant(61))} == {
            (("both", 0), ("value", 0))
        }
    shop.at(66.5)
    path.write_text("u3\n")
    with shop.open() as s:
        from_file(s, "listed", path)
        list(rescore_range(s, shop.instant(62)))
        number = vocabulary.number(s.store, "segmentation", "both")
        code = vocabulary.number(s.store, "label", "in")
        then = projections.memberships(s.store, number, as_of=shop.instant(64))
        names = s.external(then.filter(pl.col("label") == code)["user"].to_list())
        assert set(names.values()) == {"u1", "u2"}, "as listed then"
        assert within(s, "both") == {"u3"}
        assert verify(s, deep=True)["ok"]


def test_a_range_after_an_edit_names_the_edit(shop):
    shop.at(60.5)
    crowd(shop)
    with shop.open() as s:
        rescore(s)
        define(s, "lately", "recency_days < 30")
    shop.at(64.5)
    with shop.open() as s:
        edit(s, "lately", "recency_days < 3")
        (edited,) = (each.seq for each in log.decisions(s.store, kinds=("segmentation_edited",)))
        list(rescore_range(s, shop.instant(61)))
        moves = [each for each in changes(s, segment="lately") if each["as_of"][:10] == shop.day(62)]
        assert moves
        assert {(each["cause"], each["cause_seq"]) for each in moves} == {("definition", edited)}


def test_a_retired_segment_can_be_looked_back_at(shop, tmp_path):
    shop.at(60.5)
    crowd(shop)
    with shop.open() as s:
        rescore(s)
        define(s, "lately", "recency_days < 5")
        known = within(s, "lately")
    shop.at(63.5)
    with shop.open() as s:
        retire(s, "lately")
        assert within(s, "lately") == set()
        listed = members(s, "lately", at=shop.instant(61), limit=None)["members"]
        assert {each["user"] for each in listed} == known
        assert len(list(changes(s, segment="lately", first=True))) > 10
        frames = list(replay(s))
        assert frames[0]["sizes"]["lately"]["in"] == len(known)
        assert frames[-1]["sizes"]["lately"] == {"in": 0, "out": 0}
        someone = user(s, min(known), at=shop.instant(61))
        assert "lately=in" in someone["tags"]
        assert "lately=in" not in user(s, min(known))["tags"]
        then = segments(s, at=shop.instant(61))["segmentations"]
        assert {each["name"]: each["labels"][0]["users"] for each in then}["lately"] == len(known)
        assert transitions(s, shop.instant(61), shop.instant(64), segmentation="lately")["total"] == 10
        define(s, "lately", "recency_days < 500")
        assert len(within(s, "lately")) == 10
        assert verify(s, deep=True)["ok"]


@pytest.mark.parametrize(
    ("where", "same"),
    [
        ("recency_days < tenure_days", "recency_days - tenure_days < 0"),
        ("overdue > 6 OR tenure_days = recency_days", "(overdue > 6) OR (tenure_days - recency_days = 0)"),
    ],
)
def test_features_that_grow_are_compared_uncapped(shop, where, same):
    shop.events([("ann", 0.2, "purchase", 5.0), ("ann", 5.2, "purchase", 5.0), ("bob", 0.3, "purchase", 5.0)])
    shop.at(500.5)
    shop.events([("zoe", 500.1, "purchase", 5.0), ("ann", 40.0, "purchase", 5.0)])
    with shop.open() as s:
        rescore(s)
        define(s, "one", where)
        define(s, "two", same)
        assert within(s, "one") == within(s, "two")
        with pytest.raises(OperationError, match="up to 3660"):
            define(s, "three", "recency_days > 5000")
