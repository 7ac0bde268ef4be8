"""Figures of whole orders, shared out over their rows."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from segtui.sources import orders
from segtui.sources.delimited import Chunk
from segtui.sources.schema import REJECTED

cents = st.integers(0, 10**12)
rows = st.lists(st.one_of(st.none(), cents), min_size=1, max_size=6)
order = st.tuples(rows, st.one_of(st.none(), cents), st.one_of(st.none(), cents))


def frame(told: list[tuple[list[int | None], int | None, int | None]]) -> pl.DataFrame:
    """Rows of orders: run, amount, and the order's two figures."""
    flat = [(run, amount, first, second) for run, (some, first, second) in enumerate(told) for amount in some]
    schema = {"run": pl.Int64, "amount": pl.Int64, "first": pl.Int64, "second": pl.Int64}
    return pl.DataFrame(flat, schema=schema, orient="row")


def half_up(value: Fraction) -> int:
    return (2 * value.numerator + value.denominator) // (2 * value.denominator)


@given(st.lists(order, min_size=1, max_size=4))
def test_shares_add_up_to_the_subtotal(told: list[tuple[list[int | None], int | None, int | None]]) -> None:
    amounts = frame(told).with_columns(
        orders.subtotal_shared(pl.col("amount"), pl.col("first"), "run").alias("shared")
    )
    for run, (some, subtotal, _) in enumerate(told):
        shared = amounts.filter(pl.col("run") == run)["shared"].to_list()
        there = [amount for amount in some if amount is not None]
        if subtotal is None or subtotal >= sum(there):
            assert shared == some
            continue
        assert sum(shared) == subtotal
        for one, amount in zip(shared, some, strict=True):
            assert abs(one - Fraction((amount or 0) * subtotal, sum(there))) < 1


@given(st.lists(order, min_size=1, max_size=4))
def test_refunds_never_pass_the_amounts(told: list[tuple[list[int | None], int | None, int | None]]) -> None:
    nothing = pl.lit(None, dtype=pl.Int64)
    back = orders.taken_back(
        pl.col("amount"), nothing, pl.col("first"), pl.col("second"), pl.lit(False), "run"
    )
    amounts = frame(told).with_columns(back.alias("back"))
    assert (amounts["back"] >= 0).all()
    assert (amounts["back"] <= amounts["amount"].fill_null(0)).all()
    for run, (some, refunded, total) in enumerate(told):
        together = sum(amount or 0 for amount in some)
        of = max(total or 0, together)
        taken = amounts.filter(pl.col("run") == run)["back"].sum()
        whole = min(refunded or 0, of)
        assert taken == (half_up(Fraction(together * whole, of)) if of else 0)


def test_what_rows_say_of_themselves_comes_before_the_order() -> None:
    some = pl.DataFrame({"run": [0, 0, 1, 1], "amount": [100, 50, 100, 50], "own": [None, 20, None, None]})
    back = orders.taken_back(
        pl.col("amount"), pl.col("own"), pl.lit(30), pl.lit(None, dtype=pl.Int64), pl.lit(False), "run"
    )
    assert some.select(back.alias("back"))["back"].to_list() == [0, 20, 20, 10]


def chunked(names: list[str | None], cuts: list[int]) -> Iterator[Chunk]:
    edges = [0, *sorted(cuts), len(names)]
    for start, end in pairwise(edges):
        lines = pl.Series("line", range(2 * start, 2 * end, 2), dtype=pl.Int64)
        rows = pl.DataFrame({"Name": pl.Series(names[start:end], dtype=pl.String)})
        broken = pl.DataFrame({"line": lines + 1, "reason": "broken", "row": "{}"}, schema=REJECTED)
        yield Chunk(lines, rows, broken)


@given(st.data())
def test_orders_are_never_cut(data: st.DataObject) -> None:
    names = data.draw(st.lists(st.sampled_from(["a", "b", " a ", "", None]), max_size=12))
    cuts = data.draw(st.lists(st.integers(0, len(names)), max_size=4))
    chunks = list(orders.whole(chunked(names, cuts), ["Name"]))
    assert [line for chunk in chunks for line in chunk.lines] == list(range(0, 2 * len(names), 2))
    assert [line for chunk in chunks for line in chunk.broken["line"]] == list(range(1, 2 * len(names), 2))
    ends = [chunk.rows["Name"][-1] for chunk in chunks if chunk.rows.height]
    starts = [chunk.rows["Name"][0] for chunk in chunks if chunk.rows.height]
    for before, after in zip(ends, starts[1:], strict=False):
        assert (before or "").strip() != (after or "").strip()
