"""Whether today's users are still those that models were fitted on, and what they say still comes true."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from segtui.operations import words
from segtui.operations.compilation import use_cache
from segtui.operations.deciders import Evidence, ModelDecider, model_decider
from segtui.operations.definitions import Segmentation, definitions
from segtui.operations.errors import OperationError
from segtui.operations.health import Measured
from segtui.operations.plans import last_rescore
from segtui.operations.progress import Progress, quiet
from segtui.operations.session import Session
from segtui.operations.unseen import cut_since

if TYPE_CHECKING:
    from engine.drift import Drift

NAMES = ("drift", "drift_ks", "shares", "calibration")
TOLD = 5
RETRAIN_DAYS = 7
"""A model is not trained again before the last window has moved on by so many days."""
AGAIN = "train again, and compare"


def drifted(s: Session, progress: Progress = quiet) -> list[Measured]:
    """drift and drift_ks: the feature furthest from the training window by each measure; shares: the
    expected sizes likewise; calibration: the label whose expected share was furthest from what came true.

    The training window is not stored: it is the model's cutoff, as the log told it when the model was
    trained. Calibration is told once a window after all the model knew is over.
    """
    found = definitions(s)
    # What was discovered was learnt from no window.
    models = [each for each in found.segmentations.values() if each.model and not each.discovered]
    features, shares, outcomes, why = [], [], [], ["No model is in use yet."]
    newest: dict[str, str] = {}
    if models and last_rescore(s) is not None:
        use_cache()
        evidence = Evidence(s.events(), s.identity(), s.attributes())
        for share, each in enumerate(models):
            assert each.model is not None
            progress(f"measuring {each.name}", share / len(models))
            body = found.models[each.model]
            try:
                by_feature, by_label = _apart(s, each, body, evidence)
            except OperationError as error:
                why.append(str(error))
                continue
            features += by_feature
            shares += by_label
            newest |= _newest(s, each)
            try:
                outcomes += _come_true(s, each, body)
            except OperationError as error:
                why.append(str(error))
    what = "is the {} furthest from what it was when the model learnt"
    feature, size = what.format("feature"), what.format("expected size")
    return [
        _worst("drift", "psi", features, why[-1], feature, newest),
        _worst("drift_ks", "ks", features, why[-1], feature, newest),
        _worst("shares", "psi", shares, why[-1], size, newest),
        _worst("calibration", "apart", outcomes, why[-1], "is the share furthest from what then came true"),
    ]


def _newest(s: Session, segmentation: Segmentation) -> dict[str, str]:
    """By its name, why training again would not help a segmentation: no later window is over."""
    from segtui.operations.tasks import latest_cutoff

    assert segmentation.model is not None
    policy, end = model_decider(s.store, segmentation.model).artefact.policy, s.data_end()
    assert end is not None
    horizon = int(policy["horizon_days"])
    if s.ticks.days_before(latest_cutoff(s.ticks, end, horizon), RETRAIN_DAYS) >= policy["cutoff"]:
        return {}
    return {
        segmentation.name: f"users aged over the {horizon} d since, and training again would learn from the "
        "same window; a shorter --horizon learns nearer to now, and where what is expected still comes true"
    }


def _apart(
    s: Session, segmentation: Segmentation, body: dict[str, Any], evidence: Evidence
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What differs between the training window and the last rescore, by feature and by label."""
    from engine.drift import FEWEST, feature_drift, share_drift

    decider = model_decider(s.store, body["model"])
    cutoff = decider.artefact.policy.get("cutoff")
    if cutoff is None:
        raise OperationError(
            f"{body['name']} learnt a given label: it has no training window to differ from."
        )
    last = last_rescore(s)
    assert last is not None
    told = pl.col("seq") <= body["position"]
    assert evidence.attributes is not None
    before = Evidence(
        evidence.events.filter(told),
        evidence.identity.until(body["position"]),
        evidence.attributes.filter(told),
    )
    then, now = (at.features(as_of, decider.spec) for at, as_of in ((before, cutoff), (evidence, last.as_of)))
    why = cut_since(s, body, then.height)
    if why is not None:
        raise OperationError(f"Nothing tells how far {segmentation.name} drifted: {why}; train again.")
    if min(then.height, now.height) < FEWEST:
        raise OperationError(
            f"{segmentation.name} has {words.plural(min(then.height, now.height), 'user')}: "
            f"fewer than {FEWEST} differ by chance as much as they drift."
        )
    by_feature = feature_drift(decider.artefact.encoder, then, now)
    by_label = share_drift(
        decider.labels, _scores(decider, then, before, cutoff), _scores(decider, now, evidence, last.as_of)
    )
    return (
        [_told(segmentation, each.name, each) for each in by_feature],
        [_told(segmentation, f"{segmentation.name}={each.name}", each) for each in by_label],
    )


def _scores(decider: ModelDecider, frame: pl.DataFrame, evidence: Evidence, as_of: int) -> np.ndarray:
    return decider.scorer.scores(frame, decider.sequences(evidence, as_of, frame["user"].to_numpy()))


def _told(segmentation: Segmentation, name: str, drift: Drift) -> dict[str, Any]:
    ks = None if drift.ks is None else round(drift.ks, 6)
    return {"segmentation": segmentation.name, "name": name, "psi": round(drift.psi, 6), "ks": ks}


def _come_true(s: Session, segmentation: Segmentation, body: dict[str, Any]) -> list[dict[str, Any]]:
    """Expected and observed share of each label over the last window that the model knew nothing of."""
    from segtui.operations.evaluate import realised

    return [
        {"segmentation": segmentation.name, "name": f"{segmentation.name}={label}", **each}
        for label, each in realised(s, body).items()
    ]


def _worst(
    name: str,
    by: str,
    found: list[dict[str, Any]],
    why: str,
    what: str,
    newest: Mapping[str, str] = MappingProxyType({}),
) -> Measured:
    known = sorted(
        (each for each in found if each[by] is not None), key=lambda each: (-each[by], each["name"])
    )
    if not known:
        return Measured(name, None, why)
    aged = newest.get(known[0]["segmentation"])
    advice = AGAIN if aged is None else f"{aged}, 'segtui check --set {name}=LIMIT' allows more"
    return Measured(name, known[0][by], f"{known[0]['name']} {what}", advice, known[:TOLD])
