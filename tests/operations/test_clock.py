"""Time alone: a window that empties moves its user at that tick, however the tick is come by."""

import dataclasses
import json
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from engine.models.parameters import BESIDE
from segtui.operations.changes import changes
from segtui.operations.ingest import import_files
from segtui.operations.models import promote
from segtui.operations.replay import replay
from segtui.operations.rescore import rescore, rescore_range
from segtui.operations.segment import define
from segtui.operations.what_if import what_if

RULE = "orders_28d >= 1"
WINDOW = 28
CASES = [
    pytest.param("UTC", datetime(2026, 2, 10, 15, 0), id="utc"),
    pytest.param("UTC", datetime(2026, 2, 10, 0, 0), id="utc-first-instant"),
    # Clocks go forward on 29 March: 28 times 24 hours would keep the order a day longer.
    pytest.param("Europe/Berlin", datetime(2026, 3, 10, 23, 30), id="spring"),
    # Clocks go back on 25 October: 28 times 24 hours would lose it a day early.
    pytest.param("Europe/Berlin", datetime(2026, 10, 10, 0, 30), id="autumn"),
]


class Days:
    """A shop in a zone with one order that will grow old, and somebody who keeps buying."""

    def __init__(self, make_shop, monkeypatch, record, zone, ordered):
        self.shop = make_shop(timezone=zone)
        self.zone, self.ordered, self.monkeypatch = ZoneInfo(zone), ordered, monkeypatch
        self.at(1)
        later = ordered + timedelta(hours=1)
        times = [("ann", ordered), *(("zoe", later - timedelta(days=back)) for back in range(9))]
        lines = [
            {"user": user, "time": each.replace(tzinfo=self.zone).isoformat(), "kind": "purchase"}
            | {"amount": 120.0, "currency": "EUR", "order": f"{user}-{number}"}
            for number, (user, each) in enumerate(times)
        ]
        path = self.shop.path.with_name("orders.ndjson")
        path.write_text("".join(json.dumps(each) + "\n" for each in lines))
        with self.shop.open() as s:
            import_files(s, [path], format="events")
            record(s)
            promote(s, "small")
            define(s, "lately", RULE)

    def at(self, days):
        """Noon, so many local days after the order's."""
        noon = self.ordered.replace(hour=12, minute=0) + timedelta(days=days)
        self.monkeypatch.setenv(
            "SEGTUI_NOW", str(int(noon.replace(tzinfo=self.zone).timestamp()) * 1_000_000)
        )

    def end(self, days):
        """The local midnight that ends the tick so many days after the order's own, as told."""
        midnight = self.ordered.replace(hour=0, minute=0) + timedelta(days=days + 1)
        return midnight.replace(tzinfo=self.zone).isoformat()

    def moves(self, s):
        """The moves of the one order's user that time made: segmentation, as-of, label, reason."""
        told = [each for each in changes(s, user="ann") if each["cause"] == "clock"]
        return {(each["segmentation"], each["as_of"], each["to"], each["reason"]) for each in told}


@pytest.fixture
def spend_model(model):
    """A model that reads nothing but the spend of the last 28 days: much is high, none is low."""
    encoder = model.encoder.only({"spend_28d"})
    weights = {
        name: np.array([[5, 0, -5]], np.float32) if values.ndim == 2 else values * np.float32(0)
        for name, values in model.parameters.items()
        if name not in BESIDE
    }
    kept = {name: values for name, values in model.parameters.items() if name in BESIDE}
    return dataclasses.replace(model, encoder=encoder, parameters=weights | kept)


def first_left(told, name, left):
    """The first as-of at which somebody left a label."""
    return next(each["as_of"] for each in told if any(flow[:2] == [name, left] for flow in each["flows"]))


@pytest.mark.parametrize(("zone", "ordered"), CASES)
def test_a_window_that_empties_moves_its_user_at_that_tick(
    make_shop, monkeypatch, record_model, spend_model, zone, ordered
):
    # A model's days are those of the store it learnt in.
    spec = dataclasses.replace(spend_model.feature_spec, zone=zone)
    own = dataclasses.replace(spend_model, feature_spec=spec)

    def record(s):
        record_model(s, own)

    daily, at_once, full = (Days(make_shop, monkeypatch, record, zone, ordered) for _ in range(3))
    for story, days in ((daily, (2, 27, 28, 29, 31)), (at_once, (31,)), (full, (2, 27, 28, 29, 31))):
        for day in days:
            story.at(day)
            with story.shop.open() as s:
                rescore(s, full=story is full)
    expected = daily.end(WINDOW)
    with daily.shop.open() as s, at_once.shop.open() as t, full.shop.open() as u:
        found = daily.moves(s)
        assert found == at_once.moves(t) == full.moves(u)
        (rule_move,) = (each for each in found if each[0] == "lately")
        assert rule_move == ("lately", expected, "out", "orders of 28 d fell below 1")
        model_moves = [each for each in found if each[0] == "value"]
        assert [each[1] for each in model_moves] == [expected], "the model reads the spend of 28 d"
        assert "28 d" in model_moves[0][3]
        start = s.instant(daily.end(1))
        frames = list(replay(s, from_=start))
        assert first_left(frames, "lately", "in") == first_left(frames, "value", "high") == expected
        assert first_left(what_if(s, from_=start), "lately", "in") == expected
        other = what_if(s, from_=start, define=("lately", f"{RULE} AND spend > 0"))
        assert first_left(other, "lately", "in") == expected
        assert first_left(what_if(s, from_=start, model="small"), "value", "high") == expected
        rescore_range(s, start)
        assert daily.moves(s) == found, "a new pass finds the same"


@pytest.mark.parametrize("first", [datetime(2026, 3, 26), datetime(2026, 10, 22)], ids=["spring", "autumn"])
def test_a_frame_counts_the_events_of_its_own_day(make_shop, monkeypatch, first):
    zone, shop = ZoneInfo("Europe/Berlin"), make_shop(timezone="Europe/Berlin")
    days = [first + timedelta(days=number) for number in range(7)]
    times = [
        (day + edge + timedelta(seconds=each)).replace(tzinfo=zone)
        for number, day in enumerate(days)
        for edge in (timedelta(), timedelta(hours=23, minutes=59))
        for each in range(number + 1)
    ]
    lines = [
        {"user": f"u{number}", "time": each.isoformat(), "kind": "view"} for number, each in enumerate(times)
    ]
    path = shop.path.with_name("views.ndjson")
    path.write_text("".join(json.dumps(each) + "\n" for each in lines))
    monkeypatch.setenv("SEGTUI_NOW", str(int(times[-1].timestamp()) * 1_000_000))
    with shop.open() as s:
        import_files(s, [path], format="events")
        define(s, "lately", "views_28d >= 1")
        start = s.instant(days[0].replace(tzinfo=zone).isoformat())
        rescore_range(s, start)
        frames = list(replay(s, from_=start))
    assert [each["events"] for each in frames] == [2 * (number + 1) for number in range(7)]
