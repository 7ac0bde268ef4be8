"""The folds behind the features: prepared rows at one as-of, to one array per feature."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl

from engine.feature_rows import NEVER, Bools, Int64s, Rows, Track, behaviour, next_occurrence, running
from engine.feature_spec import FeatureSpec, longest_window, plural
from engine.ticks import day_of, days_before

Floats = npt.NDArray[np.float64]
Columns = dict[str, Int64s | Floats]

SUNDAY, SATURDAY = 0, 6  # proleptic ordinals modulo 7


@dataclass(frozen=True)
class Measure:
    """An integer on each row of a track, ready for sums, extremes and the last one."""

    track: Track
    values: Int64s
    sums: Int64s

    @classmethod
    def of(cls, track: Track, values: Int64s) -> "Measure":
        """Of `values`, one per row of `track`."""
        return cls(track, values, running(values))

    @classmethod
    def column(cls, rows: Rows, name: str, track: Track) -> "Measure":
        """Of the column `name` on those of the track's rows that have it."""
        has = rows.present[name][track.rows]
        track = track if has.all() else track.subset(has)
        return cls.of(track, rows.columns[name][track.rows])


@dataclass(frozen=True)
class Distinct:
    """Which rows of a track are the last of their key before an instant, key by key within each user."""

    track: Track
    again: Int64s
    nth: Int64s

    @classmethod
    def of(cls, track: Track, owner: Int64s, key: Int64s) -> "Distinct":
        """Keys `key` of the rows' `owner`."""
        return cls(track, *next_occurrence(owner, key, track.time))

    @classmethod
    def ascending(cls, track: Track, owner: Int64s, key: Int64s) -> "Distinct":
        """The same where keys never decrease within an owner, so that equal ones are neighbours."""
        again = np.full(len(key), NEVER, dtype=np.int64)
        same = (owner[1:] == owner[:-1]) & (key[1:] == key[:-1])
        again[:-1][same] = track.time[1:][same]
        return cls(track, again, np.zeros(0, dtype=np.int64))


@dataclass(frozen=True)
class Prepared:
    """What `features` needs of the events at any as-of: `Prepared.of`, or engine.features.prepare."""

    rows: Rows
    spec: FeatureSpec
    attributes: pl.DataFrame | None
    acts: Track
    purchases: Track
    counts: dict[str, Measure] = field(default_factory=dict)
    measures: dict[str, Measure] = field(default_factory=dict)
    distinct: dict[str, Distinct] = field(default_factory=dict)
    squares: dict[str, pl.Series] = field(default_factory=dict)
    purchase_day: Int64s = field(default_factory=lambda: np.zeros(0, np.int64))

    @classmethod
    def of(cls, rows: Rows, spec: FeatureSpec, attributes: pl.DataFrame | None = None) -> "Prepared":
        """Lay the tracks, running sums and next occurrences over `rows`."""
        acts = behaviour(rows)
        purchases = _track(rows, acts, "purchase")
        made = cls(rows, spec, attributes, acts, purchases, purchase_day=rows.day[purchases.rows])
        if spec.purchases:
            made._lay_purchases()
            made._lay_rhythm()
        made._lay_activity()
        return made

    def _lay_purchases(self) -> None:
        rows, spec, track = self.rows, self.spec, self.purchases
        if "order" in spec.fields:
            # A purchase without an order number is an order of its own: give it a key nobody else has.
            number, known = rows.columns["order"][track.rows], rows.present["order"][track.rows]
            alone = int(number.max(initial=0)) + 1 + np.arange(len(number), dtype=np.int64)
            self.distinct["orders"] = Distinct.of(track, rows.owner(track), np.where(known, number, alone))
        else:
            never = np.full(len(track.rows), NEVER, dtype=np.int64)
            self.distinct["orders"] = Distinct(track, never, np.zeros(0, dtype=np.int64))
        if "amount" in spec.fields:
            amount = Measure.column(rows, "amount", track)
            self.measures["amount"] = amount
            wide = pl.Series(amount.values, dtype=pl.Int64).cast(pl.Int128)
            self.squares["amount"] = pl.concat([pl.Series([0], dtype=pl.Int128), (wide * wide).cum_sum()])
            money = _track(rows, self.acts, "purchase", "refund")
            self.measures["spend"] = Measure.column(rows, "amount", money)
            if "refund" in spec.kinds:
                refunds = _track(rows, self.acts, "refund")
                self.measures["refunded"] = Measure.column(rows, "amount", refunds)
        if "quantity" in spec.fields:
            self.measures["quantity"] = Measure.column(rows, "quantity", track)

    def _lay_rhythm(self) -> None:
        """Days with a purchase, and the days from one such day to the next."""
        track, day = self.purchases, self.purchase_day
        newcomer = np.zeros(len(day), dtype=np.bool_)
        newcomer[track.bounds[:-1][track.bounds[:-1] < track.bounds[1:]]] = True
        gap = np.where(newcomer, 0, np.diff(day, prepend=0))
        fresh = newcomer | (gap > 0)
        weekend = fresh & np.isin(day % 7, (SATURDAY, SUNDAY))
        self.measures["purchase_days"] = Measure.of(track, fresh.astype(np.int64))
        self.measures["weekends"] = Measure.of(track, weekend.astype(np.int64))
        self.measures["gaps"] = Measure.of(track, gap)
        self.measures["squared_gaps"] = Measure.of(track, gap * gap)

    def _lay_activity(self) -> None:
        rows, spec, acts = self.rows, self.spec, self.acts
        self.distinct["active_days"] = Distinct.ascending(acts, rows.owner(acts), rows.day[acts.rows])
        for kind in spec.counted:
            track = _track(rows, acts, kind)
            self.counts[plural(kind)] = Measure.of(track, np.ones(len(track.rows), dtype=np.int64))
        for column in ("duration", "rating"):
            if column in spec.fields:
                self.measures[column] = Measure.column(rows, column, acts)
        for column in ("session", "item", "category", "platform", "device"):
            if column in spec.fields:
                has = rows.present[column][acts.rows]
                track = acts if has.all() else acts.subset(has)
                # A session's ordinal is its original user's; everything else is the same for all aliases.
                owner = rows.original[track.rows] if column == "session" else rows.owner(track)
                self.distinct[column] = Distinct.of(track, owner, rows.columns[column][track.rows])


def _track(rows: Rows, acts: Track, *kinds: str) -> Track:
    """The rows of these kinds; the very track of all acts where there are no others, so cuts are shared."""
    keep = rows.of_kind(*kinds)
    return acts if np.count_nonzero(keep) == len(acts.rows) else rows.base.subset(keep)


class Folds:
    """`prepared` at `as_of`: sums and counts per user, over the windows and over everything before."""

    def __init__(self, prepared: Prepared, as_of: int) -> None:
        self.prepared = prepared
        self.spec = prepared.spec
        self.as_of = as_of
        self.cap = longest_window(self.spec) + 1
        self.today = day_of(as_of - 1, self.spec.zone)
        self._until: dict[tuple[int, int], Int64s] = {}

    def until(self, track: Track, days: int = 0) -> Int64s:
        """For each user the first of the track's rows not before the as-of, or not before `days` earlier."""
        key = (id(track), days)
        if key not in self._until:
            instant = days_before(self.as_of, days, self.spec.zone) if days else self.as_of
            self._until[key] = track.until(instant)
        return self._until[key]

    def present(self) -> Bools:
        """Which users have an event before the as-of."""
        base = self.prepared.rows.base
        return np.asarray(self.until(base) > base.bounds[:-1])

    def begin(self, track: Track, days: int | None) -> Int64s:
        """For each user the track's first row of the window, of all time when `days` is None."""
        return track.bounds[:-1] if days is None else self.until(track, days)

    def rows(self, track: Track, days: int | None = None) -> Int64s:
        """How many of the track's rows each user has."""
        return np.asarray(self.until(track) - self.begin(track, days))

    def total(self, measure: Measure, days: int | None = None) -> Int64s:
        """Each user's sum."""
        track = measure.track
        return np.asarray(measure.sums[self.until(track)] - measure.sums[self.begin(track, days)])

    def keys(self, distinct: Distinct, windows: tuple[int | None, ...]) -> list[Int64s]:
        """How many different keys each user has in each window."""
        track = distinct.track
        last = running(distinct.again >= self.as_of)
        return [last[self.until(track)] - last[self.begin(track, days)] for days in windows]

    def largest(self, track: Track, values: Int64s) -> Floats:
        """Each user's largest value before the as-of, NaN without any."""
        return self._extreme(np.maximum, track, values)

    def smallest(self, track: Track, values: Int64s) -> Floats:
        """Each user's smallest value before the as-of, NaN without any."""
        return self._extreme(np.minimum, track, values)

    def _extreme(self, of: np.ufunc, track: Track, values: Int64s) -> Floats:
        begin, end = track.bounds[:-1], self.until(track)
        found = np.full(len(begin), np.nan)
        some = end > begin
        if some.any():
            # Every second slice is a user's rows; the ones between are what follows the as-of.
            cuts = np.column_stack((begin[some], end[some])).ravel()
            found[some] = of.reduceat(np.append(values, 0), cuts)[::2]
        return found

    def first(self, track: Track, values: Int64s) -> Floats:
        """Each user's first value, NaN without any before the as-of."""
        begin = track.bounds[:-1]
        some = self.until(track) > begin
        found = np.full(len(begin), np.nan)
        found[some] = values[begin[some]]
        return found

    def last(self, track: Track, values: Int64s) -> Floats:
        """Each user's last value before the as-of, by time, then seq; NaN without any."""
        end = self.until(track)
        some = end > track.bounds[:-1]
        found = np.full(len(end), np.nan)
        found[some] = values[end[some] - 1]
        return found

    def days_since(self, day: Floats, without: int) -> Int64s:
        """Whole local days since `day`, today being 1, capped; `without` where there is no day."""
        none = np.isnan(day)
        since = np.minimum(self.today - np.where(none, 0, day).astype(np.int64) + 1, self.cap)
        return np.where(none, without, since)


def ratio(above: Int64s | Floats, below: Int64s | Floats) -> Floats:
    """The quotient, NaN where `below` is 0."""
    quotient = np.full(len(above), np.nan)
    np.divide(above.astype(np.float64), below.astype(np.float64), out=quotient, where=below != 0)
    return quotient


def purchase_features(folds: Folds) -> Columns:
    """Recency, frequency, money and rhythm of purchases."""
    spec, made, track = folds.spec, folds.prepared, folds.prepared.purchases
    if not spec.purchases:
        return {}
    out: Columns = {}
    last_day = folds.last(track, made.purchase_day)
    out["recency_days"] = folds.days_since(last_day, folds.cap)
    spans: tuple[int | None, ...] = (None, *sorted({*spec.windows, *(2 * days for days in spec.doubled)}))
    orders = dict(zip(spans, folds.keys(made.distinct["orders"], spans), strict=True))
    out["orders"] = orders[None]
    for days in spec.windows:
        out[f"orders_{days}d"] = orders[days]
    for days in spec.doubled:
        # Of the orders of two windows, the newer one's surplus over the older one's.
        out[f"trend_{days}d"] = ratio(2 * orders[days] - orders[2 * days], orders[2 * days])
    days_bought = folds.total(made.measures["purchase_days"])
    if spec.counted:
        first_day = folds.first(track, made.purchase_day)
        out["customer_days"] = folds.days_since(first_day, 0)
        out["purchase_days"] = days_bought
    out |= _gaps(folds, out["recency_days"], days_bought)
    out["weekend_share"] = ratio(folds.total(made.measures["weekends"]), days_bought)
    if "order" in spec.fields:
        out["purchase_lines"] = folds.rows(track)
    if "amount" in spec.fields:
        out |= _money(folds, orders[None])
    if "quantity" in spec.fields:
        quantity = made.measures["quantity"]
        out["quantity_mean"] = ratio(folds.total(quantity), folds.rows(quantity.track))
        out["quantity_max"] = folds.largest(quantity.track, quantity.values)
    if "view" in spec.kinds:
        out["conversion"] = ratio(orders[None], folds.total(made.counts["views"]))
    return out


def _gaps(folds: Folds, recency: Int64s | Floats, days_bought: Int64s) -> Columns:
    gaps, squares = folds.prepared.measures["gaps"], folds.prepared.measures["squared_gaps"]
    n = np.maximum(days_bought - 1, 0)
    total = folds.total(gaps)
    spread = n * folds.total(squares) - total * total
    return {
        "gap_mean_days": ratio(total, n),
        "gap_spread_days": np.sqrt(ratio(spread, n * (n - 1))),
        "gap_max_days": np.where(n > 0, folds.largest(gaps.track, gaps.values), np.nan),
        "overdue": ratio(recency * n, total),
    }


def _money(folds: Folds, orders: Int64s) -> Columns:
    spec, made = folds.spec, folds.prepared
    amount, spend = made.measures["amount"], made.measures["spend"]
    n, paid = folds.rows(amount.track), folds.total(amount)
    until = folds.until(amount.track)
    squares = made.squares["amount"]
    counted, wide = pl.Series(n).cast(pl.Int128), pl.Series(paid).cast(pl.Int128)
    surplus = counted * (squares.gather(until) - squares.gather(amount.track.bounds[:-1])) - wide * wide
    out: Columns = {f"spend_{days}d": folds.total(spend, days) for days in spec.windows}
    out["spend"] = folds.total(spend)
    out["order_value_mean"] = ratio(paid, orders)
    out["amount_mean"] = ratio(paid, n)
    out["amount_variance"] = ratio(surplus.cast(pl.Float64).to_numpy(), n * (n - 1))
    out["amount_min"] = folds.smallest(amount.track, amount.values)
    out["amount_max"] = folds.largest(amount.track, amount.values)
    out["amount_last"] = folds.last(amount.track, amount.values)
    if "refund" in spec.kinds:
        out["refund_share"] = ratio(-folds.total(made.measures["refunded"]), np.maximum(paid, 0))
    return out


def activity_features(folds: Folds) -> Columns:
    """Presence, counts of other kinds, sessions, time spent, ratings, variety and habits."""
    spec, made, acts = folds.spec, folds.prepared, folds.prepared.acts
    out: Columns = {}
    if spec.purchases or spec.counted:
        day = made.rows.day[acts.rows]
        out["tenure_days"] = folds.days_since(folds.first(acts, day), 0)
        out["silence_days"] = folds.days_since(folds.last(acts, day), folds.cap)
        out |= _distinct(folds, "active_days", made.distinct["active_days"])
    for name, measure in made.counts.items():
        out |= _totals(folds, name, measure)
        out[name] = folds.total(measure)
    if "session" in spec.fields:
        out |= _distinct(folds, "sessions", made.distinct["session"])
    if "duration" in spec.fields:
        duration = made.measures["duration"]
        out |= _totals(folds, "duration", duration)
        out["duration_mean"] = ratio(folds.total(duration), folds.rows(duration.track))
        out["duration_max"] = folds.largest(duration.track, duration.values)
    if "rating" in spec.fields:
        rating = made.measures["rating"]
        out["rating_mean"] = ratio(folds.total(rating), 100 * folds.rows(rating.track))
        out["rating_min"] = folds.smallest(rating.track, rating.values) / 100
        out["rating_max"] = folds.largest(rating.track, rating.values) / 100
        out["rating_last"] = folds.last(rating.track, rating.values) / 100
    for name, column in (("items", "item"), ("categories", "category")):
        if column in spec.fields:
            out[name] = folds.keys(made.distinct[column], (None,))[0]
    for column in ("platform", "device"):
        if column in spec.fields:
            habit = made.distinct[column]
            out[f"{column}_share"] = ratio(folds.largest(habit.track, habit.nth), folds.rows(habit.track))
    return out


def _distinct(folds: Folds, name: str, distinct: Distinct) -> Columns:
    windows: tuple[int | None, ...] = (None, *folds.spec.windows)
    counts = folds.keys(distinct, windows)
    return {name if days is None else f"{name}_{days}d": n for days, n in zip(windows, counts, strict=True)}


def _totals(folds: Folds, stem: str, measure: Measure) -> Columns:
    return {f"{stem}_{days}d": folds.total(measure, days) for days in folds.spec.windows}
