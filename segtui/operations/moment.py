"""Which moment a listing shows, and where what was held then is read from."""

from __future__ import annotations

from dataclasses import dataclass

from db import passes
from engine.deciding import DecisionPolicy
from segtui.operations.definitions import Segmentation, definitions
from segtui.operations.errors import OperationError
from segtui.operations.plans import governing_rescore
from segtui.operations.session import Session


@dataclass(frozen=True)
class Moment:
    """A tick's end at a log position, as one segmentation was known then."""

    as_of: int | None
    """The as-of shown, µs UTC; None while there is neither a rescore nor a clock."""
    position: int | None
    """The position shown; None for the head."""
    past: bool
    """Whether later rescores have gone over what was held: it is folded from the log then. What was not
    recorded with a change is not known: the margin, and the probability on the days after the change."""

    @property
    def folded(self) -> int | None:
        """The as-of to fold the log at; None where the head's projection tells it."""
        return self.as_of if self.past else None


def shown_as_of(s: Session, at: int | None, position: int | None = None) -> int | None:
    """The as-of a screen shows: the last rescore's, or the first tick end at or after `at`."""
    if at is not None:
        return s.ticks.at_or_after(at)
    last = passes.last_rescored(s.store, position=position)
    return s.as_of() if last is None else last


def moment(s: Session, number: int | None, at: int | None, position: int | None = None) -> Moment:
    """The moment `at` (µs, None: the newest) and `position` in the segmentation with this number.

    At or after the segmentation's last rescore nothing has been recorded since, so the head tells it.
    """
    if position is not None and position >= s.store.head():
        position = None
    as_of = shown_as_of(s, at, position)
    if position is not None:
        return Moment(as_of, position, past=True)
    last = None if number is None else passes.last_rescored(s.store, number)
    return Moment(as_of, None, past=last is not None and as_of is not None and as_of < last)


def decided_by(s: Session, segmentation: Segmentation, when: Moment) -> tuple[str | None, str | None]:
    """What decided in the pass that is read for the moment, and the digest of a model.

    `model`, `starter`, `rule`, `list`, `scores`, or nothing.
    """
    if not when.past:
        return segmentation.decided_by, segmentation.model
    then = None if when.as_of is None else governing_rescore(s, segmentation.name, when.as_of, when.position)
    if then is None:
        return None, None
    if segmentation.kind != "model":
        return segmentation.decided_by, None
    model: str | None = then.body["model"]
    return ("model" if model else "starter"), model


def policy_then(s: Session, segmentation: Segmentation, when: Moment) -> DecisionPolicy:
    """How probabilities became labels in the rescore that is read for the moment."""
    if not when.past or when.as_of is None:
        return segmentation.policy
    then = governing_rescore(s, segmentation.name, when.as_of, when.position)
    if then is None:
        return segmentation.policy
    return definitions(s, position=then.seq).ever(segmentation.name).policy


def refuse_unrecorded(s: Session, when: Moment, field: str) -> None:
    """Raises OperationError when `field` of members was not recorded for every tick of a past moment."""
    if not when.past or field not in ("probability", "margin"):
        return
    known = "" if when.as_of is None else f" for {s.iso(when.as_of)}"
    advice = f", or use 'segtui score --at {s.iso(when.as_of)}'" if when.as_of is not None else ""
    if when.position is not None:
        known, advice = f"{known} at position {when.position}", ""
    raise OperationError(
        f"No {field} is recorded{known}, only the probability at each user's last change before: "
        f"leave it out of --where and --order{advice}."
    )
