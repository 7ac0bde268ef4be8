"""The folds behind the families of features beyond the core, over what the core has made."""

from collections.abc import Callable

import numpy as np

from engine.feature_folds import Columns, Floats, Folds, ratio
from engine.feature_names import DAYS, PARTS, placed, summed
from engine.feature_prepared import Measure
from engine.feature_rows import Int64s
from engine.feature_spec import PLACES, plural


def family_features(folds: Folds, core: Columns) -> Columns:
    """What the spec's families add to the columns of the core."""
    out: Columns = {}
    for family in folds.spec.families:
        out |= _rates(folds, core) if family == "rates" else _FOLDS[family](folds)
    return out


def _sums(folds: Folds) -> Columns:
    spec, made = folds.spec, folds.prepared
    out: Columns = {}
    if spec.purchases:
        if "order" in spec.fields:
            out |= {f"lines_{days}d": folds.rows(made.purchases, days) for days in spec.windows}
        if "amount" in spec.fields:
            out |= _totals(folds, "paid", made.measures["amount"])
            if "refund" in spec.kinds:
                refunded = _totals(folds, "refunded", made.measures["refunded"])
                out |= {name: -total for name, total in refunded.items()}
        if "quantity" in spec.fields:
            out |= _totals(folds, "pieces", made.measures["quantity"])
    for stem, _, _ in summed(spec):
        out |= _totals(folds, stem, made.measures[stem])
    if "duration" in spec.fields:
        out["duration"] = folds.total(made.measures["duration"])
    return out


def _totals(folds: Folds, stem: str, measure: Measure) -> Columns:
    out: Columns = {f"{stem}_{days}d": folds.total(measure, days) for days in folds.spec.windows}
    return out | {stem: folds.total(measure)}


def _moments(folds: Folds) -> Columns:
    spec, made = folds.spec, folds.prepared
    out: Columns = {}
    for name, parts in (("quantity", 1), ("duration", 1), ("rating", 100)):
        if name in spec.fields and name in made.measures:
            measure = made.measures[name]
            n, total = folds.rows(measure.track), folds.total(measure)
            out[f"{name}_variance"] = folds.variance(measure, n, total, parts)
            if name != "rating":
                out[f"{name}_min"], out[f"{name}_last"] = folds.smallest(measure), folds.last(measure)
    return out


def _variety(folds: Folds) -> Columns:
    out: Columns = {}
    for stem in ("items", "categories"):
        if stem in folds.prepared.distinct:
            counts = folds.keys(folds.prepared.distinct[stem], folds.spec.windows)
            out |= {f"{stem}_{days}d": n for days, n in zip(folds.spec.windows, counts, strict=True)}
    return out


def _rates(folds: Folds, core: Columns) -> Columns:
    spec, made = folds.spec, folds.prepared
    out: Columns = {}
    steps = (("conversion", "orders", "views"), ("view_to_cart", "carts", "views"))
    for rate, later, earlier in (*steps, ("cart_to_order", "orders", "carts")):
        if later in core and earlier in core:
            for end in ("", *(f"_{days}d" for days in spec.windows)):
                out[rate + end] = ratio(core[later + end], core[earlier + end])
    if "refunded" in made.measures:
        for days in spec.windows:
            paid = folds.total(made.measures["amount"], days)
            refunded = folds.total(made.measures["refunded"], days)
            out[f"refund_share_{days}d"] = ratio(-refunded, np.maximum(paid, 0))
    return out


def _trends(folds: Folds) -> Columns:
    spec, made = folds.spec, folds.prepared
    out: Columns = {}
    for days in spec.doubled:
        if "spend" in made.measures:
            new = folds.total(made.measures["spend"], days)
            out[f"trend_of_spend_{days}d"] = _trend(new, folds.total(made.measures["spend"], 2 * days))
        for kind in spec.counted:
            stem = plural(kind)
            new, both = folds.rows(made.counts[stem], days), folds.rows(made.counts[stem], 2 * days)
            out[f"trend_of_{stem}_{days}d"] = _trend(new, both)
    return out


def _trend(new: Int64s, both: Int64s) -> Floats:
    """How far what is new outweighs what is old, from 1 to -1, whatever the signs."""
    old = both - new
    return ratio(new - old, np.abs(new) + np.abs(old))


def _places(folds: Folds) -> Columns:
    spec, made = folds.spec, folds.prepared
    out: Columns = {}
    for column in PLACES:
        if column in spec.fields:
            out[f"{column}s"] = folds.total(made.measures[f"{column}s"])
    if "region" in spec.fields:
        used = made.measures["region"]
        out["region_share"] = ratio(folds.largest(used), folds.rows(used.track))
    for column, classed in made.classed.items():
        shares = sorted((number, name) for name, its, number in placed(spec) if its == column)
        if shares:
            counts, n = folds.classes(classed), folds.rows(classed.track)
            out |= {name: ratio(counts[:, code], n) for code, (_, name) in enumerate(shares)}
    return out


def _rhythm(folds: Folds) -> Columns:
    made, out = folds.prepared, dict[str, Int64s | Floats]()
    n = folds.rows(made.acts)
    for classed, names in ((made.classed["part"], PARTS), (made.classed["weekday"], DAYS)):
        counts = folds.classes(classed)
        out |= {f"{name}_share": ratio(counts[:, code], n) for code, name in enumerate(names)}
    return out


def _btyd(folds: Folds) -> Columns:
    spec, made = folds.spec, folds.prepared
    if not spec.purchases:
        return {}
    day = made.measures["purchase_day"]
    first, last = folds.first(day), folds.last(day)
    repeats = np.maximum(folds.total(made.measures["purchase_days"]) - 1, 0)
    out: Columns = {
        "btyd_frequency": repeats,
        "btyd_recency_days": np.where(repeats > 0, last - first, 0).astype(np.int64),
        "btyd_age_days": np.maximum(folds.days_since(first, 1) - 1, 0),
    }
    if "amount" in spec.fields:
        repeated = folds.total(made.measures["amount"]) - folds.total(made.measures["first_day"])
        out["btyd_monetary"] = ratio(repeated, repeats)
    return out


_FOLDS: dict[str, Callable[[Folds], Columns]] = {
    "sums": _sums,
    "moments": _moments,
    "variety": _variety,
    "trends": _trends,
    "places": _places,
    "rhythm": _rhythm,
    "btyd": _btyd,
}
