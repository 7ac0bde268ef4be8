"""Training a segmentation's model on the log, judging it on users it never saw, and promoting it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from engine.labels import OUTCOMES
from engine.splits import TEST
from segtui.operations import words
from segtui.operations.automatic import AUTO, BUDGET, ORDER, choose
from segtui.operations.compilation import use_cache
from segtui.operations.definitions import Definitions, definitions
from segtui.operations.errors import OperationError
from segtui.operations.fitting import Heard, Recipe, Watch, fit, unheard
from segtui.operations.judgement import compare, judge
from segtui.operations.label_rules import naming
from segtui.operations.policies import carried
from segtui.operations.preparing import Choice
from segtui.operations.progress import Cancelled, Progress, Stopped, never, quiet
from segtui.operations.promotion import promote_in
from segtui.operations.segment import refuse_word
from segtui.operations.session import Session
from segtui.operations.tasks import Task, given_task, outcome_task
from segtui.operations.times import iso_or_none, parse_days
from segtui.operations.twin import Twin, window
from segtui.operations.warm import Warm

if TYPE_CHECKING:
    from engine.model import Model
    from engine.training import Trained

MAX_HORIZON = 3_650

ORIGINS = 1
"""Earlier cutoffs to learn from as well, unless told: what they gain is measured in docs/decisions.md."""


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
    origins: int = ORIGINS,
    name: str | None = None,
    promote: bool | None = None,
    twin: bool = True,
    warm: bool = False,
    budget: float = BUDGET,
    options: Mapping[str, str] | None = None,
    progress: Progress = quiet,
    cancelled: Cancelled = never,
    heard: Heard = unheard,
) -> dict[str, Any]:
    """Trains one model and records it; promotes it when first or not worse, unless told.

    `policy` says what of the future a label is (engine.labels.OUTCOMES); `label` names an attribute to learn
    instead. `cutoff` is an instant in µs (default: the last one whose horizon is over), `origins` how many
    earlier ones to learn from as well. With `twin` the recipe is tested by a second model, learnt one horizon
    earlier, on the window that is then new (segtui.operations.twin). `kind` "auto" tries them all within
    `budget` seconds (segtui.operations.automatic); `warm` goes on from the current model instead, with its
    kind and seed (segtui.operations.warm). `heard` is told the losses of each epoch.

    Raises OperationError when outcomes are not known yet or too few users would be learnt from, EngineError
    for settings out of range, Stopped when called off before the first epoch. Called off later, the best
    model so far is recorded as that (`called_off`), and promoted only when told to be.
    """
    started = time.monotonic()
    if policy not in OUTCOMES:
        raise OperationError(f"No label policy {policy!r}: there are {', '.join(OUTCOMES)}.")
    if label is not None and policy != "future_value":
        raise OperationError(f"A given label has no policy: use --label {label} or --policy {policy}.")
    if label is not None and warm:
        raise OperationError("A given label has nothing new to go on with: train without --warm.")
    with s.holding_events():
        own = segmentation or label or ("value" if policy == "future_value" else policy)
        watch = Watch(progress, cancelled, heard)
        asked = _Asked(kind, optimizer, seed, options or {})
        _check_free(definitions(s), own)
        going: Warm | None = None
        how: dict[str, Any] = {}
        if warm:
            _check_name(definitions(s), name)
            progress("reading the log", None)
            going = Warm(s, own, policy, cutoff, _horizon(horizon), optimizer, options or {})
            task, recipe = going.task, going.recipe
        else:
            choice = asked.check()
            _check_name(definitions(s), name, kind=kind, segmentation=own, seed=seed)
            progress("reading the log", None)
            task = (
                given_task(s, label, own, seed, choice)
                if label is not None
                else outcome_task(s, policy, own, cutoff, _horizon(horizon), seed, choice, origins)
            )
        use_cache()
        if cancelled():
            raise Stopped
        chosen = None
        if going is None and kind == AUTO:
            chosen = choose(task, asked.recipe, budget, watch)
            recipe, how = chosen.recipe, {"choice": chosen.told}
        else:
            recipe = going.recipe if going else asked.recipe(kind)
        own_test = twin and going is None
        # Called off while it chose a kind, it has what it keeps and begins nothing more.
        tested = Twin(s, task, recipe, origins) if own_test and not cancelled() else None
        with tested.beside(replace(watch, doing="twin, ")) if tested else nullcontext() as wait:
            if chosen is not None:
                model, fitted, preparation = chosen.model, chosen.fitted, chosen.preparation
            else:
                model, fitted, preparation = fit(task, recipe, watch)
            how = {"warm": going.told(s, model)} if going else how
            progress("judging on users it never saw", None)
            metrics = judge(model, task) | {"window": window(s, task, int((task.parts == TEST).sum()))}
            if tested is not None and wait is not None and not cancelled():
                wait()
            if own_test:
                finished = tested if not cancelled() else None
                metrics["twin"] = finished.told if finished else {"why": "training was called off"}
        body = _body(s, task, model, fitted, metrics) | {"preparation": preparation} | how
        made = _Made(task, model, body, started)
        if not cancelled():
            try:
                return _record(s, made, name, promote, progress, cancelled)
            except Stopped:
                # Called off while everyone was rescored: the model is kept, what it would have decided not.
                promote = None
        return _record(s, replace(made, called_off=True), name, promote or False, progress, never)


@dataclass(frozen=True)
class _Made:
    """A model, what it learnt, what the decision says of it, when training began; and whether it was called
    off, so that this is the best so far."""

    task: Task
    model: Model
    body: dict[str, Any]
    started: float
    called_off: bool = False


def _record(
    s: Session, made: _Made, name: str | None, promote: bool | None, progress: Progress, cancelled: Cancelled
) -> dict[str, Any]:
    """Records the model and perhaps promotes it, in one commit; what `train` returns."""
    task, model, body = made.task, made.model, made.body
    rescored = None
    with s.store.transaction(actor=s.actor, source="train") as tx:
        found = definitions(s)
        held = found.segmentations.get(task.segmentation)
        current = held.model if held else None
        known = found.models.get(model.digest)
        wins, why = _verdict(s, found, current, model, task, promote)
        if made.called_off:
            body = body | {"called_off": True}
            why = f"training was called off, this is the best of {words.plural(body['epochs'], 'epoch')}"
        lost = (
            naming(found, task.segmentation, set(held.labels) - set(task.labels)) if wins and held else None
        )
        if lost is not None:
            wins, why = False, f"{lost[1]}, which it does not know: edit that rule, then promote it"
        seconds = round(time.monotonic() - made.started, 3)
        if known is None:
            _check_name(found, name)
            body = body | {
                "name": name or _free_name(found, f"{model.kind}-{model.short[:4]}"),
                "previous": current,
            }
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
        "seconds": round(time.monotonic() - made.started, 3),
        "training_seconds": known["seconds"] if known else seconds,
        "promoted": wins or current == model.digest,
        "why": why,
        "rescored": rescored,
        "note": note,
    }


@dataclass(frozen=True)
class _Asked:
    """What was asked of a model, from which a recipe of any kind can be made."""

    kind: str
    optimizer: str
    seed: int
    options: Mapping[str, str]

    def check(self) -> Choice:
        """What it is to read. Raises OperationError or EngineError for a setting that is none."""
        return self.recipe(ORDER[0] if self.kind == AUTO else self.kind).choice

    def recipe(self, kind: str) -> Recipe:
        """The recipe of a kind."""
        from segtui.operations.settings import training_settings

        choice, rest = Choice.parse(self.options)
        training, structure = training_settings(kind, self.optimizer, self.seed, rest)
        return Recipe(kind, training, structure, choice)


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
    compared = compare(s, found.models[current], model, task)
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


def _check_free(found: Definitions, segmentation: str) -> None:
    """Refuses a segmentation whose labels are none to learn, and a new one that no rule could name."""
    held = found.segmentations.get(segmentation)
    if held is None:
        refuse_word(segmentation)
        return
    if held.kind == "model" and not held.discovered:
        return
    by = "scores made elsewhere" if held.scores else f"a {held.kind}"
    how = "was discovered" if held.discovered else f"is decided by {by}"
    raise OperationError(
        f"{segmentation!r} {how}, so there is nothing to train for it: choose another --segmentation."
    )


def _horizon(text: str) -> int:
    """Whole days, at most ten years."""
    days = parse_days(text)
    if days > MAX_HORIZON:
        raise OperationError(f"A horizon of {text} is too long: use at most {MAX_HORIZON}d.")
    return days


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
