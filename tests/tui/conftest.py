"""A small shop written through the store's own transactions with hand-made integers, and pilots over it.

48 users, 31 ticks of one day: 24 backfilled by the first model, seven recorded as they came, the second
model promoted on the way. No network is trained or run: what the screens show cannot depend on the machine.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from textual.command import CommandList, CommandPalette
from textual.pilot import Pilot
from textual.widgets import Input

from db import log, lookups
from db.store import Store, Transaction
from engine.features import FeatureSpec
from segtui.operations.init import init
from segtui.operations.rescore import rescore
from segtui.operations.segment import define
from segtui.operations.session import open_session
from segtui.operations.silence import Leaving
from segtui.tui.app import SegtuiApp
from segtui.tui.preferences import VARIABLES
from segtui.tui.screens import columns, members, rule_editor
from segtui.tui.widgets import filter_line

KEY = "00" * 32
ZONE = ZoneInfo("Europe/Paris")
USERS = 48
LABELS = ("high", "medium", "low")
FIRST = datetime(2026, 1, 30, tzinfo=ZONE)
TICKS = [FIRST + timedelta(days=day) for day in range(31)]
BACKFILLED = 24
SECOND_MODEL = 20
MODELS = ("3f9a" * 16, "71c2" * 16)
NOON = datetime(2026, 3, 1, 12, 0, 0)

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


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The same key, colours, pace and cursor everywhere; a member is looked up as soon as chosen."""
    monkeypatch.setenv("SEGTUI_KEY", KEY)
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")
    monkeypatch.delenv("NO_COLOR", raising=False)
    for variable in VARIABLES.values():
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(members, "REST_SECONDS", 0.01)
    monkeypatch.setattr(rule_editor, "REST_SECONDS", 0.01)
    monkeypatch.setattr(filter_line, "REST_SECONDS", 0.01)
    monkeypatch.setattr(filter_line, "SOON", 0.01)
    monkeypatch.setattr(columns, "REST_SECONDS", 0.01)
    # Turning its blinking off may come between a tick of its timer and what the tick does: off for good then.
    monkeypatch.setattr(Input, "_toggle_cursor", lambda _self: None)


@pytest.fixture
def steady(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same day, operator and paths everywhere."""
    monkeypatch.setenv("SEGTUI_NOW", str(micro(TICKS[-1])))
    monkeypatch.setenv("SEGTUI_ACTOR", "tests")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/somewhere")


@pytest.fixture(scope="session")
def shop_master(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shop, written once per process."""
    return written(tmp_path_factory.mktemp("shop") / "shop.db")


def written(path: Path) -> Path:
    """The shop in a new store."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEGTUI_KEY", KEY)
        begun(path)
        with Store.open(path) as store:
            Shop(store).write()
    return path


def begun(path: Path) -> Path:
    """A new store; the log page shows who made it, and when."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEGTUI_ACTOR", "tests")
        patch.setattr(time, "time_ns", lambda: micro(TICKS[-1]) * 1_000)
        init(path, timezone="Europe/Paris", currency="EUR", clock="data")
    return path


@pytest.fixture
def shop(shop_master: Path, tmp_path: Path) -> Path:
    """A copy of the shop that a test may write to."""
    path = tmp_path / "shop.db"
    shutil.copyfile(shop_master, path)
    return path


@pytest.fixture
def chinese(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The shop, its labels and ids in characters that take two cells each."""
    monkeypatch.setattr(f"{__name__}.LABELS", ("高价值", "中价值", "低"))
    monkeypatch.setattr(f"{__name__}.external", lambda n: f"客户-{10_400 + 37 * n}")
    return written(tmp_path / "商店.db")


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A store with nothing in it."""
    return begun(tmp_path / "empty.db")


@pytest.fixture
def unscored(tmp_path: Path) -> Path:
    """A store with events that nothing has been decided about."""
    path = tmp_path / "unscored.db"
    init(path, timezone="Europe/Paris", currency="EUR", clock="data")
    with Store.open(path) as store:
        written = Shop(store)
        with written.transaction("import") as tx:
            written.users = dict(
                enumerate(tx.surrogates(pl.Series([external(n) for n in range(USERS)])).to_list())
            )
            written.import_events(tx, [(event, None) for n in range(USERS) for event in earlier_purchases(n)])
    return path


@pytest.fixture
def ruled(unscored: Path) -> Path:
    """A store whose starter rule has decided, with a rule of its own."""
    with open_session(unscored) as s:
        rescore(s)
        define(s, "lapsing", "recency_days > 100")
    return unscored


def left(_s: Any, _name: str, users: Any, when: Any, *_: Any, **_more: Any) -> dict[int, Leaving]:
    """Two of three leave for low, by their number's days."""
    return {user: Leaving(when.as_of + (user % 7 + 1) * 86_400_000_000, "low") for user in users if user % 3}


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network's part of a user's page, played by fixed numbers."""

    def played(s: Any, held: Any, evidence: Any, *_: Any) -> dict[str, Any]:
        label = held.label
        newest = lookups.member(s.store, held.number, evidence.events["user"][0])
        assert newest is not None
        own = newest["probability"]
        others = [each for each in LABELS if each != label]
        chances = {label: own, others[-1]: (1_000_000 - own) * 6 // 10}
        chances[others[0]] = 1_000_000 - sum(chances.values())
        features = [
            ("spend_90d", "minor units", 3_630.0, 8_800.0, -0.55),
            ("recency_days", "days", 58.0, 21.0, -0.52),
            ("refund_share", "share", 0.14, 0.03, -0.13),
            ("orders_365d", "orders", 6.0, 5.0, 0.12),
            ("trend_28d", "share", -1.0, 0.25, -0.08),
        ]
        groups = [("purchases 90 d", -0.55), ("recency", -0.52), ("refunds", -0.13)]
        return {
            "probabilities": {each: chances[each] / 1_000_000 for each in LABELS},
            "explanation": {
                "label": label,
                "against": others[-1],
                "lead": 0.02,
                "typical_lead": 1.18,
                "features": [
                    dict(zip(("feature", "unit", "value", "typical", "weight"), each, strict=True))
                    for each in features
                ],
                "groups": [
                    {"group": name, "weight": weight, "meaning": name, "features": []}
                    for name, weight in [*groups, ("purchases 365 d", 0.12), ("purchases 28 d", -0.08)]
                ],
            },
            "history": [
                {
                    "as_of": day.isoformat(),
                    "probabilities": dict.fromkeys(LABELS, (30 + (t * t) % 41) / 100),
                }
                for t, day in enumerate(TICKS)
            ],
        }

    spec = FeatureSpec(zone="Europe/Paris", kinds=("purchase", "refund", "view"))
    monkeypatch.setattr("segtui.operations.user.model_decider", lambda *_: SimpleNamespace(spec=spec))
    monkeypatch.setattr("segtui.operations.user._modelled", played)
    leaves = {"as_of": "2026-03-03T00:00:00+01:00", "to": "low"}
    monkeypatch.setattr("segtui.operations.user._leaves", lambda *_: leaves)
    monkeypatch.setattr("segtui.operations.members.leaving", left)
    monkeypatch.setattr("segtui.operations.facts.leaving", left)
    smallest = {"text": "one order of 20.00 EUR", "to": "medium", "probability": 0.4, "events": []}
    monkeypatch.setattr("segtui.operations.user.smallest_change", lambda *_: smallest)


Settle = Callable[[Pilot[None]], Awaitable[None]]


async def settled(pilot: Pilot[None]) -> None:
    """Waits until every question has been answered and every answer drawn."""
    quiet, listed = 0, -1
    while quiet < 2:
        await pilot.pause(0.02)
        await pilot.pause()
        app = pilot.app
        if isinstance(app.screen, CommandPalette):
            # Its list fills up in steps of its own; what is on its way shows as a busy sign.
            commands = app.screen.query_one(CommandList)
            filling = commands.has_class("--populating") or not commands.has_class("--visible")
            if filling or commands.option_count != listed:
                quiet, listed = -3, commands.option_count
                continue
        # The line of a filter is there before it is opened.
        lines = [each for each in app.screen.query(Input) if not isinstance(each, filter_line.FilterInput)]
        unfocused = app.focused is None and bool(lines)
        running = any(worker.group != "watch" and not worker.is_finished for worker in app.workers)
        drawn = app.screen.is_mounted and bool(app.screen.children)
        quiet = quiet + 1 if drawn and not running and not unfocused else 0


@pytest.fixture
def settle() -> Settle:
    return settled


@pytest.fixture
def press() -> Callable[..., Awaitable[None]]:
    """press(pilot, "c", "o", "'text"): each key, or text behind a quote, and everything it sets off."""

    async def pressed(pilot: Pilot[None], *keys: str) -> None:
        for key in keys:
            await pilot.press(*(key[1:] if key.startswith("'") else [key]))
            await settled(pilot)

    return pressed


@pytest.fixture
def app_of() -> Callable[..., SegtuiApp]:
    """An app over a store, with a clock that stands still."""
    return lambda path, **more: SegtuiApp(path, clock=lambda: NOON, **({"poll": 0.05} | more))


@pytest.fixture
def shown() -> Callable[[SegtuiApp], str]:
    """What stands on the screen, as plain lines."""

    def text(app: SegtuiApp) -> str:
        lines = app.screen._compositor.render_strips()
        return "\n".join(strip.text.rstrip() for strip in lines)

    return text
