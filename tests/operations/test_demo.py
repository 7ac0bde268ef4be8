"""The demo: how small a shop can be, and that a demo that fails leaves nothing behind."""

from datetime import UTC, datetime, time

import polars as pl
import pytest

from segtui.operations import demo as operation
from segtui.operations.demo import END, FOLLOWING, LEAST_DAYS, LEAST_USERS, demo
from segtui.operations.errors import OperationError
from segtui.operations.progress import Stopped
from segtui.operations.tasks import MIN_BUYERS
from segtui.simulator import simulate

DAY = 86_400_000_000


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_the_smallest_shop_has_enough_buyers(seed):
    end = int(datetime.combine(END, time(), UTC).timestamp()) * 1_000_000 - FOLLOWING * DAY
    events = simulate(users=LEAST_USERS, days=LEAST_DAYS, seed=seed, end=END)
    known = events.filter(pl.col("time") < end - 90 * DAY)["user"].unique()
    later = events.filter(pl.col("time").is_between(end - 90 * DAY, end, closed="left"))
    buyers = later.filter(kind="purchase")["user"].unique()
    assert buyers.is_in(known.implode()).sum() > MIN_BUYERS + 20


@pytest.mark.parametrize("size", [{"users": LEAST_USERS - 1}, {"days": LEAST_DAYS - 1}, {"users": 0}])
def test_a_smaller_shop_is_refused_before_anything_is_written(size, tmp_path):
    with pytest.raises(OperationError, match="use --users 1500 and --days 200 or more"):
        demo(tmp_path / "new" / "shop", **size)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("failure", [OperationError("no"), KeyboardInterrupt(), Stopped()])
@pytest.mark.parametrize("there", [True, False])
def test_a_demo_that_fails_leaves_nothing(failure, there, tmp_path, monkeypatch):
    folder = tmp_path / "new" / "shop"
    if there:
        folder.mkdir(parents=True)

    def fail(*arguments, **options):
        assert (folder / "making" / "shop.db").exists()
        raise failure

    # What fails is the training: how many customers came before does not matter.
    monkeypatch.setattr("segtui.simulator.simulate", lambda users, **how: simulate(users=50, **how))
    monkeypatch.setattr(operation, "train", fail)
    with pytest.raises(type(failure)):
        demo(folder, users=LEAST_USERS, days=LEAST_DAYS)
    if there:
        assert list(folder.iterdir()) == []
    else:
        assert list(tmp_path.iterdir()) == []
