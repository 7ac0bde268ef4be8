"""The recipe's test on a window that nobody saw: a twin of the model, trained one horizon earlier."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from engine.errors import EngineError
from engine.labels import apply_outcome
from engine.splits import TEST
from segtui.operations.errors import OperationError
from segtui.operations.fitting import Recipe, Watch, fit
from segtui.operations.judgement import probabilities
from segtui.operations.session import Session
from segtui.operations.tasks import Task, earlier_task
from segtui.operations.times import iso_or_none

if TYPE_CHECKING:
    from engine.model import Model

MOST_BESIDE = 200_000
"""Of so many users two models are fitted at once."""


class Twin:
    """The same recipe, learnt one horizon before a task, and what it says of the task's own window."""

    def __init__(self, s: Session, task: Task, recipe: Recipe, origins: int) -> None:
        self._s, self._task, self._recipe = s, task, recipe
        self._before: Task | str = "a given label has no earlier window"
        if task.horizon is not None:
            self._before = earlier_task(s, task, recipe.training.seed, recipe.choice, origins)
        why = self._before if isinstance(self._before, str) else "it was called off"
        self.told: dict[str, Any] = {"why": why}
        """What it says of the task's window, on users it never saw: {cutoff, window, metrics, baselines}, the
        baselines fitted on what the twin knew; or {why} where there is none to ask."""

    def learn(self, watch: Watch) -> None:
        """Fits and judges it, where there is history enough; reads nothing of the store, so that another
        thread may.

        Where that fails it says why, as the model itself is as good without a twin.
        """
        if isinstance(self._before, str):
            return
        try:
            model, _, _ = fit(self._before, self._recipe, watch)
            if not watch.cancelled():
                self.told = self._judged(self._before, model)
        except (EngineError, OperationError) as error:
            self.told = {"why": str(error).removesuffix(".")}

    @contextmanager
    def beside(self, watch: Watch) -> Iterator[Callable[[], None]]:
        """Fits it in a thread of its own while the block does other things, which may wait for it by what is
        given; of many users, who take much memory, only then."""
        if len(self._task.users) > MOST_BESIDE:
            yield lambda: self.learn(watch)
            return
        left = threading.Event()
        own = Watch(cancelled=lambda: watch.cancelled() or left.is_set())
        with ThreadPoolExecutor(1) as thread:
            begun = thread.submit(self.learn, own)

            def wait() -> None:
                watch.progress(f"{watch.doing}learning one horizon earlier", None)
                begun.result()

            try:
                yield wait
            finally:
                left.set()

    def _judged(self, before: Task, model: Model) -> dict[str, Any]:
        from engine.evaluation import Sample, baselines, metrics

        task = self._task
        assert task.outcomes is not None
        persons = task.evidence.identity
        new = ~persons.among(task.users, before.users[before.parts != TEST])
        if not new.any():
            return {"why": "nobody in the window is new to it"}
        users = task.users[new]
        frame = task.evidence.features(task.as_of, model.feature_spec, users)
        labels = apply_outcome(task.policy["label"], task.outcomes, before.thresholds)[new]
        judged = Sample(frame, labels, None if task.value is None else task.value[new])
        given = probabilities(model, frame, task.evidence, task.as_of)
        learnt = Sample(before.frame, before.targets, before.value).only(before.parts != TEST)
        newcomers = int((~persons.among(users, before.users)).sum())
        return {
            "cutoff": iso_or_none(before.cutoff, self._s.ticks.zone),
            "window": window(self._s, task, len(users)) | {"newcomers": newcomers},
            "metrics": metrics(labels, given, judged.value, task.labels),
            "baselines": baselines(learnt, judged, task.labels),
        }


def window(s: Session, task: Task, users: int) -> dict[str, Any]:
    """When the outcomes of a task lie, and how many users were judged on them."""
    zone = s.ticks.zone
    return {
        "cutoff": iso_or_none(task.cutoff, zone),
        "until": iso_or_none(task.known_from, zone),
        "users": users,
    }
