"""Deeds that a user might do now, smallest first, and the events and histories they would leave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from engine.identity import LINKS, identity_at
from engine.schema import EVENTS

LIGHT = (
    *("view_list", "view", "click", "search", "share", "review"),
    *("add_to_wishlist", "add_to_cart", "begin_checkout"),
)
"""Kinds that cost the user nothing, the lightest first."""
LIGHT_TIMES = (1, 2, 5, 10)
ORDER_TIMES = (1, 2, 3)
SHARES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
"""Of the store's orders, by size: an order as large as these is tried."""
USUAL = ("quantity", "rating", "duration")
SAME = ("item", "category", "platform", "device", "region")


@dataclass(frozen=True)
class Deed:
    """Something done `times` times at one instant; `amount` in minor units each time, where it has one."""

    kind: str
    times: int = 1
    amount: int | None = None


def deeds(recent: pl.DataFrame, own: pl.DataFrame) -> list[Deed]:
    """What to try, the smallest first: light deeds, by how often; then the latest order of the user given
    back; then orders, by their total and number. Nothing of a kind that `recent` has none of.

    recent: EVENTS of the store of late, whose order sizes are taken, rounded up to two digits; own: EVENTS
    of the user.
    """
    kinds = set(recent["kind"].cast(pl.String).unique().to_list())
    found = [Deed(kind, times) for times in LIGHT_TIMES for kind in LIGHT if kind in kinds]
    last = _latest_order(own)
    if last > 0 and "refund" in kinds:
        found.append(Deed("refund", 1, -last))
    sizes = sorted({_rounded_up(size) for size in _order_sizes(recent)})
    # There are sizes only where there are orders.
    orders = [Deed("purchase", times, size) for times in ORDER_TIMES for size in sizes]
    return found + sorted(orders, key=lambda deed: (deed.times * (deed.amount or 0), deed.times))


def done(deed: Deed, own: pl.DataFrame, recent: pl.DataFrame, at: int) -> pl.DataFrame:
    """EVENTS of the deed at the instant `at`, by the user whose newest event is the last of `own`.

    Each has an order and a session of its own where the store's have one; item, place and the like are as
    when the user last did it; pieces, stars and time spent are what is usual of late.
    """
    of_kind = own.filter(pl.col("kind").cast(pl.String) == deed.kind).sort("occurred_at", "seq")
    # A refund is of the order it gives back, and looks like it.
    bought = own.filter(pl.col("kind").cast(pl.String) == "purchase").sort("occurred_at", "seq")
    alike = bought if deed.kind == "refund" else of_kind
    usual = recent.filter(pl.col("kind").cast(pl.String) == deed.kind)
    row = {name: alike[name][-1] if alike.height else None for name in SAME}
    for name in USUAL:
        known = usual[name].drop_nulls()
        row[name] = None if known.is_empty() else int(known.sort()[len(known) // 2])
    user = int(own.sort("occurred_at", "seq")["user"][-1])
    theirs = own.filter(pl.col("user") == user)
    has_order = usual["order"].null_count() < usual.height
    has_session = recent["session"].null_count() < recent.height
    fresh_order = _beyond(own["order"])
    fresh_session = _beyond(theirs["session"])
    seq = _beyond(own["seq"])
    rows = [
        row
        | {
            "seq": seq + number,
            "user": user,
            "occurred_at": at,
            "kind": deed.kind,
            "order": (bought["order"][-1] if bought.height else None)
            if deed.kind == "refund"
            else (fresh_order + number if has_order else None),
            "session": fresh_session + number if has_session else None,
            "amount": deed.amount,
        }
        for number in range(deed.times)
    ]
    return pl.DataFrame(rows, schema=EVENTS)


@dataclass(frozen=True)
class Histories:
    """The same history as often as there are deeds, each of a person of its own with one deed after it.

    users int64[deeds] ascending: the canonical user of each. events: EVENTS, links: LINKS, attributes.
    """

    users: np.ndarray
    events: pl.DataFrame
    links: pl.DataFrame
    attributes: pl.DataFrame | None


def histories(
    own: pl.DataFrame,
    added: Sequence[pl.DataFrame],
    links: pl.DataFrame,
    attributes: pl.DataFrame | None,
    as_of: int,
) -> Histories:
    """One history per frame of `added` events: `own` (EVENTS of one person), then those."""
    parts = np.unique(own["user"].to_numpy()).tolist()
    among = links.filter(pl.col("user").is_in(parts) & pl.col("other").is_in(parts))
    stride = len(parts)
    pieces = []
    for copy, extra in enumerate(added):
        renumbered = {user: copy * stride + index + 1 for index, user in enumerate(parts)}
        both = pl.concat(
            [own.select(list(EVENTS)), extra.with_columns(pl.col("kind").cast(own["kind"].dtype))]
        )
        pieces.append(
            (
                _renumbered(both, renumbered, "user"),
                _renumbered(among, renumbered, "user", "other"),
                None if attributes is None else _renumbered(attributes, renumbered, "user"),
            )
        )
    joined = pl.concat([piece[1] for piece in pieces]) if pieces else pl.DataFrame(schema=LINKS)
    whole = dict(identity_at(joined, as_of).iter_rows()) if joined.height else {}
    firsts = np.arange(len(added)) * stride + 1
    return Histories(
        users=np.array([whole.get(user, user) for user in firsts.tolist()], np.int64),
        events=pl.concat([piece[0] for piece in pieces]).sort("seq", maintain_order=True),
        links=joined,
        attributes=None
        if attributes is None
        else pl.concat([piece[2] for piece in pieces if piece[2] is not None]),
    )


def _renumbered(frame: pl.DataFrame, numbers: dict[int, int], *columns: str) -> pl.DataFrame:
    kept = frame.filter(pl.col("user").is_in(list(numbers)))
    return kept.with_columns(pl.col(name).replace_strict(numbers, return_dtype=pl.Int64) for name in columns)


def _order_sizes(recent: pl.DataFrame) -> list[int]:
    """Totals of the store's orders at SHARES of them; a purchase without a number is its own order."""
    bought = recent.filter((pl.col("kind").cast(pl.String) == "purchase") & pl.col("amount").is_not_null())
    order = pl.coalesce(pl.col("order"), -pl.col("seq"))
    totals = bought.group_by(order.alias("order")).agg(pl.col("amount").sum())["amount"].sort()
    paid = totals.filter(totals > 0)
    return [int(paid[min(len(paid) - 1, int(share * len(paid)))]) for share in SHARES] if len(paid) else []


def _latest_order(own: pl.DataFrame) -> int:
    """What is left of the amount of the order the user placed last."""
    bought = own.filter(pl.col("kind").cast(pl.String) == "purchase").sort("occurred_at", "seq")
    if bought.is_empty():
        return 0
    number = bought["order"][-1]
    if number is None:
        return int(bought["amount"][-1] or 0)
    return int(own.filter(pl.col("order") == number)["amount"].sum())


def _rounded_up(size: int) -> int:
    """The next number of two digits and noughts."""
    unit: int = 10 ** max(0, len(str(size)) - 2)
    return -(-size // unit) * unit


def _beyond(numbers: pl.Series) -> int:
    """One more than the largest, 1 where there is none."""
    known: list[int] = numbers.drop_nulls().to_list()
    return max(known, default=0) + 1
