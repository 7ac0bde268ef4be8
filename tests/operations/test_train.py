"""Training: what is compared with what, and which names models bear."""

import numpy as np
import polars as pl
import pytest

from db import log
from db.store import Store
from engine import scoring
from engine.errors import EngineError
from engine.evaluation import losses
from engine.splits import TEST, split
from segtui.operations.deciders import Evidence, load_model
from segtui.operations.errors import OperationError
from segtui.operations.evaluate import evaluate
from segtui.operations.judgement import MIN_COMPARED, compare, probabilities
from segtui.operations.label import merge
from segtui.operations.models import models, promote
from segtui.operations.progress import Stopped
from segtui.operations.segment import define, retire
from segtui.operations.segments import segments
from segtui.operations.session import open_session
from segtui.operations.settings import training_settings
from segtui.operations.tasks import outcome_task
from segtui.operations.train import train
from segtui.operations.verify import verify
from tests.operations.conftest import QUICK
from tests.operations.training import days_ago, trained

pytestmark = pytest.mark.xdist_group("simulated-shop")


# --- the new model against the current one ---------------------------------------------------------


def test_two_models_are_compared_on_users_new_to_both(s):
    cutoff = days_ago(s, 60)
    _, current = trained(s, cutoff=cutoff, horizon="30d", seed=1)
    model, _ = trained(s, cutoff=days_ago(s, 40), horizon="30d", options={"epochs": "9"})
    task = outcome_task(s, "future_value", "value", days_ago(s, 40), 30, 0)
    told = compare(s, current, model, task)
    events = s.events(before=cutoff)
    unseen = (split(task.users, 1) == TEST) | ~np.isin(task.users, events["user"].unique().to_numpy())
    unseen &= split(task.users, 0) == TEST
    assert told.users == unseen.sum()
    assert told.users < (task.parts == TEST).sum(), "another seed has shown the current model some of them"
    assert told.users < MIN_COMPARED
    assert not told.not_worse
    assert "--seed 1 there would be more" in told.why
    # With one seed the whole test part is new to both; the difference is that of the losses, in pairs.
    model, _ = trained(s, cutoff=days_ago(s, 40), horizon="30d", seed=1, options={"epochs": "9"})
    task = outcome_task(s, "future_value", "value", days_ago(s, 40), 30, 1)
    told = compare(s, current, model, task)
    test = task.parts == TEST
    assert told.users == test.sum() >= MIN_COMPARED
    evidence = Evidence(s.events(before=task.as_of), s.identity(), s.attributes())
    own, other = (
        losses(
            task.targets[test],
            probabilities(
                each,
                evidence.features(task.as_of, each.feature_spec, task.users[test]),
                evidence,
                task.as_of,
            ),
        )
        for each in (model, load_model(s.store, current["model"]))
    )
    assert told.difference == pytest.approx((own - other).mean())
    assert told.not_worse == (told.difference <= 0)


def test_a_model_is_not_worse_than_itself_and_worse_than_a_better_one(s):
    better, good = trained(s, options={"epochs": "30"})
    worse, poor = trained(s, options={"epochs": "1", "learning_rate": "0.000001"})
    task = outcome_task(s, "future_value", "value", None, 90, 0)
    assert compare(s, good, better, task).difference == 0
    assert compare(s, good, better, task).not_worse
    assert compare(s, poor, better, task).not_worse
    assert not compare(s, good, worse, task).not_worse


@pytest.mark.parametrize(
    ("settings", "why"),
    [({"horizon": "30d"}, "looks 90 d ahead and not 30"), ({"cutoff": 100}, "learnt from a later past")],
)
def test_what_cannot_be_compared_is_kept_aside(s, settings, why):
    if "cutoff" in settings:
        settings = {"cutoff": days_ago(s, settings["cutoff"])}
    told = train(s, **QUICK, **settings)
    assert not told["promoted"]
    assert why in told["why"]
    assert promote(s, told["name"])["promoted"]


def test_a_model_that_is_not_worse_is_promoted(s):
    poor = train(s, kind="logistic", options={"epochs": "1", "learning_rate": "0.000001"}, promote=True)
    told = train(s, kind="logistic", options={"epochs": "30"})
    assert told["promoted"], told["why"]
    assert poor["name"] in told["why"]


def test_a_model_is_made_ready_once_to_be_judged_and_to_decide(s, monkeypatch):
    made, scorer = [], scoring.Scorer
    monkeypatch.setattr(scoring, "Scorer", lambda model: made.append(model.digest) or scorer(model))
    told = train(s, **QUICK | {"seed": 7}, promote=True)
    assert told["promoted"]
    assert made.count(told["model"]) == 1


def test_a_model_that_does_not_know_what_a_rule_reads_is_kept_aside(s):
    merge(s, "value", "high", "medium", "upper")
    define(s, "best", "value = 'upper'")
    told = train(s, **QUICK, promote=True)
    assert not told["promoted"]
    assert "'best' reads value = 'upper', which it does not know" in told["why"]
    retire(s, "best")
    assert promote(s, told["name"])["promoted"]


# --- what the decision says ------------------------------------------------------------------------


def test_a_training_called_off_keeps_the_best_so_far(s):
    """It is recorded as that, and decides only where that was asked for."""
    epochs, said = [], []

    def heard(_train, valid):
        epochs.append(valid)

    slow = QUICK | {"options": {"epochs": "9"}, "horizon": "30d", "heard": heard}
    told = train(s, **slow, cancelled=lambda: len(epochs) >= 3)
    assert (told["epochs"], told["called_off"], told["promoted"]) == (3, True, False)
    assert told["why"] == "training was called off, this is the best of 3 epochs"
    assert load_model(s.store, told["model"]).policy["seed"] == 0
    (recorded,) = log.decisions(s.store, kinds=("model_trained",), newest_first=True, limit=1)
    assert recorded.body["called_off"]
    epochs.clear()
    told = train(s, **slow, seed=1, promote=True, cancelled=lambda: len(epochs) >= 2)
    assert (told["epochs"], told["promoted"]) == (2, True)
    # Called off while everyone is rescored: the model is whole, what it would have decided is not.
    told = train(
        s,
        **slow,
        seed=2,
        promote=True,
        progress=lambda what, _share: said.append(what),
        cancelled=lambda: any(what.startswith("rescoring") for what in said),
    )
    assert (told["epochs"], told["called_off"], told["promoted"]) == (9, True, False)
    before = s.store.head()
    with pytest.raises(Stopped):
        train(s, **slow, seed=3, cancelled=lambda: True)
    assert s.store.head() == before


def test_a_choice_of_kind_called_off_keeps_the_best_so_far(s):
    epochs = []
    settings = QUICK | {"kind": "auto", "twin": True, "options": {"epochs": "9"}, "horizon": "30d"}
    told = train(
        s, **settings, heard=lambda *losses: epochs.append(losses), cancelled=lambda: len(epochs) >= 2
    )
    assert (told["kind"], told["epochs"], told["called_off"]) == ("logistic", 2, True)
    assert told["metrics"]["twin"] == {"why": "training was called off"}
    assert len(epochs) == 2, "nothing more was begun"
    assert told["choice"]["tried"][0]["finished"] is False


def test_what_others_commit_meanwhile_is_seen(s, made_copy):
    """Another session promotes a model and appends a decision while this one trains."""
    _, other = trained(s, seed=5)
    read = s.store.head()

    def meddle(what, _share):
        if what.startswith("judging"):
            with open_session(made_copy) as another:
                promote(another, other["name"])

    told = train(s, **QUICK, promote=False, progress=meddle)
    body = log.decisions(s.store, kinds=("model_trained",))[-1].body
    assert body["model"] == told["model"]
    assert body["previous"] == other["model"], "the model that is current at the commit"
    assert body["position"] == read, "what was learnt from, not what came while learning"


def test_a_promotion_replaces_what_is_current_when_it_is_written(s, made_copy, monkeypatch):
    _, one = trained(s, seed=5)
    _, two = trained(s, seed=6)
    begin = Store.transaction

    def overtaken(store, **settings):
        monkeypatch.setattr(Store, "transaction", begin)
        with open_session(made_copy) as another:
            promote(another, one["name"])
        return begin(store, **settings)

    monkeypatch.setattr(Store, "transaction", overtaken)
    promote(s, two["name"])
    assert log.decisions(s.store, kinds=("model_promoted",))[-1].body["previous"] == one["model"]
    assert promote(s, None, previous=True)["model"] == one["model"]


# --- names -----------------------------------------------------------------------------------------


def test_one_training_for_two_segmentations_makes_two_models(s):
    _, first = trained(s, name="mine")
    _, second = trained(s, segmentation="worth", name="theirs")
    assert first["model"] != second["model"]
    named = {each["name"]: each["segmentation"] for each in models(s)["models"]}
    assert named["mine"] == "value"
    assert named["theirs"] == "worth"


@pytest.mark.parametrize("settings", [{"seed": 3}, {"segmentation": "worth"}, {"horizon": "60d"}])
def test_a_name_that_is_taken_is_refused(s, settings):
    trained(s, name="mine")
    head = s.store.head()
    with pytest.raises(OperationError, match="'mine' already: choose another --name") as refused:
        trained(s, name="mine", **settings)
    assert str(refused.value).count("value") == 1
    assert s.store.head() == head


def test_the_very_same_model_may_be_trained_again_under_its_name(s):
    _, first = trained(s, name="mine")
    head = s.store.head()
    _, again = trained(s, name="mine")
    assert again["name"] == "mine"
    assert again["model"] == first["model"]
    assert s.store.head() == head
    assert "trained before" in again["why"]


# --- earlier cutoffs -------------------------------------------------------------------------------


def test_earlier_cutoffs_teach_nothing_of_what_they_must_not_know(s):
    cutoff = days_ago(s, 70)
    task = outcome_task(s, "future_value", "value", cutoff, 30, 0, origins=3)
    assert [each.as_of for each in task.earlier] == [s.ticks.shift(cutoff, -10 * n) for n in (1, 2, 3)]
    assert task.policy["origins"] == [each.as_of for each in task.earlier]
    alone = outcome_task(s, "future_value", "value", cutoff, 30, 0)
    assert alone.thresholds == task.thresholds
    assert "origins" not in alone.policy
    learners = set(task.users[task.parts != TEST].tolist())
    for each in task.earlier:
        assert set(each.users.tolist()) <= learners, "nobody who is held out"
        assert np.array_equal(each.parts, split(each.users, 0))
        assert s.ticks.days_before(each.as_of, -30) <= task.known_from
        known = s.events(before=each.as_of)["user"].unique().to_numpy()
        assert set(each.users.tolist()) == learners & set(known.tolist())
        fresh = outcome_task(s, "future_value", "value", each.as_of, 30, 0)
        own = fresh.frame.filter(pl.Series(fresh.parts != TEST)).select("recency_days", "orders_90d")
        assert own.equals(each.frame.select("recency_days", "orders_90d"))
        bought = fresh.targets[fresh.parts != TEST] != 2
        assert np.array_equal(bought, each.targets != 2)


@pytest.mark.parametrize("kind", ["logistic", "cnn"])
def test_a_model_learns_from_earlier_cutoffs(s, kind):
    settings = {"kind": kind, "cutoff": days_ago(s, 70), "horizon": "30d"}
    _, alone = trained(s, **settings, origins=0)
    model, told = trained(s, **settings, origins=2)
    assert told["model"] != alone["model"]
    assert told["users"] == alone["users"]
    assert len(model.policy["origins"]) == 2


def test_cutoffs_before_the_log_are_left_out(s):
    first = s.events()["occurred_at"].min()
    task = outcome_task(
        s, "will_buy", "will_buy", s.ticks.shift(s.ticks.end_holding(first), 25), 30, 0, origins=9
    )
    assert 1 <= len(task.earlier) <= 3


# --- other policies --------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["will_buy", "churn"])
def test_other_futures_can_be_learnt_too(s, policy):
    cutoff = days_ago(s, 70)
    told = train(s, **QUICK, policy=policy, cutoff=cutoff, horizon="30d", name=policy)
    assert told["promoted"]
    assert (told["segmentation"], told["labels"]) == (policy, ["yes", "no"])
    later = s.events(before=s.ticks.shift(cutoff, 30))
    later = later.filter(
        (later["occurred_at"] >= cutoff) & later["user"].is_in(s.events(before=cutoff)["user"].implode())
    )
    acted = later.filter(later["kind"].cast(str) == "purchase") if policy == "will_buy" else later
    did = acted["user"].n_unique()
    assert told["label_counts"]["yes"] == (did if policy == "will_buy" else told["users"] - did)
    judged = evaluate(s, model=policy)
    assert judged["confusion"]["labels"] == ["yes", "no"]
    assert judged["metrics"]["log_loss"] < judged["baselines"]["majority"]["log_loss"]
    assert {each["name"] for each in segments(s)["segmentations"]} == {"value", policy}
    assert verify(s)["ok"]


def test_a_policy_and_a_label_are_two_questions(s):
    with pytest.raises(OperationError, match="use --label colour or --policy churn"):
        train(s, label="colour", policy="churn")
    with pytest.raises(OperationError, match="No label policy 'luck': there are future_value, will_buy"):
        train(s, policy="luck")


def test_models_of_different_policies_are_not_compared(s):
    trained(s, policy="will_buy", segmentation="value", name="buys")
    promote(s, "buys")
    told = train(s, **QUICK, policy="churn", segmentation="value")
    assert not told["promoted"]
    assert "other labels" in told["why"]


# --- settings --------------------------------------------------------------------------------------


def test_settings_are_read_as_what_they_are():
    typed = {"schedule": "cosine", "hidden": "8,4", "epochs": "3", "dropout": "0.5", "members": "2"}
    training, structure = training_settings("mlp", "adamw", 1, typed)
    assert (training.schedule, training.epochs, training.optimizer) == ("cosine", 3, "adamw")
    assert structure == {"hidden": (8, 4), "dropout": 0.5, "members": 2}


@pytest.mark.parametrize(
    ("typed", "said"),
    [({"schedule": "up"}, "no schedule 'up'"), ({"epochs": "many"}, "'many' is not a number")],
)
def test_settings_that_are_none_are_refused(typed, said):
    with pytest.raises((OperationError, EngineError), match=said):
        training_settings("mlp", "adam", 0, typed)
