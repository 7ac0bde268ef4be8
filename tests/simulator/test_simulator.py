"""The simulated shop: the same for a seed, sane in its shares, and what its files say is what it did."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from segtui import simulator, sources
from segtui.simulator.shop import FAULTS, KINDS, LATEST
from segtui.sources.schema import PARSED

END = date(2026, 3, 1)
DAY = 86_400_000_000
LAST = int(datetime(2026, 3, 1, tzinfo=UTC).timestamp()) * 1_000_000
DAYS = 400


@pytest.fixture(scope="module")
def shop() -> pl.DataFrame:
    return simulator.simulate(users=1_500, days=DAYS, seed=3, end=END)


def small(seed: int = 1, **changes: float) -> pl.DataFrame:
    return simulator.simulate(users=120, days=90, seed=seed, end=END, **changes)


def written(frame: pl.DataFrame, path: Path) -> bytes:
    simulator.write_events(frame, path)
    return path.read_bytes()


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    first, again = (written(small(), tmp_path / f"{name}.ndjson") for name in "ab")
    assert first == again
    assert written(small(), tmp_path / "a.gz") == written(small(), tmp_path / "a.gz")
    assert written(small(seed=2), tmp_path / "c.ndjson") != first


def test_another_process_gives_the_same_bytes(tmp_path: Path) -> None:
    script = (
        "import hashlib, sys; from datetime import date; from pathlib import Path\n"
        "from segtui import simulator\n"
        "frame = simulator.simulate(users=120, days=90, seed=1, end=date(2026, 3, 1))\n"
        "path = Path(sys.argv[1]); simulator.write_events(frame, path)\n"
        "sys.stdout.write(hashlib.sha256(path.read_bytes()).hexdigest())"
    )
    environment = os.environ | {"PYTHONHASHSEED": "77", "POLARS_MAX_THREADS": "1"}
    found = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "other.ndjson")],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert found == hashlib.sha256(written(small(), tmp_path / "mine.ndjson")).hexdigest()


def test_columns_and_bounds(shop: pl.DataFrame) -> None:
    expected = {
        name: dtype for name, dtype in PARSED.items() if name not in ("line", "id", "refunded", "email")
    }
    assert dict(shop.schema) == expected | {"recorded_at": pl.Int64(), "fault": pl.String()}
    assert shop["user"].n_unique() == 1_500
    assert shop["time"].is_between(LAST - DAYS * DAY, LAST, closed="left").all()
    assert shop["recorded_at"].is_between(LAST - DAYS * DAY, LAST, closed="left").all()
    assert shop["recorded_at"].is_sorted()
    assert (shop["recorded_at"] >= shop["time"]).all()
    assert set(shop["kind"]) == set(KINDS)


def test_what_each_kind_carries(shop: pl.DataFrame) -> None:
    def of(kind: str) -> pl.DataFrame:
        return shop.filter(pl.col("kind") == kind)

    assert (of("purchase")["amount"] > 0).all()
    assert (of("refund")["amount"] < 0).all()
    assert (of("view")["duration"] >= 1000).all()
    assert of("review")["rating"].is_between(100, 500).all()
    money = pl.col("amount").is_not_null()
    assert set(shop.filter(money)["kind"]) == {"purchase", "refund"}
    assert set(shop.filter(money)["currency"]) == {"EUR"}
    assert shop.filter(~money)["currency"].null_count() == shop.filter(~money).height
    visited = of("purchase").select("session", "user").unique()
    assert visited["session"].n_unique() == visited.height
    assert of("purchase").group_by("order").agg(pl.col("session").n_unique())["session"].max() == 1
    refunded = of("refund").join(of("purchase"), on=["user", "order", "item"], how="semi")
    assert refunded.height == of("refund").height


def test_a_purchase_follows_its_cart_and_its_cart_a_view(shop: pl.DataFrame) -> None:
    steps = (
        shop.filter(pl.col("session").is_not_null())
        .group_by("session", "item")
        .agg(
            pl.col("time").filter(pl.col("kind") == kind).min().alias(kind)
            for kind in ("view", "add_to_cart", "purchase")
        )
    )
    bought = steps.filter(pl.col("purchase").is_not_null())
    assert bought.height > 1000
    assert (bought["view"] < bought["add_to_cart"]).all()
    assert (bought["add_to_cart"] < bought["purchase"]).all()


def test_the_shares_are_those_of_a_shop(shop: pl.DataFrame) -> None:
    count = dict(shop.group_by("kind").len().rows())
    assert 60 < shop.height / 1_500 < 120
    assert 0.08 < shop["order"].n_unique() / shop["session"].n_unique() < 0.22
    assert 0.03 < count["refund"] / count["purchase"] < 0.10
    assert 0.07 < count["review"] / count["purchase"] < 0.13
    quarter = shop.filter(pl.col("time") >= LAST - 90 * DAY, pl.col("kind") == "purchase")
    assert 0.2 < quarter["user"].n_unique() / 1_500 < 0.6


@pytest.mark.parametrize("share", [0.0, 0.02, 0.2])
def test_as_many_late_and_spoilt_rows_as_asked(share: float) -> None:
    frame = simulator.simulate(users=400, days=120, seed=5, end=END, late=share, dirty=share)
    late = frame.filter(pl.col("recorded_at") > pl.col("time"))
    assert late.height / frame.height == pytest.approx(share, rel=0.15)
    spoilt = frame["fault"].drop_nulls()
    assert len(spoilt) / frame.height == pytest.approx(share, rel=0.15)
    assert set(spoilt) == (set(FAULTS) if share else set())
    days = late["recorded_at"] // DAY - late["time"] // DAY
    assert days.is_between(1, LATEST).all()


def test_habits_of_the_week_and_the_year() -> None:
    frame = simulator.simulate(users=800, days=730, seed=9, end=END)
    visits = frame.group_by("session").agg(pl.from_epoch(pl.col("time").min(), "us").alias("at"))
    weekday = dict(visits.group_by(pl.col("at").dt.weekday()).len().rows())
    assert weekday[6] > 1.1 * weekday[2]
    year = visits.filter(pl.col("at").dt.year() == 2025)
    month = dict(year.group_by(pl.col("at").dt.month()).len().rows())
    assert month[12] > 1.15 * month[5]


def test_the_past_tells_the_future_but_not_surely(shop: pl.DataFrame) -> None:
    cutoff = LAST - 90 * DAY
    past, future = shop.filter(pl.col("time") < cutoff), shop.filter(pl.col("time") >= cutoff)
    buys = pl.col("kind") == "purchase"
    recent = pl.col("time") >= cutoff - 90 * DAY
    known = past.group_by("user").agg(
        (buys & recent).sum().alias("bought"), recent.sum().alias("events"), buys.sum().alias("ever")
    )
    again = future.filter(buys)["user"].unique()
    label = known["user"].is_in(again.implode()).to_numpy()
    frequency = float(roc_auc_score(label, known["ever"].to_numpy()))
    activity = float(roc_auc_score(label, known["events"].to_numpy() + known["bought"].to_numpy()))
    assert 0.6 < frequency < 0.9
    assert frequency < activity < 0.95
    habit = known.with_columns(pl.Series("again", label))
    assert habit.filter(pl.col("bought") > 2, ~pl.col("again")).height > 10
    assert habit.filter(pl.col("bought") == 0, pl.col("again")).height > 10


def test_files_are_read_back_as_they_were(tmp_path: Path) -> None:
    shop = small(dirty=0.02)
    paths = simulator.files(shop, tmp_path, 7)
    assert [path.name for path in paths][:2] == ["000-history.ndjson.gz", "001-2026-02-22.ndjson"]
    assert len(paths) == 8
    options = sources.Options(now=LAST, currency="EUR")
    batches = [batch for path in paths for batch in sources.read(path, "events", options)]
    good = pl.concat([batch.accepted for batch in batches])
    bad = pl.concat([batch.rejected for batch in batches])
    sound = shop.filter(pl.col("fault").is_null())
    columns = [name for name in shop.columns if name not in ("recorded_at", "fault")]
    assert good.select(columns).equals(sound.select(columns))
    reasons = bad["reason"].str.extract(r"^(no customer|time|quantity)").value_counts()
    told = {"user": "no customer", "time": "time", "number": "quantity"}
    faults = shop["fault"].drop_nulls().value_counts()
    assert dict(reasons.rows()) == {told[fault]: number for fault, number in faults.rows()}


def test_each_file_holds_what_arrived_in_its_days(tmp_path: Path) -> None:
    shop = small(late=0.2)
    paths = simulator.files(shop, tmp_path, 3, days=7)
    assert [path.name for path in paths[1:]] == [
        "001-2026-02-14.ndjson",
        "002-2026-02-21.ndjson",
        "003-2026-02-28.ndjson",
    ]
    counts = [len(path.read_bytes().splitlines()) for path in paths[1:]]
    arrived = (LAST - shop["recorded_at"] - 1) // (7 * DAY)
    assert counts == [(arrived == week).sum() for week in (2, 1, 0)]
    history = gzip.decompress(paths[0].read_bytes()).splitlines()
    assert len(history) + sum(counts) == shop.height
    last = [json.loads(line)["time"] for line in paths[-1].read_bytes().splitlines()]
    assert any(moment < "2026-02-22" for moment in last if moment[5:7] != "13")


def test_a_history_too_short_for_its_files_is_refused(tmp_path: Path) -> None:
    shop = simulator.simulate(users=20, days=10, seed=1, end=END)
    with pytest.raises(ValueError, match="too short"):
        simulator.files(shop, tmp_path, 30)
    with pytest.raises(ValueError, match="no events"):
        simulator.files(shop.clear(), tmp_path, 1)


@pytest.mark.parametrize(("users", "days"), [(0, 10), (10, 0)])
def test_a_shop_of_nobody_is_refused(users: int, days: int) -> None:
    with pytest.raises(ValueError, match="at least one"):
        simulator.simulate(users=users, days=days, seed=1, end=END)


def test_the_smallest_shop() -> None:
    shop = simulator.simulate(users=1, days=1, seed=np.iinfo(np.uint32).max, end=END)
    assert shop["user"].unique().to_list() == ["u000000"]
