"""Events older than an operator keeps are cut; what is left stays proven, and stays cut."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import polars as pl
import pytest

from db import forgetting, log, projections, vocabulary
from segtui.operations.changes import changes
from segtui.operations.erase import erase
from segtui.operations.errors import OperationError
from segtui.operations.ingest import import_files
from segtui.operations.rescore import rescore, rescore_range
from segtui.operations.retain import retain
from segtui.operations.times import TimeError
from segtui.operations.verify import verify

DAY = 86_400_000_000


@pytest.fixture
def old(lived_through: Any, give_model: Any) -> Any:
    """A shop of 100 days: some buy all the time, some fell silent after 20 days."""

    def story(shop: Any) -> None:
        shop.at(100)
        steady = [(f"u{n}", day + n / 50, "purchase", 10.0 + n) for n in range(8) for day in range(1, 99, 7)]
        silent = [(f"s{n}", 3 + n, "purchase", 50.0) for n in range(5)]
        shop.events(steady + silent)
        with shop.open() as s:
            rescore(s)
            give_model(s)

    return lived_through(story)


def failed(s: Any, *, deep: bool = True) -> list[dict[str, Any]]:
    return [check for check in verify(s, deep=deep)["checks"] if not check["ok"]]


def test_what_is_older_goes_and_the_rest_is_proven_and_rescored(old: Any) -> None:
    with old.open() as s:
        events, users = log.summary(s.store).events, log.summary(s.store).users
        head = s.store.chain_digest().hex()
        seen = retain(s, "40d", dry_run=True)
        assert (log.summary(s.store).events, s.store.chain_digest().hex()) == (events, head)
        told = retain(s, "40d")
        assert {name: seen[name] for name in ("before", "events", "persons")} == {
            name: told[name] for name in ("before", "events", "persons")
        }
        assert (seen["seq"], seen["by_cause"]) == (None, told["by_cause"])
        assert told["persons"] == 5
        assert set(told["by_cause"]) <= {"decision"}
        left = log.behaviour(s.store)
        assert log.summary(s.store).events == left.height == events - told["events"]
        assert log.summary(s.store).users == users - 5
        now = s.require_as_of()
        assert left["occurred_at"].min() >= s.ticks.days_before(now, 40)
        assert failed(s) == []
        assert verify(s, head=head)["ok"]
        assert {s.store.vault.surrogate(f"s{n}") for n in range(5)} == {None}
        caused = log.changes(s.store).filter(pl.col("cause_seq") == told["seq"])
        assert set(caused["cause"]) <= {"decision"}
        assert caused.height == told["changed"]


def test_of_whom_nothing_is_left_is_not_said_to_have_asked_for_it(old: Any) -> None:
    told = "nothing is left of them since older events were cut"
    old.at(103)
    with old.open() as s:
        rescore(s)
        retain(s, "40d")
        ended = [each for each in changes(s, cause="erasure") if each["to"] is None]
        assert {each["reason"] for each in ended} == {told}
        assert len(ended) == 5
        erase(s, ["u3"])
        reasons = [each["reason"] for each in changes(s, cause="erasure")]
        assert sorted(set(reasons)) == ["forgotten on request", told]
        newest = s.store.head()
        list(rescore_range(s, s.require_as_of() - DAY))
        again = [each for each in changes(s, cause="erasure") if each["seq"] > newest]
        assert {each["reason"]: each["backfilled"] for each in again} == {
            "forgotten on request": True,
            told: True,
        }
        assert failed(s) == []


def test_whom_the_cut_moves_is_moved_by_the_decision(shop: Any) -> None:
    """Under the starter rule, which reads a year's spend."""
    shop.at(100)
    shop.events(
        [("early", day, "purchase", 500.0) for day in range(1, 50)]
        + [("early", 98, "purchase", 1.0)]
        + [(f"u{n}", 97 + n / 50, "purchase", 10.0 + n) for n in range(9)]
    )
    with shop.open() as s:
        rescore(s)
        told = retain(s, "40d")
        assert (told["changed"], told["by_cause"], told["persons"]) == (1, {"decision": 1}, 0)
        (moved,) = log.changes(s.store).filter(pl.col("cause") == "decision").rows(named=True)
        assert moved["user"] == s.store.vault.surrogate("early")
        assert moved["cause_seq"] == told["seq"]
        names = vocabulary.texts(s.store, "label")
        assert (names[moved["from_label"]], names[moved["to_label"]]) == ("high", "medium")
        assert failed(s) == []


def test_nothing_that_was_cut_is_left_in_the_files(old: Any) -> None:
    with old.open() as s:
        oldest = log.behaviour(s.store).sort("occurred_at")["occurred_at"][0]
        assert oldest.to_bytes(8, "big") in sqlite_bytes(old)
        retain(s, "40d")
    assert oldest.to_bytes(8, "big") not in sqlite_bytes(old)


def sqlite_bytes(shop: Any) -> bytes:
    """Every byte of the store's files; SQLite keeps large integers as eight bytes, the first one first."""
    return b"".join(path.read_bytes() for path in shop.path.parent.rglob("*") if path.suffix != ".ndjson")


def test_a_second_cut_and_a_purge_after_it_are_proven_too(old: Any) -> None:
    with old.open() as s:
        retain(s, "60d")
        retain(s, "30d")
        assert failed(s) == []
        erase(s, ["u3"], purge=True)
        assert failed(s) == []
        erase(s, ["u4"])
        assert failed(s) == []
    old.at(103)
    old.events([("u1", 102, "purchase", 5.0), ("s1", 102, "purchase", 5.0)])
    with old.open() as s:
        rescore(s)
        assert failed(s) == []
        assert s.store.vault.surrogate("s1") is not None


def test_who_comes_back_before_the_cut_has_the_store_is_kept(
    old: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def and_s1_buys(s: Any, **options: Any) -> None:
        rescore(s, **options)
        old.events([("s1", 99, "purchase", 5.0)])

    monkeypatch.setattr("segtui.operations.retain.rescore", and_s1_buys)
    with old.open() as s:
        assert retain(s, "40d")["persons"] == 4
        assert s.store.vault.surrogate("s1") is not None
        assert failed(s) == []


def test_nobody_is_forgotten_without_the_cut(old: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with old.open() as s:
        monkeypatch.setattr("db.retention.cut", killed)
        with pytest.raises(KeyboardInterrupt):
            retain(s, "40d")
        assert None not in {s.store.vault.surrogate(f"s{n}") for n in range(5)}
        assert log.decisions(s.store, kinds=(forgetting.DECISION,)) == []
        assert failed(s) == []


def test_an_import_does_not_bring_back_what_was_cut(old: Any) -> None:
    with old.open() as s:
        told = retain(s, "40d")
        kept = log.summary(s.store).events
        again = import_files(s, [old.path.with_name("events-0.ndjson")], format="events")
        assert (again["accepted"], again["suppressed"]) == (0, told["events"])
        assert again["rows"] == again["duplicates"] + again["suppressed"]
        assert log.summary(s.store).events == kept


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE behaviour SET amount = amount + 1 WHERE seq = (SELECT min(seq) FROM behaviour)",
        "DELETE FROM behaviour WHERE seq = (SELECT min(seq) FROM behaviour)",
        "DELETE FROM redactions WHERE seq = (SELECT min(seq) FROM redactions)",
        "UPDATE leaves SET digest = zeroblob(32)",
        "DELETE FROM leaves",
        "UPDATE decisions SET body = replace(body, '\"rest\":[[', '\"rest\":[[9') WHERE kind = 'retained'",
    ],
)
def test_what_is_left_cannot_be_changed_unseen(old: Any, statement: str) -> None:
    with old.open() as s:
        retain(s, "40d")
    with closing(sqlite3.connect(old.path)) as connection:
        kept = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        for name, _ in kept:
            connection.execute(f"DROP TRIGGER {name}")
        assert connection.execute(statement).rowcount > 0
        for _, sql in kept:
            connection.execute(sql)
        connection.commit()
    with old.open() as s:
        assert {check["name"] for check in failed(s, deep=False)} & {"chain", "sequence"}


def test_lifetime_features_count_from_the_origin(old: Any) -> None:
    from engine.features import features, spec_for

    def spent(s: Any) -> dict[int, int]:
        events = s.events()
        spec = spec_for(events, "UTC", s.attributes())
        frame = features(events, s.identity().at(), s.require_as_of(), spec, s.attributes())
        name = next(each for each in frame.columns if each.startswith("tenure"))
        return dict(frame.select("user", name).iter_rows())

    with old.open() as s:
        steady = s.store.vault.surrogate("u0")
        assert spent(s)[steady] > 41
        retain(s, "40d")
        assert spent(s)[steady] <= 41


def test_states_stay_addressable_and_ranges_before_the_origin_are_refused(old: Any) -> None:
    with old.open() as s:
        number = vocabulary.number(s.store, "segmentation", "value")
        at = s.instant("-2d")
        before = projections.memberships(s.store, number, as_of=s.ticks.at_or_after(at))
        retain(s, "40d")
        assert projections.memberships(s.store, number, as_of=s.ticks.at_or_after(at)).equals(before)
        with pytest.raises(OperationError, match="were cut by 'segtui retain'"):
            rescore_range(s, s.instant("-60d"))
        with pytest.raises(OperationError, match="nothing to cut"):
            retain(s, "41d")
        with pytest.raises(TimeError):
            retain(s, "for ever")


def test_years_are_those_of_the_calendar(shop: Any) -> None:
    shop.at(0)
    shop.events([("u1", -1100, "purchase", 5.0), ("u1", -10, "purchase", 5.0)])
    with shop.open() as s:
        told = retain(s, "3y", dry_run=True)
        assert told["before"].startswith("2023-01-0")
        assert told["events"] == 1
