"""Training a segmentation's model on the log, judging it on users it never saw, and promoting it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from engine.labels import OUTCOMES
from segtui.operations.compilation import use_cache
from segtui.operations.definitions import Definitions, definitions
from segtui.operations.errors import OperationError
from segtui.operations.judgement import compare, judge
from segtui.operations.policies import carried
from segtui.operations.preparing import Choice
from segtui.operations.progress import Cancelled, Progress, Stopped, never, quiet
from segtui.operations.promotion import promote_in
from segtui.operations.session import Session
from segtui.operations.tasks import TRAIN, Task, given_task, outcome_task
from segtui.operations.times import iso_or_none, parse_days

if TYPE_CHECKING:
    from engine.model import Model
    from engine.training import Trained

MAX_HORIZON = 3_650

Heard = Callable[[float, float], None]
"""Called with the training and the validation loss of each epoch as it ends."""


def unheard(_train: float, _valid: float) -> None:
    """Losses nobody looks at."""


def train(
    s: Session,
    *,
    segmentation: str | None = None,
    policy: str = "future_value",
    kind: str = "mlp",
    cutoff: int | None = None,
    horizon: str = "90d",
    label: str | None = None,
    optimizer: str = "adam",
    seed: int = 0,
    origins: int = 0,
    name: str | None = None,
    promote: bool | None = None,
    options: Mapping[str, str] | None = None,
    progress: Progress = quiet,
    cancelled: Cancelled = never,
    heard: Heard = unheard,
) -> dict[str, Any]:
    """Trains one model and records it; promotes it when first or not worse, unless told.

    `policy` says what of the future a label is (engine.labels.OUTCOMES); `label` names an attribute to learn
    instead. `cutoff` is an instant in µs (default: the last one whose horizon is over), `origins` how many
    earlier ones to learn from as well. `heard` is told the losses of each epoch. Raises OperationError
    when outcomes are not known yet or too few users would be learnt from, EngineError for settings out of
    range, Stopped when called off: nothing is recorded.
    """
    from segtui.operations.settings import training_settings

    started = time.monotonic()
    choice, rest = Choice.parse(options or {})
    training, structure = training_settings(kind, optimizer, seed, rest)
    if policy not in OUTCOMES:
        raise OperationError(f"No label policy {policy!r}: there are {', '.join(OUTCOMES)}.")
    if label is not None and policy != "future_value":
        raise OperationError(f"A given label has no policy: use --label {label} or --policy {policy}.")
    own = segmentation or label or ("value" if policy == "future_value" else policy)
    _check_name(definitions(s), name, kind=kind, segmentation=own, seed=seed)
    progress("reading the log", None)
    task = (
        given_task(s, label, own, seed, choice)
        if label is not None
        else outcome_task(s, policy, own, cutoff, _horizon(horizon), seed, choice, origins)
    )
    use_cache()
    model, fitted, preparation = _fit(task, kind, training, structure, choice, progress, cancelled, heard)
    if cancelled():
        raise Stopped
    progress("judging on users it never saw", None)
    body = _body(s, task, model, fitted, judge(model, task)) | {"preparation": preparation}
    rescored = None
    with s.store.transaction(actor=s.actor, source="train") as tx:
        found = definitions(s)
        held = found.segmentations.get(own)
        current = held.model if held else None
        known = found.models.get(model.digest)
        wins, why = _verdict(s, found, current, model, task, promote)
        seconds = round(time.monotonic() - started, 3)
        if known is None:
            _check_name(found, name)
            body |= {"name": name or _free_name(found, f"{kind}-{model.short[:4]}"), "previous": current}
            _define(tx, found, task)
            tx.put_model(model.digest, model.spec_json(), model.parameter_bytes())
            tx.append_decision("model_trained", body | {"seconds": seconds})
        else:
            body = known | {"previous": current}
            why = f"the very model {known['name']}, trained before: {why}"
        note = carried(held, task.labels) if wins and held else None
        if wins:
            rescored = promote_in(s, tx, body, progress, cancelled).finish()
    return body | {
        "trained_at": s.iso(known["trained_at"] if known else tx.recorded_at),
        "seconds": round(time.monotonic() - started, 3),
        "training_seconds": known["seconds"] if known else seconds,
        "promoted": wins or current == model.digest,
        "why": why,
        "rescored": rescored,
        "note": note,
    }


def _verdict(
    s: Session, found: Definitions, current: str | None, model: Model, task: Task, promote: bool | None
) -> tuple[bool, str]:
    """Whether to promote, and why: as told; else the first model, or one that is not worse."""
    if current == model.digest:
        return False, "it is current"
    if promote is not None:
        return promote, "as told"
    if current is None:
        return True, "the first model"
    from segtui.operations.deciders import load_model

    compared = compare(load_model(s.store, current), found.models[current]["name"], model, task)
    return compared.not_worse, compared.why


def _body(s: Session, task: Task, model: Model, fitted: Trained, metrics: dict[str, Any]) -> dict[str, Any]:
    """What the decision says of the model, but for what the moment of writing adds."""
    zone = s.ticks.zone
    return {
        "model": model.digest,
        "segmentation": task.segmentation,
        "kind": model.kind,
        "cutoff": iso_or_none(task.cutoff, zone),
        "horizon": f"{task.horizon}d" if task.horizon else None,
        "known_from": iso_or_none(task.known_from, zone),
        "users": len(task.users),
        "labels": list(task.labels),
        "label_counts": {each: int((task.targets == code).sum()) for code, each in enumerate(task.labels)},
        "thresholds": task.thresholds,
        "epochs": fitted.epochs,
        "metrics": metrics,
        "history": [
            {
                "epoch": epoch.epoch,
                "train_loss": round(epoch.train_loss, 6),
                "valid_loss": round(epoch.valid_loss, 6),
            }
            for epoch in fitted.history
        ],
        "seed": model.policy["seed"],
        "position": task.position,
    }


def _check_name(found: Definitions, name: str | None, **asked: Any) -> None:
    """Refuses a name that another model has; one that agrees in what is `asked` may be the very same."""
    for body in found.models.values():
        same = bool(asked) and all(body.get(key) == value for key, value in asked.items())
        if body["name"] == name and not same:
            raise OperationError(
                f"A model of {body['segmentation']!r} is called {name!r} already: choose another --name."
            )


def _horizon(text: str) -> int:
    """Whole days, at most ten years."""
    days = parse_days(text)
    if days > MAX_HORIZON:
        raise OperationError(f"A horizon of {text} is too long: use at most {MAX_HORIZON}d.")
    return days


def _fit(
    task: Task,
    kind: str,
    training: Any,
    structure: Any,
    choice: Choice,
    progress: Progress,
    cancelled: Cancelled,
    heard: Heard,
) -> tuple[Model, Trained, dict[str, Any]]:
    from engine.encoding import Encoder
    from engine.model import Model
    from engine.models import KINDS
    from engine.prepare import report
    from engine.training import Inputs, train

    parts, dropped = _distinct(task, choice)
    known, labels = task.frame.filter(pl.Series(parts == TRAIN)), task.targets[parts == TRAIN]
    names = [name for name in task.frame.columns if name != "user"]
    encoder = Encoder.fit(
        known,
        names,
        kind=choice.encoding or KINDS[kind].encoding,
        preparation=choice.preparation,
        labels=labels,
    )
    prepared = {
        "settings": choice.preparation.to_json(),
        "duplicates": dropped,
        "features": report(encoder, known, names),
    }
    sequence_spec, binned = None, None
    if KINDS[kind].reads_sequences:
        from engine.sequences import sequence_spec_for, sequences

        sequence_spec = sequence_spec_for(task.spec)
        if not sequence_spec.channels:
            raise OperationError(
                f"A {kind} reads sequences of behaviour and the log has none, only attributes: "
                "train an mlp or a logistic model."
            )
        binned = np.concatenate(
            [
                sequences(task.evidence.events, task.evidence.identity.at(as_of), as_of, sequence_spec, users)
                for as_of, users in (
                    (task.as_of, task.users),
                    *((each.as_of, each.users) for each in task.earlier),
                )
            ]
        )

    def on_epoch(epoch: Any) -> None:
        heard(epoch.train_loss, epoch.valid_loss)
        progress(
            f"epoch {epoch.epoch}: train loss {epoch.train_loss:.4f}, validation {epoch.valid_loss:.4f}",
            epoch.epoch / training.epochs,
        )

    fitted = train(
        kind,
        Inputs(encoder.transform(pl.concat([task.frame, *(each.frame for each in task.earlier)])), binned),
        np.concatenate([task.targets, *(each.targets for each in task.earlier)]),
        np.concatenate([parts, *(np.full(len(each.users), TRAIN, parts.dtype) for each in task.earlier)]),
        len(task.labels),
        training,
        on_epoch=on_epoch,
        cancelled=cancelled,
        options=structure,
    )
    policy = task.policy | {
        "segmentation": task.segmentation,
        "thresholds": task.thresholds,
        "seed": training.seed,
    }
    return (
        Model(
            kind=kind,
            labels=task.labels,
            feature_spec=task.spec,
            sequence_spec=sequence_spec,
            encoder=encoder,
            policy=policy,
            options=structure,
            parameters=fitted.parameters,
        ),
        fitted,
        prepared,
    )


def _distinct(task: Task, choice: Choice) -> tuple[np.ndarray, int]:
    """Each user's part, -1 for a training user that repeats another where those are dropped; and how many."""
    from engine.prepare import repeated

    parts = task.parts.copy()
    if choice.preparation.duplicates == "drop":
        learners = np.flatnonzero(parts == TRAIN)
        again = repeated(task.frame[learners], task.targets[learners])
        parts[learners[again]] = -1
    return parts, int((parts < 0).sum())


def _define(tx: Any, found: Definitions, task: Task) -> None:
    """Defines the segmentation when its name is new."""
    if task.segmentation not in found.segmentations:
        tx.append_decision(
            "segmentation_defined",
            {"name": task.segmentation, "kind": "model", "labels": list(task.labels)},
        )


def _free_name(found: Definitions, name: str) -> str:
    taken = {body["name"] for body in found.models.values()}
    number, free = 2, name
    while free in taken:
        free, number = f"{name}-{number}", number + 1
    return free
