"""Rows and pages found by index."""

from __future__ import annotations

from itertools import pairwise

import polars as pl
import pytest

from db import lookups
from db.store import Store

VALUE, HIGH, LOW = 1, 2, 3


@pytest.fixture
def members(store: Store) -> Store:
    """A store whose label `low` is held by every third of 3,000 surrogates, `high` by the others."""
    users = list(range(10, 9_010, 3))
    with store.transaction(actor="ann") as tx:
        numbers = [tx.number("segmentation", "value"), tx.number("label", "high"), tx.number("label", "low")]
        assert numbers == [VALUE, HIGH, LOW]
        frame = pl.DataFrame(
            {
                "user": users,
                "label": [LOW if index % 3 == 0 else HIGH for index in range(len(users))],
                "probability": None,
                "margin": None,
                "scores": None,
                "since": 5,
                "change_seq": 1,
            },
            schema_overrides={"probability": pl.Int64, "margin": pl.Int64, "scores": pl.Binary},
        )
        tx.save_members(VALUE, frame)
    return store


@pytest.mark.parametrize("count", [2, 7, 500])
def test_a_sample_is_spread_over_the_members(members: Store, count: int) -> None:
    low = [user for index, user in enumerate(range(10, 9_010, 3)) if index % 3 == 0]
    found = lookups.spread_members(members, VALUE, LOW, count)
    assert found == sorted(set(found))
    assert set(found) <= set(low)
    assert count * 0.9 <= len(found) <= count
    assert (found[0], found[-1]) == (low[0], low[-1])
    gaps = [after - before for before, after in pairwise(found)]
    assert max(gaps) <= (low[-1] - low[0]) / (count - 1) + 9


def test_a_sample_of_few_is_all_of_them(members: Store) -> None:
    assert len(lookups.spread_members(members, VALUE, LOW, 1_000)) == 1_000
    assert lookups.spread_members(members, VALUE, 99, 5) == []


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("order", lookups.MEMBER_ORDERS)
def test_everyone_at_once_is_every_page(members: Store, order: str, descending: bool) -> None:
    with members.transaction(actor="ann") as tx:
        some = pl.DataFrame(
            {
                "user": [10, 19, 37, 46],
                "label": LOW,
                "probability": [400_000, None, 900_000, 400_000],
                "margin": [-20_000, 10, None, 2**40],
                "scores": None,
                "since": [7, 5, 1_769_727_600_000_000, 6],
                "change_seq": [9, 8, None, 2],
            },
            schema_overrides={"scores": pl.Binary},
        )
        tx.save_members(VALUE, some)
    how = {"order": order, "descending": descending}
    pages = [
        lookups.member_page(members, VALUE, LOW, **how, limit=300, offset=at) for at in range(0, 1_000, 300)
    ]
    everyone = lookups.member_page(members, VALUE, LOW, **how)
    assert everyone.equals(pl.concat(pages))
    assert everyone.schema == pages[0].schema
    nobody = lookups.member_page(members, VALUE, 99, **how)
    assert (nobody.height, nobody.schema) == (0, everyone.schema)


def test_a_page_without_a_limit_is_everyone(members: Store) -> None:
    assert lookups.member_page(members, VALUE, LOW).height == 1_000
    assert lookups.member_page(members, VALUE, LOW, offset=990).height == 10
    assert lookups.member_page(members, VALUE, LOW, limit=4)["user"].to_list() == [10, 19, 28, 37]
