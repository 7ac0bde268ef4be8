"""Small logs for the engine's tests: frames from dicts, instants from text, and strategies that draw both."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import settings
from hypothesis import strategies as st

from engine.features import FAMILIES, FIELDS, WIDE_WINDOWS, FeatureSpec
from engine.schema import ATTRIBUTES, EVENTS, IDENTITY

Row = dict[str, Any]

# What takes how long on a busy machine says nothing about the code.
settings.register_profile("engine", deadline=None)
settings.load_profile("engine")

FIRST = datetime(2023, 11, 20, tzinfo=UTC)
ZONES = ("UTC", "Europe/Paris", "America/New_York", "Asia/Kolkata", "Africa/Casablanca")
KINDS = ("purchase", "view", "refund", "review", "add_to_cart", "identify", "rotate tyres")


@pytest.fixture(scope="session")
def instant() -> Callable[..., int]:
    """Microseconds of an ISO text; in `zone` when the text has no offset."""

    def parse(text: str, zone: str = "UTC") -> int:
        read = datetime.fromisoformat(text)
        read = read if read.tzinfo else read.replace(tzinfo=ZoneInfo(zone))
        return (read - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)

    return parse


@pytest.fixture(scope="session")
def events_of() -> Callable[[Sequence[Row]], pl.DataFrame]:
    """A frame of EVENTS from dicts; seq counts from 1 where it is not given."""

    def build(rows: Sequence[Row]) -> pl.DataFrame:
        filled = [{"seq": at, **row} for at, row in enumerate(rows, 1)]
        return pl.DataFrame({name: [row.get(name) for row in filled] for name in EVENTS}, schema=EVENTS)

    return build


@pytest.fixture(scope="session")
def attributes_of() -> Callable[[Sequence[Row]], pl.DataFrame]:
    """A frame of ATTRIBUTES from dicts; seq counts from 1 where it is not given."""

    def build(rows: Sequence[Row]) -> pl.DataFrame:
        filled = [{"seq": at, **row} for at, row in enumerate(rows, 1)]
        return pl.DataFrame(
            {name: [row.get(name) for row in filled] for name in ATTRIBUTES}, schema=ATTRIBUTES
        )

    return build


@pytest.fixture(scope="session")
def identity_of() -> Callable[[dict[int, int]], pl.DataFrame]:
    """A frame of IDENTITY from user: canonical."""

    def build(canonical: dict[int, int]) -> pl.DataFrame:
        return pl.DataFrame({"user": list(canonical), "canonical": list(canonical.values())}, schema=IDENTITY)

    return build


def _logs(most: int) -> st.SearchStrategy[list[Row]]:
    """Up to `most` rows; what happens is drawn apart from to whom and when, so that rows repeat."""
    hours = st.integers(0, 500 * 24).map(lambda hour: int((FIRST + timedelta(hours=hour)).timestamp() * 1e6))
    odd = st.integers(0, 500 * 86_400_000_000).map(lambda us: int(FIRST.timestamp()) * 1_000_000 + us)
    small = st.none() | st.integers(1, 3)
    what = st.fixed_dictionaries(
        {
            "kind": st.sampled_from(KINDS),
            "order": st.none() | st.integers(1, 5),
            "item": small,
            "category": small,
            "platform": small,
            "device": small,
            "region": small,
            "session": st.none() | st.integers(1, 4),
            "amount": st.none() | st.integers(-500, 100_000),
            "quantity": small,
            "rating": st.none() | st.integers(0, 500),
            "duration": st.none() | st.integers(0, 60_000),
        }
    )

    def happened(acts: list[Row]) -> st.SearchStrategy[list[Row]]:
        row = st.tuples(st.integers(1, 4), hours | odd, st.sampled_from(acts))
        return st.lists(row, min_size=1, max_size=most).map(
            lambda rows: [{"user": user, "occurred_at": at, **act} for user, at, act in rows]
        )

    return st.lists(what, min_size=1, max_size=20).flatmap(happened)


@pytest.fixture(scope="session")
def logs() -> st.SearchStrategy[list[Row]]:
    """Rows of a log over 500 days, a leap day and changes of clocks within, with ties in time."""
    return _logs(40)


@pytest.fixture(scope="session")
def long_logs() -> st.SearchStrategy[list[Row]]:
    """The same, of up to 200 rows."""
    return _logs(200)


@pytest.fixture(scope="session")
def wide_spec() -> Callable[..., FeatureSpec]:
    """A spec with every family of features, over all that `logs` draws."""

    def build(zone: str = "UTC", windows: tuple[int, ...] = WIDE_WINDOWS) -> FeatureSpec:
        kinds = tuple(sorted(set(KINDS) - {"identify"}))
        return FeatureSpec(
            zone=zone,
            windows=windows,
            kinds=kinds,
            fields=(*FIELDS, "region"),
            families=tuple(FAMILIES),
            sums=tuple(
                (name, kind) for name in ("amount", "duration") for kind in kinds if kind != "purchase"
            ),
            places=(
                ("platform", 2, "web"),
                ("platform", 1, "app_7d"),
                ("device", 9, "watch"),
                ("region", 3, "FR"),
            ),
        )

    return build


@pytest.fixture(scope="session")
def zones() -> st.SearchStrategy[str]:
    """Time zones with and without changes of clocks."""
    return st.sampled_from(ZONES)


@pytest.fixture(scope="session")
def midnights() -> Callable[[str], st.SearchStrategy[int]]:
    """Local midnights of a zone within and around `logs`."""

    def within(zone: str) -> st.SearchStrategy[int]:
        def midnight(day: int) -> int:
            date = (FIRST + timedelta(days=day)).date()
            return (
                int(datetime(date.year, date.month, date.day, tzinfo=ZoneInfo(zone)).timestamp()) * 1_000_000
            )

        return st.integers(-5, 900).map(midnight)

    return within
