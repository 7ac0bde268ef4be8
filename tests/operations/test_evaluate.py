"""Evaluating: the window a model is judged on, what stands beside it, and two models side by side."""

import re

import numpy as np
import polars as pl
import pytest

from engine.splits import TEST, split
from segtui.operations.errors import OperationError
from segtui.operations.evaluate import compare, evaluate
from segtui.operations.retain import retain
from segtui.operations.tasks import outcome_task
from segtui.operations.unseen import parts_of
from segtui.tui.screens.model_words import judged
from tests.operations.training import days_ago, trained

pytestmark = pytest.mark.xdist_group("simulated-shop")


def test_baselines_know_what_the_model_knew(s):
    """They are fitted on all but the test users at the model's own cutoff, not on the window judged."""
    cutoff = days_ago(s, 70)
    trained(s, cutoff=cutoff, horizon="30d", name="early")
    judged = evaluate(s, model="early")
    task = outcome_task(s, "future_value", "value", cutoff, 30, 0)
    counts = np.bincount(task.targets[task.parts != TEST], minlength=3) + 1
    shares = counts / counts.sum()
    truth = np.sum(judged["confusion"]["matrix"], axis=1)
    assert judged["baselines"]["majority"]["log_loss"] == pytest.approx(
        -(truth * np.log(shares)).sum() / truth.sum()
    )
    learnt = task.users[task.parts != TEST]
    known = s.events(before=s.instant(judged["window"]["cutoff"]))["user"].unique().to_numpy()
    assert judged["window"]["users"] == (~np.isin(known, learnt)).sum()


def test_slices_are_told_apart_and_add_up(s):
    trained(s, cutoff=days_ago(s, 70), horizon="30d", name="early")
    told = evaluate(s, model="early")
    for metric, (low, high) in told["intervals"].items():
        assert low <= told["metrics"][metric] <= high
    slices = told["slices"]
    assert len(slices) >= 2
    users = sum(each["users"] for each in slices)
    assert users <= told["window"]["users"] < users + 50
    mean = sum(each["log_loss"] * each["users"] for each in slices) / users
    assert mean == pytest.approx(told["metrics"]["log_loss"], abs=0.03)
    at = s.instant(told["window"]["cutoff"])
    events = s.events(before=at)
    young = (
        events.group_by("user")
        .agg(pl.col("occurred_at").min())
        .filter(pl.col("occurred_at") >= s.ticks.days_before(at, 30))
    )
    assert slices[0]["tenure_days"] == [0, 30]
    assert slices[0]["users"] <= young.height


def test_two_models_side_by_side(s):
    cutoff = days_ago(s, 70)
    trained(s, cutoff=cutoff, horizon="30d", name="good", options={"epochs": "30"})
    trained(
        s, cutoff=cutoff, horizon="30d", name="poor", options={"epochs": "1", "learning_rate": "0.000001"}
    )
    told = compare(s, "poor", "good")
    alone = evaluate(s, model="poor")
    assert {key: told[key] for key in alone} == alone
    assert told["other"]["metrics"] == evaluate(s, model="good")["metrics"]
    for metric, each in told["differences"].items():
        assert each["difference"] == pytest.approx(told["other"]["metrics"][metric] - told["metrics"][metric])
        assert each["low"] <= each["difference"] <= each["high"]
    assert told["differences"]["log_loss"]["winner"] == "good"
    assert told["differences"]["log_loss"]["high"] < 0
    again = compare(s, "poor", "poor")["differences"]["log_loss"]
    assert (again["difference"], again["winner"]) == (0, None)


def test_two_models_are_judged_on_users_new_to_both(s):
    cutoff = days_ago(s, 70)
    for name, seed in (("one", 0), ("two", 1)):
        trained(s, cutoff=cutoff, horizon="30d", name=name, seed=seed)
    told = compare(s, "one", "two")
    users = s.events(before=s.instant(told["window"]["cutoff"]))["user"].unique().to_numpy()
    known = s.events(before=cutoff)["user"].unique().to_numpy()
    seen = np.isin(users, known) & ((split(users, 0) != TEST) | (split(users, 1) != TEST))
    assert told["window"]["users"] == (~seen).sum()
    trained(s, horizon="60d", cutoff=days_ago(s, 90), name="other")
    with pytest.raises(OperationError, match="future_value within 30 d and other future_value within 60 d"):
        compare(s, "one", "other")


def test_the_windows_advised_are_accepted(s):
    trained(s, cutoff=days_ago(s, 70), horizon="30d", name="early")
    with pytest.raises(OperationError, match="use a --cutoff from") as refused:
        evaluate(s, model="early", cutoff=days_ago(s, 60))
    for date in re.findall(r"(?:from|to) (\S+[0-9])", str(refused.value).partition("use a")[2]):
        assert evaluate(s, model="early", cutoff=s.instant(date))["window"]["users"]
    trained(s, horizon="30d", name="late")
    with pytest.raises(OperationError, match="import later events, or train with --cutoff") as refused:
        evaluate(s, model="late")
    date = re.search(r"--cutoff (\S+)", str(refused.value))[1]
    trained(s, horizon="30d", cutoff=s.instant(date), name="before")
    assert evaluate(s, model="before")["window"]["users"]
    # A cutoff that leaves the log too young to learn from is no advice.
    trained(s, horizon="115d", name="long")
    with pytest.raises(OperationError, match=r"import later events\.$"):
        evaluate(s, model="long")


def test_after_a_cut_nobody_whom_the_model_learnt_from_counts_as_new(s):
    """Of some nothing is left from before the cutoff: who tells them from those who came later?"""
    trained(s, cutoff=days_ago(s, 70), horizon="30d", name="early")
    task = outcome_task(s, "future_value", "value", days_ago(s, 70), 30, 0)
    learnt = task.users[task.parts != TEST]
    full = evaluate(s, model="early")
    assert full["window"]["newcomers"] > 0
    retain(s, "80d")
    told = evaluate(s, model="early")
    users = s.events(before=s.instant(told["window"]["cutoff"]))["user"].unique().to_numpy()
    users = np.unique(s.identity().families(users))
    parts = parts_of(s.identity(), users, 0)
    assert told["window"]["users"] == (parts == TEST).sum() > 100
    assert told["window"]["newcomers"] == 0
    assert np.isin(users[parts != TEST], learnt).any()
    assert told["baselines"] == {}
    assert "which early learnt from, were cut since." in told["baselines_why"]
    assert told["baselines_why"] in judged(told).plain
    # All that it read at its cutoff is there, where that is a week of the log.
    week = {"epochs": "2", "windows": "7"}
    retain(s, "50d")
    trained(s, horizon="7d", cutoff=days_ago(s, 21), name="late", policy="will_buy", options=week)
    retain(s, "49d")
    assert set(evaluate(s, model="late")["baselines"]) >= {"majority", "logistic"}
