"""Features of many users from one Parquet file, ours or the same aggregates in DuckDB's SQL.

Run as `python tests/benchmarks/bench_features.py ours|duckdb|make FILE`: prints seconds, peak memory and sums
of what was found, as JSON. Reading the file counts on both sides. `differing FILE` prints the features in
which any user is not the same on both sides.
"""

import json
import resource
import sys
import time

import numpy as np
import polars as pl

from engine.features import FeatureSpec, features
from engine.schema import EVENTS

DAY = 86_400_000_000
AS_OF = 20_000 * DAY
SPAN = 400
WINDOWS = (7, 28, 90, 365)
CAP = WINDOWS[-1] + 1
KINDS = ("add_to_cart", "purchase", "refund", "view")
NAMES = {"add_to_cart": "carts", "refund": "refunds", "view": "views"}
FIELDS = ("order", "item", "category", "platform", "device", "session", "amount", "quantity", "duration")


def make(path, *, events, users):
    """A log over 400 days, by time, as imports leave it: mostly views, an order number on what is bought."""
    draw = np.random.default_rng(0)
    kind = pl.Series(draw.choice(KINDS, events, p=[0.12, 0.12, 0.01, 0.75]))
    bought = kind.is_in(["purchase", "refund"])
    amount = draw.integers(100, 20_000, events)
    frame = pl.DataFrame(
        {
            "seq": np.arange(events),
            "user": draw.integers(0, users, events),
            "occurred_at": AS_OF - SPAN * DAY + np.sort(draw.integers(0, SPAN * DAY, events)),
            "kind": kind,
            "order": draw.integers(0, events // 10, events),
            "item": draw.integers(0, 5_000, events),
            "category": draw.integers(0, 40, events),
            "platform": draw.integers(0, 3, events),
            "device": draw.integers(0, 3, events),
            "region": draw.integers(0, 50, events),
            "session": draw.integers(0, 20, events),
            "amount": np.where(kind == "refund", -amount, amount),
            "quantity": draw.integers(1, 4, events),
            "rating": pl.repeat(None, events, dtype=pl.Int64, eager=True),
            "duration": draw.integers(0, 60_000, events),
        }
    )
    sold = ("order", "amount", "quantity")
    frame = frame.with_columns(pl.when(bought).then(name).alias(name) for name in sold)
    frame.select(pl.col(name).cast(kind) for name, kind in EVENTS.items()).write_parquet(path)


def ours(path):
    """Our features of the file as a frame."""
    spec = FeatureSpec(windows=WINDOWS, kinds=KINDS, fields=FIELDS)
    return features(pl.read_parquet(path), None, AS_OF, spec)


def duckdb(path):
    """The same, as SQL says it straight: one aggregate each, and a subquery for what needs two steps."""
    from duckdb import connect

    with connect() as connection:
        return pl.from_arrow(connection.sql(sql(path)).to_arrow_table())


def differing(path):
    """The features that are not both missing, or the same to 1e-9, for each user."""
    own, peer = (frame(path).sort("user") for frame in (ours, duckdb))
    assert own["user"].equals(peer["user"].cast(pl.Int64))
    assert sorted(own.columns) == sorted(peer.columns)

    def differs(name):
        one, other = (frame[name].cast(pl.Float64).to_numpy() for frame in (own, peer))
        return not np.allclose(one, other, rtol=1e-9, atol=1e-9, equal_nan=True)

    return [name for name in own.columns if differs(name)]


def sql(path):
    bought, since = (
        "kind = 'purchase'",
        {
            days: f"occurred_at >= {AS_OF - days * DAY}"
            for days in {*WINDOWS, *(2 * days for days in WINDOWS)}
        },
    )
    today = AS_OF // DAY
    orders = f'count(DISTINCT "order") FILTER ({bought})'

    def within(what, days, where="true"):
        return f"{what} FILTER ({where} AND {since[days]})"

    told = {
        "recency_days": f"coalesce(least({today} - max(day) FILTER ({bought}), {CAP}), {CAP})",
        "orders": orders,
        "customer_days": f"CASE WHEN count(*) FILTER ({bought}) = 0 THEN 0"
        f" ELSE least({today} - min(day) FILTER ({bought}), {CAP}) END",
        "purchase_days": f"count(DISTINCT day) FILTER ({bought})",
        "weekend_share": f"count(DISTINCT day) FILTER ({bought} AND (day + 4) % 7 IN (0, 6))"
        f" / nullif(count(DISTINCT day) FILTER ({bought}), 0)",
        "purchase_lines": f"count(*) FILTER ({bought})",
        "spend": "coalesce(sum(amount), 0)",
        "order_value_mean": f"sum(amount) FILTER ({bought}) / {orders}",
        "amount_mean": f"avg(amount) FILTER ({bought})",
        "amount_variance": f"var_samp(amount) FILTER ({bought})",
        "amount_min": f"min(amount) FILTER ({bought})",
        "amount_max": f"max(amount) FILTER ({bought})",
        "amount_last": f"arg_max(amount, (occurred_at, seq)) FILTER ({bought})",
        "refund_share": "-coalesce(sum(amount) FILTER (kind = 'refund'), 0)"
        f" / nullif(sum(amount) FILTER ({bought}), 0)",
        "quantity_mean": f"avg(quantity) FILTER ({bought})",
        "quantity_max": f"max(quantity) FILTER ({bought})",
        "conversion": f"{orders} / nullif(count(*) FILTER (kind = 'view'), 0)",
        "tenure_days": f"least({today} - min(day), {CAP})",
        "silence_days": f"least({today} - max(day), {CAP})",
        "active_days": "count(DISTINCT day)",
        "sessions": "count(DISTINCT session)",
        "duration_mean": "avg(duration)",
        "duration_max": "max(duration)",
        "items": "count(DISTINCT item)",
        "categories": "count(DISTINCT category)",
    }
    for days in WINDOWS:
        told |= {
            f"orders_{days}d": within('count(DISTINCT "order")', days, bought),
            f"spend_{days}d": f"coalesce({within('sum(amount)', days)}, 0)",
            f"active_days_{days}d": within("count(DISTINCT day)", days),
            f"sessions_{days}d": within("count(DISTINCT session)", days),
            f"duration_{days}d": f"coalesce({within('sum(duration)', days)}, 0)",
        }
        if 2 * days <= WINDOWS[-1]:
            both = within('count(DISTINCT "order")', 2 * days, bought)
            told[f"trend_{days}d"] = f"(2 * orders_{days}d - {both}) / nullif({both}, 0)"
    for kind, name in NAMES.items():
        told[name] = f"count(*) FILTER (kind = '{kind}')"
        told |= {f"{name}_{days}d": within("count(*)", days, f"kind = '{kind}'") for days in WINDOWS}
    columns = ", ".join(f"{what} AS {name}" for name, what in told.items())
    shares = "".join(
        f", {name}s AS (SELECT user, max(n) / sum(n) AS {name}_share FROM"
        f" (SELECT user, {name}, count(*) AS n FROM events GROUP BY ALL) GROUP BY user)"
        for name in ("platform", "device")
    )
    return f"""
        WITH events AS (
            SELECT *, occurred_at // {DAY} AS day FROM read_parquet('{path}') WHERE occurred_at < {AS_OF}
        ), plain AS (SELECT user, {columns} FROM events GROUP BY user),
        days AS (SELECT DISTINCT user, day FROM events WHERE {bought}),
        gaps AS (SELECT user, day - lag(day) OVER (PARTITION BY user ORDER BY day) AS gap FROM days),
        rhythm AS (
            SELECT user, avg(gap) AS gap_mean_days, stddev_samp(gap) AS gap_spread_days,
                max(gap) AS gap_max_days
            FROM gaps GROUP BY user
        ){shares}
        SELECT *, recency_days / gap_mean_days AS overdue FROM plain
        LEFT JOIN rhythm USING (user) LEFT JOIN platforms USING (user) LEFT JOIN devices USING (user)
    """


def main():
    who, path, *size = sys.argv[1:]
    if who == "make":
        make(path, events=int(size[0]), users=int(size[1]))
        return
    if who == "differing":
        print(json.dumps(differing(path)))
        return
    began = time.perf_counter()
    frame = {"ours": ours, "duckdb": duckdb}[who](path)
    seconds = time.perf_counter() - began
    sums = {name: float(frame[name].cast(pl.Float64).sum()) for name in sorted(frame.columns)}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(json.dumps({"users": frame.height, "seconds": seconds, "peak_gb": peak, "sums": sums}))


if __name__ == "__main__":
    main()
