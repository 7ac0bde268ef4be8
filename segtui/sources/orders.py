"""Exports that tell of whole orders: rows of one order follow each other, and share its figures.

An order's rows are kept together, what stands on the first of them is filled down, and a figure of the whole
order is shared out over its rows in proportion, exactly: the shares add up to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl

from segtui.sources import numbers
from segtui.sources.delimited import Chunk


def whole(chunks: Iterator[Chunk], columns: Sequence[str]) -> Iterator[Chunk]:
    """The same records, cut so that rows that follow each other with one order are in one chunk.

    The order is the first filled one of the columns.
    """
    order = pl.coalesce([numbers.trimmed(pl.col(name)) for name in columns])
    held: Chunk | None = None
    for chunk in chunks:
        if held is not None:
            chunk = _joined(held, chunk)
        keys = chunk.rows.select(order.rle_id().alias("run"))["run"]
        if keys.is_empty():
            held = chunk
            continue
        cut = int((keys < keys[-1]).sum())
        line = chunk.lines[cut]
        before = chunk.broken["line"] < line
        yield Chunk(chunk.lines[:cut], chunk.rows[:cut], chunk.broken.filter(before))
        held = Chunk(chunk.lines[cut:], chunk.rows[cut:], chunk.broken.filter(~before))
    if held is not None:
        yield held


def _joined(first: Chunk, then: Chunk) -> Chunk:
    return Chunk(
        pl.concat([first.lines, then.lines]),
        pl.concat([first.rows, then.rows]),
        pl.concat([first.broken, then.broken]),
    )


def of_order(value: pl.Expr, run: str | Sequence[str]) -> pl.Expr:
    """A value that stands on one row of an order, on all of them: the first there is."""
    return value.drop_nulls().first().over(run)


def share(weight: pl.Expr, figure: pl.Expr, whole: pl.Expr, run: str | Sequence[str]) -> pl.Expr:
    """Each row's share of an order's figure, where the order weighs `whole`: Int64, null counting as 0.

    Running sums are rounded, halves up, and their differences are the shares; so they add up to
    figure * sum(weight) / whole, rounded once.
    """
    weight, figure = weight.fill_null(0).cast(pl.Int128), figure.fill_null(0).cast(pl.Int128)
    whole = whole.cast(pl.Int128)
    until = weight.cum_sum().over(run)
    upto, since = ((sums * figure + whole // 2) // whole for sums in (until, until - weight))
    return (upto - since).fill_null(0).cast(pl.Int64)


def evenly(figure: pl.Expr, run: Sequence[str]) -> pl.Expr:
    """Each row's share of an order's figure, all rows weighing the same; null where there is no figure."""
    there = figure.is_not_null()
    return pl.when(there).then(share(there, figure, pl.len().over(run), run))


def subtotal_shared(amount: pl.Expr, subtotal: pl.Expr, run: str) -> pl.Expr:
    """Row amounts lowered together to the order's subtotal; left alone where they do not pass it."""
    together = amount.sum().over(run)
    shared = share(amount, subtotal, together, run)
    return pl.when((subtotal < together).fill_null(False)).then(shared).otherwise(amount)


def taken_back(
    amount: pl.Expr, own: pl.Expr, refunded: pl.Expr, total: pl.Expr, all_refunded: pl.Expr, run: str
) -> pl.Expr:
    """What was given back of each row's amount, never more than it.

    own: what the row itself says. Where no row of the order says anything, the order's figures decide:
    refunded and total hold shipping and tax too, so the rows give back the part of their amounts that
    refunded is of total, or, where total is not told, of the rows' sum. all_refunded: whether an order
    without figures was given back whole.
    """
    together = amount.sum().over(run)
    of = pl.max_horizontal(total.fill_null(0), together)
    told = own.fill_null(0).sum().over(run) > 0
    silent = all_refunded.fill_null(False) & (refunded.fill_null(0) == 0)
    figure = pl.when(silent).then(of).otherwise(refunded)
    shared = share(amount, pl.min_horizontal(figure.fill_null(0), of), of, run)
    return pl.when(told).then(pl.min_horizontal(own.fill_null(0), amount.fill_null(0))).otherwise(shared)
