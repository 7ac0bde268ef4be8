"""Events laid out for repeated folding: by user, then time, with running sums and what follows what.

A sum over a window is a difference of two running sums, and a number of distinct things is a number of last
occurrences, so one as-of costs a few passes over the rows and nothing is grouped again. All sums are of
integers, so neither the order of rows nor the company of other users can change a digit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl

from engine.schema import BOOKKEEPING, EVENTS, canonical, require
from engine.ticks import day_starts

Int64s = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

NEVER = np.iinfo(np.int64).max
"""Stands for the instant of a next occurrence that has not come."""

LARGEST = 2**63 - 1


@dataclass(frozen=True)
class Track:
    """Some of the rows, still by user and time: user i has rows bounds[i] to bounds[i + 1]."""

    rows: Int64s
    time: Int64s
    bounds: Int64s

    def until(self, instant: int) -> Int64s:
        """For each user the first row at or after `instant`, as an index into this track."""
        before = running(self.time < instant)
        first = self.bounds[:-1]
        return np.asarray(first + before[self.bounds[1:]] - before[first], dtype=np.int64)

    def subset(self, keep: Bools) -> "Track":
        """The track of those rows only; `keep` has one flag per row of this track."""
        return Track(self.rows[keep], self.time[keep], running(keep)[self.bounds])


@dataclass(frozen=True)
class Rows:
    """All rows of some users: `users` ascending, `base` their track, columns in its order."""

    users: Int64s
    base: Track
    day: Int64s
    columns: dict[str, Int64s]
    present: dict[str, Bools]
    original: Int64s
    kind: npt.NDArray[np.uint32]
    kinds: dict[str, int] = field(default_factory=dict)

    def of_kind(self, *kinds: str) -> Bools:
        """Which rows are of one of `kinds`."""
        mask = np.zeros(len(self.kind), dtype=np.bool_)
        for kind in kinds:
            if kind in self.kinds:
                mask |= self.kind == self.kinds[kind]
        return mask

    def owner(self, track: Track) -> Int64s:
        """The position in `users` of each of the track's rows."""
        return np.repeat(np.arange(len(self.users), dtype=np.int64), np.diff(track.bounds))


def running(values: npt.NDArray[np.bool_] | Int64s) -> Int64s:
    """Sums of the first 0, 1, … n values: the sum over rows a to b is running[b] - running[a]."""
    sums = np.zeros(len(values) + 1, dtype=np.int64)
    np.cumsum(values, dtype=np.int64, out=sums[1:])
    return sums


def lay_out(
    events: pl.DataFrame,
    identity: pl.DataFrame | None,
    zone: str,
    columns: Sequence[str],
    users: Sequence[int] | npt.NDArray[np.int64] | None = None,
) -> Rows:
    """The rows of `events` by canonical user, time and seq; of `users` (canonical) only, when given."""
    wanted = ("seq", "user", "occurred_at", "kind", *columns)
    require(events, {name: EVENTS[name] for name in wanted}, "events")
    owner = canonical(events, identity)
    if users is not None:
        keep = owner.is_in(pl.Series(np.asarray(users, dtype=np.int64)).unique().implode())
        events, owner = events.filter(keep), owner.filter(keep)
    order = _by_user_and_time(owner.to_numpy(), events["occurred_at"].to_numpy(), events["seq"].to_numpy())
    by_user = owner.to_numpy()[order]
    time = events["occurred_at"].to_numpy()[order]
    first = np.flatnonzero(np.diff(by_user, prepend=by_user[:1] - 1))
    kind = events["kind"].cast(pl.Categorical)
    names = kind.unique().drop_nulls()
    values: dict[str, Int64s] = {}
    present: dict[str, Bools] = {}
    for name in columns:
        column = events[name].cast(pl.Int64)
        present[name] = column.is_not_null().to_numpy()[order]
        values[name] = column.fill_null(0).to_numpy()[order]
    return Rows(
        users=by_user[first],
        base=Track(
            np.arange(len(order), dtype=np.int64), time, np.append(first, len(order)).astype(np.int64)
        ),
        day=_days(time, zone),
        columns=values,
        present=present,
        original=events["user"].to_numpy()[order],
        kind=kind.to_physical().fill_null(np.iinfo(np.uint32).max).to_numpy()[order],
        kinds=dict(zip(names.cast(pl.String).to_list(), names.to_physical().to_list(), strict=True)),
    )


def behaviour(rows: Rows) -> Track:
    """The rows that are something a user did: all but those of bookkeeping kinds."""
    said = rows.of_kind(*BOOKKEEPING)
    return rows.base.subset(~said) if said.any() else rows.base


def next_occurrence(owner: Int64s, key: Int64s, time: Int64s) -> tuple[Int64s, Int64s]:
    """For each row when its owner has its key again (else NEVER), and the how-manieth time this is.

    Rows stand in their owner's order of time. A row is the last occurrence before an instant T when it is
    before T and its next one is not.
    """
    n = len(time)
    again = np.full(n, NEVER, dtype=np.int64)
    nth = np.ones(n, dtype=np.int64)
    if n < 2:
        return again, nth
    order = _stable_order(owner, key)
    same = (owner[order][1:] == owner[order][:-1]) & (key[order][1:] == key[order][:-1])
    again[order[:-1][same]] = time[order[1:][same]]
    begins = np.flatnonzero(np.concatenate(([True], ~same)))
    nth[order] = np.arange(n) - np.repeat(begins, np.diff(np.append(begins, n))) + 1
    return again, nth


def _stable_order(major: Int64s, minor: Int64s) -> Int64s:
    """The order by (major, minor, position)."""
    n = len(major)
    low, high = int(minor.min()), int(minor.max())
    width = high - low + 1
    first, last = int(major.min()), int(major.max())
    if (last - first + 1) * width * n <= LARGEST:
        # One plain sort of unique packed keys is several times faster than a stable sort of pairs.
        packed = ((major - first) * width + (minor - low)) * n + np.arange(n, dtype=np.int64)
        packed.sort()
        packed %= n
        return packed
    return np.lexsort((minor, major)).astype(np.int64)


def _by_user_and_time(user: Int64s, time: Int64s, seq: Int64s) -> Int64s:
    n = len(user)
    if n == 0:
        return np.zeros(0, dtype=np.int64)
    later = (time[1:] > time[:-1]) | ((time[1:] == time[:-1]) & (seq[1:] > seq[:-1]))
    if bool(later.all()):
        return _stable_order(np.zeros(1, dtype=np.int64).repeat(n), user)
    by_time = np.lexsort((seq, time)).astype(np.int64)
    return np.asarray(by_time[_stable_order(np.zeros(1, dtype=np.int64).repeat(n), user[by_time])])


def _days(time: Int64s, zone: str) -> Int64s:
    """The ordinal of the local day that holds each instant."""
    if len(time) == 0:
        return np.zeros(0, dtype=np.int64)
    ordinal, starts = day_starts(int(time.min()), int(time.max()), zone)
    return ordinal + np.searchsorted(np.asarray(starts, dtype=np.int64), time, side="right") - 1
