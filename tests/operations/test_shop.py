"""A simulated shop, trained once: what looking, training, promotion and exports say of it."""

import csv
import json

import numpy as np
import pytest

from db import log
from segtui.operations import drift
from segtui.operations.changes import changes
from segtui.operations.demo import demo
from segtui.operations.drift import AGAIN, drifted
from segtui.operations.errors import OperationError
from segtui.operations.evaluate import evaluate
from segtui.operations.export import export
from segtui.operations.members import members
from segtui.operations.models import models, promote
from segtui.operations.progress import Stopped
from segtui.operations.replay import replay
from segtui.operations.rescore import rescore
from segtui.operations.score import score
from segtui.operations.segments import segments
from segtui.operations.session import open_session
from segtui.operations.status import status
from segtui.operations.train import train
from segtui.operations.transitions import transitions
from segtui.operations.user import user
from segtui.operations.verify import verify

pytestmark = pytest.mark.xdist_group("simulated-shop")


@pytest.fixture
def shop(made_copy):
    """A copy of the shop's store to write to."""
    return made_copy


@pytest.fixture
def s(made):
    """The shop, to look at."""
    with open_session(made[0] / "shop.db") as session:
        yield session


def sizes(told):
    return {each["label"]: each["users"] for each in told["segmentations"][0]["labels"]}


def test_training_again_is_no_advice_where_no_later_window_is_over(s, monkeypatch):
    """The shop's model learnt from what was known a week before its last day."""
    assert {each.advice for each in drifted(s) if each.value is not None} == {AGAIN}
    monkeypatch.setattr(drift, "RETRAIN_DAYS", 8)
    for each in drifted(s):
        if each.value is not None:
            assert "would learn from the same window" in each.advice
            assert f"--set {each.name}=LIMIT" in each.advice


def test_in_and_first_less_out_is_the_change_beside_them(made, s):
    from segtui.tui.data import Data
    from segtui.tui.screens.segment_words import reasons

    data, first = Data(made[0] / "shop.db"), 0
    for row in segments(s)["segmentations"][0]["labels"]:
        moves = data.segment_moves(f"value={row['label']}", 30, None)
        assert moves.into + moves.first - moves.out == row["change_30d"]
        assert (f" + {moves.first} first in" in str(reasons(row, moves))) == (moves.first > 0)
        first += moves.first
        assert sum(each["users"] for each in moves.totals) == moves.total == moves.into + moves.out
    assert first


def test_the_demo_runs_the_whole_job(made, s):
    _, told = made
    assert told["events"] > 50_000
    assert told["users"] <= 2_500
    assert told["metrics"]["test"]["log_loss"] < told["metrics"]["baselines"]["majority"]["log_loss"]
    assert status(s)["next"] == "segtui"
    assert verify(s)["ok"]
    quarantined = [each.body["quarantined"] for each in log.decisions(s.store, kinds=("imported",))]
    assert sum(quarantined) > 0, "the simulator makes dirty rows"
    assert any(each.body["late"] for each in log.decisions(s.store, kinds=("imported",)))
    frames = list(replay(s))
    assert len(frames) == 97
    assert sum(frame["changes"] for frame in frames) > 100
    causes = set().union(*(frame["by_cause"] for frame in frames))
    assert {"model", "event", "clock"} <= causes


def test_a_finished_demo_is_summed_up_again(made):
    folder, told = made
    again = demo(folder, users=2_500, days=260, seed=3)
    assert {**again, "seconds": 0} == {**told, "seconds": 0}


def test_the_demo_refuses_a_folder_with_other_files(tmp_path):
    (tmp_path / "mine.txt").write_text("keep me")
    with pytest.raises(OperationError, match="other files"):
        demo(tmp_path)


def test_sizes_agree_everywhere(s):
    told = segments(s)
    labels = told["segmentations"][0]["labels"]
    total = sum(each["users"] for each in labels)
    assert total == status(s)["users"]
    assert sum(each["share"] for each in labels) == pytest.approx(1, abs=1e-5)
    assert sum(each["expected"] for each in labels) == pytest.approx(total, rel=1e-3)
    for each in labels:
        assert members(s, f"value={each['label']}", limit=1)["total"] == each["users"]
        assert each["trend"][-1] == each["users"]
        assert each["change_1d"] == each["users"] - each["trend"][-2]
    assert sizes(segments(s, at=s.as_of())) == sizes(told)
    assert list(replay(s))[-1]["sizes"]["value"] == sizes(told)


def test_transitions_add_up_to_the_sizes_at_both_ends(s):
    start, end = s.ticks.shift(s.as_of(), -30), s.as_of()
    told = transitions(s, start, end)
    after = sizes(segments(s, at=end))
    before = sizes(segments(s, at=start))
    for index, label in enumerate(told["labels"]):
        if label is not None:
            assert sum(told["matrix"][index]) == before[label]
            assert sum(row[index] for row in told["matrix"]) == after[label]


def test_pages_of_members_are_the_list_cut_up(s):
    whole = members(s, "value=high", limit=None, order="-margin")["members"]
    pages = []
    for offset in range(0, len(whole), 40):
        pages += members(s, "value=high", order="-margin", offset=offset, limit=40)["members"]
    assert pages == whole
    margins = [each["margin"] for each in whole]
    assert margins == sorted(margins, reverse=True)


def test_members_where(s):
    told = members(s, "value=high", where="margin < 0.2 AND orders_90d >= 1", limit=None)
    assert 0 < told["total"] < members(s, "value=high")["total"]
    assert all(each["margin"] < 0.2 for each in told["members"])
    one = user(s, told["members"][0]["user"])
    assert one["features"]["orders_90d"] >= 1


def test_a_user_tells_why(s):
    move = next(each for each in changes(s, newest_first=True) if each["cause"] == "event")
    told = user(s, move["user"], history=10)
    assert move["seq"] in {each["seq"] for each in told["changes"]}
    assert told["labels"]["value"]["label"] in ("high", "medium", "low")
    assert sum(told["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert told["history"][-1]["probabilities"] == told["probabilities"]
    assert {"feature", "value", "typical", "weight"} <= set(told["explanation"]["features"][0])
    assert any(event["seq"] == move["cause_seq"] for event in told["events"])


def test_a_label_is_explained_against_the_one_before(s):
    moved = {each["user"]: each for each in changes(s, segment="value")}
    unlike = 0
    for who, last in list(moved.items())[:12]:
        told = user(s, who)
        explained, chances = told["explanation"], told["probabilities"]
        assert (explained["label"], explained["against"]) == (last["to"], last["from"])
        unlike += last["from"] != max(set(chances) - {last["to"]}, key=chances.get)
    assert unlike, "somebody came from elsewhere than the likeliest other"


def test_leaving_if_silent_is_what_happens_when_nothing_comes(s):
    """The first member whose silence is said to end the membership, scored up to that tick."""
    from segtui.operations.deciders import Evidence, model_decider

    for each in members(s, "value=high", order="margin", limit=20)["members"]:
        told = user(s, each["user"])
        if told["leaves"]:
            break
    surrogate, at = told["surrogate"], s.instant(told["leaves"]["as_of"])
    decider = model_decider(s.store, status(s)["model"])
    evidence = Evidence(s.events(users=[surrogate]), s.identity(), None)
    held = decider.labels.index(told["labels"]["value"]["label"])
    labels = []
    for as_of in s.ticks.between(s.as_of(), at):
        frame = evidence.features(as_of, decider.spec)
        labels.append(int(decider.decide(frame, evidence, as_of, np.array([held], np.int32))[1][0]))
    assert labels[:-1] == [held] * (len(labels) - 1)
    assert decider.labels[labels[-1]] == told["leaves"]["to"]


def test_scores_agree_with_the_memberships(s):
    told = {each["user"]: each for each in score(s)}
    assert len(told) == status(s)["users"]
    for each in members(s, "value=high", limit=30)["members"]:
        assert told[each["user"]]["probabilities"]["high"] == pytest.approx(each["probability"])


def test_exports_are_pseudonymous_unless_asked(shop, tmp_path):
    with open_session(shop) as s:
        plain = export(s, "value=high", tmp_path / "a.csv")
        named = export(s, "value=high", tmp_path / "b.ndjson", identified=True)
        assert plain["rows"] == named["rows"] == members(s, "value=high")["total"]
        assert log.decisions(s.store, kinds=("exported",))[1].body["identified"] is True
        assert verify(s)["ok"]
    rows = list(csv.DictReader((tmp_path / "a.csv").open()))
    assert all(row["user"].startswith("#") for row in rows)
    users = [json.loads(line)["user"] for line in (tmp_path / "b.ndjson").read_text().splitlines()]
    assert not any(name.startswith("#") for name in users)


def test_a_second_model_is_promoted_only_when_not_worse(shop):
    with open_session(shop) as s:
        first = models(s)["models"][0]
        poor = train(s, kind="logistic", options={"epochs": "1", "learning_rate": "0.000001"})
        assert not poor["promoted"]
        assert models(s)["models"][0]["name"] == poor["name"]
        assert [each["promoted"] for each in models(s)["models"]] == [False, True]
        shown = promote(s, poor["name"], preview=True)
        head = s.store.head()
        told = promote(s, poor["name"])
        assert shown["flows"] == told["flows"]
        assert told["changed"] == sum(flow[2] for flow in told["flows"])
        moves = [each for each in changes(s, cause="model") if each["seq"] > head]
        assert len(moves) == told["changed"]
        promoted = log.decisions(s.store, kinds=("model_promoted",))[-1].seq
        assert {each["cause_seq"] for each in moves} == {promoted}
        assert verify(s)["ok"]
        assert promote(s, None, previous=True)["model"] == first["model"]
        with pytest.raises(OperationError, match="already"):
            promote(s, first["name"])


def test_the_cnn_trains_and_rescores(shop):
    with open_session(shop) as s:
        told = train(s, kind="cnn", options={"epochs": "2"}, promote=True)
        assert told["metrics"]["test"]["log_loss"] < 1.2
        incremental = rescore(s)["state_digest"]
        assert rescore(s, full=True)["state_digest"] == incremental
        assert {each["reason"] for each in changes(s, cause="model")}
        shown = user(s, members(s, "value=low", limit=1)["members"][0]["user"], history=2)
        assert len(shown["history"]) == 2
        assert any(each["feature"].startswith("sequence:") for each in shown["explanation"]["features"])


def test_training_twice_with_one_seed_gives_one_model(shop):
    with open_session(shop) as s:
        first = train(s, kind="logistic", options={"epochs": "2"}, promote=False)
        again = train(s, kind="logistic", options={"epochs": "2"}, promote=False)
        other = train(s, kind="logistic", options={"epochs": "2"}, promote=False, seed=1)
        third = train(s, kind="logistic", options={"epochs": "2"}, promote=True)
        assert [each["name"] for each in models(s)["models"]].count(first["name"]) == 1
    assert first["model"] == again["model"]
    assert first["model"] != other["model"]
    assert third["promoted"]
    assert third["name"] == first["name"]


def test_what_training_refuses(shop):
    with open_session(shop) as s:
        with pytest.raises(OperationError, match="not known yet"):
            train(s, cutoff=s.ticks.shift(s.as_of(), -10))
        with pytest.raises(OperationError, match="Too few"):
            train(s, horizon="1d")
        with pytest.raises(OperationError, match="too long"):
            train(s, horizon="999999d")
        with pytest.raises(OperationError, match="No setting"):
            train(s, options={"depth": "3"})
        with pytest.raises(OperationError, match="No user has an attribute"):
            train(s, label="colour")
        with pytest.raises(OperationError, match="No unseen window"):
            evaluate(s)


def test_an_earlier_cutoff_leaves_a_window_to_evaluate_on(shop):
    with open_session(shop) as s:
        cutoff = s.ticks.shift(s.as_of(), -70)
        train(s, kind="logistic", cutoff=cutoff, horizon="30d", promote=False, name="early")
        told = evaluate(s, model="early")
    assert told["window"]["cutoff"] >= s.iso(s.ticks.shift(cutoff, 30))
    assert told["metrics"]["log_loss"] < told["baselines"]["majority"]["log_loss"]
    assert sum(map(sum, told["confusion"]["matrix"])) == told["window"]["users"]


def test_a_cancelled_training_writes_nothing(shop):
    with open_session(shop) as s:
        head = s.store.head()
        with pytest.raises(Stopped):
            train(s, cancelled=lambda: True)
        assert s.store.head() == head
