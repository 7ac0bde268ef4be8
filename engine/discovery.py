"""Segments nobody defined: clusters of what a network makes of users before it decides, and their names."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import polars as pl

from engine.algebra import one_thread
from engine.catalogue import catalogue
from engine.embedding import with_head
from engine.errors import EngineError
from engine.feature_spec import FeatureSpec
from engine.model import Model

FEWEST_USERS = 100
MOST_USERS = 50_000
"""Users that centres are fitted on; more of them say the same."""
TRIED = range(2, 9)
"""Numbers of clusters that are tried."""
RESAMPLES = 6
RESAMPLED = 5_000
STABLE = 0.9
"""The mean agreement (adjusted Rand index) over resamples from which on clusters are told again."""
SMALLEST = 0.01
"""The least share of the users that is a segment of its own."""
APART = 0.15
"""By how much of all ranks a cluster must differ in a feature to be named by it."""
TOLD = 3
FURTHEST = 1e5
"""Variances that the squared distance of two centres may be. Of users who all stand on their centre little
but rounding would be left, and of its logits a float32 would keep no digit that counts."""


@dataclasses.dataclass(frozen=True, eq=False)
class Clustering:
    """centres float64[k, width], the variance of users around them by direction, and how steady each number
    of clusters is: [{clusters, agreement, smallest}]."""

    centres: np.ndarray
    variance: float
    stability: list[dict[str, Any]]


def cluster(
    embedded: np.ndarray,
    seed: int,
    clusters: int | None = None,
    on_tried: Callable[[int], None] = lambda _: None,
) -> Clustering:
    """k-means over `embedded` float[n, width].

    Without a number of `clusters` the largest is taken whose clusters come again, in resamples, with an
    agreement of STABLE and hold SMALLEST of the users each; where none does, the steadiest. Raises
    EngineError where users are too few or all alike.
    """
    if len(embedded) < FEWEST_USERS:
        raise EngineError(
            f"Clusters need {FEWEST_USERS} users, there are {len(embedded)}: import more history first."
        )
    draw = np.random.default_rng(seed)
    known = embedded.astype(np.float64)
    if len(known) > MOST_USERS:
        known = known[np.sort(draw.choice(len(known), MOST_USERS, replace=False))]
    different = len(np.unique(known.round(6), axis=0))
    asked = [clusters] if clusters is not None else [k for k in TRIED if k <= different]
    if not asked or different < asked[-1]:
        raise EngineError(
            f"The users fall into {different} kinds only as this model sees them: ask for fewer clusters, "
            "or train another model."
        )
    # Threads would add up in an order of their own, and centres would differ in their last bits.
    with one_thread():
        sample = known
        if len(known) > RESAMPLED:
            sample = known[np.sort(draw.choice(len(known), RESAMPLED, replace=False))]
        stability = []
        for number in asked:
            on_tried(number)
            stability.append(_stability(sample, number, draw))
        fit = _fit(known, _chosen(stability), draw, starts=4)
    order = np.argsort(-np.bincount(fit.labels_, minlength=len(fit.cluster_centers_)), kind="stable")
    around = known - fit.cluster_centers_[fit.labels_]
    return Clustering(fit.cluster_centers_[order], _variance(around, fit.cluster_centers_), stability)


def headed(model: Model, found: Clustering, labels: Sequence[str], policy: dict[str, Any]) -> Model:
    """The model that gives each user the nearest centre's label, on the network that `probe` probes.

    Its logits are those of a mixture of equal round bells around the centres: what they share cancels out,
    so the distances are a linear layer over the embedding.
    """
    centres = found.centres
    kernel = (centres / found.variance).T
    bias = -(centres**2).sum(axis=1) / (2 * found.variance)
    return with_head(model, 0, labels, kernel, bias - bias.mean(), policy)


def names(
    frame: pl.DataFrame, assigned: np.ndarray, clusters: int, spec: FeatureSpec
) -> list[dict[str, Any]]:
    """What sets each cluster apart, in the catalogue's words: [{label, by}].

    frame: features, row i of the user in cluster `assigned[i]`. `by`: the features in which its users rank
    furthest from all others', of different groups, [{feature, unit, way, median, others, meaning}]. The label
    holds as many of them as make it unlike the others'.
    """
    known = {
        name: each
        for name, each in catalogue(spec).items()
        if name in frame.columns and frame[name].dtype.is_numeric()
    }
    ranks = frame.select((pl.col(name).rank("average") / pl.col(name).count()).alias(name) for name in known)
    told = []
    for cluster in range(clusters):
        own = pl.Series(assigned == cluster)
        apart = {}
        for name in known:
            within, without = (ranks[name].filter(each) for each in (own, ~own))
            # What most of them have no value of says little of them.
            if min(_filled(within), _filled(without)) >= 0.5:
                apart[name] = _mean(within) - _mean(without)
        by: list[dict[str, Any]] = []
        groups: set[str] = set()
        for name in sorted(apart, key=lambda each: -abs(apart[each])):
            if abs(apart[name]) < APART or len(by) == TOLD:
                break
            if known[name].group in groups:
                continue
            groups.add(known[name].group)
            by.append(
                {
                    "feature": name,
                    "unit": known[name].unit,
                    "way": "high" if apart[name] > 0 else "low",
                    "median": frame.filter(own)[name].median(),
                    "others": frame.filter(~own)[name].median(),
                    "meaning": known[name].meaning,
                }
            )
        told.append({"by": by})
    labels = _labels([each["by"] for each in told])
    return [{"label": label, **each} for label, each in zip(labels, told, strict=True)]


def _filled(values: pl.Series) -> float:
    return 1 - values.null_count() / len(values) if len(values) else 0.0


def _mean(values: pl.Series) -> float:
    return float(np.mean(values.drop_nulls().to_numpy()))


def _labels(told: Sequence[Sequence[dict[str, Any]]]) -> list[str]:
    """A label per cluster, of as few features as tell it from the others."""
    most = [1] * len(told)
    while True:
        labels = [
            "_".join(f"{each['way']}_{each['feature']}" for each in by[:own]) or "usual"
            for by, own in zip(told, most, strict=True)
        ]
        alike = [at for at, label in enumerate(labels) if labels.count(label) > 1]
        longer = [at for at in alike if most[at] < len(told[at])]
        if not longer:
            break
        for at in longer:
            most[at] += 1
    return [
        label if labels.index(label) == at else f"{label}_{labels[:at].count(label) + 1}"
        for at, label in enumerate(labels)
    ]


def _fit(known: np.ndarray, clusters: int, draw: np.random.Generator, starts: int) -> Any:
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        # A resample may lack a rare kind of users: then a cluster of it is empty, which its agreement tells.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return KMeans(clusters, n_init=starts, random_state=int(draw.integers(2**31))).fit(known)


def _stability(sample: np.ndarray, clusters: int, draw: np.random.Generator) -> dict[str, Any]:
    """How well clusters of resamples agree with those of the whole sample on all of its users."""
    from sklearn.metrics import adjusted_rand_score

    whole = _fit(sample, clusters, draw, starts=2)
    agreement = []
    for _ in range(RESAMPLES):
        again = _fit(sample[draw.integers(0, len(sample), len(sample))], clusters, draw, starts=2)
        agreement.append(adjusted_rand_score(whole.labels_, again.predict(sample)))
    smallest = np.bincount(whole.labels_, minlength=clusters).min() / len(sample)
    return {
        "clusters": clusters,
        "agreement": round(float(np.mean(agreement)), 6),
        "smallest": round(float(smallest), 6),
    }


def _chosen(stability: Sequence[dict[str, Any]]) -> int:
    steady = [
        each["clusters"] for each in stability if each["agreement"] >= STABLE and each["smallest"] >= SMALLEST
    ]
    if steady:
        return int(max(steady))
    return int(max(stability, key=lambda each: each["agreement"])["clusters"])


def _variance(around: np.ndarray, centres: np.ndarray) -> float:
    """The mean variance over as many directions as users really spread in, of what is left `around` the
    `centres`; and at least what lets a float32 tell how far away the furthest is."""
    own = np.linalg.eigvalsh(np.cov(around, rowvar=False).reshape(around.shape[1], -1)).clip(min=0)
    apart = ((centres[:, None] - centres) ** 2).sum(axis=2).max()
    found = float((own**2).sum() / own.sum()) if own.sum() > 0 else 0.0
    return max(found, float(apart) / FURTHEST, 1e-6)
