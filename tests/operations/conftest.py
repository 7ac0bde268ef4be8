"""A small shop made of event lines, and a small model, for tests of the operations."""

import dataclasses
import json
import os
import shutil
from collections.abc import Callable
from copy import copy
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, settings

from db import projections, vocabulary
from segtui.operations.ingest import import_files
from segtui.operations.init import init
from segtui.operations.session import Session, open_session

START = datetime(2026, 1, 5, tzinfo=UTC)
QUICK = {"kind": "logistic", "twin": False, "options": {"epochs": "2"}}
"""The settings of a training that is about what it says, not about how well it learns."""


def few(examples: int) -> settings:
    """So many examples of stories that take seconds each, and 40 in a soak."""
    return settings(
        max_examples=40 if os.environ.get("SEGTUI_SOAK") else examples,
        deadline=None,
        phases=(Phase.explicit, Phase.reuse, Phase.generate),  # shrinking whole stores takes minutes
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


class Shop:
    """A store in a folder, fed with event lines; a wall clock that the test sets."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, **settings: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "shop.db"
        self._monkeypatch = monkeypatch
        self._numbers = count()
        self._today = 0.0
        init(self.path, **{"currency": "EUR", "clock": "wall"} | settings)

    def copied(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> "Shop":
        """The same shop on the same day, in another folder."""
        shutil.copytree(self.path.parent, folder)
        other = copy(self)
        other.path = folder / self.path.name
        other._monkeypatch = monkeypatch
        other.at(self._today)
        return other

    def at(self, day: float) -> None:
        """Sets the wall clock to that many days after START."""
        self._today = day
        self._monkeypatch.setenv("SEGTUI_NOW", str(self.instant(day)))

    @staticmethod
    def instant(day: float) -> int:
        """That many days after START, in µs."""
        return int((START + timedelta(days=day)).timestamp()) * 1_000_000

    @staticmethod
    def day(number: int) -> str:
        """The date that many days after START."""
        return (START + timedelta(days=number)).date().isoformat()

    @staticmethod
    def held(s: Session, as_of: int | None) -> dict[str, str]:
        """Who holds which label of `value`, by names: surrogates depend on the order of imports."""
        number = vocabulary.number(s.store, "segmentation", "value")
        frame = projections.memberships(s.store, number, as_of=as_of)
        names, labels = s.external(frame["user"].to_list()), vocabulary.texts(s.store, "label")
        return {names[row["user"]]: labels[row["label"]] for row in frame.iter_rows(named=True)}

    def open(self):
        """A session, to be used in a with statement."""
        return open_session(self.path)

    def events(self, rows):
        """Imports (user, day, kind, amount) rows as one file; returns what the import said."""
        path = self.path.with_name(f"events-{next(self._numbers)}.ndjson")
        path.write_text("".join(json.dumps(line(*row)) + "\n" for row in rows))
        with self.open() as s:
            return import_files(s, [path], format="events")


def line(user, day, kind="purchase", amount=None, **more):
    """One event line."""
    at = START + timedelta(days=day)
    fields = {"user": user, "time": at.isoformat(), "kind": kind, **more}
    if amount is not None:
        fields |= {"amount": amount, "currency": "EUR"}
    return fields


def two_dozen():
    """Twenty days of two dozen customers, who come every five days; each spends more than the one before."""
    return [
        (f"u{n:02}", d + n / 100, "purchase", 10.0 + 7 * n) for n in range(24) for d in range(n % 5, 20, 5)
    ]


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """An empty shop at its first day."""
    made = Shop(tmp_path / "shop", monkeypatch)
    made.at(0)
    return made


@pytest.fixture(scope="session")
def shops():
    """What makes a shop: shops(folder, monkeypatch), for fixtures that outlive a test."""
    return Shop


@pytest.fixture(scope="session")
def firsts():
    """The shops that `lived_through` copies, by what happened in them."""
    return {}


@pytest.fixture
def lived_through(firsts, tmp_path, tmp_path_factory, monkeypatch):
    """lived_through(story) -> a copy of a shop that story(shop) happened in, once for all tests."""

    def copied(story: Callable[[Shop], None]) -> Shop:
        name = f"{story.__module__}.{story.__qualname__}"
        if name not in firsts:
            with pytest.MonkeyPatch.context() as patch:
                first = Shop(tmp_path_factory.mktemp("first"), patch)
                first.at(0)
                story(first)
            firsts[name] = first
        return firsts[name].copied(tmp_path / "shop", monkeypatch)

    return copied


@pytest.fixture
def make_shop(tmp_path_factory, monkeypatch):
    """Makes shops, each in a folder of its own."""
    return lambda **options: Shop(tmp_path_factory.mktemp("shop"), monkeypatch, **options)


@pytest.fixture(scope="session")
def model():
    """A logistic model of `value`, trained for a moment on made events; built once."""
    from engine.encoding import Encoder
    from engine.features import FeatureSpec, features
    from engine.model import Model
    from engine.training import Inputs, train
    from engine.training_spec import TrainingSpec

    draw = np.random.default_rng(5)
    users = draw.integers(1, 300, 2_000)
    day = 86_400_000_000
    start = int(START.timestamp()) * 1_000_000
    frame = pl.DataFrame(
        {
            "seq": np.arange(1, 2_001),
            "user": users,
            "occurred_at": start + draw.integers(0, 60 * day, 2_000),
            "kind": np.where(draw.random(2_000) < 0.5, "purchase", "view"),
            "amount": draw.integers(100, 9_000, 2_000),
        }
    )
    nothing = (
        "order",
        "item",
        "category",
        "platform",
        "device",
        "region",
        "session",
        "quantity",
        "rating",
        "duration",
    )
    frame = frame.with_columns(
        pl.col("kind").cast(pl.Categorical), *(pl.lit(None, dtype=pl.Int64).alias(name) for name in nothing)
    )
    spec = FeatureSpec(zone="UTC", kinds=("purchase", "view"), fields=("amount",))
    known = features(frame, None, start + 60 * day, spec)
    spend = known["spend_28d"].to_numpy()
    labels = np.where(spend > 9_000, 0, np.where(spend > 3_000, 1, 2)).astype(np.int32)
    names = [name for name in known.columns if name != "user"]
    encoder = Encoder.fit(known, names)
    parts = (np.arange(known.height) % 5 == 0).astype(np.int8)
    settings = TrainingSpec(epochs=20, learning_rate=0.05)
    fitted = train("logistic", Inputs(encoder.transform(known)), labels, parts, 3, settings)
    return Model(
        kind="logistic",
        labels=("high", "medium", "low"),
        feature_spec=spec,
        sequence_spec=None,
        encoder=encoder,
        policy={"label": "future_value", "known_from": start, "horizon_days": 30, "cutoff": start, "seed": 0},
        options={},
        parameters=fitted.parameters,
    )


def record_model(s: Session, model, name="small", segmentation="value", horizon=None) -> None:
    """Records a model in a store as `train` would, without promoting it."""
    with s.store.transaction(actor="test", source="train") as tx:
        if segmentation != "value":
            defined = {"name": segmentation, "kind": "model", "labels": list(model.labels)}
            tx.append_decision("segmentation_defined", defined)
        tx.put_model(model.digest, model.spec_json(), model.parameter_bytes())
        tx.append_decision(
            "model_trained",
            {
                "model": model.digest,
                "name": name,
                "segmentation": segmentation,
                "kind": model.kind,
                "labels": list(model.labels),
                "thresholds": {},
                "horizon": horizon,
                "known_from": None,
                "metrics": {},
                "previous": None,
            },
        )


@pytest.fixture(name="record_model", scope="session")
def recorder(model):
    """Records the small model, or another one, in a session's store without promoting it."""
    return lambda s, other=None, **options: record_model(s, other or model, **options)


@pytest.fixture
def give_model(model):
    """Records and promotes the small model in a session's store, or the same with other labels."""
    from segtui.operations.models import promote

    def give(
        s: Session,
        segmentation: str = "value",
        horizon: str | None = None,
        labels: tuple[str, ...] = ("high", "medium", "low"),
        name: str = "small",
    ) -> dict:
        named = dataclasses.replace(model, labels=labels)
        record_model(s, named, name=name, segmentation=segmentation, horizon=horizon)
        return promote(s, name)

    return give


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A simulated shop's folder, and what the demo said; tests that use it share the xdist group
    simulated-shop, so that it is made once."""
    from segtui.operations.demo import demo

    folder = tmp_path_factory.mktemp("demo") / "shop"
    return folder, demo(folder, users=2_500, days=260, seed=3)


@pytest.fixture
def made_copy(made, tmp_path):
    """A copy of the simulated shop's store to write to."""
    shutil.copytree(made[0], tmp_path / "copy")
    return tmp_path / "copy" / "shop.db"


@pytest.fixture
def s(made_copy):
    """The simulated shop, to write to."""
    with open_session(made_copy) as session:
        yield session
