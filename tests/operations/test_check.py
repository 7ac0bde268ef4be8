"""Health: each measure against its limit, what is recorded, and what is said in one line."""

import json

import pytest

from db import log
from segtui.operations.backup import backup
from segtui.operations.check import check
from segtui.operations.errors import OperationError
from segtui.operations.ingest import import_files
from segtui.operations.limits import DEFAULTS, policy, set_limits
from segtui.operations.notices import line, notices
from segtui.operations.rescore import rescore
from segtui.operations.segment import define, edit
from segtui.operations.status import status

HOUR = 3_600_000_000


def told(s, **options):
    """The checks by name."""
    return {each["name"]: each for each in check(s, **options)["checks"]}


def state(s, name):
    """One check's state, without leaving a trace."""
    return told(s, record=False)[name]["state"]


def busy(shop, days, per_day=20, without=()):
    """So many views a day by a hundred visitors, told when the last day is over."""
    shop.at(days[-1] + 1)
    shop.events(
        [
            (f"u{(day * 7 + each) % 100}", day + (each + 0.5) / (per_day + 1), "view", None)
            for day in days
            if day not in without
            for each in range(per_day)
        ]
    )


def test_an_empty_store_has_nothing_to_measure_and_is_well(shop):
    with shop.open() as s:
        found = check(s)
        assert found["ok"]
        assert found["seq"] is None
        assert {each["state"] for each in found["checks"]} == {"ok", "unknown"}
        assert [each["name"] for each in found["checks"]] == list(DEFAULTS)
        assert notices(s) == []
        assert line([]) is None


def test_freshness_is_the_age_of_the_newest_event(shop):
    shop.events([("ann", 0.5, "view", None)])
    for day, expected in ((1.5, "ok"), (2.1, "warn"), (3.6, "fail")):
        shop.at(day)
        with shop.open() as s:
            found = told(s, record=False)["freshness"]
            assert found["value"] == pytest.approx((day - 0.5) * 24, abs=0.001)
            assert found["state"] == expected
            assert (found["limit"], found["fail"], found["unit"]) == (36, 72, "hours")


def test_under_a_data_clock_the_import_s_age_counts(make_shop, monkeypatch):
    shop = make_shop(clock="data")
    shop.events([("ann", 0.5, "view", None)])
    with shop.open() as s:
        (imported,) = log.decisions(s.store, kinds=("imported",))
        monkeypatch.setenv("SEGTUI_NOW", str(imported.recorded_at + 40 * HOUR))
        assert told(s, record=False)["freshness"]["value"] == 40


def test_ticks_that_nobody_was_scored_for(shop):
    shop.at(0.5)
    shop.events([("ann", 0.1, "purchase", 10.0)])
    with shop.open() as s:
        assert state(s, "scored") == "unknown"
        rescore(s)
        for day, value, expected in ((0.5, 0, "ok"), (1.5, 1, "ok"), (2.5, 2, "warn"), (9.5, 9, "fail")):
            shop.at(day)
            found = told(s, record=False)["scored"]
            assert (found["value"], found["state"]) == (value, expected)


def test_volume_is_held_against_the_weekday_s_habit(shop):
    busy(shop, range(70), per_day=20)
    shop.at(70.2)
    with shop.open() as s:
        found = told(s, record=False)
        assert (found["volume"]["value"], found["volume"]["state"]) == (1.0, "ok")
        assert found["gaps"]["value"] == 0
    busy(shop, [70], per_day=5)
    shop.at(71.2)
    with shop.open() as s:
        found = told(s, record=False)["volume"]
        assert (found["value"], found["state"]) == (0.25, "warn")
        assert "5 events" in found["hint"]
        assert "usually 20" in found["hint"]
    busy(shop, [71], per_day=300)
    shop.at(72.2)
    with shop.open() as s:
        assert state(s, "volume") == "fail", "fifteen times the habit is as odd as a fifteenth"


def test_a_sunday_is_held_against_sundays(shop):
    sundays = [day for day in range(77) if day % 7 == 6]
    busy(shop, range(77), per_day=40, without=sundays)
    shop.at(77.1)
    shop.events([("s", day + each / 20, "view", None) for day in sundays for each in range(12)])
    shop.at(77.1)
    with shop.open() as s:
        assert told(s, record=False)["volume"]["value"] == 1.0


def test_days_that_brought_nothing_are_gaps(shop):
    busy(shop, range(70), without=[66, 67, 68])
    shop.at(70.1)
    with shop.open() as s:
        found = told(s, record=False)["gaps"]
        assert (found["value"], found["state"]) == (3, "fail")
        assert [each["name"][:10] for each in found["more"]] == [shop.day(day) for day in (67, 68, 69)]


def test_the_newest_import_s_quarantine(shop, tmp_path):
    rows = [{"user": f"u{each}", "time": "2026-01-05T00:00:00Z", "kind": "view"} for each in range(9)]
    path = tmp_path / "rows.ndjson"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + "{}\n")
    with shop.open() as s:
        import_files(s, [path], format="events")
        found = told(s, record=False)["quarantine"]
        assert (found["value"], found["state"]) == (0.1, "warn")
        assert "1 of 10 rows" in found["hint"]


def test_a_size_that_jumps_is_named(shop):
    shop.at(3.5)
    shop.events([(f"u{each}", 1 + each / 500, "purchase", 10.0) for each in range(200)])
    with shop.open() as s:
        rescore(s)
        define(s, "lately", "recency_days < 20")
    shop.at(5.5)
    with shop.open() as s:
        rescore(s)
        assert told(s, record=False)["sizes"]["value"] == 0
        edit(s, "lately", "recency_days < 2")
        found = told(s, record=False)["sizes"]
        assert (found["value"], found["state"]) == (2.0, "fail"), "as a hundred, none became 200"
        assert [(each["name"], each["value"]) for each in found["more"][:2]] == [
            ("lately=out", 2.0),
            ("lately=in", 1.0),
        ]
        assert "lately=out went from 0 to 200" in found["hint"]


def test_backups_are_in_the_log_and_grow_old(shop, tmp_path, monkeypatch):
    with shop.open() as s:
        (created,) = log.decisions(s.store, kinds=("store_created",))
        monkeypatch.setenv("SEGTUI_NOW", str(created.recorded_at + 170 * HOUR))
        found = told(s, record=False)["backup"]
        assert (found["value"], found["state"]) == (170, "warn")
        assert "No backup" in found["hint"]
        made = backup(s, tmp_path / "copy.db")
        assert made["recorded"]
        (kept,) = log.decisions(s.store, kinds=("backed_up",))
        assert kept.body == {"position": made["position"], "chain_digest": made["chain_digest"]}
        monkeypatch.setenv("SEGTUI_NOW", str(kept.recorded_at + HOUR))
        assert state(s, "backup") == "ok"


def test_limits_are_decisions(shop):
    shop.events([("ann", 0.5, "view", None)])
    shop.at(2.1)
    with shop.open() as s:
        assert state(s, "freshness") == "warn"
        set_limits(s, {"freshness": "2d,1w", "quarantine": "5%", "backup": "off", "retrain": "on"})
        held = policy(s)
        assert (held.limits["freshness"].warn, held.limits["freshness"].fail) == (48, 168)
        assert (held.limits["quarantine"].warn, held.limits["quarantine"].fail) == (0.05, 0.05)
        assert held.retrain
        assert state(s, "freshness") == "ok"
        assert state(s, "backup") == "off"
        set_limits(s, {"retrain": "off"})
        assert (policy(s).retrain, policy(s).limits["backup"]) == (False, None)
        assert len(log.decisions(s.store, kinds=("check_limits_set",))) == 2


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"freshnes": "3d"}, "nearest .* freshness"),
        ({"freshness": "soon"}, "36h or 3d"),
        ({"freshness": "3d,1d"}, "which is worse"),
        ({"volume": "10%,50%"}, "which is worse"),
        ({"quarantine": "150%"}, "5% or 0.05"),
        ({"drift": "nan"}, "cannot be read"),
        ({"drift": ""}, "cannot be read"),
        ({"scored": "1,2,3"}, "one value"),
        ({"retrain": "perhaps"}, "neither on nor off"),
    ],
)
def test_a_limit_that_cannot_be_is_refused(shop, given, sentence):
    with shop.open() as s:
        with pytest.raises(OperationError, match=sentence):
            set_limits(s, given)
        assert log.decisions(s.store, kinds=("check_limits_set",)) == []


def test_what_is_passed_is_recorded_once_and_again_when_it_changes(shop):
    shop.events([("ann", 0.5, "view", None)])
    shop.at(2.1)
    with shop.open() as s:
        first = check(s)
        assert first["ok"], "a warning does not fail"
        assert not check(s, fail_on="warn")["ok"]
        assert first["seq"] is not None
        (decided,) = log.decisions(s.store, kinds=("checked",))
        assert [each["name"] for each in decided.body["passed"]] == ["freshness"]
        assert check(s)["seq"] is None, "nothing new to say"
        shop.at(4)
        assert not check(s)["ok"]
        shop.events([("ann", 3.9, "view", None)])
        check(s)
        passed = [each.body["passed"] for each in log.decisions(s.store, kinds=("checked",))]
        assert [[(one["name"], one["state"]) for one in each] for each in passed] == [
            [("freshness", "warn")],
            [("freshness", "fail")],
            [],
        ]


def test_what_is_wrong_is_said_in_one_line(shop):
    busy(shop, range(70), without=[66, 67, 68])
    shop.at(70.1)
    with shop.open() as s:
        assert status(s)["notices"] == []
        check(s)
        (gap,) = status(s)["notices"]
        assert (gap["name"], gap["state"]) == ("gaps", "fail")
        shop.at(72.5)
        found = notices(s)
        assert [each["name"] for each in found] == ["gaps", "freshness"], (
            "failures first, fresh ones measured"
        )
        assert line(found).startswith("! gaps: No events in 3 ticks")
        assert line(found).endswith("1 more: segtui check.")
        set_limits(s, {"gaps": "off"})
        assert [each["name"] for each in notices(s)] == ["freshness"]
