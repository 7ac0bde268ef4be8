"""Going on from the current model, and choosing a kind: what they know, what they say, what is refused."""

import dataclasses

import numpy as np
import polars as pl
import pytest

from engine.evaluation import losses
from engine.labels import apply_outcome
from engine.splits import TEST
from segtui.operations.automatic import ORDER, choose
from segtui.operations.deciders import load_model
from segtui.operations.errors import OperationError
from segtui.operations.fitting import Recipe, Watch
from segtui.operations.judgement import probabilities
from segtui.operations.models import promote
from segtui.operations.preparing import CORE
from segtui.operations.settings import training_settings
from segtui.operations.tasks import outcome_task
from segtui.operations.train import train

pytestmark = pytest.mark.xdist_group("simulated-shop")


def test_going_on_forgets_nothing_and_learns_the_new(s):
    latest = outcome_task(s, "future_value", "value", None, 30, 0)
    month_ago = s.ticks.shift(latest.as_of, -30)
    quick = {"kind": "mlp", "horizon": "30d", "twin": False}
    stale, over, kept, forgotten, learnt = [], [], [], [], []
    for seed in (4, 5, 6, 7):
        old = train(s, **quick, cutoff=month_ago, promote=True, seed=seed, name=f"old-{seed}")
        warm = train(s, horizon="30d", warm=True, promote=False)
        assert (warm["kind"], warm["seed"], warm["warm"]["from"]) == ("mlp", seed, old["model"])
        assert warm["epochs"] <= 20
        # The members of an ensemble learnt from validation users as well.
        known = outcome_task(s, "future_value", "value", month_ago, 30, seed).parts
        assert warm["warm"]["replayed"] == (known != TEST).sum()
        former, new = warm["warm"]["windows"]
        assert (former["cutoff"], new["cutoff"]) == (old["cutoff"], warm["cutoff"])
        scratch = train(s, **quick, promote=False, seed=seed, name=f"new-{seed}")
        anew = scratch["metrics"]["test"]["log_loss"]
        stale.append(new["before"] - anew)
        held_out = outcome_task(s, "future_value", "value", month_ago, 30, seed)
        test = held_out.parts == TEST
        said = probabilities(
            load_model(s.store, scratch["model"]),
            held_out.frame.filter(pl.Series(test)),
            held_out.evidence,
            held_out.as_of,
        )
        truth = apply_outcome("future_value", held_out.outcomes, scratch["thresholds"])[test]
        kept.append(former["after"] - losses(truth, said).mean())
        over.append(new["after"] - anew)
        forgotten.append(former["after"] - former["before"])
        learnt.append(new["before"] - new["after"])
        assert warm["epochs"] * 2 <= scratch["epochs"]
        assert new["after"] == pytest.approx(warm["metrics"]["test"]["log_loss"], abs=1e-9)
    # The sales ended between the two: much is new, and going on learns it as training anew does. A seed alone
    # goes by a few hundred test users.
    assert np.mean(stale) > 0.02
    assert np.mean(over) <= 0.005
    # A season that is over is known less well by whoever learns the next, but no less than by training anew,
    # which learns an earlier cutoff too; and less is forgotten of it than is learnt.
    assert np.mean(kept) <= 0.005
    assert np.mean(forgotten) < np.mean(learnt)
    # The encoding stands: weights learnt for one scale mean nothing on another.
    assert load_model(s.store, warm["model"]).encoder == load_model(s.store, old["model"]).encoder
    with pytest.raises(OperationError, match="Nothing is new to go on with"):
        train(s, horizon="30d", warm=True, cutoff=month_ago)
    with pytest.raises(OperationError, match="learnt future_value within 30 d, not future_value within 60 d"):
        train(s, horizon="60d", warm=True)


def test_what_cannot_go_on_is_refused_in_a_sentence(s):
    with pytest.raises(OperationError, match="no model of 'churn' to go on from"):
        train(s, policy="churn", warm=True, horizon="30d")
    with pytest.raises(OperationError, match="setting hidden is part of the model"):
        train(s, warm=True, horizon="90d", options={"hidden": "8"})
    with pytest.raises(OperationError, match="given label has nothing new"):
        train(s, label="plan", warm=True)


def test_a_given_label_is_named_as_what_cannot_go_on(shop, model, record_model):
    shop.at(3)
    shop.events([("ann", 1, "purchase", 5.0)])
    given = dataclasses.replace(model, policy=model.policy | {"label": "given", "attribute": "plan"})
    with shop.open() as s:
        record_model(s, given)
        promote(s, "small")
        with pytest.raises(OperationError, match="learnt the given label 'plan', which has nothing new"):
            train(s, horizon="30d", warm=True)


def quick_recipe(kind):
    training, structure = training_settings(kind, "adam", 0, {"epochs": "2"})
    return Recipe(kind, training, structure, CORE)


def test_the_kind_of_least_validation_loss_is_chosen_and_said(s):
    task = outcome_task(s, "future_value", "value", None, 30, 0)
    chosen = choose(task, quick_recipe, 1e9, Watch(), clock=lambda: 0.0)
    tried = {line["kind"]: line["valid_loss"] for line in chosen.told["tried"]}
    assert list(tried) == list(ORDER)
    assert tried[chosen.recipe.kind] == min(tried.values())
    assert chosen.told["chosen"] == chosen.model.kind == chosen.recipe.kind
    assert chosen.told["why"].startswith(f"{chosen.model.kind} has the least validation loss of logistic ")
    # Test users play no part: without them the choice and the losses are the same.
    blind = outcome_task(s, "future_value", "value", None, 30, 0)
    blind.targets = np.where(blind.parts == 2, 0, blind.targets)
    assert choose(blind, quick_recipe, 1e9, Watch(), clock=lambda: 0.0).told["tried"] == chosen.told["tried"]


def test_when_the_time_is_over_no_kind_begins(s):
    task = outcome_task(s, "future_value", "value", None, 30, 0)
    chosen = choose(task, quick_recipe, 0, Watch())
    assert [line["kind"] for line in chosen.told["tried"]] == ["logistic"]
    assert not chosen.told["tried"][0]["finished"]
    assert {line["why"] for line in chosen.told["skipped"]} == {"the time was over"}
