"""The folds behind the features: prepared rows at one as-of, to one array per feature."""

import numpy as np
import numpy.typing as npt
import polars as pl

from engine.feature_prepared import Classed, Distinct, Measure, Prepared
from engine.feature_rows import Bools, Int64s, Track, running
from engine.feature_spec import longest_window
from engine.ticks import day_of, days_before

Floats = npt.NDArray[np.float64]
Columns = dict[str, Int64s | Floats]


class Folds:
    """`prepared` at `as_of`: sums and counts per user, over the windows and over everything before."""

    def __init__(self, prepared: Prepared, as_of: int, who: Int64s | slice = slice(None)) -> None:
        """`who`: which of the users laid out to fold for, as indices, ascending."""
        self.prepared = prepared
        self.who = who
        self.spec = prepared.spec
        self.as_of = as_of
        self.cap = longest_window(self.spec) + 1
        self.today = day_of(as_of - 1, self.spec.zone)
        self._rows: dict[int, Int64s] = {}
        self._until: dict[tuple[int, int], Int64s] = {}

    def until(self, track: Track, days: int = 0) -> Int64s:
        """For each user the first of the track's rows not before the as-of, or not before `days` earlier."""
        if days not in self._rows:
            instant = days_before(self.as_of, days, self.spec.zone) if days else self.as_of
            self._rows[days] = self.prepared.rows.until(instant, self.who)
        key = (id(track), days)
        if key not in self._until:
            self._until[key] = track.at(self._rows[days])
        return self._until[key]

    def present(self) -> Bools:
        """Which users have an event before the as-of."""
        rows = self.prepared.rows
        return np.asarray(rows.until(self.as_of, self.who) > rows.bounds[:-1][self.who])

    def begin(self, track: Track, days: int | None = None) -> Int64s:
        """For each user the track's first row of the window, of all time when `days` is None."""
        return track.begins[self.who] if days is None else self.until(track, days)

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

    def largest(self, measure: Measure) -> Floats:
        """Each user's largest value before the as-of, NaN without any."""
        return self._extreme(np.maximum, measure)

    def smallest(self, measure: Measure) -> Floats:
        """Each user's smallest value before the as-of, NaN without any."""
        return self._extreme(np.minimum, measure)

    def _extreme(self, of: np.ufunc, measure: Measure) -> Floats:
        begin, end = self.begin(measure.track), self.until(measure.track)
        found = np.full(len(begin), np.nan)
        some = end > begin
        if some.any():
            # Every second slice is a user's rows; the ones between are what follows, up to the next one's.
            cuts = np.column_stack((begin[some], end[some])).ravel()
            found[some] = of.reduceat(measure.values, cuts)[::2]
        return found

    def first(self, measure: Measure) -> Floats:
        """Each user's first value, NaN without any before the as-of."""
        begin, end = self.begin(measure.track), self.until(measure.track)
        return np.where(end > begin, measure.values[begin], np.nan)

    def last(self, measure: Measure) -> Floats:
        """Each user's last value before the as-of, by time, then seq; NaN without any."""
        begin, end = self.begin(measure.track), self.until(measure.track)
        return np.where(end > begin, measure.values[end - 1], np.nan)

    def variance(self, measure: Measure, n: Int64s, total: Int64s, parts: int = 1) -> Floats:
        """Each user's sample variance of `n` values that add up to `total`, NaN for fewer than two.

        parts: how many of what the values count make one of the unit's.
        """
        squares, begin, end = measure.squares, self.begin(measure.track), self.until(measure.track)
        assert squares is not None
        parted = parts**2 * n * (n - 1)
        if isinstance(squares, np.ndarray):
            return ratio(n * (squares[end] - squares[begin]) - total * total, parted)
        counted, wide = pl.Series(n).cast(pl.Int128), pl.Series(total).cast(pl.Int128)
        surplus = counted * (squares.gather(end) - squares.gather(begin)) - wide * wide
        return ratio(surplus.cast(pl.Float64).to_numpy(), parted)

    def classes(self, classed: Classed) -> Int64s:
        """int64[users, classes]: how many rows of each class each user has."""
        rows, track, width = self.prepared.rows, classed.track, classed.classes + 1
        users = len(rows.users)
        known = rows.time[track.rows] < self.as_of
        cells = rows.owner[track.rows] * width + classed.codes
        counts = np.bincount(cells[known], minlength=users * width)
        return np.asarray(counts.reshape(users, width)[self.who, :-1])

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
    spec, made = folds.spec, folds.prepared
    if not spec.purchases:
        return {}
    out: Columns = {}
    bought = made.measures["purchase_day"]
    out["recency_days"] = folds.days_since(folds.last(bought), folds.cap)
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
        out["customer_days"] = folds.days_since(folds.first(bought), 0)
        out["purchase_days"] = days_bought
    out |= _gaps(folds, out["recency_days"], days_bought)
    out["weekend_share"] = ratio(folds.total(made.measures["weekends"]), days_bought)
    if "order" in spec.fields:
        out["purchase_lines"] = folds.rows(made.purchases)
    if "amount" in spec.fields:
        out |= _money(folds, orders[None])
    if "quantity" in spec.fields:
        quantity = made.measures["quantity"]
        out["quantity_mean"] = ratio(folds.total(quantity), folds.rows(quantity.track))
        out["quantity_max"] = folds.largest(quantity)
    if "view" in spec.kinds:
        out["conversion"] = ratio(orders[None], folds.rows(made.counts["views"]))
    return out


def _gaps(folds: Folds, recency: Int64s | Floats, days_bought: Int64s) -> Columns:
    gaps = folds.prepared.measures["gaps"]
    n = np.maximum(days_bought - 1, 0)
    total = folds.total(gaps)
    return {
        "gap_mean_days": ratio(total, n),
        "gap_spread_days": np.sqrt(folds.variance(gaps, n, total)),
        "gap_max_days": np.where(n > 0, folds.largest(gaps), np.nan),
        "overdue": ratio(recency * n, total),
    }


def _money(folds: Folds, orders: Int64s) -> Columns:
    spec, made = folds.spec, folds.prepared
    amount, spend = made.measures["amount"], made.measures["spend"]
    n, paid = folds.rows(amount.track), folds.total(amount)
    out: Columns = {f"spend_{days}d": folds.total(spend, days) for days in spec.windows}
    out["spend"] = folds.total(spend)
    out["order_value_mean"] = ratio(paid, orders)
    out["amount_mean"] = ratio(paid, n)
    out["amount_variance"] = folds.variance(amount, n, paid)
    out["amount_min"] = folds.smallest(amount)
    out["amount_max"] = folds.largest(amount)
    out["amount_last"] = folds.last(amount)
    if "refund" in spec.kinds:
        out["refund_share"] = ratio(-folds.total(made.measures["refunded"]), np.maximum(paid, 0))
    return out


def activity_features(folds: Folds) -> Columns:
    """Presence, counts of other kinds, sessions, time spent, ratings, variety and habits."""
    spec, made = folds.spec, folds.prepared
    out: Columns = {}
    if spec.purchases or spec.counted:
        day = made.measures["active_day"]
        out["tenure_days"] = folds.days_since(folds.first(day), 0)
        out["silence_days"] = folds.days_since(folds.last(day), folds.cap)
        out |= _distinct(folds, "active_days", made.distinct["active_days"])
    for name, track in made.counts.items():
        out |= {f"{name}_{days}d": folds.rows(track, days) for days in spec.windows}
        out[name] = folds.rows(track)
    if "session" in spec.fields:
        out |= _distinct(folds, "sessions", made.distinct["sessions"])
    if "duration" in spec.fields:
        duration = made.measures["duration"]
        out |= {f"duration_{days}d": folds.total(duration, days) for days in spec.windows}
        out["duration_mean"] = ratio(folds.total(duration), folds.rows(duration.track))
        out["duration_max"] = folds.largest(duration)
    if "rating" in spec.fields:
        rating = made.measures["rating"]
        out["rating_mean"] = ratio(folds.total(rating), 100 * folds.rows(rating.track))
        out["rating_min"] = folds.smallest(rating) / 100
        out["rating_max"] = folds.largest(rating) / 100
        out["rating_last"] = folds.last(rating) / 100
    for name, column in (("items", "item"), ("categories", "category")):
        if column in spec.fields:
            out[name] = folds.total(made.measures[column])
    for column in ("platform", "device"):
        if column in spec.fields:
            # The most used one is the one that came for the largest how-manieth time.
            used = made.measures[column]
            out[f"{column}_share"] = ratio(folds.largest(used), folds.rows(used.track))
    return out


def _distinct(folds: Folds, name: str, distinct: Distinct) -> Columns:
    windows: tuple[int | None, ...] = (None, *folds.spec.windows)
    counts = folds.keys(distinct, windows)
    return {name if days is None else f"{name}_{days}d": n for days, n in zip(windows, counts, strict=True)}
