"""The twin: what it may know, which window it is judged on, and what is said where there is none."""

import re

import numpy as np
import pytest

from engine.errors import EngineError
from engine.labels import apply_outcome, future_value
from engine.splits import split
from segtui.operations.deciders import load_model
from segtui.operations.errors import OperationError
from segtui.operations.tasks import outcome_task
from segtui.operations.times import parse_time
from segtui.operations.train import train
from segtui.operations.twin import MOST_BESIDE

pytestmark = pytest.mark.xdist_group("simulated-shop")
QUICK = {"kind": "logistic", "promote": False, "origins": 0, "options": {"epochs": "3"}}


def instant(s, text):
    return parse_time(text, s.ticks, None, None)


def test_a_twin_knows_nothing_of_the_window_it_is_judged_on(s):
    told = train(s, **QUICK, horizon="30d")
    metrics = told["metrics"]
    twin, own = metrics["twin"], metrics["window"]
    assert (own["cutoff"], own["until"]) == (told["cutoff"], told["known_from"])
    assert (twin["window"]["cutoff"], twin["window"]["until"]) == (own["cutoff"], own["until"])
    known_from = s.ticks.days_before(instant(s, twin["cutoff"]), -30)
    assert known_from <= instant(s, own["cutoff"])
    assert set(twin["baselines"]) == set(metrics["baselines"])


def test_a_twin_is_the_model_that_training_at_its_cutoff_gives(s):
    """Trained by hand a horizon earlier and judged by hand: the same log-loss."""
    from segtui.operations.judgement import probabilities

    twin = train(s, **QUICK, horizon="30d")["metrics"]["twin"]
    at = instant(s, twin["cutoff"])
    by_hand = train(s, **QUICK, horizon="30d", cutoff=at, twin=False)
    assert "twin" not in by_hand["metrics"]
    model = load_model(s.store, by_hand["model"])
    later = outcome_task(s, "future_value", "value", None, 30, 0)
    known = outcome_task(s, "future_value", "value", at, 30, 0).users
    new = ~np.isin(later.users, known) | (split(later.users, 0) == 2)
    users = later.users[new]
    assert len(users) == twin["window"]["users"]
    until = s.ticks.days_before(later.as_of, -30)
    outcomes = future_value(s.events(), s.identity().at(later.as_of), later.as_of, until, users)
    labels = apply_outcome("future_value", outcomes, model.policy["thresholds"])
    frame = later.evidence.features(later.as_of, model.feature_spec, users)
    given = probabilities(model, frame, later.evidence, later.as_of)
    loss = -np.log(given[np.arange(len(labels)), labels]).mean()
    assert loss == pytest.approx(twin["metrics"]["log_loss"], abs=1e-6)


@pytest.mark.parametrize("most", [MOST_BESIDE, 0])
@pytest.mark.parametrize("error", [EngineError, OperationError])
def test_a_twin_that_cannot_learn_takes_no_model_along(s, most, error, monkeypatch):
    """As where a setting is for a column that came after the twin's cutoff."""

    def unfit(*_asked):
        raise error("There is no feature 'vip' to prepare; the nearest is views.")

    monkeypatch.setattr("segtui.operations.twin.MOST_BESIDE", most)
    monkeypatch.setattr("segtui.operations.twin.fit", unfit)
    told = train(s, **QUICK, horizon="30d")
    assert told["metrics"]["twin"] == {"why": "There is no feature 'vip' to prepare; the nearest is views"}
    assert load_model(s.store, told["model"])


def test_where_history_is_too_short_the_reason_is_told(s):
    first = s.ticks.at_or_after(s.events()["occurred_at"].min())
    told = train(s, **QUICK, horizon="90d", cutoff=s.ticks.shift(first, 80))
    assert set(told["metrics"]["twin"]) == {"why"}
    assert re.search("the log begins .*, too late to learn from before", told["metrics"]["twin"]["why"])
