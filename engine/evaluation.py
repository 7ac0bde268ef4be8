"""How good a model is: metrics, the baselines to beat, confusion and calibration."""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix, f1_score, roc_auc_score

from engine.algebra import one_thread
from engine.encoding import Encoder
from engine.errors import EngineError

ECE_BINS = 15
TOP_SHARES = (1, 5, 10, 20)
"""Per cent of the users, those with the highest probability of the label that is worth most."""
RESAMPLES = 1_000
QUARTERS = (0.25, 0.5, 0.75)
QUINTILES = (0.2, 0.4, 0.6, 0.8)
RECENCY = ("recency_days", "silence_days")
FREQUENCY = ("orders", "active_days")
MONETARY = ("spend",)
# Users of the average shares that a cell is thought to hold besides its own: 125 cells may be nearly empty.
BORROWED = 5
# A probability of zero for what then happens would be an infinite loss.
LEAST = 1e-7


@dataclasses.dataclass(frozen=True, eq=False)
class Sample:
    """Users with their features, their labels int[n] and, where it is known, their future spend float[n]."""

    frame: pl.DataFrame
    labels: np.ndarray
    value: np.ndarray | None = None

    def only(self, chosen: np.ndarray) -> Sample:
        """The users where bool[n] `chosen` is set."""
        value = None if self.value is None else self.value[chosen]
        return Sample(self.frame.filter(pl.Series(chosen)), self.labels[chosen], value)


def losses(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Each user's log-loss in nats, float64[n], of `labels` int[n] under `probabilities` float[n, labels].

    Raises EngineError where the two are not of as many users.
    """
    if len(labels) != len(probabilities):
        raise EngineError(
            f"{len(labels):,} labels cannot be judged by what {len(probabilities):,} users got."
        )
    clipped = np.clip(probabilities, LEAST, None)
    clipped = clipped / clipped.sum(axis=1, keepdims=True)
    lost: np.ndarray = -np.log(clipped[np.arange(len(labels)), labels])
    return lost


def each_users(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, np.ndarray]:
    """What each user adds to the metrics that are means over users: log_loss, brier, accuracy, float64[n]."""
    truth = np.eye(probabilities.shape[1])[labels]
    return {
        "log_loss": losses(labels, probabilities),
        "brier": ((probabilities - truth) ** 2).sum(axis=1),
        "accuracy": (probabilities.argmax(axis=1) == labels).astype(np.float64),
    }


def metrics(
    labels: np.ndarray, probabilities: np.ndarray, value: np.ndarray | None, names: Sequence[str]
) -> dict[str, float | None]:
    """accuracy, log_loss (nats), brier, macro_f1, auc (one label against the rest, mean), ece, lift_10, and
    value_capture_1, _5, _10, _20.

    `labels` int[n], `probabilities` float[n, labels], `value` float[n] future spend in minor units, or None.
    The best users are those with the highest probability of the label "high" (else the first): lift_10 is how
    much more frequent that label is among the best tenth than among all, a value capture the share of all
    value that the best so many per cent hold. A metric that the users do not allow is None. Raises
    EngineError for no users.
    """
    if not len(labels):
        raise EngineError("There is no user to measure on: the test part is empty.")
    means = {name: float(each.mean()) for name, each in each_users(labels, probabilities).items()}
    wanted = list(names).index("high") if "high" in names else 0
    # Ties at the edge of a share are broken by position, the same for every model.
    best = np.argsort(-probabilities[:, wanted], kind="stable")
    held = (labels == wanted).astype(float)
    captures = {share: None if value is None else _share_of_best(value, best, share) for share in TOP_SHARES}
    tenth = _share_of_best(held, best, 10)
    return {
        **means,
        "macro_f1": float(
            f1_score(
                labels,
                probabilities.argmax(axis=1),
                labels=range(len(names)),
                average="macro",
                zero_division=0,
            )
        ),
        "auc": _auc(labels, probabilities),
        "ece": _ece(labels, probabilities),
        "lift_10": None if tenth is None else tenth * len(labels) / _count(len(labels), 10),
        **{f"value_capture_{share}": captured for share, captured in captures.items()},
    }


def interval(values: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """Where the mean of `values` float[n] lies with 95 % confidence, by bootstrap over the users."""
    draw = np.random.default_rng(seed)
    means = np.empty(RESAMPLES)
    for index in range(RESAMPLES):
        means[index] = values[draw.integers(0, len(values), len(values))].mean()
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def baselines(
    learnt: Sample, judged: Sample, names: Sequence[str], *, boosted: bool = False
) -> dict[str, dict[str, float | None]]:
    """The metrics on the `judged` users of the `plain_models`, and where `boosted` of LightGBM's, if that is
    installed. The two frames have the same columns; every label is an index into `names`."""
    given = plain_models(learnt, judged, len(names))
    if boosted and importlib.util.find_spec("lightgbm") is not None:
        given["lightgbm"] = _boosted(learnt, judged, len(names))
    return {name: metrics(judged.labels, each, judged.value, names) for name, each in given.items()}


def plain_models(learnt: Sample, judged: Sample, n_labels: int) -> dict[str, np.ndarray]:
    """What four plain models fitted on the `learnt` users say of the `judged` ones, float64[n, n_labels].

    majority: everyone gets the shares among the learnt. recency_frequency: the shares within their quarters
    of recency and frequency. rfm_quintiles: those within their fifths of recency, frequency and spend, as
    shops have long cut their customers. logistic: scikit-learn's logistic regression on the standard encoding
    (scaled logarithms).
    """
    return {
        "majority": _majority(learnt, judged, n_labels),
        "recency_frequency": _cells(learnt, judged, (RECENCY, FREQUENCY), QUARTERS, n_labels),
        "rfm_quintiles": _cells(learnt, judged, (RECENCY, FREQUENCY, MONETARY), QUINTILES, n_labels),
        "logistic": _logistic(learnt, judged, n_labels),
    }


def ece_if_true(probabilities: np.ndarray, seed: int = 0, quantile: float = 0.95) -> float:
    """The ECE that so many probabilities float[n, labels] stay below in 95 % of cases where each of them is
    exactly true: labels are drawn from them, again and again."""
    draw = np.random.default_rng(seed)
    confidence = probabilities.max(axis=1)
    drawn = [_gap(confidence, draw.random(len(confidence)) < confidence) for _ in range(RESAMPLES)]
    return float(np.quantile(drawn, quantile))


def confusion(labels: np.ndarray, probabilities: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
    """{labels, matrix}: row = the true label, column = the likeliest one, users."""
    matrix = confusion_matrix(labels, probabilities.argmax(axis=1), labels=range(len(names)))
    return {"labels": list(names), "matrix": matrix.tolist()}


def calibration(
    labels: np.ndarray, probabilities: np.ndarray, names: Sequence[str], bins: int = 10
) -> dict[str, list[dict[str, float | int]]]:
    """Per label, per bin of its probability that holds users: from, to, users, predicted, observed
    (shares)."""
    curves: dict[str, list[dict[str, float | int]]] = {}
    for code, name in enumerate(names):
        given = probabilities[:, code]
        where = np.minimum((given * bins).astype(int), bins - 1)
        curves[name] = [
            {
                "from": each / bins,
                "to": (each + 1) / bins,
                "users": int((where == each).sum()),
                "predicted": float(given[where == each].mean()),
                "observed": float((labels[where == each] == code).mean()),
            }
            for each in np.unique(where).tolist()
        ]
    return curves


def _auc(labels: np.ndarray, probabilities: np.ndarray) -> float | None:
    """The mean over labels of the area under the ROC curve of that label against the rest."""
    areas = [
        roc_auc_score(labels == code, probabilities[:, code])
        for code in range(probabilities.shape[1])
        if 0 < (labels == code).sum() < len(labels)
    ]
    return float(np.mean(areas)) if areas else None


def _ece(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Expected calibration error of the likeliest label, over bins of equal width (Guo et al. 2017)."""
    return _gap(probabilities.max(axis=1), probabilities.argmax(axis=1) == labels)


def _gap(confidence: np.ndarray, right: np.ndarray) -> float:
    where = np.minimum((confidence * ECE_BINS).astype(int), ECE_BINS - 1)
    gaps = np.abs(np.bincount(where, right - confidence, minlength=ECE_BINS))
    return float(gaps.sum() / len(confidence))


def _share_of_best(amounts: np.ndarray, best: np.ndarray, per_cent: int) -> float | None:
    """The share of all amounts that the best users hold; None where there is nothing to hold."""
    total = float(amounts.sum())
    return float(amounts[best[: _count(len(best), per_cent)]].sum()) / total if total > 0 else None


def _count(n: int, per_cent: int) -> int:
    return max(1, round(n * per_cent / 100))


def _majority(learnt: Sample, judged: Sample, n_labels: int) -> np.ndarray:
    return np.tile(_shares(learnt.labels, n_labels), (len(judged.labels), 1))


def _shares(labels: np.ndarray, n_labels: int) -> np.ndarray:
    """Shares of the labels, with one user more in each so that none is impossible (Laplace)."""
    counts = np.bincount(labels, minlength=n_labels) + 1.0
    shares: np.ndarray = counts / counts.sum()
    return shares


def _cells(
    learnt: Sample,
    judged: Sample,
    measures: Sequence[Sequence[str]],
    cuts: Sequence[float],
    n_labels: int,
) -> np.ndarray:
    """The shares of the labels within each cell: users in the same quantiles of every measure there is."""
    known, asked = (np.zeros(len(sample.labels), int) for sample in (learnt, judged))
    for choices in measures:
        name = next((each for each in choices if each in learnt.frame.columns), None)
        if name is None:
            continue
        edges = np.quantile(_numbers(learnt.frame, name), cuts)
        known = known * (len(cuts) + 1) + np.digitize(_numbers(learnt.frame, name), edges)
        asked = asked * (len(cuts) + 1) + np.digitize(_numbers(judged.frame, name), edges)
    given = np.zeros((len(asked), n_labels))
    borrowed = BORROWED * _shares(learnt.labels, n_labels)
    for cell in np.unique(asked):
        counts = np.bincount(learnt.labels[known == cell], minlength=n_labels) + borrowed
        given[asked == cell] = counts / counts.sum()
    return given


def _numbers(frame: pl.DataFrame, name: str) -> np.ndarray:
    return frame[name].cast(pl.Float64).fill_null(0).to_numpy()


def _logistic(learnt: Sample, judged: Sample, n_labels: int) -> np.ndarray:
    encoder = Encoder.fit(learnt.frame, [name for name in learnt.frame.columns if name != "user"])
    # Products this narrow gain nothing by threads, which on a busy machine wait for each other.
    with one_thread():
        model = LogisticRegression(max_iter=1000).fit(encoder.transform(learnt.frame), learnt.labels)
    given = np.zeros((len(judged.labels), n_labels))
    given[:, model.classes_] = model.predict_proba(encoder.transform(judged.frame))
    return given


def _boosted(learnt: Sample, judged: Sample, n_labels: int) -> np.ndarray:
    """LightGBM as one would set it up without a search: small trees, slowly, each on a part of the rows."""
    import lightgbm

    encoder = Encoder.fit(learnt.frame, [name for name in learnt.frame.columns if name != "user"])
    settings = {
        "objective": "multiclass",
        "num_class": n_labels,
        "num_leaves": 8,
        "learning_rate": 0.03,
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "seed": 0,
        "num_threads": 1,
        "verbose": -1,
    }
    rows = lightgbm.Dataset(encoder.raw(learnt.frame), learnt.labels)
    return np.asarray(lightgbm.train(settings, rows, 120).predict(encoder.raw(judged.frame)))
