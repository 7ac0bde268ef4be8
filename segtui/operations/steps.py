"""One as-of of a run of rescores: what it is given, and what it did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from engine.membership import causes
from engine.schema import canonical
from segtui.operations.deciders import Evidence
from segtui.operations.persons import Persons
from segtui.operations.plans import Plan


@dataclass(frozen=True)
class Who:
    """Who is one person at a step.

    identity: IDENTITY. touched, latest: user and seq of the newest alias, or end of one, that can have moved
    the user: of those that count now and did not before, and of all.
    """

    identity: pl.DataFrame
    touched: pl.DataFrame
    latest: pl.DataFrame

    @classmethod
    def at(cls, persons: Persons, fresh: pl.DataFrame, before: int | None, as_of: int) -> Who | None:
        """Who they are at `as_of`, with the links among `fresh`; None where nobody is anybody else."""
        if not persons:
            return None
        seqs = None if before is None else fresh["seq"]
        return cls(persons.at(as_of), persons.touched(as_of, seqs), persons.touched(as_of))

    def persons(self, last_events: pl.DataFrame) -> pl.DataFrame:
        """user, first, last, newest_seq of everyone, by canonical user."""
        return (
            last_events.with_columns(canonical(last_events, self.identity).alias("user"))
            .group_by("user")
            .agg(pl.col("first").min(), pl.col("last").max(), pl.col("newest_seq").max())
            .sort("user")
        )


RENAMED = "renamed"
"""An edit that gave labels other names and changed nothing else: nobody else's move is caused by it."""


@dataclass(frozen=True)
class Step:
    """One as-of of a run."""

    as_of: int
    before: int | None
    """The as-of scored before; None at the very beginning."""
    everyone: bool
    fresh: pl.DataFrame
    """user, seq, occurred_at, kind, late of the events that count now and did not before."""
    seen: int | None
    """The position the scores before were made at; None when they saw what is seen now."""
    edit: tuple[str, int] | None
    backfilled: bool
    who: Who | None = None
    """None where nobody was ever joined with anybody."""

    @property
    def renames(self) -> bool:
        """Whether the edit gave labels other names, and nobody moves by it but to the new one."""
        return self.edit is not None and self.edit[0] == RENAMED

    @property
    def clock_moved(self) -> bool:
        """Whether time passed since the scores before."""
        return self.before != self.as_of


class Coming:
    """The as-ofs of a plan as they are to segmentations that no edit touches; each is looked into once, also
    where it is before its time."""

    def __init__(self, plan: Plan, evidence: Evidence) -> None:
        self._plan, self._evidence = plan, evidence
        self._last: tuple[int, Step] | None = None

    def __contains__(self, index: int) -> bool:
        return index < len(self._plan.as_ofs)

    def step(self, index: int) -> Step:
        """The as-of of that number; it is not asked for any more once a later one was."""
        if self._last is None or self._last[0] != index:
            self._last = index, self._step(index)
        return self._last[1]

    def _step(self, index: int) -> Step:
        plan, evidence = self._plan, self._evidence
        as_of = plan.as_ofs[index]
        before = plan.as_ofs[index - 1] if index else plan.before
        fresh = _fresh(evidence.events, plan, index, before)
        who = Who.at(evidence.identity, fresh, before, as_of)
        if who is not None:
            fresh = fresh.with_columns(canonical(fresh, who.identity).alias("user"))
        return Step(
            as_of=as_of,
            before=before,
            everyone=plan.full or (index == 0 and plan.starts_anew),
            fresh=fresh,
            seen=plan.position if index == 0 and not plan.opens_pass else None,
            edit=None,
            backfilled=plan.backfilled,
            who=who,
        )


def _fresh(events: pl.DataFrame, plan: Plan, index: int, before: int | None) -> pl.DataFrame:
    """user, seq, occurred_at, kind, late of the events that count at an as-of and did not `before`."""
    at = pl.col("occurred_at")
    counted = at < plan.as_ofs[index]
    if before is not None:
        inside = at >= before
        unseen = pl.col("seq") > plan.position
        counted &= inside | unseen if index == 0 and not plan.opens_pass else inside
    late = pl.lit(0, dtype=pl.Int64) if plan.backfilled else pl.col("late")
    return events.filter(counted).select("user", "seq", "occurred_at", "kind", late.alias("late"))


@dataclass(frozen=True)
class Rest:
    """What those hold whom a run does not read: users and sums of scores by label (vocabulary number)."""

    users: Mapping[int, int] = field(default_factory=dict)
    expected: Mapping[int, int] = field(default_factory=dict)


def caused_by(step: Step, users: np.ndarray, renamed: np.ndarray) -> pl.DataFrame:
    """The causes of the users' moves, as engine.membership.causes; `renamed` bool[n]: those who did nothing
    but follow their label to its new name."""
    joined = None if step.who is None else step.who.touched
    if not step.renames:
        return causes(users, step.as_of, step.before, step.fresh, step.edit, joined)
    assert step.edit is not None
    own = causes(users, step.as_of, step.before, step.fresh, None, joined)
    follows = pl.Series(renamed, dtype=pl.Boolean)
    told: pl.DataFrame = own.with_columns(
        cause=pl.when(follows).then(pl.lit("label")).otherwise("cause"),
        cause_seq=pl.when(follows).then(pl.lit(step.edit[1], pl.Int64)).otherwise("cause_seq"),
    )
    return told


def by_identity(caused: pl.DataFrame, gone: np.ndarray, step: Step) -> pl.DataFrame:
    """The causes, with that of those who are gone: the newest alias behind it, whatever else ran the step."""
    assert step.who is not None
    latest = step.who.latest.select("user", latest="seq")
    ended = pl.col("user").is_in(gone.tolist())
    return (
        caused.join(latest, on="user", how="left", maintain_order="left")
        .with_columns(
            cause=pl.when(ended).then(pl.lit("identity")).otherwise("cause"),
            cause_seq=pl.when(ended).then("latest").otherwise("cause_seq"),
        )
        .drop("latest")
    )
