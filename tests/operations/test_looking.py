"""Members, users, sizes and exports at a moment: what was recorded then, and what was not."""

import csv
from datetime import UTC, datetime, timedelta

import pytest

from db import log
from segtui.operations.errors import OperationError
from segtui.operations.export import export
from segtui.operations.ingest import import_files
from segtui.operations.members import members
from segtui.operations.rescore import rescore
from segtui.operations.segments import segments
from segtui.operations.user import user

START = datetime(2026, 1, 5, tzinfo=UTC)


def instant(day):
    return int((START + timedelta(days=day)).timestamp()) * 1_000_000


@pytest.fixture
def lived(shop, give_model):
    """A month of two dozen customers under a model; probabilities drift each day, few users move."""
    shop.at(20.5)
    shop.events(
        [(f"u{n:02}", d + n / 100, "purchase", 10.0 + 7 * n) for n in range(24) for d in range(n % 5, 20, 5)]
    )
    with shop.open() as s:
        give_model(s)
    for day in range(21, 31):
        shop.at(day + 0.5)
        shop.events([(f"u{day - 20:02}", day + 0.1, "view", None)])
        with shop.open() as s:
            rescore(s)
    return shop


def everyone(s, **how):
    """All members of all segments by user."""
    labels = [each["label"] for each in segments(s)["segmentations"][0]["labels"]]
    return {
        each["user"]: each
        for label in labels
        for each in members(s, f"value={label}", limit=None, **how)["members"]
    }


@pytest.mark.parametrize("later", [0, 3])
def test_at_the_last_rescore_or_later_members_are_those_of_the_head(lived, later):
    with lived.open() as s:
        last = s.as_of()
        lived.at(30.5 + later)
        at = s.as_of()
        assert at == s.ticks.shift(last, later)
        head = everyone(s)
        assert len(head) == 24
        assert everyone(s, at=at) == head
        close = {name for name, each in head.items() if each["margin"] < 0.3}
        assert 0 < len(close) < 24
        assert set(everyone(s, at=at, where="margin < 0.3")) == close
        label = segments(s)["segmentations"][0]["labels"][0]["label"]
        ranked = members(s, f"value={label}", at=at, order="-margin", limit=None)
        assert ranked["recorded"] == "at the last rescore"
        margins = [each["margin"] for each in ranked["members"]]
        assert margins == sorted(margins, reverse=True)


def test_a_user_and_an_export_at_the_last_rescore_are_those_of_the_head(lived, tmp_path):
    with lived.open() as s:
        at = s.as_of()
        assert user(s, "u03", at=at)["labels"] == user(s, "u03")["labels"]
        label = user(s, "u03")["labels"]["value"]["label"]
        export(s, f"value={label}", tmp_path / "head.csv")
        export(s, f"value={label}", tmp_path / "at.csv", at=at)
    assert (tmp_path / "at.csv").read_text() == (tmp_path / "head.csv").read_text()
    assert all(float(row["margin"]) < 1 for row in csv.DictReader((tmp_path / "at.csv").open()))


def test_what_was_not_recorded_is_refused_at_a_past_moment_and_said(lived):
    with lived.open() as s:
        at = instant(25)
        label = user(s, "u03", at=at)["labels"]["value"]["label"]
        told = members(s, f"value={label}", at=at, limit=None)
        assert told["recorded"] == "at the last change"
        assert told["total"] > 0
        assert {each["margin"] for each in told["members"]} == {None}
        assert user(s, "u03", at=at)["labels"]["value"]["margin"] is None
        for field in ("margin", "probability"):
            for how in ({"where": f"{field} < 0.9 AND orders > 0"}, {"order": field}, {"order": f"-{field}"}):
                with pytest.raises(OperationError, match=rf"No {field} is recorded.*score --at"):
                    members(s, f"value={label}", at=at, **how)
            with pytest.raises(OperationError, match=f"No {field} is recorded"):
                export(s, f"value={label}", lived.path.with_name("no.csv"), at=at, where=f"{field} < 0.9")
        some = members(s, f"value={label}", at=at, where="orders >= 1", order="-since")
        assert some["total"] == told["total"]


def test_the_log_keeps_which_members_left_the_house(lived, tmp_path):
    with lived.open() as s:
        seen = s.store.head()
        for at in (None, instant(25)):
            export(s, "value=high", tmp_path / "members.csv", at=at, columns=["user"])
        now, then = (each.body for each in log.decisions(s.store, kinds=("exported",)))
        assert (now["as_of"], now["position"]) == (s.as_of(), seen)
        assert (then["as_of"], then["position"]) == (instant(25), seen + 1)


def test_a_column_is_exported_once(lived, tmp_path):
    with lived.open() as s, pytest.raises(OperationError, match="'user' is named twice"):
        export(s, "value=high", tmp_path / "members.csv", columns=["user", "since", "user"])


def test_an_exported_probability_is_the_recorded_one(lived, tmp_path):
    with lived.open() as s:
        recorded = {
            f"#{user}": share for user, share in s.store.rows("SELECT user, probability FROM members")
        }
        for each in segments(s)["segmentations"][0]["labels"]:
            export(s, f"value={each['label']}", tmp_path / f"{each['label']}.csv")
    rows = [row for path in tmp_path.glob("*.csv") for row in csv.DictReader(path.open())]
    assert {row["user"]: row["probability"] for row in rows} == {
        user: str(share / 1_000_000) for user, share in recorded.items()
    }


def test_an_attribute_is_the_number_that_stood_in_the_table(shop, tmp_path):
    numbers = ["1.1", "0.043381", "2.2", "19.99"]
    table = tmp_path / "table.csv"
    table.write_text("id,size\n" + "".join(f"{n},{number}\n" for n, number in enumerate(numbers)))
    with shop.open() as s:
        import_files(s, [table], format="table")
        assert s.attributes()["number"].to_list() == [float(number) for number in numbers]
