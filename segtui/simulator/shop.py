"""What happens in each visit: searches, views, carts, orders; and later refunds, reviews, shares."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl

from segtui.simulator import customers
from segtui.simulator.customers import BARGAIN, DEVICES, REGIONS, Flags, Ints, People, Visits

CURRENCY = "EUR"
CATEGORIES = (  # name, price level in euros, share of the lines sent back
    ("shoes", 59.0, 0.12),
    ("clothing", 35.0, 0.14),
    ("home", 28.0, 0.04),
    ("beauty", 18.0, 0.02),
    ("electronics", 110.0, 0.06),
    ("toys", 22.0, 0.03),
    ("books", 14.0, 0.02),
    ("sports", 45.0, 0.06),
)
ITEMS = 60  # in a category
FAVOURITE = 0.55  # share of the views in a customer's favourite category
SEARCHING = 0.35  # share of the visits that begin with a search
CARTING = 0.07  # share of the views put in the cart and left there
SHARING = 0.006  # share of the views that are shared
REVIEWING = 0.10  # share of the bought lines that are reviewed
DISCOUNTS = np.array([0, 10, 20, 30])  # percent
USUAL_DISCOUNTS = np.array([0.86, 0.09, 0.04, 0.01])
SALES_DISCOUNTS = np.array([0.35, 0.25, 0.25, 0.15])
LATEST = 5  # days a late event arrives after its own
FAULTS = ("user", "time", "number")

SECOND = 1_000_000
DAY = 86_400 * SECOND

KINDS = ("search", "view", "share", "add_to_cart", "purchase", "review", "refund")
SEARCH, VIEW, SHARE, CART, PURCHASE, REVIEW, REFUND = range(7)
EVENT = {
    "user": pl.Int64,
    "time": pl.Int64,
    "kind": pl.Int64,
    "visit": pl.Int64,
    "order": pl.Int64,
    "item": pl.Int64,
    "amount": pl.Int64,
    "quantity": pl.Int64,
    "rating": pl.Int64,
    "duration": pl.Int64,
}


def simulate(
    *, users: int, days: int, seed: int, end: date, late: float = 0.01, dirty: float = 0.001
) -> pl.DataFrame:
    """The events of `users` customers over the `days` days before `end` (UTC), in the order of their arrival.

    Columns: those of sources.PARSED but line, id, refunded and email; `recorded_at` (µs UTC), when the event
    arrives: a share `late` of them one to LATEST days after their own day, the others at once; and `fault`,
    null but for a share `dirty` of rows that writing spoils: no `user`, a `time` that is none, text for a
    `number`. ValueError for a shop without customers or days.
    """
    if users < 1 or days < 1:
        raise ValueError("A shop needs at least one customer and one day.")
    rng = np.random.Generator(np.random.PCG64(seed))
    start = end - timedelta(days=days)
    who = customers.people(rng, users, days, len(CATEGORIES))
    visits = customers.visits(rng, who, days, start)
    prices = _prices(rng)
    events, sessions = _events(rng, who, visits, prices, start)
    origin = int(datetime(start.year, start.month, start.day, tzinfo=UTC).timestamp()) * SECOND
    events = events.filter(pl.col("time") < days * DAY).sort(
        "time", "user", "kind", "item", maintain_order=True
    )
    events = events.with_columns(
        pl.Series("recorded_at", _arrivals(rng, events["time"].to_numpy(), days, late))
    )
    fault = rng.choice(len(FAULTS), events.height)
    spoilt = rng.random(events.height) < dirty
    events = events.with_columns(
        pl.when(pl.Series(spoilt)).then(_named(pl.Series(fault), FAULTS)).alias("fault"),
        pl.col("time") + origin,
        pl.col("recorded_at") + origin,
    )
    return _told(rng, events, who, sessions).sort("recorded_at", maintain_order=True)


def _told(rng: np.random.Generator, events: pl.DataFrame, who: People, sessions: int) -> pl.DataFrame:
    """Numbers as the texts of a shop: ids, names, and the device each visit came from."""
    other = rng.choice(len(DEVICES), sessions, p=customers.DEVICE_SHARES)
    usual = rng.random(sessions) < customers.USUAL_DEVICE
    user, visit = events["user"].to_numpy(), events["visit"].fill_null(-1).to_numpy()
    device = np.where((visit < 0) | usual[visit], who.device[user], other[visit])
    app = who.app[user] & (device == DEVICES.index("phone"))
    item = pl.col("item")
    return events.select(
        pl.format("u{}", pl.col("user").cast(pl.String).str.zfill(6)).alias("user"),
        "time",
        _named(events["kind"], KINDS).alias("kind"),
        pl.format("A-{}", pl.col("order").cast(pl.String).str.zfill(7)).alias("order"),
        pl.format("sku-{}", item.cast(pl.String).str.zfill(3)).alias("item"),
        _named(events["item"] // ITEMS, tuple(name for name, _, _ in CATEGORIES)).alias("category"),
        _named(pl.Series(app.astype(np.int64)), ("web", "app")).alias("platform"),
        _named(pl.Series(device), DEVICES).alias("device"),
        _named(pl.Series(who.region[user]), REGIONS).alias("region"),
        pl.when(pl.col("amount").is_not_null()).then(pl.lit(CURRENCY)).alias("currency"),
        pl.format("s-{}", "visit").alias("session"),
        "amount",
        "quantity",
        "rating",
        "duration",
        "recorded_at",
        "fault",
    )


def _prices(rng: np.random.Generator) -> Ints:
    """The price of each item in cents, category by category; they end in 90."""
    level = np.repeat([price for _, price, _ in CATEGORIES], ITEMS)
    return (np.maximum(level * rng.lognormal(-0.12, 0.5, len(level)), 2.0)).astype(np.int64) * 100 - 10


def _events(
    rng: np.random.Generator, who: People, visits: Visits, prices: Ints, start: date
) -> tuple[pl.DataFrame, int]:
    """Every event of the visits and what follows from them, time in µs since the start; number of visits."""
    visits, begins = _in_order(rng, visits)
    on_sale = np.array(
        [customers.sales(start + timedelta(days=int(day))) for day in range(visits.day.max() + 1)]
    )
    sale = on_sale[visits.day]
    extra = np.where(sale, customers.SALES_BUYING[visits.type], 1.0)
    chance = np.minimum(customers.BUYING[visits.type] * who.ready[visits.user] * extra, 0.9)
    buys = rng.random(len(chance)) < chance
    lines = buys * (1 + rng.poisson(customers.LINES[visits.type]))
    views = np.maximum(1 + rng.poisson(customers.VIEWS[visits.type]), lines)
    searches = np.flatnonzero(rng.random(len(views)) < SEARCHING)

    visit = np.repeat(np.arange(len(views)), views)
    rank = np.arange(len(visit)) - np.repeat(np.cumsum(views) - views, views)
    item = _items(rng, who, visits, visit, prices)
    dwell = np.maximum((rng.lognormal(3.2, 0.8, len(visit)) * 1000).astype(np.int64), 1_000)  # ms
    elapsed = np.cumsum(dwell) - dwell
    elapsed = elapsed - np.repeat(elapsed[np.cumsum(views) - views], views)
    seen = begins[visit] + elapsed * 1000 + 20 * SECOND
    bought = rank < lines[visit]
    carted = bought | (rng.random(len(visit)) < CARTING)
    shared = rng.random(len(visit)) < SHARING
    ends = np.full(len(views), 0)
    np.maximum.at(ends, visit, seen + dwell * 1000)

    line = np.flatnonzero(bought)
    number: Ints = np.cumsum(buys)  # of the order, in the order of time
    quantity = 1 + rng.poisson(0.15, len(line))
    amount = _amounts(rng, visits.type[visit[line]], sale[visit[line]], prices[item[line]]) * quantity
    paid = ends[visit[line]] + 60 * SECOND
    order = number[visit[line]]
    common = {"visit": visit, "item": item}
    user = visits.user
    parts = [
        _part(SEARCH, user[searches], begins[searches], visit=searches),
        _part(VIEW, user[visit], seen, **common, duration=dwell),
        _part(SHARE, user[visit[shared]], (seen + 5 * SECOND)[shared], **_at(common, shared)),
        _part(
            CART,
            user[visit[carted]],
            (seen + dwell * 1000)[carted],
            **_at(common, carted),
            quantity=np.ones(int(carted.sum()), dtype=np.int64),
        ),
        _part(
            PURCHASE,
            user[visit[line]],
            paid,
            **_at(common, line),
            order=order,
            amount=amount,
            quantity=quantity,
        ),
        *_afterwards(rng, user[visit[line]], paid, item[line], order, amount, quantity),
    ]
    return pl.concat(parts), len(views)


def _in_order(rng: np.random.Generator, visits: Visits) -> tuple[Visits, Ints]:
    """The visits sorted by when they begin, and the beginnings in µs since the start."""
    begins = visits.day * DAY + _clock(rng, len(visits.day))
    order = np.argsort(begins, kind="stable")
    return Visits(visits.user[order], visits.day[order], visits.type[order]), begins[order]


def _afterwards(
    rng: np.random.Generator, user: Ints, paid: Ints, item: Ints, order: Ints, amount: Ints, quantity: Ints
) -> list[pl.DataFrame]:
    """Reviews and refunds of bought lines, some days later and outside any visit."""
    reviewed = rng.random(len(user)) < REVIEWING
    back_share = np.array([share for _, _, share in CATEGORIES])[item // ITEMS]
    returned = rng.random(len(user)) < back_share
    stars = rng.choice([1, 2, 3, 4, 5], len(user), p=[0.05, 0.06, 0.14, 0.33, 0.42])
    stars = np.where(returned, np.maximum(stars - 2, 1), stars)
    after = paid + rng.integers(3 * 86_400, 20 * 86_400, len(user)) * SECOND
    sent = paid + rng.integers(2 * 86_400, 25 * 86_400, len(user)) * SECOND
    return [
        _part(REVIEW, user[reviewed], after[reviewed], item=item[reviewed], rating=stars[reviewed] * 100),
        _part(
            REFUND,
            user[returned],
            sent[returned],
            item=item[returned],
            order=order[returned],
            amount=-amount[returned],
            quantity=quantity[returned],
        ),
    ]


def _items(rng: np.random.Generator, who: People, visits: Visits, visit: Ints, prices: Ints) -> Ints:
    """The item of each view: of three popular ones in a category, the one the customer's taste picks."""
    user = visits.user[visit]
    favourite = rng.random(len(visit)) < FAVOURITE
    category = np.where(favourite, who.category[user], rng.integers(0, len(CATEGORIES), len(visit)))
    popular = 1.0 / np.arange(1, ITEMS + 1) ** 0.8
    drawn = rng.choice(ITEMS, (len(visit), 3), p=popular / popular.sum())
    three = category[:, None] * ITEMS + drawn
    three = np.take_along_axis(three, np.argsort(prices[three], axis=1, kind="stable"), axis=1)
    taste = np.where(visits.type[visit] == BARGAIN, 0, who.taste[user])
    return three[np.arange(len(visit)), taste]


def _amounts(rng: np.random.Generator, type_: Ints, sale: Flags, price: Ints) -> Ints:
    """Unit prices in cents after the discount of the day; bargain hunters find one more often."""
    usual = rng.choice(len(DISCOUNTS), len(price), p=USUAL_DISCOUNTS)
    in_sales = rng.choice(len(DISCOUNTS), len(price), p=SALES_DISCOUNTS)
    chosen = DISCOUNTS[np.where(sale | (type_ == BARGAIN), in_sales, usual)]
    reduced: Ints = price * (100 - chosen) // 100
    return reduced


def _clock(rng: np.random.Generator, number: int) -> Ints:
    """Times of day in µs, in whole milliseconds: a peak at noon and a higher one in the evening."""
    evening = rng.random(number) < 0.6
    hours = np.where(evening, rng.normal(19.5, 1.9, number), rng.normal(12.5, 2.2, number)) % 24
    clock: Ints = (np.minimum(hours, 22.9) * 3_600_000).astype(np.int64) * 1000
    return clock


def _arrivals(rng: np.random.Generator, time: Ints, days: int, late: float) -> Ints:
    """When each event arrives; one that would come after the end comes at once."""
    moment = rng.integers(0, 86_400, len(time)) * SECOND
    delayed = (time // DAY + rng.integers(1, LATEST + 1, len(time))) * DAY + moment
    is_late = (rng.random(len(time)) < late) & (delayed < days * DAY)
    return np.where(is_late, delayed, time)


def _part(kind: int, user: Ints, time: Ints, **columns: Ints) -> pl.DataFrame:
    """Events of one kind, the columns they lack null."""
    given = {"user": user, "time": time, "kind": np.full(len(user), kind)} | columns
    return pl.DataFrame(
        {
            name: pl.Series(given[name], dtype=dtype)
            if name in given
            else pl.Series([None], dtype=dtype).new_from_index(0, len(user))
            for name, dtype in EVENT.items()
        }
    )


def _at(columns: dict[str, Ints], index: Ints | Flags) -> dict[str, Ints]:
    return {name: values[index] for name, values in columns.items()}


def _named(codes: pl.Series, names: tuple[str, ...]) -> pl.Series:
    return pl.Series(names).gather(codes)
