"""Copies of the small shop, and pilots over it."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from textual.command import CommandList, CommandPalette
from textual.pilot import Pilot
from textual.widgets import Input

from db import lookups
from db.store import Store
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
from tests.tui import small_shop
from tests.tui.small_shop import (
    KEY,
    TICKS,
    USERS,
    Shop,
    begun,
    earlier_purchases,
    external,
    keyed,
    micro,
    written,
)

NOON = datetime(2026, 3, 1, 12, 0, 0)


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


@pytest.fixture
def shop(shop_master: Path, tmp_path: Path) -> Path:
    """A copy of the shop that a test may write to."""
    path = tmp_path / "shop.db"
    shutil.copyfile(shop_master, path)
    return path


@pytest.fixture
def chinese(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The shop, its labels and ids in characters that take two cells each."""
    monkeypatch.setattr(small_shop, "LABELS", ("高价值", "中价值", "低"))
    monkeypatch.setattr(small_shop, "external", lambda n: f"客户-{10_400 + 37 * n}")
    return written(tmp_path / "商店.db")


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A store with nothing in it."""
    return begun(tmp_path / "empty.db")


@pytest.fixture(scope="session")
def unscored_master(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with events that nothing has been decided about, written once per process."""
    path = tmp_path_factory.mktemp("unscored") / "unscored.db"
    with keyed():
        init(path, timezone="Europe/Paris", currency="EUR", clock="data")
        with Store.open(path) as store:
            written = Shop(store)
            with written.transaction("import") as tx:
                names = pl.Series([external(n) for n in range(USERS)])
                written.users = dict(enumerate(tx.surrogates(names).to_list()))
                earlier = [(event, None) for n in range(USERS) for event in earlier_purchases(n)]
                written.import_events(tx, earlier)
    return path


@pytest.fixture
def unscored(unscored_master: Path, tmp_path: Path) -> Path:
    """A copy of that store that a test may write to."""
    return Path(shutil.copy(unscored_master, tmp_path))


@pytest.fixture(scope="session")
def ruled_master(unscored_master: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same once its starter rule has decided, with a rule of its own."""
    path = Path(shutil.copy(unscored_master, tmp_path_factory.mktemp("ruled")))
    with keyed(), open_session(path) as s:
        rescore(s)
        define(s, "lapsing", "recency_days > 100")
    return path


@pytest.fixture
def ruled(ruled_master: Path, tmp_path: Path) -> Path:
    """A copy of that store that a test may write to."""
    return Path(shutil.copy(ruled_master, tmp_path))


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
        others = [each for each in small_shop.LABELS if each != label]
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
            "probabilities": {each: chances[each] / 1_000_000 for each in small_shop.LABELS},
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
                    "probabilities": dict.fromkeys(small_shop.LABELS, (30 + (t * t) % 41) / 100),
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
        if isinstance(app, SegtuiApp) and app.failure is not None:
            # Else it would be waited for without end.
            raise app.failure
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


@pytest.fixture
async def pilot(shop: Path, app_of: Any, settle: Settle) -> AsyncIterator[Pilot[None]]:
    """At the first page of the small shop, on a wide terminal."""
    async with app_of(shop).run_test(size=(100, 30)) as running:
        await settle(running)
        yield running


@pytest.fixture
def moved_on(settle: Settle) -> Callable[[Pilot[None], Path], Awaitable[None]]:
    """Another process commits, and the screens have seen that it did."""

    async def commit(pilot: Pilot[None], path: Path) -> None:
        with Store.open(path) as store, store.transaction(actor="another process") as tx:
            tx.append_decision("exported", {})
        for _ in range(100):
            await settle(pilot)
            if isinstance(pilot.app, SegtuiApp) and pilot.app.revision:
                break
        await settle(pilot)

    return commit
