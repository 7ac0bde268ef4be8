"""Who visits when: customer types that change from week to week, and what stays with a person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

TYPES = ("loyal", "occasional", "bargain_hunter", "one_off", "window_shopper", "lapsed")
LOYAL, OCCASIONAL, BARGAIN, ONE_OFF, WINDOW, LAPSED = range(6)

STARTING = np.array([0.14, 0.26, 0.14, 0.22, 0.22, 0.02])
WEEKLY = np.array(  # from (row) to (column), each week
    [
        [0.976, 0.013, 0.004, 0.000, 0.000, 0.007],
        [0.010, 0.952, 0.006, 0.000, 0.010, 0.022],
        [0.005, 0.010, 0.964, 0.000, 0.006, 0.015],
        [0.004, 0.030, 0.010, 0.816, 0.020, 0.120],
        [0.002, 0.010, 0.007, 0.001, 0.952, 0.028],
        [0.002, 0.005, 0.004, 0.000, 0.004, 0.985],
    ]
)
VISITS = np.array([1.25, 0.55, 0.75, 0.60, 0.75, 0.03])  # a week
BUYING = np.array([0.30, 0.15, 0.10, 0.16, 0.02, 0.10])  # share of the visits with an order
LINES = np.array([1.3, 0.6, 1.0, 0.3, 0.2, 0.4])  # further lines of an order
VIEWS = np.array([2.0, 1.6, 2.5, 1.4, 2.6, 1.0])  # further products looked at in a visit
SALES_BUYING = np.array([1.1, 1.3, 2.6, 1.3, 1.5, 1.5])  # how much more is bought in sales weeks

WEEKDAYS = np.array([0.95, 0.90, 0.92, 0.98, 1.08, 1.15, 1.02])  # Monday first
REGIONS = ("FR", "DE", "ES", "IT", "BE", "NL")
REGION_SHARES = np.array([0.40, 0.22, 0.13, 0.11, 0.08, 0.06])
DEVICES = ("phone", "desktop", "tablet")
DEVICE_SHARES = np.array([0.58, 0.34, 0.08])
USUAL_DEVICE = 0.85  # share of the visits from it
KNOWN_AT_START = 0.6  # the others join over the whole time


@dataclass(frozen=True)
class People:
    """What stays with each customer: arrays of one entry per customer."""

    joined: Ints  # day of the first visit
    eager: Floats  # visits, times the type's
    ready: Floats  # orders, times the type's
    taste: Ints  # 0 buys the cheapest of three, 2 the dearest
    category: Ints  # the favourite one
    region: Ints
    device: Ints  # the usual one
    app: Flags  # phone visits go through the app


@dataclass(frozen=True)
class Visits:
    """Visits in no particular order: arrays of one entry per visit."""

    user: Ints
    day: Ints
    type: Ints  # the customer's at that time


def people(rng: np.random.Generator, users: int, days: int, categories: int) -> People:
    """Draws the customers."""
    late = rng.random(users) >= KNOWN_AT_START
    first_weeks = rng.integers(0, min(28, days), users)
    return People(
        joined=np.where(late, rng.integers(0, days, users), first_weeks),
        eager=_around_one(rng, users, 0.6),
        ready=_around_one(rng, users, 0.45),
        taste=rng.choice(3, users, p=[0.3, 0.45, 0.25]),
        category=rng.integers(0, categories, users),
        region=rng.choice(len(REGIONS), users, p=REGION_SHARES),
        device=rng.choice(len(DEVICES), users, p=DEVICE_SHARES),
        app=rng.random(users) < 0.4,
    )


def visits(rng: np.random.Generator, who: People, days: int, start: date) -> Visits:
    """Draws every visit: a first one on the day of joining, then a Poisson number each week."""
    users = len(who.joined)
    types = rng.choice(len(TYPES), users, p=STARTING)
    cumulative = np.cumsum(WEEKLY, axis=1)
    found = [Visits(np.arange(users), who.joined, types.copy())]
    for week in range(0, days, 7):
        there = who.joined < week + 7
        rate = VISITS[types] * who.eager * season(start + timedelta(days=week)) * there
        user = np.repeat(np.arange(users), rng.poisson(rate))
        day = week + _weekdays(rng, len(user), start + timedelta(days=week))
        kept = (day < days) & (day > who.joined[user])
        found.append(Visits(user[kept], day[kept], types[user[kept]]))
        step = (rng.random(users)[:, None] > cumulative[types]).sum(axis=1)
        types = np.where(there, np.minimum(step, len(TYPES) - 1), types)
    return Visits(
        user=np.concatenate([part.user for part in found]),
        day=np.concatenate([part.day for part in found]),
        type=np.concatenate([part.type for part in found]),
    )


def season(day: date) -> float:
    """The factor of a week's visits in the year: most before Christmas, least in summer."""
    of_year = day.timetuple().tm_yday
    yearly = 1.0 + 0.2 * float(np.cos(2 * np.pi * (of_year - 340) / 365.25))
    return yearly * (1.25 if sales(day) else 1.0)


def sales(day: date) -> bool:
    """Whether the shop holds sales: January, July, and the end of November."""
    return (
        (day.month == 1 and day.day >= 7)
        or (day.month == 7 and day.day <= 24)
        or (day.month == 11 and day.day >= 20)
    )


def _weekdays(rng: np.random.Generator, number: int, first: date) -> Ints:
    """Days 0 to 6 after `first`, as often as their weekdays are visited."""
    share = np.roll(WEEKDAYS, -first.weekday())
    return rng.choice(7, number, p=share / share.sum())


def _around_one(rng: np.random.Generator, number: int, spread: float) -> Floats:
    """Log-normal factors with mean 1."""
    return rng.lognormal(-(spread**2) / 2, spread, number)
