"""Prepared events: everything features need of the rows that does not depend on the as-of."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from engine.feature_rows import NEVER, Bools, Int64s, Repeats, Rows, Track, behaviour, running
from engine.feature_spec import FeatureSpec, plural

SUNDAY, SATURDAY = 0, 6  # proleptic ordinals modulo 7


@dataclass(frozen=True)
class Measure:
    """An integer on each row of a track, its running sums, and (in 128 bits) those of its squares.

    values: one more than there are rows, so that an index one past the end is an index.
    """

    track: Track
    values: Int64s
    sums: Int64s
    squares: pl.Series | None = None

    @classmethod
    def of(cls, track: Track, values: Int64s, squared: bool = False) -> "Measure":
        """Of `values`, one per row of `track`."""
        squares = None
        if squared:
            wide = pl.Series(values, dtype=pl.Int64).cast(pl.Int128)
            squares = pl.concat([pl.Series([0], dtype=pl.Int128), (wide * wide).cum_sum()])
        return cls(track, np.append(values, 0), running(values), squares)


@dataclass(frozen=True)
class Distinct:
    """Keys on the rows of a track, of which a window has as many as it has last occurrences."""

    track: Track
    again: Int64s


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
            self.measures["quantity"] = self._measure("quantity", self.purchases)

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
                self.measures[column] = self._measure(column, acts)

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

    def _measure(self, column: str, track: Track, squared: bool = False) -> Measure:
        having = self.rows.having(column, track)
        return Measure.of(having, self.rows.values(column, having), squared)

    def _repeats(self, column: str, track: Track, owner: Int64s) -> Repeats:
        return Repeats.of(owner, self.rows.values(column, track))


def _of_kinds(rows: Rows, acts: Track, kinds: Iterable[str]) -> Track:
    """The rows of these kinds; the very track of all acts where there are no others, so cuts are shared."""
    keep: Bools = rows.of_kind(*kinds)
    return acts if np.count_nonzero(keep) == len(acts.rows) else rows.where(keep)
