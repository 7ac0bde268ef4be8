"""Shop exports tell states: what an order's later export changes becomes events of the difference."""

from __future__ import annotations

from pathlib import Path

import pytest

from db import log, vocabulary
from segtui.operations.ingest import import_files
from segtui.operations.init import init
from segtui.operations.session import Session, open_session

HEADER = (
    "Name,Email,Financial Status,Currency,Subtotal,Total,Created at,"
    "Lineitem quantity,Lineitem name,Lineitem price,Lineitem sku,Refunded Amount"
)


def order(number: int, status: str, prices: list[int], refunded: str = "") -> list[str]:
    """The rows of an order of lines at these prices, with 20 % tax on top."""
    total = sum(prices)
    figures = f"EUR,{total},{total * 1.2:.2f},2026-01-{number:02} 10:00:00"
    rows = [f"#{number},c{number}@shop.example,{status},{figures},1,Mug,{prices[0]},MUG,{refunded}"]
    return rows + [f"#{number},,,,,,,1,Pot,{price},POT," for price in prices[1:]]


@pytest.fixture
def s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SEGTUI_NOW", "1772000000000000")
    init(tmp_path / "shop.db", currency="EUR")
    with open_session(tmp_path / "shop.db") as session:
        yield session


def exported(s: Session, *orders: list[str]) -> dict:
    """Imports an export of these orders; the row equation holds."""
    path = s.store.path.with_name("orders.csv")
    path.write_text("\n".join([HEADER, *(row for rows in orders for row in rows)]) + "\n")
    told = import_files(s, [path])
    parts = ("accepted", "duplicates", "changed", "suppressed", "quarantined")
    assert told["rows"] == sum(told[part] for part in parts)
    return told


def events(s: Session, after: int = 0) -> list[tuple[str, str, int]]:
    """Kind, item and amount of the events since a position."""
    kinds, items = (vocabulary.texts(s.store, name) for name in ("kind", "item"))
    rows = log.behaviour(s.store, after_seq=after, columns=["kind", "item", "amount"])
    return [(kinds[kind], items[item], amount) for kind, item, amount in rows.rows()]


def test_a_refund_that_appears_becomes_a_refund_event(s: Session) -> None:
    exported(s, order(1, "paid", [10, 20]), order(2, "paid", [5]))
    head = s.store.head()
    told = exported(
        s, order(1, "partially_refunded", [10, 20], "18.00"), order(2, "paid", [5]), order(3, "paid", [7])
    )
    assert (told["accepted"], told["changed"], told["duplicates"]) == (1, 2, 1)
    assert sorted(events(s, head)) == [
        ("purchase", "MUG", 700),
        ("refund", "MUG", -500),
        ("refund", "POT", -1000),
    ]
    assert sum(amount for _, _, amount in events(s)) == 1500 + 500 + 700


def test_the_same_export_again_adds_nothing_and_a_further_refund_the_rest(s: Session) -> None:
    exported(s, order(1, "paid", [10, 20]))
    for _ in range(2):
        told = exported(s, order(1, "partially_refunded", [10, 20], "18.00"))
    assert (told["accepted"], told["changed"]) == (0, 0)
    head = s.store.head()
    exported(s, order(1, "refunded", [10, 20], "36.00"))
    assert sorted(events(s, head)) == [("refund", "MUG", -500), ("refund", "POT", -1000)]
    assert sum(amount for _, _, amount in events(s)) == 0


def test_an_order_that_is_refunded_when_first_seen_is_a_purchase_and_a_refund(s: Session) -> None:
    refunded = order(1, "partially_refunded", [10, 20], "18.00")
    told = exported(s, refunded, order(2, "refunded", [5], "6.00"))
    assert (told["rows"], told["accepted"], told["changed"]) == (3, 3, 0)
    assert sorted(events(s)) == [
        *[("purchase", "MUG", 500), ("purchase", "MUG", 1000), ("purchase", "POT", 2000)],
        *[("refund", "MUG", -500), ("refund", "MUG", -500), ("refund", "POT", -1000)],
    ]
    head = s.store.head()
    again = exported(s, refunded)
    assert (again["accepted"], again["changed"], again["duplicates"]) == (0, 0, 2)
    assert s.store.head() == head


@pytest.mark.parametrize("first", ["paid", "partially_refunded"])
def test_however_an_order_came_it_stands_at_what_the_last_export_says(s: Session, first: str) -> None:
    exported(s, order(1, first, [10, 20], "" if first == "paid" else "18.00"))
    exported(s, order(1, "partially_refunded", [10, 30], "24.00"))
    assert sum(amount for _, _, amount in events(s)) == 2000
    assert min(amount for kind, _, amount in events(s) if kind == "purchase") > 0


def test_an_order_that_is_paid_later_becomes_a_purchase_and_a_cancelled_one_a_refund(s: Session) -> None:
    exported(s, order(1, "pending", [10]))
    assert events(s) == [("order_placed", "MUG", 0)]
    exported(s, order(1, "paid", [10]))
    exported(s, order(1, "voided", [10]))
    assert [event[::2] for event in events(s)] == [("order_placed", 0), ("purchase", 1000), ("refund", -1000)]
