"""Labels come and go as events: previewed, undone, and the others stay what they were."""

from itertools import product

import pytest

from db import projections
from segtui.operations.changes import changes
from segtui.operations.decide import decide
from segtui.operations.definitions import definitions
from segtui.operations.errors import OperationError
from segtui.operations.evaluate import evaluate
from segtui.operations.flapping import flapping
from segtui.operations.health import sizes
from segtui.operations.label import add, merge, remove, rename
from segtui.operations.log import log
from segtui.operations.members import members
from segtui.operations.models import models, promote
from segtui.operations.policies import wish
from segtui.operations.rescore import rescore, rescore_range
from segtui.operations.segment import define, edit, retire
from segtui.operations.segments import segments
from segtui.operations.transitions import moved, transitions
from segtui.operations.undo import undo
from segtui.operations.user import user
from segtui.operations.verify import verify
from segtui.operations.what_if import what_if
from segtui.operations.why import why

PEOPLE = 240
EVENTS = [
    (f"u{n}", day + 0.1 + n / 1_000, "purchase", 4.0 + (n * 7) % 60)
    for n in range(PEOPLE)
    for day in range(n % 11, 40, 9 + n % 7)
] + [(f"u{n}", 38.2 + k / 100, "view", None) for n in range(0, PEOPLE, 6) for k in range(12)]


@pytest.fixture
def decided(shop, give_model):
    """Two hundred and forty people whose `value` a model decides; every sixth looks around a lot."""
    shop.at(40.5)
    shop.events(EVENTS)
    with shop.open() as s:
        give_model(s)
    return shop


def held(s):
    (value,) = (each for each in segments(s)["segmentations"] if each["name"] == "value")
    return {
        each["label"]: {who["user"] for who in members(s, f"value={each['label']}", limit=None)["members"]}
        for each in value["labels"]
        if each["users"]
    }


def names(s, kind):
    return [each for each in log(s) if each["kind"] == kind]


def test_a_label_is_added_by_examples_and_removed_without_a_trace_on_the_others(decided, tmp_path):
    lookers = [f"u{n}" for n in range(0, PEOPLE, 6)]
    path = tmp_path / "examples.txt"
    path.write_text("\n".join([*lookers[::2], *lookers[1::4], "nobody"]))
    with decided.open() as s:
        define(s, "best", "value = 'high'")
        before, state = held(s), projections.state_digest(s.store)
        seen = add(s, "value", "looker", examples=path, preview=True)
        assert projections.state_digest(s.store) == state
        done = add(s, "value", "looker", examples=path)
        assert done == seen | {"preview": False}
        assert done["labels"] == ["high", "medium", "low", "looker"]
        assert (done["unknown"], done["examples"]) == (1, 30)
        now = held(s)
        kept_out = set(lookers[3::4])
        assert len(now["looker"] & kept_out) / len(kept_out) >= 0.5
        moved = [each for each in changes(s, segment="value") if each["cause"] == "label"]
        (edited,) = names(s, "label_edited")
        assert len(moved) == done["changed"] == sum(n for _, _, n in done["flows"])
        assert {each["cause_seq"] for each in moved} == {edited["seq"]}
        assert {each["reason"] for each in moved} == {"the labels were changed"}
        assert (edited["body"]["edit"], edited["body"]["examples"]) == ("add", 30)
        assert any(each["name"] == done["name"] and each["promoted"] for each in models(s)["models"])
        assert verify(s, deep=True)["ok"]

        remove(s, "value", "looker")
        assert held(s) == before
        assert [each["body"]["edit"] for each in names(s, "label_edited")] == ["add", "remove"]
        found = verify(s, deep=True)
        assert found["ok"], [each for each in found["checks"] if not each["ok"]]


def test_an_edit_of_labels_is_undone_and_a_rule_gives_examples(decided):
    with decided.open() as s:
        before = projections.state_digest(s.store)
        add(s, "value", "looker", where="views_28d > 3")
        after = projections.state_digest(s.store)
        (edited,) = names(s, "label_edited")
        undone = undo(s, edited["seq"])
        assert projections.state_digest(s.store) == before
        undo(s, undone["seq"])
        assert projections.state_digest(s.store) == after
        decide(s, "value", wish(minimum=["looker=0.9"]))
    decided.at(43.5)
    with decided.open() as s:
        once = rescore(s)["state_digest"]
        assert rescore(s, full=True)["state_digest"] == once
        told = remove(s, "value", "looker")
        assert told["note"].startswith("What was decided for looker has no effect")
        assert verify(s, deep=True)["ok"]


def test_a_label_of_the_models_own_can_go_and_what_it_was_stays_in_the_log(decided):
    with decided.open() as s:
        before = held(s)
    decided.at(42.5)
    with decided.open() as s:
        told = remove(s, "value", "medium")
        assert told["labels"] == ["high", "low"]
        assert set(held(s)) <= {"high", "low"}
        then = members(s, "value=medium", at=decided.instant(41), limit=None)["members"]
        assert {each["user"] for each in then} == before["medium"]
        with pytest.raises(OperationError, match="any more"):
            remove(s, "value", "medium")


@pytest.mark.parametrize(
    ("label", "given", "sentence"),
    [
        ("high", {"where": "orders_28d > 1"}, "has a label 'high' already"),
        ("big spender", {"where": "orders_28d > 1"}, "cannot be a label"),
        ("rare", {"where": "orders_28d > 10000"}, "too few for a label"),
        ("rare", {}, "one of them"),
    ],
)
def test_what_cannot_be_added_is_said(decided, label, given, sentence):
    with decided.open() as s:
        head = s.store.head()
        with pytest.raises(OperationError, match=sentence):
            add(s, "value", label, **given)
        assert s.store.head() == head


def value(s):
    (each,) = (each for each in segments(s)["segmentations"] if each["name"] == "value")
    return each


def passed(s):
    found = verify(s, deep=True)
    assert found["ok"], [each for each in found["checks"] if not each["ok"]]


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


@pytest.mark.parametrize("into", [None, "upper", "medium"])
def test_two_labels_are_merged_and_taken_apart_again(decided, into):
    name = into or "high_medium"
    with decided.open() as s:
        define(s, "quiet", "value = 'low'")
        before, state = held(s), projections.state_digest(s.store)
        seen = merge(s, "value", "high", "medium", into, preview=True)
        assert projections.state_digest(s.store) == state
        done = merge(s, "value", "high", "medium", into)
        assert done == seen | {"preview": False}
        assert done["labels"] == [name, "low"]
        now = held(s)
        assert before["high"] | before["medium"] <= now[name]
        flows = {(left, to): users for left, to, users in done["flows"]}
        assert flows.pop(("high", name)) == len(before["high"])
        if into != "medium":
            assert flows.pop(("medium", name)) == len(before["medium"])
        assert set(flows) <= {("low", name)}
        assert {each["cause"] for each in changes(s, segment="value")} >= {"label"}
        passed(s)
        (edited,) = names(s, "label_edited")
        undo(s, edited["seq"])
        assert (held(s), projections.state_digest(s.store)) == (before, state)
        passed(s)
    decided.at(44.5)
    with decided.open() as s:
        retire(s, "quiet")
        merge(s, "value", "medium", "low", "rest")
    decided.at(47.5)
    with decided.open() as s:
        once = rescore(s)["state_digest"]
        assert rescore(s, full=True)["state_digest"] == once
        passed(s)


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (lambda s: rename(s, "value", "hihg", "top"), "no label 'hihg': .*the nearest is high"),
        (lambda s: rename(s, "value", "high", "low"), "has a label 'low' already"),
        (lambda s: rename(s, "value", "high", "high"), "has a label 'high' already"),
        (lambda s: rename(s, "value", "high", "very high"), "cannot be a label"),
        (lambda s: rename(s, "best", "in", "inside"), "decided by a rule"),
        (lambda s: merge(s, "best", "in", "out"), "decided by a rule"),
        (lambda s: merge(s, "value", "low", "low"), "with itself"),
        (lambda s: merge(s, "value", "low", "lwo"), "the nearest is low"),
        (lambda s: merge(s, "value", "high", "medium", "low"), "has a label 'low' already"),
        (lambda s: merge(s, "value", "high", "medium"), "'best' reads value = 'high'.*edit its rule first"),
        (lambda s: merge(s, "value", "high", "low", "high"), "'best' reads value = 'high'"),
        (lambda s: remove(s, "value", "high"), "'best' reads value = 'high'"),
    ],
)
def test_what_cannot_be_renamed_or_merged_is_said(decided, edit, sentence):
    with decided.open() as s:
        define(s, "best", "value = 'high'")
        head = s.store.head()
        with pytest.raises(OperationError, match=sentence):
            edit(s)
        assert s.store.head() == head


def test_two_labels_are_the_fewest_and_what_was_decided_for_one_is_not_guessed(decided):
    with decided.open() as s:
        decide(s, "value", wish(shares=["high=0.1"]))
        with pytest.raises(OperationError, match=r"for 'high' alone .*--argmax"):
            merge(s, "value", "low", "high")
        merge(s, "value", "medium", "low")
        with pytest.raises(OperationError, match="nothing to decide"):
            merge(s, "value", "high", "medium_low")


def test_a_rule_too_long_for_another_name_is_named(decided):
    with decided.open() as s:
        days = ", ".join(map(str, range(1, 831)))
        define(s, "best", f"value = 'high' OR recency_days IN ({days})")
        with pytest.raises(OperationError, match=r"'best' names 'high', and .* 4,096 bytes with 'h{60}'"):
            rename(s, "value", "high", "h" * 60)
        assert rename(s, "value", "high", "top")["rules"] == ["best"]


def test_a_model_whose_labels_were_edited_has_nothing_to_be_judged_by(decided):
    with decided.open() as s:
        name = merge(s, "value", "medium", "low")["name"]
        with pytest.raises(OperationError, match=f"{name} were added, cut or merged by hand"):
            evaluate(s, model=name)


def test_a_rule_that_followed_a_name_is_undone_with_it(decided):
    with decided.open() as s:
        define(s, "best", "value = 'high'")
        rename(s, "value", "high", "top")
        followed = names(s, "segmentation_edited")[-1]
        with pytest.raises(OperationError, match="undo the rename instead"):
            undo(s, followed["seq"])


def test_a_grown_label_goes_and_a_rename_since_stays(decided, tmp_path):
    path = tmp_path / "examples.txt"
    path.write_text("\n".join(f"u{n}" for n in range(0, PEOPLE, 6)))
    with decided.open() as s:
        before = held(s)
        add(s, "value", "looker", examples=path)
        rename(s, "value", "high", "top")
        told = remove(s, "value", "looker")
        assert told["labels"] == ["top", "medium", "low"]
        left = held(s)
        assert {"top" if label == "high" else label for label in before} == set(left)
        stayed = sum(
            len(users & left["top" if label == "high" else label]) for label, users in before.items()
        )
        assert stayed >= 0.99 * PEOPLE
        assert verify(s, deep=True)["ok"]


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


def last_edit(s):
    return names(s, "label_edited")[-1]["seq"]


@pytest.mark.parametrize("way", ["merge", "remove", "promote"])
def test_what_is_taken_back_leaves_nobody_elsewhere(decided, way):
    with decided.open() as s:
        older = models(s)["models"][0]["name"]
        rename(s, "value", "high", "top")
        before = held(s)
        if way == "promote":
            promote(s, older)
            assert held(s) == {"high" if label == "top" else label: who for label, who in before.items()}
            edit = names(s, "model_promoted")[-1]["seq"]
        else:
            merge(s, "value", "top", "medium") if way == "merge" else remove(s, "value", "top")
            edit = last_edit(s)
        undo(s, edit)
        assert held(s) == before
        assert verify(s, deep=True)["ok"]


def test_a_name_that_is_given_anew_has_nothing_of_the_label_before(decided):
    with decided.open() as s:
        add(s, "value", "looker", where="views_28d > 0")
        decide(s, "value", wish(minimum=["looker=0.9"]))
        remove(s, "value", "looker")
        before = held(s)
        told = rename(s, "value", "high", "looker")
        assert told["flows"] == [["high", "looker", len(before["high"])]]
        assert held(s)["looker"] == before["high"]


def test_a_removed_label_is_none_that_gets_its_former_name(decided):
    with decided.open() as s:
        rename(s, "value", "high", "top")
        remove(s, "value", "top")
        rename(s, "value", "low", "high")
        assert definitions(s).segmentation("value").became == {"low": "high"}


def test_edits_are_taken_back_one_after_the_other_and_had_again(decided):
    with decided.open() as s:
        states = [held(s)]
        edits = []
        for edit in (
            lambda: add(s, "value", "looker", where="views_28d > 0"),
            lambda: rename(s, "value", "high", "top"),
            lambda: merge(s, "value", "medium", "low"),
        ):
            edit()
            edits.append(last_edit(s))
            states.append(held(s))
        with pytest.raises(OperationError, match=f"undo {edits[1]} .* first"):
            undo(s, edits[0])
        undone = []
        for seq, state in zip(reversed(edits), reversed(states[:-1]), strict=True):
            undone.append(undo(s, seq)["seq"])
            assert held(s) == state
        with pytest.raises(OperationError, match=f"{edits[0]} was taken back by {undone[-1]}"):
            undo(s, edits[0])
        again = undo(s, undone[-1])["seq"]
        assert held(s) == states[1]
        undo(s, again)
        assert held(s) == states[0]


def test_a_rule_is_taken_back_across_a_rename_and_under_the_new_name(decided):
    with decided.open() as s:
        define(s, "best", "value = 'high'")
        defined = names(s, "segmentation_defined")[-1]["seq"]
        edit(s, "best", "value = 'high' AND recency_days < 5")
        edited = names(s, "segmentation_edited")[-1]["seq"]
        rename(s, "value", "high", "top")
        undo(s, edited)
        assert definitions(s).segmentation("best").rule.where == "value = 'top'"
        retire(s, "best")
        undo(s, names(s, "segmentation_retired")[-1]["seq"])
        rename(s, "value", "top", "high")
        assert definitions(s).segmentation("best").rule.where == "value = 'high'"
        assert undo(s, defined, preview=True)["kind"] == "segmentation_defined"


def test_a_merge_into_one_of_the_two_is_not_taken_from_under_a_rule(decided):
    with decided.open() as s:
        merge(s, "value", "high", "medium", "high")
        merged = last_edit(s)
        define(s, "best", "value = 'high'")
        with pytest.raises(OperationError, match=r"'best' reads value = 'high'.*something else"):
            undo(s, merged)


def test_a_merge_into_one_of_the_two_leaves_no_margin_behind(decided):
    with decided.open() as s:
        decide(s, "value", wish(margin="0.3"))
        merge(s, "value", "high", "medium", "high")
    decided.at(42.5)
    with decided.open() as s:
        rescore(s)
        undo(s, last_edit(s))
        first = held(s)
        assert verify(s, deep=True)["ok"]
        (likeliest,) = (each for each in segments(s)["segmentations"] if each["name"] == "value")
        for each in likeliest["labels"]:
            found = members(s, f"value={each['label']}", limit=None)["members"]
            assert all(who["margin"] >= 0 for who in found), "nobody is held where another is likelier"
        assert sum(map(len, first.values())) == PEOPLE


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


def test_what_an_undo_brought_is_undone_as_if_it_had_never_been(decided):
    with decided.open() as s:
        decide(s, "value", wish(margin="0.3"))
    decided.at(42.5)
    with decided.open() as s:
        merge(s, "value", "high", "medium", "high")
        merged = last_edit(s)
    decided.at(44.5)
    with decided.open() as s:
        rescore(s)
        before = held(s)
        undo(s, undo(s, merged)["seq"])
        assert held(s) == before
        assert definitions(s).segmentation("value").policy.anew is None
        define(s, "best", "value = 'high'")
        with pytest.raises(OperationError, match=r"reads value = 'high', and to small that is another label"):
            promote(s, "small")


def test_a_decision_without_effect_stays_so(decided):
    with decided.open() as s:
        rename(s, "value", "high", "top")
        decide(s, "value", wish(minimum=["top=0.9"]))
        promote(s, "small")
        before = held(s)
        told = rename(s, "value", "high", "top")
        assert told["flows"] == [["high", "top", len(before["high"])]]


def test_what_a_name_given_anew_lost_is_there_again_once_that_is_undone(decided):
    with decided.open() as s:
        add(s, "value", "looker", where="views_28d > 0")
        decide(s, "value", wish(minimum=["looker=0.9"]))
        before, policy = held(s), definitions(s).segmentation("value").policy
        edits = []
        for edit in (
            lambda: remove(s, "value", "looker"),
            lambda: rename(s, "value", "medium", "middle"),
            lambda: remove(s, "value", "middle"),
            lambda: rename(s, "value", "high", "looker"),
        ):
            edit()
            edits.append(last_edit(s))
        for seq in reversed(edits):
            undo(s, seq)
        found = definitions(s).segmentation("value")
        assert (held(s), found.policy) == (before, policy)


def test_a_rule_is_not_brought_back_about_another_label(decided):
    with decided.open() as s:
        define(s, "best", "value = 'high'")
        retire(s, "best")
        retired = names(s, "segmentation_retired")[-1]["seq"]
        remove(s, "value", "high")
        rename(s, "value", "low", "high")
        with pytest.raises(OperationError, match="'best' read value = 'high', and that is another label"):
            undo(s, retired)
