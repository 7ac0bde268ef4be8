"""Training a segmentation's model on the log, judging it on users it never saw, and promoting it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from engine.features import FeatureSpec, features, spec_for
from engine.labels import VALUE_LABELS, future_value, given_labels, value_labels
from segtui.operations.compilation import use_cache
from segtui.operations.definitions import Definitions, Segmentation, definitions
from segtui.operations.errors import OperationError
from segtui.operations.progress import Cancelled, Progress, Stopped, never, quiet
from segtui.operations.promotion import Promotion
from segtui.operations.session import Session
from segtui.operations.times import parse_days

if TYPE_CHECKING:
    from engine.model import Model

MIN_BUYERS = 500
MIN_PER_LABEL = 50
MAX_HORIZON = 3_650
TEST = 2


@dataclass
class Task:
    """What a model is to learn: who, their labels, what is known of them, and until when."""

    segmentation: str
    labels: tuple[str, ...]
    users: np.ndarray
    targets: np.ndarray
    parts: np.ndarray
    frame: pl.DataFrame
    events: pl.DataFrame
    spec: FeatureSpec
    as_of: int
    cutoff: int | None
    horizon: int | None
    known_from: int | None
    thresholds: dict[str, Any]
    value: np.ndarray | None
    policy: dict[str, Any]


def train(
    s: Session,
    *,
    segmentation: str | None = None,
    kind: str = "mlp",
    cutoff: int | None = None,
    horizon: str = "90d",
    label: str | None = None,
    optimizer: str = "adam",
    seed: int = 0,
    name: str | None = None,
    promote: bool | None = None,
    options: Mapping[str, str] | None = None,
    progress: Progress = quiet,
    cancelled: Cancelled = never,
) -> dict[str, Any]:
    """Trains one model and records it; promotes it when first or not worse, unless told.

    `cutoff` is an instant in µs (default: the data end less the horizon); `label` names an attribute to
    learn instead of future value. Raises OperationError when outcomes are not known yet or too few users
    would be learnt from, EngineError for settings out of range, Stopped when called off: nothing is recorded.
    """
    from segtui.operations.settings import training_settings

    started = time.monotonic()
    training, structure = training_settings(kind, optimizer, seed, options or {})
    progress("reading the log", None)
    found = definitions(s)
    task = (
        given_task(s, label, segmentation or label, seed)
        if label is not None
        else future_task(s, segmentation or "value", cutoff, _horizon(horizon), seed)
    )
    use_cache()
    model, fitted = _fit(task, kind, training, structure, progress, cancelled)
    if cancelled():
        raise Stopped
    progress("judging on users it never saw", None)
    metrics = judge(model, task)
    previous = found.segmentations.get(task.segmentation)
    known = found.models.get(model.digest)
    if known is not None and known["segmentation"] == task.segmentation:
        current = previous is not None and previous.model == model.digest
        if promote and not current:
            from segtui.operations.models import promote as make_current

            make_current(s, known["model"], progress=progress, cancelled=cancelled)
            current = True
        return known | {
            "trained_at": s.iso(known["trained_at"]),
            "seconds": round(time.monotonic() - started, 3),
            "training_seconds": known["seconds"],
            "promoted": current,
            "why": f"the very model {known['name']}, trained before",
            "rescored": None,
        }
    wins, note = _may_promote(s, previous, metrics["test"], task) if promote is None else (promote, "as told")
    body = {
        "model": model.digest,
        "name": name or _free_name(found, f"{kind}-{model.short[:4]}"),
        "segmentation": task.segmentation,
        "kind": kind,
        "cutoff": _iso(s, task.cutoff),
        "horizon": f"{task.horizon}d" if task.horizon else None,
        "known_from": _iso(s, task.known_from),
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
        "seed": seed,
        "position": s.store.head(),
        "previous": previous.model if previous else None,
    }
    with s.store.transaction(actor=s.actor, source="train") as tx:
        _define(tx, found, task)
        tx.put_model(model.digest, model.spec_json(), model.parameter_bytes())
        seconds = round(time.monotonic() - started, 3)
        tx.append_decision("model_trained", body | {"seconds": seconds})
        rescored = Promotion(s, tx, body, progress, cancelled).finish() if wins else None
    return body | {
        "seconds": round(time.monotonic() - started, 3),
        "training_seconds": seconds,
        "promoted": wins,
        "why": note,
        "rescored": rescored,
    }


def _horizon(text: str) -> int:
    """Whole days, at most ten years."""
    days = parse_days(text)
    if days > MAX_HORIZON:
        raise OperationError(f"A horizon of {text} is too long: use at most {MAX_HORIZON}d.")
    return days


def future_task(s: Session, segmentation: str, cutoff: int | None, horizon: int, seed: int) -> Task:
    """Users with an event before the cutoff, labelled by their net spend in the horizon after it."""
    from engine.training import split

    end = s.data_end()
    if end is None:
        raise OperationError("There is nothing to train on yet: import events with 'segtui import FILE'.")
    at = s.ticks.days_before(end, horizon) if cutoff is None else s.ticks.at_or_after(cutoff)
    until = s.ticks.days_before(at, -horizon)
    if until > end:
        latest = s.ticks.days_before(end, horizon)
        raise OperationError(
            f"Outcomes of {s.iso(at)} + {horizon} d are not known yet, the data end is {s.iso(end)}: "
            f"use a cutoff up to {s.iso(latest)[:10]}, or a shorter horizon."
        )
    events = s.events()
    past = events.filter(pl.col("occurred_at") < at)
    attributes = s.attributes()
    spec = spec_for(past, s.settings.timezone, attributes.filter(pl.col("occurred_at") < at))
    frame = features(past, s.identity(), at, spec, attributes)
    users = frame["user"].to_numpy()
    parts = split(users, seed)
    outcomes = future_value(events, s.identity(), at, until, users)
    targets, thresholds = value_labels(outcomes, parts == 0)
    buyers = int((targets != VALUE_LABELS.index("low")).sum())
    counts = np.bincount(targets, minlength=len(VALUE_LABELS))
    if buyers < MIN_BUYERS or counts.min() < MIN_PER_LABEL:
        raise OperationError(_too_few(s, buyers, counts, horizon, at, events, end))
    return Task(
        segmentation=segmentation,
        labels=VALUE_LABELS,
        users=users,
        targets=targets,
        parts=parts,
        frame=frame,
        events=past,
        spec=spec,
        as_of=at,
        cutoff=at,
        horizon=horizon,
        known_from=until,
        thresholds=thresholds,
        value=outcomes["spend"].to_numpy(),
        policy={"label": "future_value", "cutoff": at, "horizon_days": horizon, "known_from": until},
    )


def given_task(s: Session, label: str, segmentation: str, seed: int) -> Task:
    """Users that carry the attribute `label`, learnt from everything else known of them now."""
    from engine.training import split

    at = s.require_as_of()
    events = s.events(before=at)
    attributes = s.attributes()
    names = attributes["name"].unique().sort().to_list()
    if label not in names:
        known = ", ".join(names) or "none, import a table with 'segtui import --format table'"
        raise OperationError(f"No user has an attribute {label!r} to learn: there are {known}.")
    others = attributes.filter(pl.col("name") != label)
    spec = spec_for(events, s.settings.timezone, others)
    frame = features(events, s.identity(), at, spec, others)
    targets, labels = given_labels(
        attributes.filter(pl.col("occurred_at") < at), label, frame["user"].to_numpy()
    )
    frame = frame.filter(pl.Series(targets >= 0))
    targets = targets[targets >= 0]
    counts = np.bincount(targets, minlength=len(labels))
    if len(labels) < 2 or counts.min() < MIN_PER_LABEL:
        told = ", ".join(f"{name} {count}" for name, count in zip(labels, counts, strict=True))
        raise OperationError(
            f"Label {label!r} has {told}: training needs two labels with {MIN_PER_LABEL} users each."
        )
    users = frame["user"].to_numpy()
    return Task(
        segmentation=segmentation,
        labels=tuple(labels),
        users=users,
        targets=targets,
        parts=split(users, seed),
        frame=frame,
        events=events,
        spec=spec,
        as_of=at,
        cutoff=None,
        horizon=None,
        known_from=None,
        thresholds={},
        value=None,
        policy={"label": "given", "attribute": label, "known_from": None},
    )


def _too_few(
    s: Session, buyers: int, counts: np.ndarray, horizon: int, at: int, events: pl.DataFrame, end: int
) -> str:
    """The refusal, with a horizon that would fit where one does."""
    told = ", ".join(f"{name} {count}" for name, count in zip(VALUE_LABELS, counts.tolist(), strict=True))
    text = (
        f"Too few to learn from: {buyers} buyers in the {horizon} d after {s.iso(at)[:10]} ({told}), "
        f"needed are {MIN_BUYERS} and {MIN_PER_LABEL} users per label"
    )
    for longer in (90, 180, 270, 365):
        start = s.ticks.days_before(end, longer)
        before = events.filter(pl.col("occurred_at") < start)["user"].unique()
        bought = events.filter(
            (pl.col("occurred_at") >= start)
            & (pl.col("kind").cast(pl.String) == "purchase")
            & pl.col("user").is_in(before.implode())
        )["user"].n_unique()
        if longer > horizon and bought >= MIN_BUYERS:
            return f"{text}; --horizon {longer}d would have {bought} buyers."
    return f"{text}; import more history first."


def _fit(
    task: Task, kind: str, training: Any, structure: Any, progress: Progress, cancelled: Cancelled
) -> tuple[Model, Any]:
    from engine.encoding import Encoder
    from engine.model import Model
    from engine.models import KINDS
    from engine.training import Inputs, Trained, train

    learner = task.parts == 0
    names = [name for name in task.frame.columns if name != "user"]
    encoder = Encoder.fit(task.frame.filter(pl.Series(learner)), names, kind=KINDS[kind].encoding)
    sequence_spec, binned = None, None
    if KINDS[kind].reads_sequences:
        from engine.sequences import sequence_spec_for, sequences

        sequence_spec = sequence_spec_for(task.spec)
        if not sequence_spec.channels:
            raise OperationError(
                f"A {kind} reads sequences of behaviour and the log has none, only attributes: "
                "train an mlp or a logistic model."
            )
        binned = sequences(task.events, _nobody(), task.as_of, sequence_spec, task.users)

    def on_epoch(epoch: Any) -> None:
        progress(
            f"epoch {epoch.epoch}: train loss {epoch.train_loss:.4f}, validation {epoch.valid_loss:.4f}",
            epoch.epoch / training.epochs,
        )

    fitted: Trained = train(
        kind,
        Inputs(encoder.transform(task.frame), binned),
        task.targets,
        task.parts,
        len(task.labels),
        training,
        on_epoch=on_epoch,
        cancelled=cancelled,
        options=structure,
    )
    policy = task.policy | {"thresholds": task.thresholds, "seed": training.seed}
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
    )


def _nobody() -> pl.DataFrame:
    return pl.DataFrame(schema={"user": pl.Int64, "canonical": pl.Int64})


def judge(model: Model, task: Task) -> dict[str, Any]:
    """Metrics on the task's test users, and the baselines' on the same users."""
    from engine.evaluation import baselines, metrics

    test = task.parts == TEST
    return {
        "test": metrics(
            task.targets[test],
            probabilities(model, task, test),
            None if task.value is None else task.value[test],
            task.labels,
        ),
        "baselines": baselines(task.frame, task.targets, task.parts, task.value, task.labels),
    }


def probabilities(model: Model, task: Task, chosen: np.ndarray) -> np.ndarray:
    """float64[chosen users, labels] of a model at the task's as-of."""
    from engine.scoring import Scorer

    binned = None
    if model.sequence_spec is not None:
        from engine.sequences import sequences

        binned = sequences(task.events, _nobody(), task.as_of, model.sequence_spec, task.users[chosen])
    frame = task.frame.filter(pl.Series(chosen))
    return Scorer(model).scores(frame, binned) / 1_000_000


def _may_promote(
    s: Session, previous: Segmentation | None, test: dict[str, Any], task: Task
) -> tuple[bool, str]:
    """Whether a new model is first, or not worse than the current one on the same held-out users."""
    if previous is None or previous.model is None:
        return True, "the first model"
    from segtui.operations.deciders import load_model

    current = load_model(s.store, previous.model)
    if current.labels != task.labels:
        return False, "the current model has other labels: promote it yourself"
    from engine.evaluation import metrics

    chosen = task.parts == TEST
    value = None if task.value is None else task.value[chosen]
    frame = features(task.events, s.identity(), task.as_of, current.feature_spec, s.attributes())
    theirs = metrics(
        task.targets[chosen], probabilities(current, replace(task, frame=frame), chosen), value, task.labels
    )
    told = f"log-loss {test['log_loss']:.4f} against {theirs['log_loss']:.4f} of {current.short}"
    return test["log_loss"] <= theirs["log_loss"], told


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


def _iso(s: Session, instant: int | None) -> str | None:
    return None if instant is None else s.iso(instant)
