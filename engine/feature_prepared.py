"""Prepared events: everything features need of the rows that does not depend on the as-of."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl

from engine.feature_names import placed, summed
from engine.feature_rows import NEVER, Bools, Int64s, Repeats, Rows, Track, behaviour, clock_hours, running
from engine.feature_spec import PLACES, FeatureSpec, plural

SUNDAY, SATURDAY = 0, 6  # proleptic ordinals modulo 7

NARROW = 3_037_000_499
"""The largest number whose square is one of 63 bits."""


@dataclass(frozen=True)
class Measure:
    """An integer on each row of a track, its running sums, and those of its squares.

    values: one more than there are rows, so that an index one past the end is an index. squares: in 64 bits
    where no user's, times their number, need more; those of all users may wrap, which leaves the difference
    of two as it is. Else in 128.
    """

    track: Track
    values: Int64s
    sums: Int64s
    squares: Int64s | pl.Series | None = None

    @classmethod
    def of(cls, track: Track, values: Int64s, squared: bool = False) -> "Measure":
        """Of `values`, one per row of `track`."""
        squares: Int64s | pl.Series | None = None
        if squared and _largest(values) * track.most <= NARROW:
            squares = running(values * values)
        elif squared:
            wide = pl.Series(values, dtype=pl.Int64).cast(pl.Int128)
            squares = pl.concat([pl.Series([0], dtype=pl.Int128), (wide * wide).cum_sum()])
        return cls(track, np.append(values, 0), running(values), squares)


@dataclass(frozen=True)
class Distinct:
    """Keys on the rows of a track, of which a window has as many as it has last occurrences."""

    track: Track
    again: Int64s


@dataclass(frozen=True)
class Classed:
    """One of `classes` classes for each row of a track; `classes` itself for a row of none."""

    track: Track
    codes: npt.NDArray[np.uint8]
    classes: int


@dataclass(frozen=True)
class Prepared:
    """What `features` needs of the events at any as-of; engine.features.prepare makes it."""

    rows: Rows
    spec: FeatureSpec
    attributes: pl.DataFrame | None
    acts: Track
    purchases: Track
    counts: dict[str, Track] = field(default_factory=dict)
    measures: dict[str, Measure] = field(default_factory=dict)
    distinct: dict[str, Distinct] = field(default_factory=dict)
    classed: dict[str, Classed] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: Rows, spec: FeatureSpec, attributes: pl.DataFrame | None = None) -> "Prepared":
        """Lay the tracks, running sums and next occurrences over `rows`."""
        acts = behaviour(rows)
        made = cls(rows, spec, attributes, acts, _of_kinds(rows, acts, ["purchase"]))
        if spec.purchases:
            made._lay_orders()
            made._lay_rhythm()
            made._lay_money()
        made._lay_activity()
        made._lay_variety()
        for family in spec.families:
            lay = _FAMILIES.get(family)
            if lay is not None:
                lay(made)
        return made

    def _lay_orders(self) -> None:
        rows, track = self.rows, self.purchases
        again = np.full(len(track.rows), NEVER, dtype=np.int64)
        if "order" in self.spec.fields:
            # A purchase without an order number is an order of its own.
            known = rows.known["order"][rows.order[track.rows]]
            lines = track.rows[known]
            numbers = rows.values("order", track)[known]
            again[known] = Repeats.of(rows.owner[lines], numbers).again(rows.time[lines])
        self.distinct["orders"] = Distinct(track, again)

    def _lay_rhythm(self) -> None:
        """Days with a purchase, and the days from one such day to the next."""
        track, day = self.purchases, self.rows.day[self.purchases.rows]
        newcomer = np.diff(self.rows.owner[track.rows], prepend=-1) != 0
        gap = np.where(newcomer, 0, np.diff(day, prepend=0))
        fresh = newcomer | (gap > 0)
        weekend = fresh & np.isin(day % 7, (SATURDAY, SUNDAY))
        self.measures["purchase_day"] = Measure.of(track, day)
        self.measures["purchase_days"] = Measure.of(track, fresh.astype(np.int64))
        self.measures["weekends"] = Measure.of(track, weekend.astype(np.int64))
        self.measures["gaps"] = Measure.of(track, gap, squared=True)

    def _lay_money(self) -> None:
        spec = self.spec
        if "amount" in spec.fields:
            self.measures["amount"] = self._measure("amount", self.purchases, squared=True)
            money = _of_kinds(self.rows, self.acts, ["purchase", "refund"])
            self.measures["spend"] = self._measure("amount", money)
            if "refund" in spec.kinds:
                refunds = _of_kinds(self.rows, self.acts, ["refund"])
                self.measures["refunded"] = self._measure("amount", refunds)
        if "quantity" in spec.fields:
            self.measures["quantity"] = self._measure("quantity", self.purchases, self._moments)

    def _lay_activity(self) -> None:
        rows, spec, acts = self.rows, self.spec, self.acts
        day, owner = rows.day[acts.rows], rows.owner[acts.rows]
        self.measures["active_day"] = Measure.of(acts, day)
        # Days never decrease within a user, so that equal ones are neighbours.
        again = np.full(len(day), NEVER, dtype=np.int64)
        same = (day[1:] == day[:-1]) & (owner[1:] == owner[:-1])
        again[:-1][same] = rows.time[acts.rows][1:][same]
        self.distinct["active_days"] = Distinct(acts, again)
        for kind in spec.counted:
            self.counts[plural(kind)] = _of_kinds(rows, acts, [kind])
        for column in ("duration", "rating"):
            if column in spec.fields:
                self.measures[column] = self._measure(column, acts, self._moments)

    def _lay_variety(self) -> None:
        """What there are different ones of."""
        rows, spec = self.rows, self.spec
        if "session" in spec.fields:
            track = rows.having("session", self.acts)
            # A session's ordinal is its original user's; everything else is the same for all aliases.
            again = self._repeats("session", track, rows.values("user", track)).again(rows.time[track.rows])
            self.distinct["sessions"] = Distinct(track, again)
        for column in ("item", "category"):
            if column in spec.fields:
                track = rows.having(column, self.acts)
                first = self._repeats(column, track, rows.owner[track.rows]).first()
                self.measures[column] = Measure.of(track, first.astype(np.int64))
        for column in ("platform", "device"):
            if column in spec.fields:
                track = rows.having(column, self.acts)
                nth = self._repeats(column, track, rows.owner[track.rows]).nth()
                self.measures[column] = Measure.of(track, nth)

    @property
    def _moments(self) -> bool:
        """Whether there are variances beyond the core's."""
        return "moments" in self.spec.families

    def _lay_sums(self) -> None:
        for stem, column, kind in summed(self.spec):
            self.measures[stem] = self._measure(column, self.counts[plural(kind)])

    def _lay_windows_of_variety(self) -> None:
        for name, column in (("items", "item"), ("categories", "category")):
            if column in self.spec.fields:
                track = self.measures[column].track
                repeats = self._repeats(column, track, self.rows.owner[track.rows])
                self.distinct[name] = Distinct(track, repeats.again(self.rows.time[track.rows]))

    def _lay_places(self) -> None:
        rows, shares = self.rows, placed(self.spec)
        for column in PLACES:
            if column not in self.spec.fields:
                continue
            track = rows.having(column, self.acts)
            repeats = self._repeats(column, track, rows.owner[track.rows])
            self.measures[f"{column}s"] = Measure.of(track, repeats.first().astype(np.int64))
            if column not in self.measures:
                self.measures[column] = Measure.of(track, repeats.nth())
            numbers = np.array(sorted(number for _, its, number in shares if its == column), np.int64)
            if len(numbers):
                values = rows.values(column, track)
                at = np.minimum(np.searchsorted(numbers, values), len(numbers) - 1)
                codes = np.where(numbers[at] == values, at, len(numbers)).astype(np.uint8)
                self.classed[column] = Classed(track, codes, len(numbers))

    def _lay_hours(self) -> None:
        rows, acts = self.rows, self.acts
        hours = clock_hours(rows.time[acts.rows], self.spec.zone)
        self.classed["part"] = Classed(acts, (hours // 6).astype(np.uint8), 4)
        # Ordinal 1 (0001-01-01) is a Monday.
        self.classed["weekday"] = Classed(acts, ((rows.day[acts.rows] - 1) % 7).astype(np.uint8), 7)

    def _lay_first_days(self) -> None:
        """What was paid on the first day, which buy-till-you-die models leave out of the mean."""
        if self.spec.purchases and "amount" in self.spec.fields:
            rows, amount = self.rows, self.measures["amount"]
            bought = self.measures["purchase_day"]
            first = bought.values[bought.track.begins][rows.owner[amount.track.rows]]
            own = np.where(rows.day[amount.track.rows] == first, amount.values[:-1], 0)
            self.measures["first_day"] = Measure.of(amount.track, own)

    def _measure(self, column: str, track: Track, squared: bool = False) -> Measure:
        having = self.rows.having(column, track)
        return Measure.of(having, self.rows.values(column, having), squared)

    def _repeats(self, column: str, track: Track, owner: Int64s) -> Repeats:
        return Repeats.of(owner, self.rows.values(column, track))


def _largest(values: Int64s) -> int:
    """How far the one that is farthest is from zero."""
    return max(int(values.max(initial=0)), -int(values.min(initial=0)))


def _of_kinds(rows: Rows, acts: Track, kinds: Iterable[str]) -> Track:
    """The rows of these kinds; the very track of all acts where there are no others, so cuts are shared."""
    keep: Bools = rows.of_kind(*kinds)
    return acts if np.count_nonzero(keep) == len(acts.rows) else rows.where(keep)


_FAMILIES = {
    "sums": Prepared._lay_sums,
    "variety": Prepared._lay_windows_of_variety,
    "places": Prepared._lay_places,
    "rhythm": Prepared._lay_hours,
    "btyd": Prepared._lay_first_days,
}
