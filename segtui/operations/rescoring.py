"""One run of rescores inside one transaction: which as-ofs, who is due, what changes, and why.

A run walks its as-ofs in order and all decided segmentations at each. Decisions are appended as they
come, changes are kept until the end, so that a commit holds one range per stream.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import polars as pl

from db import carried, forgetting, log, projections, vocabulary
from db.log import Decision
from db.store import Transaction
from engine.features import features, longest_window
from engine.starter import fit_starter
from segtui.operations.deciders import Decider, Evidence, starter_spec
from segtui.operations.deciding import decider_of
from segtui.operations.definitions import Definitions, Segmentation, definitions
from segtui.operations.due import Evaluated
from segtui.operations.errors import OperationError
from segtui.operations.holdings import Holdings
from segtui.operations.moved_by import Outcome
from segtui.operations.persons import Persons
from segtui.operations.plans import Plan, governing_rescore
from segtui.operations.progress import Cancelled, Progress, Stopped
from segtui.operations.reach import Reach, reach
from segtui.operations.reasons import Reasons
from segtui.operations.recorded import Recorded, Referred
from segtui.operations.session import Session
from segtui.operations.stays import Stays
from segtui.operations.steps import RENAMED, Coming, Step
from segtui.operations.times import iso

STARTER_WINDOW = 365


@dataclass(frozen=True)
class Edit:
    """The decision that ran a rescore, and which segmentation it touched; None for all."""

    cause: str
    seq: int
    segmentation: str | None


class Run:
    """Rescores inside a transaction; `walk` may be called several times before `finish`."""

    def __init__(
        self,
        s: Session,
        tx: Transaction,
        progress: Progress,
        cancelled: Cancelled,
        *,
        narrow: bool = False,
        doing: str = "rescoring",
    ) -> None:
        """`narrow`: one walk, of the pending plan, is all there will be; it need not look at everyone.

        `doing`: what the progress is called.
        """
        self.s = s
        self.tx = tx
        self.progress = progress
        self.cancelled = cancelled
        self.steps: list[dict[str, Any]] = []
        self.holdings: dict[str, Holdings] = {}
        self.reach = Reach(s)
        self._narrow = narrow
        self._doing = doing
        self._deciders: dict[str, Decider] = {}
        self.changes: list[pl.DataFrame] = []
        """Of all moves, once it is finished."""
        self._reasons = Reasons()
        self._sizes: list[pl.DataFrame] = []
        self._position = s.store.head()
        self._kept: dict[str, Holdings] = {}
        self._recorded: dict[str, Recorded] = {}
        self._erased = forgetting.erased(s.store)
        self._endings: list[pl.DataFrame] = []

    def walk(
        self,
        plan: Plan,
        *,
        edit: Edit | None = None,
        keep: int | None = None,
        deciders: Mapping[str, Decider] | None = None,
    ) -> None:
        """Goes through the plan's as-ofs; records nothing for steps at which nothing was due.

        `keep`: the as-of whose end a pass that a later walk opens starts from. `deciders`: those of an edit,
        by segmentation, instead of the recorded ones.
        """
        found = definitions(self.s)
        names = self._names(found, plan, deciders or {})
        if not names:
            raise OperationError(
                "Nothing decides memberships yet: the starter rule needs purchases, a given label a model; "
                "import orders, or run 'segtui train --label COLUMN'."
            )
        if self._narrow:
            self.reach = reach(self.s, plan, [self.tx.number("segmentation", name) for name in names])
        for name in names:
            self._hold(found, name, plan)
        self._recorded = self._played(found, names, plan)
        evidence = self._evidence(plan, edit)
        coming = Coming(plan, evidence)
        evaluated = {
            name: Evaluated(coming, evidence, self.reach.last_events, self.s.ticks) for name in names
        }
        for index, as_of in enumerate(plan.as_ofs):
            if self.cancelled():
                raise Stopped
            self.progress(f"{self._doing} {iso(as_of, self.s.ticks.zone):.10}", index / len(plan.as_ofs))
            started = time.monotonic()
            now = coming.step(index)
            outcomes: list[Outcome] = []
            for held in self.holdings.values():
                if index > 0:
                    held.close()
                held.begin()
            for recorded in self._recorded.values():
                recorded.advance(as_of)
            for name in names:
                held = self.holdings[name]
                edited = self._edited(found, name, plan, edit) if index == 0 else None
                decider = self._deciders[name]
                referred = [self._referred(found, each, plan) for each in decider.refers]
                everyone = edited is not None and (edit is None or edit.segmentation == name)
                step = replace(now, everyone=now.everyone or everyone or held.unscored, edit=edited)
                meanwhile = partial(evaluated[name].look_ahead, index + 1, decider)
                outcome = held.step(step, decider, evaluated[name], referred, meanwhile)
                if outcome is None:
                    continue
                outcomes.append(outcome)
                self._record(held, step, outcome, plan, index)
            if outcomes:
                self._report(as_of, names, outcomes, started)
            if as_of == keep:
                self._kept = {name: held.copied() for name, held in self.holdings.items()}
        self._reasons.ask()

    def memberships(self, name: str) -> pl.DataFrame:
        """user, label (vocabulary number) of a segmentation, as the walks so far leave it."""
        held = self.holdings.get(name)
        return held.memberships() if held else pl.DataFrame(schema={"user": pl.Int64, "label": pl.Int64})

    def sizes(self, name: str) -> pl.DataFrame:
        """label (vocabulary number), users, expected (millionths) of a segmentation, as memberships."""
        return self.holdings[name].sizes(0).select("label", "users", "expected")

    def finish(self) -> dict[str, Any]:
        """Appends the changes and brings the projections up to date; returns the totals of the run."""
        self.changes = self._reasons.changes(self.tx.numbers)
        frame = pl.concat(self.changes) if self.changes else None
        first = self.tx.next_seq
        if frame is not None and frame.height:
            self.tx.append_changes(frame.select([name for name in log.CHANGES if name != "seq"]))
        for ending in self._endings:
            self.tx.append_changes(ending)
        for held in self.holdings.values():
            members = held.members(frame, first)
            if members.height:
                self.tx.save_members(held.number, members)
        if self._sizes:
            keys = ["segmentation", "pass", "as_of", "label"]
            self.tx.save_sizes(pl.concat(self._sizes).unique(keys, keep="last", maintain_order=True))
        causes: Counter[str] = Counter()
        for step in self.steps:
            causes.update(step["by_cause"])
        return {
            "due": sum(step["due"] for step in self.steps),
            "evaluated": sum(step["evaluated"] for step in self.steps),
            "changed": sum(step["changed"] for step in self.steps),
            "by_cause": dict(sorted(causes.items())),
        }

    def _names(self, found: Definitions, plan: Plan, given: Mapping[str, Decider]) -> list[str]:
        """The segmentations that something decides, each after those it refers to.

        Before, the starter rule is fitted where it is due.
        """
        value = found.segmentations.get("value")
        if plan.only is None and value is not None and not value.decided:
            self._fit_starter(found, value, plan.as_ofs[-1])
        names = [name for name in found.in_order() if found.segmentations[name].decided]
        if plan.opens_pass:
            # Who was listed when is known from the record alone: there is nothing to decide again.
            names = [name for name in names if found.segmentations[name].kind != "list"]
        if plan.only is not None:
            names = [name for name in names if name in plan.only]
        for name in names:
            self._deciders[name] = given.get(name) or self._decider(found.segmentation(name))
        retired = [name for name in given if name not in names]
        self._deciders |= {name: given[name] for name in retired}
        return [*names, *retired]

    def _fit_starter(self, found: Definitions, segmentation: Segmentation, as_of: int) -> None:
        events = self.s.events(before=as_of)
        if not (events["kind"].cast(pl.String) == "purchase").any():
            return
        spec = starter_spec(self.s.ticks.zone)
        starter = fit_starter(features(events, self.s.identity().at(as_of), as_of, spec))
        self.tx.append_decision(
            "starter_fitted",
            {
                "segmentation": segmentation.name,
                "recency_days": starter.recency_days,
                "spend_above": starter.spend_above,
                "as_of": as_of,
            },
        )
        found.segmentations[segmentation.name] = replace(segmentation, starter=starter, fitted_at=as_of)

    def _decider(self, segmentation: Segmentation) -> Decider:
        return decider_of(self.s.store, self.s.ticks.zone, segmentation)

    def _edited(self, found: Definitions, name: str, plan: Plan, edit: Edit | None) -> tuple[str, int] | None:
        """Cause and seq of what made the first step decide otherwise than what the labels come from."""
        if edit is not None:
            own = edit.segmentation in (name, None)
            if edit.segmentation is not None and edit.segmentation in found.segmentations:
                own = name in found.dependents(edit.segmentation)
            return (edit.cause, edit.seq) if own else None
        segmentation = found.segmentation(name)
        if not plan.opens_pass or plan.held_at is None:
            return None
        then = governing_rescore(self.s, name, plan.held_at)
        if then is None:
            return None
        if segmentation.rule is not None and segmentation.defined is not None:
            return ("definition", segmentation.defined) if segmentation.defined > then.seq else None
        if segmentation.promoted is not None and then.body["model"] != segmentation.model:
            return self._edit_since(segmentation, then), segmentation.promoted
        if segmentation.policy_set is not None and segmentation.policy_set > then.seq:
            return "decision", segmentation.policy_set
        return None

    def _edit_since(self, segmentation: Segmentation, then: Decision) -> str:
        """The cause of what the model has decided otherwise since a rescore."""
        edits = [
            each.body.get("edit")
            for each in log.decisions(self.s.store, kinds=("model_promoted", "label_edited"))
            if each.seq > then.seq and each.body["segmentation"] == segmentation.name
        ]
        if all(each == "rename" for each in edits):
            return RENAMED
        return "label" if segmentation.labelled else "model"

    def _evidence(self, plan: Plan, edit: Edit | None) -> Evidence:
        """The events of everyone who can be due in this plan."""
        everyone = plan.full or plan.starts_anew or edit is not None
        everyone |= any(held.unscored for held in self.holdings.values())
        if everyone:
            return self.reach.evidence(None, plan.position)
        assert plan.before is not None
        since = self.s.ticks.days_before(plan.before, self._longest_window() + 1)
        kept = [held.kept(self._deciders[name], plan.before) for name, held in self.holdings.items()]
        return self.reach.evidence(since, plan.position, kept)

    def _longest_window(self) -> int:
        return max((longest_window(each.spec) for each in self._deciders.values()), default=STARTER_WINDOW)

    def _hold(self, found: Definitions, name: str, plan: Plan) -> None:
        """Loads who holds which label where the plan starts, unless an earlier walk left it here."""
        decider = self._deciders[name]
        numbers = {label: self.tx.number("label", label) for label in decider.labels}
        became = self._became(found, name)
        earlier = self.holdings.get(name)
        if earlier is None or plan.opens_pass:
            kept = self._kept.pop(name, None) if plan.opens_pass else None
            held = kept or self._load(name, decider.labels, numbers, plan, became)
            if plan.opens_pass:
                head = self.reach.shown(held.number)
                held.open_pass((earlier or held).pass_number + 1, plan.held_at, head)
                self._end_erased(held, plan)
            self.holdings[name] = earlier = held
        if earlier.labels != decider.labels:
            earlier.relabel(decider.labels, numbers, became)

    def _became(self, found: Definitions, name: str) -> dict[int, int]:
        """The numbers of the labels that a segmentation's former ones go on as."""
        held = found.segmentations.get(name)
        pairs = held.became.items() if held else ()
        return {self.tx.number("label", former): self.tx.number("label", label) for former, label in pairs}

    def _played(self, found: Definitions, names: list[str], plan: Plan) -> dict[str, Recorded]:
        """What the segmentations walked read besides, as recorded over the ticks of a new pass."""
        if not plan.opens_pass:
            return {}
        read = {other for name in names for other in self._deciders[name].refers} - set(names)
        users, moves = self.reach.everyone, self._reasons.rows()
        return {
            name: Recorded(self.s, found.segmentation(name), users, plan.held_at or 0, moves)
            for name in sorted(read)
        }

    def _referred(self, found: Definitions, name: str, plan: Plan) -> Referred:
        """The labels of a segmentation that another one reads."""
        if name in self._recorded:
            return self._recorded[name]
        if name not in self.holdings:
            labels = found.segmentation(name).labels
            numbers = {label: self.tx.number("label", label) for label in labels}
            self.holdings[name] = self._load(name, labels, numbers, plan, self._became(found, name))
            self.holdings[name].begin()
        return self.holdings[name]

    def _load(
        self, name: str, labels: Sequence[str], numbers: dict[str, int], plan: Plan, became: dict[int, int]
    ) -> Holdings:
        """The memberships recorded where the plan starts."""
        number = self.tx.number("segmentation", name)
        store = self.s.store
        if plan.starts_anew:
            shown = closed = self.reach.held(number, plan.held_at or 0)
        else:
            shown = self.reach.shown(number)
            closed = self.reach.held(number, plan.held_at)
        passes = projections.passes(store, number)["pass"].to_list()
        users = self.reach.everyone
        held = Holdings(
            name=name,
            number=number,
            labels=labels,
            numbers=numbers,
            users=users,
            shown=shown,
            closed=closed,
            pass_number=max(passes) if passes else int(not plan.opens_pass),
            unscored=not passes,
            ticks=self.s.ticks,
            stays=Stays(store, number, users, self.s.ticks, plan.held_at, became),
            number_of=self.tx.numbers,
            words=vocabulary.texts(store, "label"),
            rest=self.reach.rest(number, list(numbers.values()), shown),
            became=became,
        )
        self.reach.begun({name: held.state()})
        return held

    @cached_property
    def _relatives(self) -> pl.DataFrame:
        """user, relative of those who were erased: who is or was one person with whom, themselves too."""
        users = np.array(self._erased, np.int64)
        families = Persons(carried.links(self.s.store)).families(users)
        kin = pl.DataFrame({"user": users, "family": families})
        return kin.join(kin.rename({"user": "relative"}), on="family").select("user", "relative")

    def _end_erased(self, held: Holdings, plan: Plan) -> None:
        """Ends in a new pass what persons held where it starts who were erased since."""
        if self._erased:
            were = projections.memberships(
                self.s.store, held.number, as_of=plan.held_at or 0, users=self._erased
            )
            first = plan.as_ofs[0]
            again = forgetting.ending_again(
                self.tx, were, held.number, held.pass_number, first, self._relatives
            )
            self._endings.append(again)

    def _record(self, held: Holdings, step: Step, outcome: Outcome, plan: Plan, index: int) -> None:
        first = index == 0 and plan.starts_anew
        decider = self._deciders[held.name]
        sizes = held.sizes(step.as_of)
        rows = sizes.select("label", "users", "expected")
        names = vocabulary.texts(self.s.store, "label")
        body = {
            "segmentation": held.name,
            "pass": held.pass_number,
            "from": plan.held_at if first else step.before,
            "as_of": step.as_of,
            "position": self._position,
            "model": decider.model,
            "full": step.everyone,
            "due": outcome.due,
            "evaluated": outcome.evaluated,
            "changed": outcome.moves.number,
            "sizes": [[names[label], users, expected] for label, users, expected in rows.iter_rows()],
            "backfilled": plan.backfilled,
            "hindsight": outcome.hindsight,
        }
        if decider.model is not None:
            from engine.scoring import environment

            body["environment"] = environment()
        self.tx.append_decision("rescored", body)
        if outcome.moves.number:
            self._reasons.add(outcome.moves)
        self._sizes.append(sizes)

    def _report(self, as_of: int, names: Sequence[str], outcomes: Sequence[Outcome], started: float) -> None:
        causes: Counter[str] = Counter()
        for outcome in outcomes:
            causes.update(outcome.by_cause)
        states = {held.name: held.state() for held in self.holdings.values()}
        self.steps.append(
            {
                "as_of": as_of,
                "position": self._position,
                "due": sum(outcome.due for outcome in outcomes),
                "evaluated": sum(outcome.evaluated for outcome in outcomes),
                "changed": sum(outcome.moves.number for outcome in outcomes),
                "by_cause": dict(sorted(causes.items())),
                "state_digest": self.reach.digest(states, names, as_of),
                "hindsight": any(outcome.hindsight for outcome in outcomes),
                "seconds": round(time.monotonic() - started, 3),
            }
        )
