"""Metrics against scikit-learn's and against hand-made cases; baselines that see only what they may."""

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import accuracy_score, brier_score_loss, f1_score, log_loss, roc_auc_score

from engine.errors import EngineError
from engine.evaluation import (
    Sample,
    baselines,
    calibration,
    confusion,
    ece_if_true,
    interval,
    losses,
    metrics,
)

NAMES = ("high", "medium", "low")


def drawn(n=500, seed=0):
    draw = np.random.default_rng(seed)
    probabilities = draw.dirichlet([1, 1, 2], n)
    labels = np.array([draw.choice(3, p=each) for each in probabilities])
    return labels, probabilities, draw.pareto(1.5, n) * 1000


def test_metrics_are_scikit_learns():
    labels, probabilities, _ = drawn()
    told = metrics(labels, probabilities, None, NAMES)
    predicted = probabilities.argmax(axis=1)
    assert told == pytest.approx(
        {
            "accuracy": accuracy_score(labels, predicted),
            "log_loss": log_loss(labels, probabilities),
            "brier": brier_score_loss(labels, probabilities, labels=[0, 1, 2], scale_by_half=False),
            "macro_f1": f1_score(labels, predicted, average="macro"),
            "auc": roc_auc_score(labels, probabilities, multi_class="ovr"),
            "ece": told["ece"],
            "lift_10": told["lift_10"],
            **dict.fromkeys(("value_capture_1", "value_capture_5", "value_capture_10", "value_capture_20")),
        }
    )


def test_labels_drawn_from_the_probabilities_stay_below_the_bound_in_95_of_100():
    draw = np.random.default_rng(5)
    given = draw.dirichlet([1, 1, 2], 300)
    bound = ece_if_true(given, seed=1)
    true, less_sure = [], []
    for _ in range(300):
        labels = (draw.random((300, 1)) > given.cumsum(axis=1)).sum(axis=1)
        true.append(metrics(labels, given, None, NAMES)["ece"] <= bound)
        less_sure.append(
            metrics(labels, given**3 / (given**3).sum(axis=1, keepdims=True), None, NAMES)["ece"]
        )
    assert 0.90 < np.mean(true) < 0.99
    assert np.mean(np.array(less_sure) <= bound) < 0.05


def test_two_labels_have_the_usual_auc():
    labels, probabilities, _ = drawn()
    two, given = (labels == 0).astype(int), np.stack([1 - probabilities[:, 0], probabilities[:, 0]], axis=1)
    told = metrics(two, given, None, ("no", "yes"))
    assert told["auc"] == pytest.approx(roc_auc_score(two, probabilities[:, 0]))


def test_a_perfect_answer_scores_perfectly():
    labels, _, value = drawn()
    told = metrics(labels, np.eye(3)[labels], value, NAMES)
    assert (told["accuracy"], told["macro_f1"], told["auc"], told["ece"]) == (1, 1, 1, 0)
    assert told["log_loss"] < 1e-6


def test_certainty_of_the_wrong_label_is_bad_but_finite():
    told = metrics(np.array([0, 1]), np.array([[0.0, 1, 0], [1, 0, 0]]), None, NAMES)
    assert 10 < told["log_loss"] < 20


def test_calibration_error_is_the_gap_between_confidence_and_accuracy():
    sure = np.tile([0.8, 0.1, 0.1], (10, 1))
    assert metrics(np.array([0] * 5 + [1] * 5), sure, None, NAMES)["ece"] == pytest.approx(0.3)
    assert metrics(np.array([0] * 8 + [1] * 2), sure, None, NAMES)["ece"] == pytest.approx(0)


def test_value_capture_is_the_share_of_the_best_tenth():
    value = np.array([500.0, 0, 100, 100, 100, 0, 0, 0, 0, 200] * 2)
    probabilities = np.full((20, 3), 0.1)
    probabilities[[0, 9], 0] = 0.8
    assert metrics(np.zeros(20, int), probabilities, value, NAMES)["value_capture_10"] == pytest.approx(0.35)
    # It goes by the label called high, wherever that stands.
    turned = metrics(np.zeros(20, int), probabilities[:, ::-1], value, NAMES[::-1])
    assert turned["value_capture_10"] == pytest.approx(0.35)


def test_captures_grow_with_the_share_and_lift_is_against_everyone():
    labels, probabilities, value = drawn(1000)
    told = metrics(labels, probabilities, value, NAMES)
    captures = [told[f"value_capture_{share}"] for share in (1, 5, 10, 20)]
    assert captures == sorted(captures)
    best = np.argsort(-probabilities[:, 0])[:100]
    assert captures[2] == pytest.approx(value[best].sum() / value.sum())
    assert told["lift_10"] == pytest.approx((labels[best] == 0).mean() / (labels == 0).mean())


def test_an_interval_holds_the_mean_as_often_as_it_says():
    draw = np.random.default_rng(0)
    held = 0
    for seed in range(200):
        low, high = interval(draw.exponential(size=60), seed)
        assert low < high
        held += low <= 1 <= high
    assert 0.86 <= held / 200 <= 1
    assert interval(np.full(9, 2.0)) == (2, 2)


def test_what_cannot_be_measured_is_none():
    told = metrics(np.zeros(4, int), np.full((4, 3), 1 / 3), np.zeros(4), NAMES)
    assert told["auc"] is None
    assert told["value_capture_10"] is None
    assert metrics(np.ones(4, int), np.full((4, 3), 1 / 3), None, NAMES)["lift_10"] is None


def test_nobody_cannot_be_measured():
    with pytest.raises(EngineError, match="no user to measure"):
        metrics(np.zeros(0, int), np.zeros((0, 3)), None, NAMES)


def test_confusion_has_truth_in_rows_and_every_label():
    told = confusion(np.array([0, 0, 1]), np.array([[0.9, 0.1, 0], [0, 1, 0], [0, 1, 0]]), NAMES)
    assert told == {"labels": list(NAMES), "matrix": [[1, 1, 0], [0, 1, 0], [0, 0, 0]]}


def test_calibration_counts_every_user_once_per_label():
    labels, probabilities, _ = drawn(2000)
    curves = calibration(labels, probabilities, NAMES, bins=5)
    for code, name in enumerate(NAMES):
        assert sum(each["users"] for each in curves[name]) == 2000
        for each in curves[name]:
            assert each["from"] <= each["predicted"] <= each["to"]
            inside = (probabilities[:, code] >= each["from"]) & (probabilities[:, code] < each["to"])
            assert each["observed"] == pytest.approx((labels[inside] == code).mean())
        # Labels were drawn from these very probabilities.
        assert all(
            abs(each["predicted"] - each["observed"]) < 0.1 for each in curves[name] if each["users"] > 200
        )
    assert calibration(np.array([0]), np.array([[1.0, 0, 0]]), NAMES)["high"][0]["to"] == 1


def test_losses_are_each_users_own():
    labels, probabilities, _ = drawn()
    told = losses(labels, probabilities)
    assert told.shape == (500,)
    assert told[7] == pytest.approx(-np.log(probabilities[7, labels[7]]))
    assert told.mean() == pytest.approx(metrics(labels, probabilities, None, NAMES)["log_loss"])


def shop(n=2000, seed=0):
    """Recency and orders tell the label; `noise` tells nothing."""
    draw = np.random.default_rng(seed)
    orders, recency = draw.poisson(2, n), draw.integers(1, 366, n)
    lean = 1.2 * np.log1p(orders) - recency / 120 + draw.normal(size=n)
    labels = np.where(lean > 0.5, 0, np.where(lean > -0.5, 1, 2))
    frame = pl.DataFrame(
        {"user": np.arange(n), "orders": orders, "recency_days": recency, "noise": draw.normal(size=n)}
    )
    return Sample(frame, labels, np.exp(lean))


def test_the_better_baseline_is_the_better_one():
    told = baselines(shop(), shop(seed=1), NAMES)
    losses = [told[name]["log_loss"] for name in ("majority", "recency_frequency", "logistic")]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] - losses[1] > 0.1
    assert losses[1] - losses[2] > 0.01
    assert told["logistic"]["log_loss"] < told["rfm_quintiles"]["log_loss"] < told["majority"]["log_loss"]
    captures = [told[name]["value_capture_10"] for name in ("majority", "logistic")]
    assert captures[0] < 0.2 < captures[1]


def test_the_majority_gives_everyone_the_learnt_shares():
    learnt, judged = shop(), shop(seed=1)
    shares = np.bincount(learnt.labels) / len(learnt.labels)
    told = baselines(learnt, Sample(judged.frame, judged.labels), NAMES)["majority"]
    assert told["log_loss"] == pytest.approx(-np.log(shares[judged.labels]).mean(), abs=1e-3)
    assert told["auc"] == 0.5
    assert told["value_capture_10"] is None


def test_what_a_baseline_gives_one_user_does_not_depend_on_who_else_is_judged():
    learnt, judged = shop(), shop(seed=1)
    kept = judged.frame["orders"].to_numpy() < 2
    whole, part = baselines(learnt, judged, NAMES), baselines(learnt, judged.only(kept), NAMES)
    rest = baselines(learnt, judged.only(~kept), NAMES)
    for name in whole:
        mixed = np.average(
            [part[name]["log_loss"], rest[name]["log_loss"]], weights=[kept.sum(), (~kept).sum()]
        )
        assert whole[name]["log_loss"] == pytest.approx(mixed)


def test_a_label_that_was_never_learnt_is_still_measured():
    learnt = shop()
    two = Sample(learnt.frame, np.minimum(learnt.labels, 1), learnt.value)
    told = baselines(two, shop(seed=1), NAMES)
    assert all(np.isfinite(each["log_loss"]) for each in told.values())


def test_lightgbm_is_beside_the_baselines_where_asked_for():
    pytest.importorskip("lightgbm", reason="lightgbm is not installed")
    learnt, judged = shop(), shop(seed=1)
    told = baselines(learnt, judged, NAMES, boosted=True)
    assert set(told) - set(baselines(learnt, judged, NAMES)) == {"lightgbm"}
    assert told["lightgbm"]["log_loss"] < told["majority"]["log_loss"] - 0.1
    assert told == baselines(learnt, judged, NAMES, boosted=True)


def test_a_table_without_recency_has_the_majority_for_it():
    learnt, judged = (
        Sample(each.frame.select("user", "noise"), each.labels) for each in (shop(), shop(seed=1))
    )
    told = baselines(learnt, judged, NAMES)
    for name in ("recency_frequency", "rfm_quintiles"):
        assert told[name]["log_loss"] == pytest.approx(told["majority"]["log_loss"], abs=1e-4)


def test_a_cell_is_told_by_its_own_users_and_borrows_from_all():
    """A thousand users in two cells of recency: each gets its own shares, nearly."""
    recency = np.repeat([1, 300], 500)
    labels = np.where(recency == 1, np.arange(1000) % 2, 2)
    sample = Sample(pl.DataFrame({"user": range(1000), "recency_days": recency}), labels)
    told = baselines(sample, sample, NAMES)
    for name in ("recency_frequency", "rfm_quintiles"):
        assert told[name]["log_loss"] == pytest.approx(np.log(2) / 2, abs=0.02)
