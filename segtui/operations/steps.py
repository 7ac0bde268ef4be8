"""One as-of of a run of rescores: what it is given, and what it did."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from engine.schema import canonical


@dataclass(frozen=True)
class Who:
    """Who is one person at a step.

    identity: IDENTITY. touched, latest: user and seq of the newest alias, or end of one, that can have moved
    the user: of those that count now and did not before, and of all.
    """

    identity: pl.DataFrame
    touched: pl.DataFrame
    latest: pl.DataFrame

    def persons(self, last_events: pl.DataFrame) -> pl.DataFrame:
        """user, first, last, newest_seq of everyone, by canonical user."""
        return (
            last_events.with_columns(canonical(last_events, self.identity).alias("user"))
            .group_by("user")
            .agg(pl.col("first").min(), pl.col("last").max(), pl.col("newest_seq").max())
            .sort("user")
        )


@dataclass(frozen=True)
class Step:
    """One as-of of a run."""

    as_of: int
    before: int | None
    """The as-of scored before; None at the very beginning."""
    everyone: bool
    fresh: pl.DataFrame
    """user, seq, occurred_at, late of the events that count now and did not before."""
    seen: int | None
    """The position the scores before were made at; None when they saw what is seen now."""
    edit: tuple[str, int] | None
    backfilled: bool
    who: Who | None = None
    """None where nobody was ever joined with anybody."""

    @property
    def clock_moved(self) -> bool:
        """Whether time passed since the scores before."""
        return self.before != self.as_of


@dataclass(frozen=True)
class Outcome:
    """What a step did."""

    due: int
    evaluated: int
    changes: pl.DataFrame
    by_cause: dict[str, int]
    hindsight: bool
