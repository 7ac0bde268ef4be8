"""Deciding every recorded rescore again, from the events alone, and comparing with what was recorded."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from db import log, projections, retention, vocabulary
from db.checks import Check
from db.passes import left_by
from engine.deciding import DEFAULT_POLICY, preferences
from segtui.operations.deciders import Decider, Evidence, StarterDecider, model_decider
from segtui.operations.definitions import KINDS, Definitions, Segmentation, definitions
from segtui.operations.progress import Progress, quiet
from segtui.operations.rule_deciders import Nobody, RuleDecider
from segtui.operations.session import Session
from segtui.operations.stays import Closes, succeeded

NONE = 0
"""No label: vocabulary numbers start at 1."""
BOUNDARY = 20
"""Millionths between two labels that another kind of machine may turn round: 1e-5 either way."""
TOLD = 10
RESCORED = ("model", "definition", "label", "decision", "identity", "late_event", "event", "clock")
"""Causes of changes that only a rescore makes."""


@dataclass
class _Held:
    """What the log says a segmentation's users held while its rescores are walked: label numbers by user."""

    pass_number: int
    as_of: int
    shown: np.ndarray
    closed: np.ndarray
    closes: Closes
    """Since which close each user has held the label of the last one."""


@dataclass
class _Tally:
    """What was decided again so far."""

    rescores: int = 0
    labels: int = 0
    cut: int = 0
    undecidable: set[str] = field(default_factory=set)
    near: list[str] = field(default_factory=list)


def decider_then(s: Session, known: Segmentation | None, body: dict[str, Any]) -> Decider | None:
    """What decided a rescore (its `rescored` body) of the segmentation, as it was defined then.

    None for what cannot decide again: only the log knows a list.
    """
    if body["model"] is not None:
        return model_decider(s.store, body["model"], known.policy if known else DEFAULT_POLICY)
    if known is None:
        return Nobody(s.ticks.zone)
    if known.rule is not None:
        return RuleDecider(known.rule)
    if known.starter is None:
        return None
    return StarterDecider(known.starter, s.ticks.zone, known.fitted_at)


class Recomputation:
    """Walks the recorded rescores in order, with the recorded labels of each tick before.

    Everyone is evaluated at every rescore, from the events of its own position. So the first difference is
    where it was made, whoever was due then.
    """

    def __init__(self, s: Session) -> None:
        self.s = s
        events = s.events()
        self.evidence = Evidence(events, s.identity(), s.attributes())
        self.changes = log.changes(s.store, governing=False)
        known = [events["user"].to_numpy(), self.changes["user"].to_numpy(), self.evidence.identity.named()]
        self.users = np.unique(np.concatenate(known)).astype(np.int64)
        erased = self.changes.filter(pl.col("cause") == "erasure")["user"].unique()
        self.erased = np.isin(self.users, erased.to_numpy())
        self.segmentations = {name: key for key, name in vocabulary.texts(s.store, "segmentation").items()}
        self.labels = vocabulary.texts(s.store, "label")
        origin = retention.origin(s.store)
        self.origin = 0 if origin is None else origin.seq
        """Rescores before this decision saw events that were cut since."""
        self.edits = [each.seq for each in log.decisions(s.store, kinds=KINDS)]
        self.definitions: dict[int, Definitions] = {}
        self.held: dict[str, _Held] = {}
        self.reading: log.Decision
        self.taken = 0
        """The newest change that a rescore walked so far made: a commit's come after all of its rescores."""
        self.tally = _Tally()

    def check(self, progress: Progress = quiet) -> Check:
        """Compares all labels; names the first that is decided otherwise."""
        rescores = log.decisions(self.s.store, kinds=("rescored",))
        at = 0
        for commit in log.commits(self.s.store):
            # As they were appended: what a rescore decided comes before what an erasure ended.
            own = self.changes.filter(
                pl.col("seq").is_between(commit.changes_first or 0, commit.changes_last or -1)
            ).sort("seq")
            while at < len(rescores) and rescores[at].seq <= (commit.decisions_last or 0):
                each = rescores[at]
                progress(f"deciding {self.s.iso(each.body['as_of'])} again", at / len(rescores))
                moved, own = own.head(each.body["changed"]), own.slice(each.body["changed"])
                self.taken = max([self.taken, *moved["seq"].tail(1)])
                fault = self._step(each, moved)
                if fault is not None:
                    return Check("labels", False, f"rescore {each.seq}: {fault}")
                at += 1
            stray = own.filter(pl.col("cause").is_in(RESCORED))
            if stray.height:
                return Check("labels", False, f"change {stray['seq'][0]}: no rescore decided it")
            for name, held in self.held.items():
                self._apply(held, own.filter(pl.col("segmentation") == self.segmentations[name]))
        return Check("labels", True, self._told())

    def _told(self) -> str:
        tally = self.tally
        told = [f"{tally.labels:,} of {tally.rescores:,} rescores are decided the same again"]
        if self.erased.any():
            told.append(f"{int(self.erased.sum()):,} erased persons are left out")
        if tally.cut:
            told.append(f"{tally.cut:,} rescores before events were cut are left out")
        if tally.undecidable:
            told.append(f"not decided again: {', '.join(sorted(tally.undecidable))}")
        if tally.near:
            told.append(f"otherwise on this machine, next to a boundary: {', '.join(tally.near[:TOLD])}")
        return "; ".join(told)

    def _step(self, rescored: log.Decision, moved: pl.DataFrame) -> str | None:
        body = rescored.body
        held = self._before(body)
        self._apply(held, moved)
        if rescored.seq < self.origin:
            self.tally.cut += 1
            return None
        decider = self._decider(body, rescored.seq)
        if decider is None:
            self.tally.undecidable.add(body["segmentation"])
            return None
        self.reading = rescored
        frame, scores, decided = self._decide(decider, held, body)
        at = np.searchsorted(self.users, frame["user"].to_numpy())
        numbers = {label: number for number, label in self.labels.items()}
        given = np.array([*(numbers[label] for label in decider.labels), NONE])[decided]
        differing = (given != held.shown[at]) & ~self.erased[at]
        self.tally.rescores += 1
        self.tally.labels += int((~self.erased[at]).sum())
        for place in np.flatnonzero(differing):
            recorded, again = held.shown[at[place]], given[place]
            own = None if scores is None else scores[place]
            if own is not None and self._is_near(body, decider, own, held.closed[at[place]], recorded):
                self.tally.near.append(f"#{self.users[at[place]]}")
                continue
            who = f"user #{self.users[at[place]]} holds {self.labels.get(recorded)} in {body['segmentation']}"
            return f"{who}, is given {self.labels[again]}"
        return self._joined(held, body)

    def _joined(self, held: _Held, body: dict[str, Any]) -> str | None:
        """Whoever is part of another person holds nothing."""
        moved = self.evidence.identity.until(body["position"]).at(body["as_of"])["user"].to_numpy()
        at = np.searchsorted(self.users, moved)
        for place in at[(held.shown[at] != NONE) & ~self.erased[at]]:
            label = self.labels.get(held.shown[place])
            return (
                f"user #{self.users[place]} holds {label} in {body['segmentation']}, and is another's alias"
            )
        return None

    def _before(self, body: dict[str, Any]) -> _Held:
        """The labels recorded where a rescore starts, those of the last closed tick beside them."""
        name = body["segmentation"]
        held = self.held.get(name)
        if held is None or held.pass_number != body["pass"]:
            number = self.segmentations[name]
            start = body["from"] if body["from"] is not None else 0
            earlier = self.changes.filter((pl.col("segmentation") == number) & (pl.col("as_of") <= start))
            scored = projections.rescores(self.s.store, number)
            base = projections.fold(left_by(earlier, scored, body["pass"] - 1))
            shown = np.full(len(self.users), NONE, np.int64)
            shown[np.searchsorted(self.users, base["user"].to_numpy())] = base["label"].to_numpy()
            closes = Closes(len(self.users), {})
            for as_of, places, left, came in self._closes(left_by(earlier, scored, body["pass"] - 1)):
                closes.add(as_of, places, left, came)
            held = _Held(body["pass"], body["as_of"], shown, shown.copy(), closes)
        elif body["as_of"] > held.as_of:
            places = np.flatnonzero(held.shown != held.closed)
            held.closes.add(held.as_of, places, held.closed[places], held.shown[places])
            held.as_of, held.closed = body["as_of"], held.shown.copy()
        self.held[name] = held
        return held

    def _closes(self, changes: pl.DataFrame) -> Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:
        """As-of, places among the users, label numbers before and after of those who moved by each close."""
        moves = (
            changes.sort("as_of", "seq")
            .group_by("as_of", "user", maintain_order=True)
            .agg(pl.col("from_label").first().fill_null(NONE), pl.col("to_label").last().fill_null(NONE))
        )
        for (as_of,), rows in moves.group_by("as_of", maintain_order=True):
            places = np.searchsorted(self.users, rows["user"].to_numpy())
            yield int(as_of), places, rows["from_label"].to_numpy(), rows["to_label"].to_numpy()

    def _apply(self, held: _Held, moved: pl.DataFrame) -> None:
        at = np.searchsorted(self.users, moved["user"].to_numpy())
        held.shown[at] = moved["to_label"].fill_null(NONE).to_numpy()

    def _decider(self, body: dict[str, Any], seq: int) -> Decider | None:
        """What decided a rescore; None for what this cannot decide again: only the log knows a list."""
        return decider_then(self.s, self._known(body["segmentation"], seq), body)

    def _known(self, name: str, seq: int) -> Segmentation | None:
        """The segmentation as it was defined at a position."""
        edits = bisect(self.edits, seq)
        if edits not in self.definitions:
            self.definitions[edits] = definitions(self.s, position=seq)
        return self.definitions[edits].segmentations.get(name)

    def _became(self, name: str) -> dict[int, int]:
        """The numbers of the labels that former ones went on as, at the rescore being read."""
        known = self._known(name, self.reading.seq)
        numbers = {label: number for number, label in self.labels.items()}
        return {numbers[former]: numbers[label] for former, label in known.became.items()} if known else {}

    def _decide(
        self, decider: Decider, held: _Held, body: dict[str, Any]
    ) -> tuple[pl.DataFrame, np.ndarray | None, np.ndarray]:
        """Features, scores and label codes of everyone, of those with later-told events from fewer events."""
        as_of, position = body["as_of"], body["position"]
        unknown = (pl.col("seq") > position) & (pl.col("occurred_at") < as_of)
        late = self.evidence.events.filter(unknown)["user"].unique().sort().to_numpy()
        late = self.evidence.identity.kin(late)
        if not len(late):
            frame = self.evidence.features(as_of, decider.spec)
            return frame, *self._labels(decider, held, frame, self.evidence, as_of)
        others = np.setdiff1d(self.users, late)
        parts = [(self.evidence, others), (self.evidence.only(late, position=position), late)]
        frames = [evidence.features(as_of, decider.spec, users) for evidence, users in parts]
        given = [
            self._labels(decider, held, frame, evidence, as_of)
            for frame, (evidence, _) in zip(frames, parts, strict=True)
        ]
        scores = [own for own, _ in given if own is not None]
        return (
            pl.concat(frames),
            np.concatenate(scores) if scores else None,
            np.concatenate([c for _, c in given]),
        )

    def _labels(
        self, decider: Decider, held: _Held, frame: pl.DataFrame, evidence: Evidence, as_of: int
    ) -> tuple[np.ndarray | None, np.ndarray]:
        numbers = {label: code for code, label in enumerate(decider.labels)}
        codes = {number: numbers.get(text, -1) for number, text in self.labels.items()} | {NONE: -1}
        became = self._became(self.reading.body["segmentation"])
        at = np.searchsorted(self.users, frame["user"].to_numpy())
        before = succeeded(held.closed[at], became)
        closed = np.array([codes[number] for number in before.tolist()], np.int32)
        stays = None
        if decider.policy is not None and decider.policy.min_stay:
            held.closes.succeed(became)
            stays = held.closes.since[at] > self.s.ticks.shift(as_of, -decider.policy.min_stay)
        return decider.decide(
            frame.with_columns(self._read(each, at) for each in decider.refers),
            evidence,
            as_of,
            closed,
            stays,
        )

    def _read(self, name: str, at: np.ndarray) -> pl.Series:
        """The labels recorded in a segmentation that a rule reads, which was decided before."""
        held, asked = self.held.get(name), self.reading
        numbers = np.full(len(self.users), NONE)
        if held is not None and held.as_of <= asked.body["as_of"]:
            numbers = held.shown
        elif name in self.segmentations:
            # A new pass goes over ticks at which a list was as it was recorded then.
            own = (pl.col("segmentation") == self.segmentations[name]) & (
                pl.col("seq") < max(asked.seq, self.taken + 1)
            )
            then = projections.fold(self.changes.filter(own & (pl.col("as_of") <= asked.body["as_of"])))
            numbers[np.searchsorted(self.users, then["user"].to_numpy())] = then["label"].to_numpy()
        numbers = numbers[at]
        return pl.Series(name, [self.labels.get(number) for number in numbers.tolist()], dtype=pl.String)

    def _is_near(
        self, body: dict[str, Any], decider: Decider, scores: np.ndarray, closed: int, recorded: int
    ) -> bool:
        """Whether another machine's last bits may have decided for the recorded label."""
        from engine.scoring import environment

        label = self.labels.get(recorded)
        if body.get("environment") == environment() or label not in decider.labels or decider.policy is None:
            return False
        preferred = preferences(scores[None], decider.labels, decider.policy)[0]
        lead = int(preferred.max() - preferred[decider.labels.index(label)])
        margin = decider.policy.margin if closed != NONE else 0
        return min(abs(lead), abs(lead - margin)) <= BOUNDARY
