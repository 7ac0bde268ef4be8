"""Events laid out for repeated folding: by user, then time, with running sums and what follows what.

A sum over a window is a difference of two running sums, and a number of distinct things is a number of last
occurrences, so one as-of costs a few passes over the rows and nothing is grouped again. All sums are of
integers, so neither the order of rows nor the company of other users can change a digit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import polars as pl

from engine.schema import BOOKKEEPING, EVENTS, canonical, require
from engine.ticks import day_start, day_starts, shift_of

Int64s = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

NEVER = np.iinfo(np.int64).max
"""Stands for the instant of a next occurrence that has not come."""

NO_KIND = np.iinfo(np.uint32).max

HOUR = 3_600_000_000
DAY = 24 * HOUR
EPOCH_DAY = date(1970, 1, 1).toordinal()
LONG_DAYS = 3660


@dataclass(frozen=True)
class Track:
    """Some of the rows, still by user and time.

    rows: their indices. before: how many of them stand before each of all rows, and before the end; None
    where they are all rows. begins: each user's first, as an index into `rows`.
    """

    rows: Int64s
    begins: Int64s
    before: npt.NDArray[np.signedinteger] | None = None

    @property
    def most(self) -> int:
        """How many rows the user with the most has."""
        return int(np.diff(self.begins, append=len(self.rows)).max(initial=0))

    def at(self, row: Int64s) -> Int64s:
        """The index into `rows` of the first that is at or after each of these rows."""
        return row if self.before is None else self.before[row].astype(np.int64)


@dataclass(frozen=True)
class Rows:
    """All rows of some users, by user, time and seq.

    users: ascending. bounds: user i has rows bounds[i] to bounds[i + 1]. order: where the rows stood in the
    frame, whose columns (`given`, nulls as 0; `known`) stay in its order. owner: each row's index into users.
    """

    users: Int64s
    bounds: Int64s
    owner: Int64s
    time: Int64s
    day: Int64s
    order: Int64s
    given: dict[str, Int64s]
    known: dict[str, Bools]
    kind: npt.NDArray[np.uint32]
    kinds: dict[str, int]

    def every(self) -> Track:
        """The track of all rows."""
        return Track(np.arange(len(self.time)), self.bounds[:-1])

    def where(self, keep: Bools) -> Track:
        """The track of the rows that are flagged."""
        # Half the width where it suffices: every track of a prepared log keeps one of these.
        width = np.dtype(np.int32 if len(keep) < 2**31 else np.int64)
        before = np.zeros(len(keep) + 1, dtype=width)
        np.cumsum(keep, dtype=width, out=before[1:])
        return Track(np.flatnonzero(keep), before[self.bounds[:-1]].astype(np.int64), before)

    def having(self, name: str, track: Track) -> Track:
        """The track's rows that have a value in the column `name`."""
        has = self.known[name][self.order[track.rows]]
        if has.all():
            return track
        keep = np.zeros(len(self.time), dtype=np.bool_)
        keep[track.rows[has]] = True
        return self.where(keep)

    def values(self, name: str, track: Track) -> Int64s:
        """The column `name` on the track's rows."""
        return self.given[name][self.order[track.rows]]

    def of_kind(self, *kinds: str) -> Bools:
        """Which rows are of one of `kinds`."""
        mask = np.zeros(len(self.kind), dtype=np.bool_)
        for kind in kinds:
            if kind in self.kinds:
                mask |= self.kind == self.kinds[kind]
        return mask

    def until(self, instant: int, who: Int64s | slice = slice(None)) -> Int64s:
        """The first row at or after `instant` of each user at the indices `who`; the next user's first where
        there is none."""
        before = running(self.time < instant)
        first, end = self.bounds[:-1][who], self.bounds[1:][who]
        return np.asarray(first + before[end] - before[first], dtype=np.int64)


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
    kind = events["kind"].cast(pl.Categorical)
    names = kind.unique().drop_nulls()
    plain = events.select(
        "user",
        "occurred_at",
        "seq",
        kind.to_physical().fill_null(NO_KIND).alias("kind"),
        *(pl.col(name).is_not_null().alias(f"has {name}") for name in columns),
        *(pl.col(name).cast(pl.Int64).fill_null(0).alias(f"the {name}") for name in columns),
    )
    array = {name: plain[name].to_numpy() for name in plain.columns}
    order = _by_user_and_time(owner.to_numpy(), array["occurred_at"], array["seq"])
    by_user, time = owner.to_numpy()[order], array["occurred_at"][order]
    first = np.flatnonzero(np.diff(by_user, prepend=by_user[:1] - 1))
    bounds = np.append(first, len(order)).astype(np.int64)
    return Rows(
        users=by_user[first],
        bounds=bounds,
        owner=np.repeat(np.arange(len(first)), np.diff(bounds)),
        time=time,
        day=_days(time, zone),
        order=order,
        given={"user": array["user"], **{name: array[f"the {name}"] for name in columns}},
        known={name: array[f"has {name}"] for name in columns},
        kind=array["kind"][order],
        kinds=dict(zip(names.cast(pl.String).to_list(), names.to_physical().to_list(), strict=True)),
    )


def behaviour(rows: Rows) -> Track:
    """The rows that are something a user did: all but those of bookkeeping kinds."""
    said = rows.of_kind(*BOOKKEEPING)
    return rows.where(~said) if said.any() else rows.every()


@dataclass(frozen=True)
class Repeats:
    """Rows of equal owner and key brought together: the order that does it, and which follow their like."""

    order: Int64s
    same: Bools

    @classmethod
    def of(cls, owner: Int64s, key: Int64s) -> "Repeats":
        """For rows that stand in their owner's order of time; within each group they stay so."""
        n = len(owner)
        if n == 0:
            return cls(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.bool_))
        low, first = int(key.min()), int(owner.min())
        place = (n - 1).bit_length()
        width = (int(key.max()) - low).bit_length()
        if (int(owner.max()) - first).bit_length() + width + place > 63:
            order = np.lexsort((key, owner)).astype(np.int64)
            same = (owner[order][1:] == owner[order][:-1]) & (key[order][1:] == key[order][:-1])
            return cls(order, same)
        # One plain sort of packed numbers, all different, is several times faster than a stable one of pairs.
        packed = ((((owner - first) << width) | (key - low)) << place) | np.arange(n)
        packed.sort()
        order = packed & ((1 << place) - 1)
        packed >>= place
        return cls(order, packed[1:] == packed[:-1])

    def again(self, time: Int64s) -> Int64s:
        """For each row the time of the next of its group, NEVER without one.

        So a row is the last of its group before an instant when it is before it and its next one is not.
        """
        found = np.full(len(self.order), NEVER, dtype=np.int64)
        found[self.order[:-1][self.same]] = time[self.order[1:][self.same]]
        return found

    def nth(self) -> Int64s:
        """For each row the how-manieth of its group it is, from 1."""
        begins = np.flatnonzero(np.concatenate(([True], ~self.same)))
        within = np.arange(len(self.order)) - np.repeat(begins, np.diff(np.append(begins, len(self.order))))
        found = np.empty(len(self.order), dtype=np.int64)
        found[self.order] = within + 1
        return found

    def first(self) -> Bools:
        """Which rows are the first of their group."""
        found = np.ones(len(self.order), dtype=np.bool_)
        found[self.order[1:][self.same]] = False
        return found


def _by_user_and_time(user: Int64s, time: Int64s, seq: Int64s) -> Int64s:
    """The order by (user, time, seq), of which files usually come in one of two."""
    nobody = np.zeros(len(user), dtype=np.int64)
    later = (time[1:] > time[:-1]) | ((time[1:] == time[:-1]) & (seq[1:] > seq[:-1]))
    if bool(later.all()):
        return Repeats.of(nobody, user).order
    if bool(((user[1:] > user[:-1]) | ((user[1:] == user[:-1]) & later)).all()):
        return np.arange(len(user))
    by_time = np.lexsort((seq, time)).astype(np.int64)
    return np.asarray(by_time[Repeats.of(nobody, user[by_time]).order])


def _days(time: Int64s, zone: str) -> Int64s:
    """The ordinal of the local day that holds each instant."""
    if len(time) == 0:
        return np.zeros(0, dtype=np.int64)
    first, last = int(time.min()), int(time.max())
    if last - first <= LONG_DAYS * DAY:
        ordinal, starts = day_starts(first, last, zone)
        return ordinal + np.searchsorted(np.asarray(starts, dtype=np.int64), time, side="right") - 1
    # A stray date of 1970 must not ask for every midnight since: a local day starts within two days of UTC's.
    utc = np.unique(time // DAY) + EPOCH_DAY
    ordinals = np.unique(utc[:, None] + np.arange(-2, 3))
    starts = [day_start(int(ordinal), zone) for ordinal in ordinals]
    return ordinals[np.searchsorted(np.asarray(starts, dtype=np.int64), time, side="right") - 1]


def clock_hours(time: Int64s, zone: str) -> Int64s:
    """The hour, 0 to 23, that a clock in the zone shows at each instant."""
    if len(time) == 0:
        return np.zeros(0, dtype=np.int64)
    begins, shifts = _shifts(np.unique(time // DAY), zone)
    at = np.searchsorted(begins, time, side="right") - 1
    return np.asarray((time + shifts[at]) // HOUR % 24, dtype=np.int64)


def _shifts(days: Int64s, zone: str) -> tuple[Int64s, Int64s]:
    """Instants, ascending, from which on clocks are a shift ahead of UTC, for these days of UTC."""
    begins, shifts = [], []
    for day in days.tolist():
        start, end = day * DAY, (day + 1) * DAY - 1
        first, last = shift_of(start, zone), shift_of(end, zone)
        begins.append(start)
        shifts.append(first)
        if first != last:
            # Clocks change once that day: halve towards when.
            while end - start > 1:
                middle = (start + end) // 2
                start, end = (middle, end) if shift_of(middle, zone) == first else (start, middle)
            begins.append(end)
            shifts.append(last)
    return np.asarray(begins, dtype=np.int64), np.asarray(shifts, dtype=np.int64)
