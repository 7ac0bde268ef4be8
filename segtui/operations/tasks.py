"""What a model is to learn: who, their labels, what was known of them; or why there is too little."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from engine.features import FeatureSpec, features, latest_attributes
from engine.labels import OUTCOMES, apply_outcome, future_value, given_labels, outcome_labels
from engine.schema import canonical
from engine.splits import TEST, TRAIN
from engine.ticks import Ticks
from segtui.operations import words
from segtui.operations.deciders import Evidence
from segtui.operations.definitions import definitions
from segtui.operations.errors import OperationError
from segtui.operations.preparing import CORE, Choice
from segtui.operations.session import Session
from segtui.operations.times import day
from segtui.operations.unseen import drawn, earlier_parts, parts_of

MIN_BUYERS = 500
MIN_PER_LABEL = 50
HORIZONS = (7, 14, 30, 60, 90, 120, 180, 270, 365, 540, 730)
"""Days that a refusal tries, to name one that would do."""
MOST_NAMED = 8
LONGEST_NAMED = 30


@dataclass(frozen=True, eq=False)
class Origin:
    """An earlier cutoff to learn from as well: who was known by then, their parts at the latest one (no test
    users), and what they did after it."""

    as_of: int
    users: np.ndarray
    parts: np.ndarray
    targets: np.ndarray
    frame: pl.DataFrame


@dataclass
class Task:
    """What a model is to learn: who, their labels, what is known of them, and until when.

    `evidence` is what happened before `as_of`, as the log told it at `position`. `earlier` holds further
    training rows; nobody in them is held out.
    """

    segmentation: str
    labels: tuple[str, ...]
    users: np.ndarray
    targets: np.ndarray
    parts: np.ndarray
    frame: pl.DataFrame
    evidence: Evidence
    spec: FeatureSpec
    as_of: int
    position: int
    cutoff: int | None
    horizon: int | None
    known_from: int | None
    thresholds: dict[str, Any]
    value: np.ndarray | None
    policy: dict[str, Any]
    earlier: tuple[Origin, ...] = ()
    outcomes: pl.DataFrame | None = None


def outcome_task(
    s: Session,
    policy: str,
    segmentation: str,
    cutoff: int | None,
    horizon: int,
    seed: int,
    choice: Choice = CORE,
    origins: int = 0,
) -> Task:
    """Users with an event before the cutoff, labelled by what they do in the `horizon` days after it.

    `policy` is one of engine.labels.OUTCOMES; `cutoff` is an instant in µs, by default the last tick end
    whose horizon is over. `origins` earlier cutoffs, a third of the horizon apart, give more training rows.
    Raises OperationError where outcomes are not known yet or are too few, with what would do instead.
    """
    with s.store.reading():
        history = _History(s, policy, seed)
        attributes, position = s.attributes(), s.store.head()
    at = history.latest(horizon) if cutoff is None else s.ticks.at_or_after(cutoff)
    found = history.outcomes(at, horizon)
    problem = history.problem(found)
    if problem is not None:
        raise OperationError(f"{problem}; {history.remedy(at if cutoff is not None else None, horizon)}.")
    return _laid_out(s, history, found, segmentation, choice, origins, attributes, position)


def earlier_task(s: Session, task: Task, seed: int, choice: Choice, origins: int) -> Task | str:
    """The same question a horizon earlier, so that `task`'s own outcomes are new to who learns it; or why it
    cannot be asked, as the beginning of a sentence.

    A third of the horizon before its cutoff must be known, as far as earlier cutoffs lie apart.
    """
    assert task.horizon is not None
    with s.store.reading():
        history = _History(s, task.policy["label"], seed)
        attributes, position = s.attributes(), s.store.head()
    at = latest_cutoff(s.ticks, task.as_of, task.horizon)
    begins = int(history.events["occurred_at"].min())  # type: ignore[arg-type]
    if begins > latest_beginning(s.ticks, at, task.horizon):
        zone = s.ticks.zone
        return f"the log begins {day(begins, zone)}, too late to learn from before {day(at, zone)}"
    found = history.outcomes(at, task.horizon)
    problem = history.problem(found)
    if problem is not None:
        return problem
    return _laid_out(s, history, found, task.segmentation, choice, origins, attributes, position)


def latest_beginning(ticks: Ticks, cutoff: int, horizon: int) -> int:
    """When the log must begin at the latest for there to be something to learn from at a cutoff."""
    return ticks.days_before(cutoff, max(1, horizon // 3))


def _names(s: Session, segmentation: str, labels: tuple[str, ...]) -> tuple[str, ...]:
    """The labels under the names they have in the segmentation; as they are where two are one there."""
    held = definitions(s).segmentations.get(segmentation)
    became = held.became if held else {}
    names = tuple(became.get(label, label) for label in labels)
    return names if len(set(names)) == len(names) else labels


def _laid_out(
    s: Session,
    history: _History,
    found: _Outcomes,
    segmentation: str,
    choice: Choice,
    origins: int,
    attributes: pl.DataFrame,
    position: int,
) -> Task:
    """The task of outcomes that were found fit to learn from."""
    policy, at, horizon = history.policy, found.at, found.horizon
    targets, thresholds = outcome_labels(policy, found.done, found.parts == TRAIN)
    past = history.events.filter(pl.col("occurred_at") < at)
    spec = choice.spec(s, past, attributes.filter(pl.col("occurred_at") < at))
    evidence = Evidence(past, history.identity, attributes)
    earlier = tuple(history.origins(found, origins, thresholds, evidence, spec))
    return Task(
        segmentation=segmentation,
        labels=_names(s, segmentation, OUTCOMES[policy]),
        users=found.users,
        targets=targets,
        parts=found.parts,
        frame=evidence.features(at, spec),
        evidence=evidence,
        spec=spec,
        as_of=at,
        position=position,
        cutoff=at,
        horizon=horizon,
        known_from=found.until,
        thresholds=thresholds,
        value=found.done["spend"].to_numpy(),
        outcomes=found.done,
        policy={
            "label": policy,
            "cutoff": at,
            "horizon_days": horizon,
            "known_from": found.until,
            **drawn(history.identity),
            **({"origins": [each.as_of for each in earlier]} if earlier else {}),
        },
        earlier=earlier,
    )


def latest_cutoff(ticks: Ticks, end: int, horizon: int) -> int:
    """The last tick end whose `horizon` days are over by `end`."""
    at = ticks.at_or_before(ticks.days_before(end, horizon))
    # Where clocks change, the way back can be shorter than the way there.
    return at if ticks.days_before(at, -horizon) <= end else ticks.previous(at)


class _History:
    """The log as far as it goes, to ask what anyone who was known at some instant did after it."""

    def __init__(self, s: Session, policy: str, seed: int) -> None:
        end = s.data_end()
        if end is None:
            raise OperationError("There is nothing to train on yet: import events with 'segtui import FILE'.")
        self.s, self.policy, self.seed, self.end = s, policy, seed, end
        self.events, self.identity = s.events(), s.identity()

    def latest(self, horizon: int) -> int:
        """The last cutoff whose outcomes over `horizon` days are known by now."""
        return latest_cutoff(self.s.ticks, self.end, horizon)

    def outcomes(self, at: int, horizon: int) -> _Outcomes:
        """Who was known at `at`, and what they did within `horizon` days."""
        until = self.s.ticks.days_before(at, -horizon)
        past = self.events.filter(pl.col("occurred_at") < at)
        who = self.identity.at(at)
        users = canonical(past, who).unique().sort().to_numpy()
        done = future_value(self.events, who, at, until, users)
        return _Outcomes(at, horizon, until, users, parts_of(self.identity, users, self.seed), done)

    def origins(
        self,
        latest: _Outcomes,
        number: int,
        thresholds: dict[str, float],
        evidence: Evidence,
        spec: FeatureSpec,
    ) -> Iterator[Origin]:
        """All but the test users of the `latest` at up to `number` cutoffs before it, while anyone was
        known."""
        ticks, step = self.s.ticks, max(1, latest.horizon // 3)
        for back in range(1, number + 1):
            at = ticks.at_or_before(ticks.days_before(latest.at, back * step))
            found = self.outcomes(at, latest.horizon)
            parts = earlier_parts(self.identity, found.users, latest.users, latest.parts)
            learners = parts != TEST
            if not learners.any():
                return
            targets = apply_outcome(self.policy, found.done, thresholds)
            users = found.users[learners]
            yield Origin(at, users, parts[learners], targets[learners], evidence.features(at, spec, users))

    def problem(self, found: _Outcomes) -> str | None:
        """Why nothing can be learnt from these, as the beginning of a sentence; None where it can."""
        zone = self.s.ticks.zone
        at, end = day(found.at, zone), day(self.end, zone)
        if found.until > self.end:
            return f"Outcomes of {at} + {found.horizon} d are not known yet, the data end is {end}"
        if not len(found.users):
            first = day(int(self.events["occurred_at"].min()), zone)  # type: ignore[arg-type]
            return f"Nobody is known before {at}, the log runs from {first} to {end}"
        window = f"in the {found.horizon} d after {at}"
        if self.policy == "future_value" and found.buyers < MIN_BUYERS:
            return (
                f"Too few to learn from: {found.buyers:,} of {words.plural(len(found.users), 'user')} bought "
                f"{window}, needed are {MIN_BUYERS} buyers"
            )
        labels = OUTCOMES[self.policy]
        targets, _ = outcome_labels(self.policy, found.done, found.parts == TRAIN)
        counts = np.bincount(targets, minlength=len(labels))
        if counts.min() < MIN_PER_LABEL:
            told = ", ".join(f"{name} {count:,}" for name, count in zip(labels, counts, strict=True))
            return f"Too few to learn from {window}: {told}, needed are {MIN_PER_LABEL} users per label"
        return None

    def remedy(self, cutoff: int | None, horizon: int) -> str:
        """What to say instead of `horizon`, at the cutoff asked for or at the latest one; else to import."""
        nearest = sorted(HORIZONS, key=lambda days: abs(math.log(days / horizon)))
        tried = [(self.latest(horizon), horizon)]
        tried += [] if cutoff is None else [(cutoff, days) for days in nearest]
        tried += [(self.latest(days), days) for days in nearest]
        for at, days in tried:
            found = self.outcomes(at, days)
            if self.problem(found) is None:
                told = f"--horizon {days}d would do, with {found.buyers:,} buyers"
                return told if cutoff is None else f"--cutoff {day(at, self.s.ticks.zone)} {told}"
        return "no other horizon or cutoff would do, import more history first"


@dataclass(frozen=True, eq=False)
class _Outcomes:
    """What the `users` known at `at` did until `until`: `done` as of future_value."""

    at: int
    horizon: int
    until: int
    users: np.ndarray
    parts: np.ndarray
    done: pl.DataFrame

    @property
    def buyers(self) -> int:
        return int((self.done["orders"] > 0).sum())


def given_task(s: Session, label: str, segmentation: str, seed: int, choice: Choice = CORE) -> Task:
    """Users that carry the attribute `label`, learnt from everything else known of them now.

    Raises OperationError where nobody carries it, or its values are too many or too rare.
    """
    with s.store.reading():
        at = s.require_as_of()
        events, identity, position = s.events(before=at), s.identity(), s.store.head()
        attributes = s.attributes().filter(pl.col("occurred_at") < at)
    names = attributes["name"].unique().sort().to_list()
    if label not in names:
        known = _listed(names) or "none, import a table with 'segtui import --format table'"
        raise OperationError(f"No user has an attribute {label!r} to learn: there are {known}.")
    others = attributes.filter(pl.col("name") != label)
    spec = choice.spec(s, events, others)
    who = identity.at(at)
    frame = features(events, who, at, spec, others)
    held = attributes.with_columns(canonical(attributes, who).alias("user"))
    targets, labels = given_labels(held, label, frame["user"].to_numpy())
    frame = frame.filter(pl.Series(targets >= 0))
    targets = targets[targets >= 0]
    counts = np.bincount(targets, minlength=len(labels))
    if len(labels) < 2 or counts.min() < MIN_PER_LABEL:
        raise OperationError(_unfit_label(label, labels, counts, others))
    users = frame["user"].to_numpy()
    return Task(
        segmentation=segmentation,
        labels=tuple(labels),
        users=users,
        targets=targets,
        parts=parts_of(identity, users, seed),
        frame=frame,
        evidence=Evidence(events, identity, others),
        spec=spec,
        as_of=at,
        position=position,
        cutoff=None,
        horizon=None,
        known_from=None,
        thresholds={},
        value=None,
        policy={"label": "given", "attribute": label, "known_from": None, **drawn(identity)},
    )


def _unfit_label(label: str, labels: Sequence[str], counts: np.ndarray, others: pl.DataFrame) -> str:
    """The refusal of a given label, with the columns that would do."""
    rarest = np.argsort(counts, kind="stable").tolist()
    told = _listed([f"{_shortened(labels[code])}: {counts[code]:,}" for code in rarest])
    text = (
        f"Label {label!r} has {words.plural(len(labels), 'value')} ({told}), training needs two or more, "
        f"with {MIN_PER_LABEL} users each"
    )
    fit = next((name for name in others["name"].unique().sort() if _could_be_label(others, name)), None)
    return f"{text}; --label {fit} would do." if fit else f"{text}; import more rows first."


def _could_be_label(attributes: pl.DataFrame, name: str) -> bool:
    newest = latest_attributes(attributes.filter(pl.col("name") == name))
    counts = newest.group_by("number", "text").len()["len"].to_numpy()
    return len(counts) >= 2 and counts.min() >= MIN_PER_LABEL


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_NAMED else text[: LONGEST_NAMED - 1] + "…"


def _listed(texts: Sequence[str]) -> str:
    """The texts with commas between; of many the first, and how many more there are."""
    more = len(texts) - MOST_NAMED
    return ", ".join([*texts[:MOST_NAMED], *([f"{more:,} more"] if more > 0 else [])])
