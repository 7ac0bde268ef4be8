"""Replaying the past as another model or rule would have decided it, beside what was recorded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import polars as pl

from db import log, projections, vocabulary
from segtui.operations.deciders import Decider, Evidence, Scored
from segtui.operations.definitions import Definitions, definitions
from segtui.operations.errors import OperationError
from segtui.operations.plans import backfill
from segtui.operations.progress import Cancelled, Progress, Stopped, never, quiet
from segtui.operations.promotion import promotion
from segtui.operations.replay import replay
from segtui.operations.rescoring import Edit, Run
from segtui.operations.rule_deciders import nothing
from segtui.operations.segment import rule_decision
from segtui.operations.session import Session

DEFAULT_TICKS = 90

State = dict[str, dict[str, np.ndarray]]


def what_if(
    s: Session,
    *,
    from_: int | None = None,
    to: int | None = None,
    model: str | None = None,
    define: tuple[str, str] | None = None,
    feed: bool = False,
    progress: Progress = quiet,
    cancelled: Cancelled = never,
) -> Iterator[dict[str, Any]]:
    """Frames as `replay` gives them, decided again; nothing is written to the log.

    Under `model`, under the rule `define` (name, expression) of a new or known segment, or with neither under
    what decides today. Segments that read the one changed follow; what they read besides is taken as
    recorded. `differs` counts the users who hold another label than recorded, by segmentation. Default range:
    the last 90 ticks. Other writers wait meanwhile. Raises OperationError as `replay` does, EngineError for a
    rule that cannot be read.
    """
    now = s.require_as_of()
    start = s.ticks.shift(now, -DEFAULT_TICKS) if from_ is None else s.ticks.at_or_after(from_)
    end = now if to is None else min(s.ticks.at_or_after(to), now)
    if start >= end:
        raise OperationError(f"No tick ends after {s.iso(start)} and up to {s.iso(end)}: widen the range.")
    position = s.store.head()
    told: list[dict[str, Any]] = []
    try:
        with s.store.transaction(actor=s.actor, source="what-if") as tx:
            run = Run(s, tx, progress, cancelled)
            edit = None
            changed = _changed(s, model, define)
            if changed is not None:
                name, cause, decision = changed
                edit = Edit(cause, tx.append_decision(*decision), name)
            found = definitions(s)
            names, read = _affected(found, edit)
            plan = backfill(s, start=start, to=end, full=bool(read), only=names | read.keys())
            deciders: Mapping[str, Decider] = {
                name: Recorded(s, name, labels, plan.held_at or 0, position) for name, labels in read.items()
            }
            run.walk(plan, edit=edit, deciders=deciders)
            run.finish()
            told = _beside(s, start, end, position, sorted(names), feed=feed)
            raise Stopped
    except Stopped:
        if not told:
            raise
    return iter(told)


def _changed(
    s: Session, model: str | None, define: tuple[str, str] | None
) -> tuple[str, str, tuple[str, dict[str, Any]]] | None:
    """Segmentation, cause and decision (kind, body) of what is tried."""
    found = definitions(s)
    if model is not None:
        trained = found.find_model(model)
        previous = found.segmentation(trained["segmentation"]).model
        return trained["segmentation"], "model", promotion(trained | {"previous": previous})
    if define is not None:
        name, where = define
        return name, "definition", rule_decision(s, found, name, where)
    return None


def _affected(found: Definitions, edit: Edit | None) -> tuple[frozenset[str], dict[str, tuple[str, ...]]]:
    """The segmentations decided again, and the labels of those they read besides."""
    if edit is None:
        return frozenset(name for name, each in found.segmentations.items() if each.decided), {}
    names = found.dependents(edit.segmentation)
    read = {other for name in names for other in found.segmentations[name].refers} - names
    return names, {name: found.segmentations[name].all_labels for name in sorted(read)}


def _beside(
    s: Session, start: int, end: int, position: int, names: list[str], *, feed: bool
) -> list[dict[str, Any]]:
    """The frames decided again, each with how many users differ from the frame recorded."""
    recorded, again = _Last(), _Last()
    known = {name for name in names if vocabulary.number(s.store, "segmentation", name) is not None}
    told = []
    for _, frame in zip(
        replay(s, from_=start, to=end, position=position, digest_of=recorded.digest),
        replay(s, from_=start, to=end, feed=feed, digest_of=again.digest),
        strict=True,
    ):
        differs = {
            name: _differing(recorded.state.get(name, {}), again.state.get(name, {})) for name in known
        }
        told.append(frame | {"differs": dict(sorted(differs.items()))})
    return told


class _Last:
    """Keeps the state whose digest was asked for last."""

    def __init__(self) -> None:
        self.state: State = {}

    def digest(self, state: State) -> str:
        self.state = state
        return projections.digest_of(state)


def _differing(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> int:
    """How many users hold another label, or a label in one of the two only."""
    none = np.array([], np.int64)
    same = sum(
        len(np.intersect1d(users, other.get(label, none), assume_unique=True)) for label, users in one.items()
    )
    everyone = np.union1d(*(np.concatenate([none, *state.values()]) for state in (one, other)))
    return len(everyone) - same


class Recorded:
    """The labels that the log recorded, tick by tick."""

    model: str | None = None
    known_from: int | None = None
    refers: tuple[str, ...] = ()
    keeps = False

    def __init__(self, s: Session, name: str, labels: tuple[str, ...], start: int, position: int) -> None:
        self.labels = labels
        self.spec = nothing(s.ticks.zone)
        number = vocabulary.number(s.store, "segmentation", name)
        texts = vocabulary.texts(s.store, "label")
        self._codes = {code: labels.index(text) for code, text in texts.items() if text in labels}
        held = pl.DataFrame(schema=projections.MEMBERSHIPS)
        self._changes = pl.DataFrame(schema=log.CHANGES)
        if number is not None:
            held = projections.memberships(s.store, number, as_of=start, position=position)
            self._changes = log.changes(s.store, segmentation=number, as_of_from=start, position=position)
        self._held = dict(zip(held["user"].to_list(), held["label"].to_list(), strict=True))
        self._read = 0

    def decide(self, frame: pl.DataFrame, evidence: Evidence, as_of: int, closed: np.ndarray) -> Scored:
        """The label recorded for `as_of`; as-ofs ascend from call to call."""
        upto = int((self._changes["as_of"] <= as_of).sum())
        new = self._changes[self._read : upto]
        self._held.update(zip(new["user"].to_list(), new["to_label"].to_list(), strict=True))
        self._read = upto
        codes = [self._codes.get(self._held.get(user) or 0, -1) for user in frame["user"].to_list()]
        return None, np.array(codes, np.int32)

    def reasons(
        self,
        before: tuple[Evidence, int],
        after: tuple[Evidence, int],
        users: np.ndarray,
        moved_from: np.ndarray,
        moved_to: np.ndarray,
        labels: tuple[pl.DataFrame, pl.DataFrame],
    ) -> list[str]:
        """Why is in the log; here it is only read."""
        return ["recorded"] * len(users)
