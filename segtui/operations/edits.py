"""An edit of what decides a segmentation: pending rescore, decision and movers, in one commit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from db import vocabulary
from db.store import Transaction
from segtui.operations.deciders import Decider
from segtui.operations.definitions import definitions
from segtui.operations.plans import Plan, backfill, last_rescore, pending
from segtui.operations.progress import Cancelled, Progress
from segtui.operations.rescoring import Edit, Run
from segtui.operations.session import Session


class EditRun:
    """An edit inside a transaction that the caller commits, or rolls back after a preview."""

    def __init__(
        self,
        s: Session,
        tx: Transaction,
        segmentation: str,
        decision: tuple[str, dict[str, Any]],
        *,
        cause: str,
        beside: Sequence[tuple[str, dict[str, Any]]] = (),
        back_to: int | None = None,
        deciders: Mapping[str, Decider] | None = None,
        progress: Progress,
        cancelled: Cancelled,
    ) -> None:
        """Appends the pending rescore, the decision (kind, body) and the rescore it runs.

        Segmentations that refer to the one edited follow in the same commit. `back_to`: an as-of after which
        the edited one is gone over again, in a new pass of its own. `deciders`: see Run.walk. `beside`:
        decisions that go with the edit, appended just before it.
        """
        self._s = s
        self.name = segmentation
        self._run = Run(s, tx, progress, cancelled)
        now = s.require_as_of()
        scored = last_rescore(s) is not None
        if scored:
            self._run.walk(pending(s, to=now), keep=back_to)
        self.before = self._run.memberships(segmentation)
        for each in beside:
            tx.append_decision(*each)
        kind, body = decision
        if s.undoing is not None:
            body = body | {"undoes": s.undoing}
        edit = Edit(cause, tx.append_decision(kind, body), segmentation)
        found = definitions(s)
        own = frozenset({segmentation})
        dependents = found.dependents(segmentation) if segmentation in found.segmentations else own
        head = s.store.head()
        if back_to is not None:
            self._run.walk(backfill(s, start=back_to, to=now, only=own), edit=edit)
            if dependents > own:
                plan = Plan([now], now, s.ticks.previous(now), head, full=True, only=dependents - own)
                self._run.walk(plan, edit=edit)
        elif scored:
            plan = Plan([now], now, s.ticks.previous(now), head, only=dependents)
            self._run.walk(plan, edit=edit, deciders=deciders)
        else:
            self._run.walk(Plan([now], None, None, 0, full=True), edit=edit, deciders=deciders)
        self.after = self._run.memberships(segmentation)

    def finish(self) -> dict[str, Any]:
        """Appends the changes; returns the totals of the run."""
        return self._run.finish()

    def sizes(self) -> pl.DataFrame:
        """label (vocabulary number), users, expected (millionths, if there are any) after the edit."""
        return self._run.sizes(self.name)

    def movers(self) -> pl.DataFrame:
        """user, label, label_after (vocabulary numbers) of who moved since the pending rescore, by user."""
        both = self.before.join(self.after, on="user", how="full", suffix="_after", coalesce=True)
        return both.filter(pl.col("label").ne_missing(pl.col("label_after"))).sort("user")

    def flows(self) -> list[list[Any]]:
        """[from, to, users] of the movers, largest first."""
        names = vocabulary.texts(self._s.store, "label")
        counted = (
            self.movers()
            .group_by("label", "label_after")
            .len()
            .sort("len", "label", "label_after", descending=[True, False, False], nulls_last=True)
        )
        return [
            [None if left is None else names[left], None if to is None else names[to], count]
            for left, to, count in counted.iter_rows()
        ]
