"""A small shop written through the store's own transactions with hand-made integers.

48 users, 31 ticks of one day: 24 backfilled by the first model, seven recorded as they came, the second
model promoted on the way. No network is trained or run: what the screens show cannot depend on the machine.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from db import log
from db.store import Store, Transaction
from segtui.operations.init import init

KEY = "00" * 32
ZONE = ZoneInfo("Europe/Paris")
USERS = 48
LABELS = ("high", "medium", "low")
FIRST = datetime(2026, 1, 30, tzinfo=ZONE)
TICKS = [FIRST + timedelta(days=day) for day in range(31)]
BACKFILLED = 24
SECOND_MODEL = 20
MODELS = ("3f9a" * 16, "71c2" * 16)

Behaviour = dict[str, Any]
Move = dict[str, Any]


def micro(moment: datetime) -> int:
    """µs UTC."""
    return round(moment.astimezone(UTC).timestamp()) * 1_000_000


def external(n: int) -> str:
    return f"c-{10_400 + 37 * n}"


def start_label(n: int) -> str:
    return LABELS[{0: 0, 3: 1}.get(n % 6, 2)]


def scheduled() -> list[Move]:
    """Who moves at which tick, where to and why; one move per user and tick at most."""
    held = {n: start_label(n) for n in range(USERS)}
    moves: list[Move] = [
        {"t": 0, "n": n, "from": None, "to": held[n], "cause": "model", "reason": "first"}
        for n in range(USERS)
    ]
    for t in range(1, len(TICKS)):
        movers = [(t * 11) % USERS, (t * 17 + 5) % USERS][: 2 if t % 3 else 1]
        if t == SECOND_MODEL:
            movers = [2, 13, 29, 40]
        for n in dict.fromkeys(movers):
            rank = LABELS.index(held[n])
            up = rank == 2 or (rank == 1 and (n + t) % 2 == 0)
            to = LABELS[rank - 1] if up else LABELS[rank + 1]
            if t == SECOND_MODEL:
                cause, reason = "model", "model"
            elif up:
                cause, reason = ("late_event" if t % 7 == 3 else "event"), "orders_90d:up"
            elif t % 8 == 6:
                cause, reason = "event", "spend_90d:down"
            else:
                cause = "clock"
                reason = "recency_days:up:60" if n % 3 else "orders_90d:down"
            moves.append({"t": t, "n": n, "from": held[n], "to": to, "cause": cause, "reason": reason})
            held[n] = to
    return moves


def probability(n: int, t: int) -> int:
    """Millionths, made up, always the largest of three or close to it."""
    return 380_000 + (n * 7_919 + t * 104_729) % 520_000


def margin_of(own: int) -> int:
    return own - (1_000_000 - own) * 6 // 10


def earlier_purchases(n: int) -> list[Behaviour]:
    """What a user bought before the first tick."""
    found = []
    for k in range(1 + n % 6):
        day = FIRST - timedelta(days=2 + (13 * k * k + 7 * n + 31 * k) % 280)
        found.append(
            {
                "n": n,
                "at": micro(day) + (9 * 60 + (n * 13 + k * 29) % 600) * 60_000_000,
                "kind": "purchase",
                "order": f"A-{n:02}{k}",
                "item": f"sku-{100 + (n * 3 + k * 7) % 40}",
                "amount": 990 + (n * 37 + k * 101) % 90 * 100,
            }
        )
    return found


def caused(move: Move) -> Behaviour:
    """The event behind a move: a purchase upwards, a refund downwards, on the day that ends with the tick."""
    n, t = move["n"], move["t"]
    days = 3 if move["cause"] == "late_event" else 1
    refund = move["reason"] == "spend_90d:down"
    return {
        "n": n,
        "at": micro(TICKS[t] - timedelta(days=days)) + (8 * 60 + (n * 17 + t * 31) % 780) * 60_000_000,
        "kind": "refund" if refund else "purchase",
        "order": f"B-{t:02}{n:02}",
        "item": f"sku-{100 + (n + t) % 40}",
        "amount": -2_490 if refund else 2_400 + (n * 53 + t * 7) % 80 * 100,
        "late": int(move["cause"] == "late_event" and t >= BACKFILLED),
    }


class Shop:
    """Writes the log, commit by commit."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.moves = scheduled()
        self.labels = {n: start_label(n) for n in range(USERS)}
        self.held: dict[int, Move] = {}
        self.events: dict[tuple[int, int], int] = {}
        self.users: dict[int, int] = {}

    def write(self) -> None:
        history = [event for n in range(USERS) for event in earlier_purchases(n)]
        backfilled = [move for move in self.moves if move["t"] < BACKFILLED]
        with self.transaction("import") as tx:
            keys = pl.Series([external(n) for n in range(USERS)])
            self.users = dict(enumerate(tx.surrogates(keys).to_list()))
            self.import_events(tx, [(event, None) for event in history] + self.events_of(backfilled))
            counts = {"accepted": len(history), "quarantined": 3, "rows": len(history) + 3}
            nothing = dict.fromkeys(("duplicates", "changed", "suppressed", "late"), 0)
            told = {"source": "shop", "format": "events", "reasons": {"no kind": 1, "no time": 2}}
            tx.append_decision("imported", told | counts | nothing)
        with self.transaction("train") as tx:
            self.promote(tx, 0, None)
            for t in range(BACKFILLED):
                self.rescored(tx, t, "backfilled")
            self.append_moves(tx, backfilled)
        for t in range(BACKFILLED, len(TICKS)):
            with self.transaction("rescore") as tx:
                today = [move for move in self.moves if move["t"] == t]
                # Somebody looks around every day, so that the data clock ends where the ticks do.
                visit = {
                    "n": t % USERS,
                    "at": micro(TICKS[t]) - 3_600_000_000,
                    "kind": "view",
                    "item": "sku-117",
                }
                self.import_events(tx, [*self.events_of(today), (visit, None)])
                self.rescored(tx, t, "live")
                self.append_moves(tx, today)

    def transaction(self, source: str) -> Any:
        return self.store.transaction(actor="tests", source=source, recorded_at=micro(TICKS[-1]))

    @staticmethod
    def events_of(moves: list[Move]) -> list[tuple[Behaviour, Move | None]]:
        return [(caused(move), move) for move in moves if move["cause"] in ("event", "late_event")]

    def import_events(self, tx: Transaction, events: list[tuple[Behaviour, Move | None]]) -> None:
        rows = [event for event, _ in events]
        frame = pl.DataFrame(
            {
                "user": [self.users[row["n"]] for row in rows],
                "occurred_at": [row["at"] for row in rows],
                "late": [row.get("late", 0) for row in rows],
                "amount": [row.get("amount") for row in rows],
                **{
                    name: tx.numbers(name, pl.Series([row.get(name) for row in rows], dtype=pl.String))
                    for name in ("kind", "order", "item")
                },
                "currency": [tx.number("currency", "EUR")] * len(rows),
            }
        )
        absent = [name for name in log.BEHAVIOUR if name not in ("seq", *frame.columns)]
        span = tx.append_behaviour(frame.with_columns(pl.lit(None).alias(name) for name in absent))
        assert span is not None
        for seq, (_, move) in enumerate(events, span[0]):
            if move is not None:
                self.events[move["t"], move["n"]] = seq

    def promote(self, tx: Transaction, which: int, previous: str | None) -> int:
        digest = MODELS[which]
        body = {
            "model": digest,
            "name": f"mlp-{digest[:4]}",
            "segmentation": "value",
            "kind": "mlp",
            "labels": list(LABELS),
            "thresholds": {"high_above": 5_495},
            "known_from": "2025-12-01T00:00:00+01:00",
            "horizon": "90d",
            "metrics": {},
        }
        tx.append_decision("model_trained", body)
        return tx.append_decision(
            "model_promoted",
            {"segmentation": "value", "model": digest, "previous": previous, "labels": list(LABELS)},
        )

    def rescored(self, tx: Transaction, t: int, how: str) -> None:
        if t == SECOND_MODEL:
            self.promotion = self.promote(tx, 1, MODELS[0])
        tx.append_decision(
            "rescored",
            {
                "segmentation": "value",
                "pass": 1,
                "from": None if t == 0 else micro(TICKS[t - 1]),
                "as_of": micro(TICKS[t]),
                "position": tx.next_seq - 1,
                "model": MODELS[int(t >= SECOND_MODEL)],
                "backfilled": how == "backfilled",
                "hindsight": t < 3,
            },
        )

    def append_moves(self, tx: Transaction, moves: list[Move]) -> None:
        ticks = range(BACKFILLED) if moves[0]["t"] == 0 else [moves[0]["t"]]
        rows = [self.change(tx, move) for move in moves]
        schema = {name: kind for name, kind in log.CHANGES.items() if name != "seq"}
        span = tx.append_changes(pl.DataFrame(rows, schema=schema))
        assert span is not None
        for seq, move in enumerate(moves, span[0]):
            self.held[move["n"]] = move | {"seq": seq}
        segmentation = tx.number("segmentation", "value")
        tx.save_members(segmentation, self.members(tx))
        tx.save_sizes(pl.concat([self.sizes(tx, segmentation, t) for t in ticks]))

    def change(self, tx: Transaction, move: Move) -> dict[str, Any]:
        n, t = move["n"], move["t"]
        seq = self.promotion if t == SECOND_MODEL else self.events.get((t, n))
        return {
            "segmentation": tx.number("segmentation", "value"),
            "user": self.users[n],
            "from_label": None if move["from"] is None else tx.number("label", move["from"]),
            "to_label": tx.number("label", move["to"]),
            "probability": probability(n, t),
            "as_of": micro(TICKS[t]),
            "pass": 1,
            "cause": move["cause"],
            "cause_seq": seq,
            "reason": tx.number("reason", move["reason"]),
            "model": tx.number("model", MODELS[int(t >= SECOND_MODEL)]),
            "backfilled": int(t < BACKFILLED),
            "hindsight": int(t < 3),
        }

    def members(self, tx: Transaction) -> pl.DataFrame:
        rows = []
        for n, move in self.held.items():
            own = probability(n, move["t"])
            rows.append(
                {
                    "user": self.users[n],
                    "label": tx.number("label", move["to"]),
                    "probability": own,
                    "margin": margin_of(own),
                    "scores": b"",
                    "since": micro(TICKS[move["t"]]),
                    "change_seq": move["seq"],
                }
            )
        return pl.DataFrame(rows, schema_overrides={"scores": pl.Binary})

    def sizes(self, tx: Transaction, segmentation: int, t: int) -> pl.DataFrame:
        held = {move["n"]: move["to"] for move in self.moves if move["t"] <= t}
        counts = [sum(label == each for each in held.values()) for label in LABELS]
        return pl.DataFrame(
            {
                "segmentation": segmentation,
                "pass": 1,
                "as_of": micro(TICKS[t]),
                "label": [tx.number("label", label) for label in LABELS],
                "users": counts,
                "expected": [
                    counts[0] * 1_000_000 - 700_000,
                    counts[1] * 1_000_000 + 2_300_000,
                    counts[2] * 1_000_000 - 1_600_000,
                ],
            }
        )


def written(path: Path) -> Path:
    """The shop in a new store."""
    with keyed():
        begun(path)
        with Store.open(path) as store:
            Shop(store).write()
    return path


def with_rule(path: Path, users: Sequence[str], where: str) -> Path:
    """Adds a rule `lapsing`: of its three users all got a first label, and two moved the day after."""
    with Store.open(path) as store, store.transaction(actor="tests", source="segment") as tx:
        tx.append_decision(
            "segmentation_defined",
            {
                "name": "lapsing",
                "kind": "rule",
                "labels": ["in", "out"],
                "where": where,
                "features": {
                    "zone": "Europe/Paris",
                    "kinds": ["purchase"],
                    "windows": [7, 28, 90, 365],
                    "fields": [],
                    "attributes_number": [],
                    "attributes_text": [],
                },
                "refers": {},
            },
        )
        number = tx.number("segmentation", "lapsing")
        numbers = [store.vault.surrogate(user) for user in users]
        rows: list[tuple[int | None, str | None, str, str, int]] = [
            (user, None, "out", "first", 29) for user in numbers
        ]
        rows += [(user, "out", "in", "recency_days:up:60", 30) for user in numbers[:2]]
        for t in (29, 30):
            ticks = {"from": micro(TICKS[t - 1]), "as_of": micro(TICKS[t]), "position": tx.next_seq - 1}
            how = {"pass": 1, "model": None, "backfilled": False, "hindsight": False}
            tx.append_decision("rescored", {"segmentation": "lapsing"} | ticks | how)
        schema = {name: kind for name, kind in log.CHANGES.items() if name != "seq"}
        told = [
            {
                "segmentation": number,
                "user": user,
                "from_label": None if left is None else tx.number("label", left),
                "to_label": tx.number("label", to),
                "probability": None,
                "as_of": micro(TICKS[t]),
                "pass": 1,
                "cause": "definition" if left is None else "clock",
                "cause_seq": None,
                "reason": tx.number("reason", reason),
                "model": None,
                "backfilled": 0,
                "hindsight": 0,
            }
            for user, left, to, reason, t in rows
        ]
        span = tx.append_changes(pl.DataFrame(told, schema=schema))
        assert span is not None
        held = {row["user"]: (row, span[0] + place) for place, row in enumerate(told)}
        members = {
            "user": [*held],
            "label": [row["to_label"] for row, _ in held.values()],
            "probability": [None] * len(held),
            "margin": [None] * len(held),
            "scores": [b""] * len(held),
            "since": [row["as_of"] for row, _ in held.values()],
            "change_seq": [seq for _, seq in held.values()],
        }
        integers = dict.fromkeys(("probability", "margin"), pl.Int64)
        tx.save_members(number, pl.DataFrame(members, schema_overrides=integers))
    return path


@contextmanager
def keyed() -> Iterator[None]:
    """Under the key that every test gets."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEGTUI_KEY", KEY)
        yield


def begun(path: Path) -> Path:
    """A new store; the log page shows who made it, and when."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEGTUI_ACTOR", "tests")
        patch.setattr(time, "time_ns", lambda: micro(TICKS[-1]) * 1_000)
        init(path, timezone="Europe/Paris", currency="EUR", clock="data")
    return path
