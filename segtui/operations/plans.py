"""Which as-ofs a run of rescores goes over, and the state it starts from."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from db import log, passes, projections, vocabulary
from segtui.operations.errors import OperationError
from segtui.operations.session import Session


@dataclass(frozen=True)
class Plan:
    """The as-ofs of one walk and the state they start from."""

    as_ofs: list[int]
    before: int | None
    """The as-of that was scored last before the first step; None at the very beginning."""
    held_at: int | None
    """The closed as-of whose labels the first step's margin is measured against."""
    position: int
    """Events up to here were seen by the rescore before."""
    opens_pass: bool = False
    full: bool = False
    backfilled: bool = False
    only: frozenset[str] | None = None
    """The segmentations that are rescored; None for all."""

    @property
    def starts_anew(self) -> bool:
        """Whether the first step evaluates everyone against labels that no step just before it left."""
        return self.opens_pass or self.before is None


@dataclass(frozen=True)
class LastRescore:
    """The newest rescore of the log."""

    as_of: int
    position: int
    seq: int


def last_rescore(s: Session) -> LastRescore | None:
    """The newest rescore, None before the first."""
    found = passes.newest(s.store)
    return None if found is None else LastRescore(*found)


def beginning(s: Session) -> int | None:
    """The tick end before the first event: no tick up to it has anybody to decide. None without events."""
    first = log.summary(s.store).first
    return None if first is None else s.ticks.at_or_before(first)


def pending(s: Session, *, to: int, full: bool = False) -> Plan:
    """The plan that brings every segmentation from the last rescore to the as-of `to`."""
    last = last_rescore(s)
    if last is None:
        return Plan([to], None, None, 0, full=True)
    if to < last.as_of:
        raise OperationError(
            f"{s.iso(to)} lies before the last rescore ({s.iso(last.as_of)}): "
            "use --from and --to to go over past ticks again."
        )
    steps = [last.as_of, *s.ticks.between(last.as_of, to)]
    return Plan(steps, last.as_of, s.ticks.previous(last.as_of), last.position, full=full)


def backfill(
    s: Session, *, start: int, to: int, full: bool = False, only: frozenset[str] | None = None
) -> Plan:
    """The plan of a new pass: every tick with start < as_of <= to, and on to the last recorded as-of."""
    last = last_rescore(s)
    end = to if last is None else max(to, last.as_of)
    as_ofs = s.ticks.between(start, end)
    if not as_ofs:
        raise OperationError(f"No tick ends after {s.iso(start)} and up to {s.iso(end)}.")
    scored = projections.rescores(s.store)
    before = start if (scored["as_of"] <= start).any() else None
    return Plan(as_ofs, before, start, 0, opens_pass=True, full=full, backfilled=True, only=only)


def over(s: Session, *, start: int, to: int, full: bool = False) -> Plan:
    """The plan of a range: a new pass, or the pending ticks where all of it lies past the last rescore."""
    last = last_rescore(s)
    if last is not None and start > last.as_of:
        return pending(s, to=to, full=full)
    return backfill(s, start=start, to=to, full=full)


def governing_rescore(
    s: Session, segmentation: str, as_of: int, position: int | None = None
) -> log.Decision | None:
    """The `rescored` decision that is read for an as-of: of the newest pass over it."""
    number = vocabulary.number(s.store, "segmentation", segmentation)
    if number is None:
        return None
    scored = projections.rescores(s.store, number, position).filter(pl.col("as_of") <= as_of)
    read = passes.governing(s.store, scored, position)
    if read.is_empty():
        return None
    seq = read.sort("as_of", "pass", "seq")["seq"][-1]
    (rescored,) = log.decisions(s.store, kinds=("rescored",), position=seq, newest_first=True, limit=1)
    return rescored
