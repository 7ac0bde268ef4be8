"""Going on from the current model: what is new, what it learnt from, and that nothing is forgotten."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from engine.labels import apply_outcome
from engine.splits import TEST, learnt_parts
from segtui.operations.deciders import load_model
from segtui.operations.definitions import definitions
from segtui.operations.errors import OperationError
from segtui.operations.evaluate import EDITED
from segtui.operations.fitting import Recipe
from segtui.operations.judgement import probabilities
from segtui.operations.preparing import Choice
from segtui.operations.session import Session
from segtui.operations.settings import training_settings
from segtui.operations.tasks import Origin, Task, outcome_task
from segtui.operations.times import day
from segtui.operations.twin import window
from segtui.operations.unseen import earlier_parts, parts_going_on, past

if TYPE_CHECKING:
    from engine.model import Model

SETTINGS = {"epochs": "4", "patience": "2"}
"""Few epochs, as what is learnt already needs none: a fifth to seventh gained nothing on users never seen."""


class Warm:
    """The current model of a segmentation, the task it learnt, and the newer one it goes on with."""

    def __init__(
        self,
        s: Session,
        segmentation: str,
        policy: str,
        cutoff: int | None,
        horizon: int,
        optimizer: str,
        settings: Mapping[str, str],
    ) -> None:
        """Raises OperationError where there is no such model, it answers another question, or nothing is new
        since."""
        from engine.models import complete_options

        found = definitions(s)
        held = found.segmentations.get(segmentation)
        if held is None or held.model is None:
            raise OperationError(
                f"There is no model of {segmentation!r} to go on from: train one without --warm."
            )
        self.model: Model = load_model(s.store, held.model)
        asked, known = (policy, horizon), self.model.policy
        if EDITED & known.keys():
            raise OperationError(
                f"The labels of the current model of {segmentation!r} were added, cut or merged by hand: "
                "no outcome tells who should hold them, so train without --warm."
            )
        if known["label"] == "given":
            raise OperationError(
                f"The current model of {segmentation!r} learnt the given label {known['attribute']!r}, which "
                "has nothing new to go on with: train without --warm."
            )
        if asked != (known["label"], known.get("horizon_days")):
            raise OperationError(
                f"The current model of {segmentation!r} learnt {known['label']} within "
                f"{known.get('horizon_days')} d, not {policy} within {horizon} d: train without --warm."
            )
        fixed = [name for name in settings if name in self.model.options]
        if fixed:
            raise OperationError(
                f"The setting {fixed[0]} is part of the model that --warm goes on from: train without --warm."
            )
        encoder = self.model.encoder
        choice = Choice(encoding=encoder.kind, preparation=encoder.preparation, fixed=self.model.feature_spec)
        seed = int(known["seed"])
        training, _ = training_settings(self.model.kind, optimizer, seed, SETTINGS | dict(settings))
        self.recipe = Recipe(self.model.kind, training, self.model.options, choice, self.model)
        new = outcome_task(s, policy, segmentation, cutoff, horizon, seed, choice)
        if new.as_of <= known["cutoff"]:
            zone = s.ticks.zone
            raise OperationError(
                f"Nothing is new to go on with: the current model learnt outcomes after "
                f"{day(known['cutoff'], zone)}, asked for are those after {day(new.as_of, zone)}."
            )
        self.old = outcome_task(s, policy, segmentation, known["cutoff"], horizon, seed, choice)
        self._members = complete_options(self.model.kind, self.model.options).get("members", 1)
        self.before = past(s, found.models[held.model], new.evidence)
        persons = new.evidence.identity
        new = replace(new, parts=parts_going_on(persons, new.users, new.parts, self.before, self._members))
        again = self._replayed(new)
        told = {"from": self.model.digest, "replayed": len(again.users)}
        self.task = replace(new, earlier=(again,), policy=new.policy | {"warm": told})

    def _replayed(self, new: Task) -> Origin:
        """Whom the model learnt from, as they were then, under the new thresholds."""
        parts = earlier_parts(new.evidence.identity, self.old.users, new.users, new.parts)
        learnt = learnt_parts(self._members)
        rows = np.flatnonzero(np.isin(self.old.parts, learnt) & np.isin(parts, learnt))
        return Origin(
            self.old.as_of,
            self.old.users[rows],
            parts[rows],
            self._targets(self.old, new.thresholds)[rows],
            self.old.frame[rows],
        )

    def _targets(self, task: Task, thresholds: Mapping[str, float]) -> np.ndarray:
        assert task.outcomes is not None
        return apply_outcome(task.policy["label"], task.outcomes, thresholds)

    def told(self, s: Session, model: Model) -> dict[str, Any]:
        """What it went on from, and the log-loss before and after on test users of both windows, under the
        new thresholds."""
        from engine.evaluation import losses

        learnt = np.concatenate([self.before.shown, self.task.users[self.task.parts != TEST]])
        known = self.task.evidence.identity.among(self.old.users, learnt)
        windows = []
        for task, test in (
            (self.old, (self.old.parts == TEST) & ~known),
            (self.task, self.task.parts == TEST),
        ):
            if not test.any():
                continue
            frame, truth = task.frame.filter(pl.Series(test)), self._targets(task, self.task.thresholds)[test]
            before, after = (
                float(losses(truth, probabilities(each, frame, task.evidence, task.as_of)).mean())
                for each in (self.model, model)
            )
            windows.append(window(s, task, int(test.sum())) | {"before": before, "after": after})
        return {**self.task.policy["warm"], "windows": windows}
