"""Segments that the data itself falls into: found, named, and kept as a segmentation like any other."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from db.store import Transaction
from segtui.operations.compilation import use_cache
from segtui.operations.deciders import Evidence, ModelDecider, load_model
from segtui.operations.definitions import Definitions, definitions
from segtui.operations.edits import EditRun
from segtui.operations.errors import OperationError
from segtui.operations.progress import Cancelled, Progress, Stopped, never, quiet
from segtui.operations.promotion import promotion
from segtui.operations.segment import refuse_name
from segtui.operations.session import Session

if TYPE_CHECKING:
    from engine.model import Model

MOST = 32


def discover(
    s: Session,
    name: str,
    *,
    model: str | None = None,
    clusters: int | None = None,
    seed: int = 0,
    preview: bool = False,
    progress: Progress = quiet,
    cancelled: Cancelled = never,
) -> dict[str, Any]:
    """Groups users by what a trained model makes of them before it decides; see engine.discovery.

    `model`: whose view is taken, by default that of the model promoted for `value`. A name that was
    discovered before is given its new segments as another model. Returns segmentation, model, from, clusters,
    seed, stability, labels [{label, users, share, by}], flows, users, preview. Raises OperationError without
    a model or for a name that is taken, EngineError for too few users.
    """
    from engine.discovery import cluster, headed, names
    from engine.embedding import probe

    started = time.monotonic()
    if clusters is not None and not 2 <= clusters <= MOST:
        raise OperationError(f"{clusters} segments cannot be: ask for 2 to {MOST}.")
    found = definitions(s)
    _check_name(s, found, name)
    digest = _viewer(found, model)
    use_cache()
    source = load_model(s.store, digest)
    progress("reading the log", None)
    with s.store.reading():
        at, position = s.require_as_of(), s.store.head()
        evidence = Evidence(s.events(before=at), s.identity(), s.attributes())
    viewer = ModelDecider(probe(source))
    frame = evidence.features(at, viewer.spec)
    embedded = viewer.scorer.logits(frame, viewer.sequences(evidence, at, frame["user"].to_numpy()))

    def on_tried(number: int) -> None:
        if cancelled():
            raise Stopped
        progress(f"trying {number} segments", None)

    grouped = cluster(embedded, seed, clusters, on_tried)
    policy = {
        "label": "discovered",
        "segmentation": name,
        "from": digest,
        "seed": seed,
        "known_from": max(at, source.policy.get("known_from") or at),
    }
    unnamed = [str(number) for number in range(len(grouped.centres))]
    assigned = ModelDecider(headed(source, grouped, unnamed, policy)).scorer.scores(
        frame, viewer.sequences(evidence, at, frame["user"].to_numpy())
    )
    codes = assigned.argmax(axis=1)
    named = names(frame, codes, len(grouped.centres), viewer.spec)
    made = headed(source, grouped, [each["label"] for each in named], policy)
    sizes = np.bincount(codes, minlength=len(named)).tolist()
    told = {
        "segmentation": name,
        "model": made.digest,
        "from": found.models[digest]["name"],
        "clusters": len(named),
        "seed": seed,
        "as_of": s.iso(at),
        "users": frame.height,
        "stability": grouped.stability,
        "labels": [
            {"label": each["label"], "users": size, "share": round(size / frame.height, 6), "by": each["by"]}
            for each, size in zip(named, sizes, strict=True)
        ],
        "preview": preview,
    }
    try:
        with s.store.transaction(actor=s.actor, source="discover") as tx:
            run = _keep(s, tx, made, told, position, progress, cancelled)
            run.finish()
            told["flows"] = run.flows()
            if preview:
                raise Stopped
    except Stopped:
        if not preview or "flows" not in told:
            raise
    return told | {"seconds": round(time.monotonic() - started, 3)}


def again(
    s: Session,
    name: str,
    model: str,
    *,
    preview: bool = False,
    progress: Progress = quiet,
    cancelled: Cancelled = never,
) -> dict[str, Any]:
    """Gives back a discovered segmentation that was retired, as the model that decided it last."""
    labels = definitions(s).models[model]["labels"]
    told: dict[str, Any] = {"segmentation": name, "model": model, "labels": labels, "preview": preview}
    try:
        with s.store.transaction(actor=s.actor, source="discover") as tx:
            decision = ("segmentation_defined", _defined(name, labels, model))
            run = EditRun(s, tx, name, decision, cause="definition", progress=progress, cancelled=cancelled)
            run.finish()
            told["flows"] = run.flows()
            if preview:
                raise Stopped
    except Stopped:
        if not preview or "flows" not in told:
            raise
    return told


def _check_name(s: Session, found: Definitions, name: str) -> None:
    held = found.segmentations.get(name)
    if held is None:
        refuse_name(s, found, name)
    elif not held.discovered:
        raise OperationError(f"{name!r} is decided by a {held.kind} of its own: choose another name.")


def _viewer(found: Definitions, model: str | None) -> str:
    """The digest of the model whose view is taken."""
    if model is not None:
        return str(found.find_model(model)["model"])
    promoted = {each.name: each.model for each in found.segmentations.values() if not each.discovered}
    digest = promoted.get("value") or next((each for each in promoted.values() if each), None)
    if digest is None:
        raise OperationError(
            "There is no model yet whose view of users could be grouped: train one with 'segtui train'."
        )
    return digest


def _keep(
    s: Session,
    tx: Transaction,
    made: Model,
    told: dict[str, Any],
    position: int,
    progress: Progress,
    cancelled: Cancelled,
) -> EditRun:
    """Records the model and makes it decide; the first of its name defines the segmentation."""
    found, name = definitions(s), told["segmentation"]
    held = found.segmentations.get(name)
    if held is not None and held.model == made.digest:
        raise OperationError(f"{name!r} has these very segments already: nothing was changed.")
    body = {
        "model": made.digest,
        "name": _free_name(found, f"{name}-{made.short[:4]}"),
        "segmentation": name,
        "kind": made.kind,
        "labels": list(made.labels),
        "cutoff": None,
        "horizon": None,
        "known_from": s.iso(made.policy["known_from"]),
        "users": told["users"],
        "thresholds": {},
        "epochs": None,
        "metrics": {},
        "history": [],
        "seed": told["seed"],
        "position": position,
        "discovered": {"from": made.policy["from"], "stability": told["stability"], "labels": told["labels"]},
        "previous": None if held is None else held.model,
    }
    if made.digest not in found.models:
        tx.put_model(made.digest, made.spec_json(), made.parameter_bytes())
        tx.append_decision("model_trained", body)
    decision = (
        ("segmentation_defined", _defined(name, body["labels"], made.digest))
        if held is None
        else promotion(body)
    )
    cause = "definition" if held is None else "model"
    return EditRun(s, tx, name, decision, cause=cause, progress=progress, cancelled=cancelled)


def _defined(name: str, labels: list[str], model: str) -> dict[str, Any]:
    return {"name": name, "kind": "model", "labels": list(labels), "model": model}


def _free_name(found: Definitions, name: str) -> str:
    taken = {body["name"] for body in found.models.values()}
    return name if name not in taken else f"{name}-{len(taken)}"
