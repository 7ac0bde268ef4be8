"""A label gets another name: who was in it stays, and the past answers under both names."""

from itertools import product

import pytest

from db import projections
from segtui.operations.changes import changes
from segtui.operations.decide import decide
from segtui.operations.errors import OperationError
from segtui.operations.flapping import flapping
from segtui.operations.health import sizes
from segtui.operations.label import merge, rename
from segtui.operations.members import members
from segtui.operations.models import models, promote
from segtui.operations.policies import wish
from segtui.operations.rescore import rescore, rescore_range
from segtui.operations.segment import define, retire
from segtui.operations.segments import segments
from segtui.operations.transitions import moved, transitions
from segtui.operations.undo import undo
from segtui.operations.user import user
from segtui.operations.what_if import what_if
from segtui.operations.why import why
from tests.operations.labels.conftest import EVENTS, PEOPLE, held, names, passed, value


def test_a_label_is_renamed_and_nothing_else_changes(decided):
    with decided.open() as s:
        decide(s, "value", wish(minimum=["high=0.2"], margin="0.3", min_stay="4d"))
        define(s, "best", "orders_90d > 1 AND value IN ('high', 'medium')")
        before, was, state = held(s), value(s), projections.state_digest(s.store)
        within = members(s, "best", limit=None)["members"]
        seen = rename(s, "value", "high", "top", preview=True)
        assert projections.state_digest(s.store) == state
        done = rename(s, "value", "high", "top")
        assert done == seen | {"preview": False}
        assert (done["labels"], done["rules"], done["note"]) == (["top", "medium", "low"], ["best"], None)
        assert done["flows"] == [["high", "top", len(before["high"])]]
        assert held(s) == {"top": before["high"], "medium": before["medium"], "low": before["low"]}
        assert value(s)["decision"] == was["decision"] | {"min": {"top": 0.2}}
        assert value(s)["thresholds"] == was["thresholds"]
        moved = list(changes(s, segment="value=top", cause="label"))
        (edited,) = names(s, "label_edited")
        assert {(each["from"], each["to"], each["cause"], each["cause_seq"]) for each in moved} == {
            ("high", "top", "label", edited["seq"])
        }
        assert {each["reason"] for each in moved} == {"the label was renamed or merged"}
        assert [each["user"] for each in members(s, "best", limit=None)["members"]] == [
            each["user"] for each in within
        ]
        wheres = {each["name"]: each["where"] for each in segments(s)["segmentations"]}
        assert wheres["best"] == "orders_90d > 1 AND value IN ('top', 'medium')"
        passed(s)
        undo(s, edited["seq"])
        assert (held(s), value(s)) == (before, was)
        assert projections.state_digest(s.store) == state
        wheres = {each["name"]: each["where"] for each in segments(s)["segmentations"]}
        assert wheres["best"] == "orders_90d > 1 AND value IN ('high', 'medium')"
        passed(s)


def test_a_name_moves_nobody(decided):
    with decided.open() as s:
        was, old = value(s), len(held(s)["high"])
        told = why(s, "value=high")
        assert (told["in"], told["after"]) == (old, old)
        rename(s, "value", "high", "top")
        kept = [
            {**each, "label": "top" if each["label"] == "high" else each["label"]} for each in was["labels"]
        ]
        assert value(s)["labels"] == kept
        assert why(s, "value=top") == told | {"segment": "value=top"}
        assert why(s, "value=high") == told
        merge(s, "value", "medium", "low", "rest")
        both = value(s)["labels"][1]
        assert both["label"] == "rest"
        assert both["users"] == sum(each["users"] for each in was["labels"][1:])
        assert both["trend"] == [
            sum(pair) for pair in zip(*(x["trend"] for x in was["labels"][1:]), strict=True)
        ]
        assert [each["label"] for each in value(s)["labels"]] == ["top", "rest"]


def test_who_moves_after_a_renaming_is_counted_on_top_of_who_moved_before(decided):
    with decided.open() as s:
        rename(s, "value", "high", "top")
    decided.at(44.5)
    decided.events([(f"u{n}", 43.1, "purchase", 70.0) for n in range(0, PEOPLE, 5)])
    with decided.open() as s:
        start = decided.instant(40)
        before = len(list(changes(s, segment="value=top")))
        rescore(s)
        real = len(list(changes(s, segment="value=top"))) - before
        assert real > 0
        told = why(s, "value=top", from_=start)
        # everyone's first label is of the tick before the renaming
        assert told["in"] + told["out"] == real + told["by_cause"].get("model", {"in": 0})["in"]
        assert "label" not in told["by_cause"]
        assert told["before"] + told["in"] - told["out"] == told["after"] == len(held(s)["top"])


def test_who_left_before_a_renaming_is_told_under_the_name_it_got(decided):
    decided.at(44.5)
    decided.events([(f"u{n}", 43.1, "purchase", 70.0) for n in range(0, PEOPLE, 5)])
    span = decided.instant(41), decided.instant(44)
    with decided.open() as s:
        rescore(s)
        decide(s, "value", wish(minimum=["high=0.9"]))
        everything, before = list(changes(s)), list(changes(s, segment="value=high"))
        told = transitions(s, *span)
        cells = {pair: moved(s, *span, *pair)["total"] for pair in product(told["labels"], repeat=2)}
        rename(s, "value", "high", "top")
        assert {each["to"] for each in before} > {"high"}
        assert list(changes(s, segment="value=top")) == before == list(changes(s, segment="value=high"))
        one = before[0]["user"]
        assert list(changes(s, segment="value=top", user=one)) == [x for x in before if x["user"] == one]
        assert list(changes(s, segment="value=top", cause="decision")) == [
            each for each in before if each["cause"] == "decision"
        ]
        edits = list(changes(s, segment="value=top", cause="label"))
        assert {(each["from"], each["to"]) for each in edits} == {("high", "top")}
        assert [x for x in changes(s, segment="value") if x not in everything] == edits
        assert transitions(s, *span) == told | {"labels": ["top", "medium", "low", None]}
        assert {pair: moved(s, *span, *pair)["total"] for pair in cells} == cells
        left = [(came, moved(s, *span, "top", came)["total"]) for came in ("medium", "low")]
        assert left == [(came, cells["high", came]) for came in ("medium", "low")]
        assert any(users for _, users in left)
        merge(s, "value", "medium", "low", "rest")
        both = {"medium", "low"}
        assert list(changes(s, segment="value=rest")) == [
            each for each in everything if len({each["from"], each["to"]} & both) == 1
        ]
        assert any({each["from"], each["to"]} == both for each in everything)
        rest = sum(cells[pair] for pair in product(("medium", "low"), repeat=2))
        assert transitions(s, *span)["matrix"][1][1] == moved(s, *span, "rest", "low")["total"] == rest


@pytest.mark.parametrize(
    "policy", [{"margin": "0.3"}, {"min_stay": "6d"}, {"margin": "0.1", "min_stay": "3d"}]
)
def test_time_goes_on_as_if_a_label_had_never_been_renamed(make_shop, give_model, policy):
    one, other = make_shop(), make_shop()
    for shop in (one, other):
        shop.at(40.5)
        shop.events(EVENTS)
        with shop.open() as s:
            give_model(s)
            decide(s, "value", wish(**policy))
    for day in range(41, 52, 2):
        for shop in (one, other):
            shop.at(day + 0.5)
            shop.events([(f"u{n}", day + 0.1, "purchase", 70.0) for n in range(day, PEOPLE, 9)])
            with shop.open() as s:
                rescore(s)
        if day == 43:
            with other.open() as s:
                rename(s, "value", "high", "top")
        with one.open() as s, other.open() as t:
            plain, renamed = held(s), held(t)
            if day >= 43:
                renamed["high"] = renamed.pop("top", set())
            assert plain == renamed
    with one.open() as s, other.open() as t:
        start = other.instant(42)
        for tried in ({}, {"model": "small"}):
            plain, renamed = (
                [sum(each["differs"].values()) for each in what_if(each, from_=start, **tried)]
                for each in (s, t)
            )
            assert plain == renamed
        plain, renamed = flapping(s), flapping(t)
        assert plain["moves"] > 0
        assert [plain[name] for name in ("moves", "returns", "users")] == [
            renamed[name] for name in ("moves", "returns", "users")
        ]
        passed(t)


def test_what_is_read_of_the_past_and_of_what_may_come_knows_the_former_label(make_shop, give_model):
    told = []
    for label in ("high", "top"):
        shop = make_shop()
        shop.at(30.5)
        shop.events(EVENTS)
        with shop.open() as s:
            give_model(s)
            decide(s, "value", wish(margin="0.3", min_stay="7d"))
        for day in (32.5, 38.5, 40.5):
            shop.at(day)
            with shop.open() as s:
                rescore(s)
        with shop.open() as s:
            if label == "top":
                rename(s, "value", "high", "top")
            where = f"value = '{label}' AND orders_90d > 2"
            trend = define(s, "best", where, preview=True)["trend"]
            tried = what_if(s, from_=shop.instant(37), define=("best", where))
            staying = members(s, f"value={label}", limit=None, leaving_within=20)["members"]
            leaves = [(each["user"], each["leaves"]["as_of"]) for each in staying]
            told.append(
                (
                    trend,
                    [each["sizes"]["best"] for each in tried],
                    leaves,
                )
            )
            rescore_range(s, shop.instant(38))
            again = [each for each in changes(s, segment="value") if each["from"] == "high" != label]
            assert {each["cause"] for each in again if each["to"] == "top"} <= {"label"}
            passed(s)
    for plain, renamed in zip(*told, strict=True):
        assert plain == renamed
        assert any(plain)


def test_the_smallest_change_is_measured_against_the_former_label(decided):
    with decided.open() as s:
        decide(s, "value", wish(margin="0.9"))
    decided.at(52.5)
    with decided.open() as s:
        rescore(s)
    decided.at(54.5)
    with decided.open() as s:
        rescore(s)
        everyone = members(s, "value=high", limit=None)["members"]
        held_back = [each["user"] for each in everyone if each["margin"] < 0][:6]
        assert held_back
        before = [user(s, name)["smallest_change"] for name in held_back]
        rename(s, "value", "high", "top")
        assert [user(s, name)["smallest_change"] for name in held_back] == before


def test_a_rule_too_long_for_another_name_is_named(decided):
    with decided.open() as s:
        days = ", ".join(map(str, range(1, 831)))
        define(s, "best", f"value = 'high' OR recency_days IN ({days})")
        with pytest.raises(OperationError, match=r"'best' names 'high', and .* 4,096 bytes with 'h{60}'"):
            rename(s, "value", "high", "h" * 60)
        assert rename(s, "value", "high", "top")["rules"] == ["best"]


def test_a_former_name_is_not_anothers(decided):
    with decided.open() as s:
        rename(s, "value", "high", "top")
        with pytest.raises(OperationError, match="'high' is what 'top' of 'value' was called before"):
            rename(s, "value", "medium", "high")
        with pytest.raises(OperationError, match="'high' is what 'top'"):
            merge(s, "value", "medium", "low", "high")
        assert rename(s, "value", "top", "high")["labels"] == ["high", "medium", "low"]
        assert rename(s, "value", "high", "top")["labels"] == ["top", "medium", "low"]


def test_a_model_that_does_not_know_what_a_rule_reads_is_not_promoted(decided):
    with decided.open() as s:
        before = models(s)["models"][0]["name"]
        define(s, "best", "value = 'high'")
        rename(s, "value", "high", "top")
        inside = members(s, "best", limit=None)["total"]
        for preview in (True, False):
            with pytest.raises(
                OperationError, match=f"'best' reads value = 'top', and {before} does not know"
            ):
                promote(s, before, preview=preview)
        assert members(s, "best", limit=None)["total"] == inside
        retire(s, "best")
        assert promote(s, before)["promoted"]


def test_a_rename_is_no_jump_of_sizes(decided):
    with decided.open() as s:
        rescore(s)
    decided.at(42.5)
    with decided.open() as s:
        rescore(s)
        before = {each["name"]: each for each in sizes(s).more}
        rename(s, "value", "high", "top")
        after = {each["name"]: each for each in sizes(s).more}
    assert {name.replace("high", "top"): each["value"] for name, each in before.items()} == {
        name: each["value"] for name, each in after.items()
    }


def test_a_range_over_a_rename_keeps_everyone_elses_cause(decided):
    for day in (41, 42, 43):
        decided.at(day + 0.5)
        decided.events([(f"u{n}", day + 0.1, "purchase", 70.0) for n in range(day, PEOPLE, 9)])
        with decided.open() as s:
            rescore(s)

    def moves(s):
        return {
            (each["user"], each["as_of"], each["cause"], each["reason"], *(now(each[end]) for end in ends))
            for each in changes(s, from_=start, segment="value")
        }

    def now(label):
        return "top" if label == "high" else label

    ends, start = ("from", "to"), decided.instant(42)
    with decided.open() as s:
        before, was = moves(s), held(s)
        rename(s, "value", "high", "top")
        rescore_range(s, start)
        again = moves(s)
        assert before <= again
        assert {each[2:] for each in again - before} == {
            ("label", "the label was renamed or merged", "top", "top")
        }
        assert {each[0] for each in again - before} >= was["high"] - {each[0] for each in before}


def test_a_decision_without_effect_stays_so(decided):
    with decided.open() as s:
        rename(s, "value", "high", "top")
        decide(s, "value", wish(minimum=["top=0.9"]))
        promote(s, "small")
        before = held(s)
        told = rename(s, "value", "high", "top")
        assert told["flows"] == [["high", "top", len(before["high"])]]
