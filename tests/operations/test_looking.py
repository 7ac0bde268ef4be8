"""Members, users, sizes and exports at a moment: what was recorded then, and what was not."""

import csv
from datetime import UTC, datetime, timedelta

import pytest

from db import log
from db.errors import StoreLocked
from db.lock import writer_lock
from db.transaction import Transaction
from segtui.operations.changes import changes
from segtui.operations.errors import OperationError
from segtui.operations.export import export
from segtui.operations.ingest import import_files
from segtui.operations.members import members
from segtui.operations.replay import replay
from segtui.operations.rescore import rescore, rescore_range
from segtui.operations.segments import segments
from segtui.operations.transitions import transitions
from segtui.operations.user import user
from tests.operations.conftest import two_dozen

START = datetime(2026, 1, 5, tzinfo=UTC)


def instant(day):
    return int((START + timedelta(days=day)).timestamp()) * 1_000_000


@pytest.fixture
def lived(lived_through, give_model):
    """A month of two dozen customers under a model; probabilities drift each day, few users move."""

    def story(shop):
        shop.at(20.5)
        shop.events(two_dozen())
        with shop.open() as s:
            give_model(s)
        for day in range(21, 31):
            shop.at(day + 0.5)
            shop.events([(f"u{day - 20:02}", day + 0.1, "view", None)])
            with shop.open() as s:
                rescore(s)

    return lived_through(story)


def labels(told):
    """What `segments` says of each label of `value`."""
    (value,) = told["segmentations"]
    return {each["label"]: each for each in value["labels"]}


def everyone(s, **how):
    """All members of all segments by user."""
    return {
        each["user"]: each
        for label in labels(segments(s))
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
        label = next(iter(labels(segments(s))))
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


def test_an_export_that_cannot_be_logged_leaves_no_file(lived, tmp_path, monkeypatch):
    monkeypatch.setenv("SEGTUI_WAIT", "0")
    folder = tmp_path / "out"
    folder.mkdir()

    def fail(self):
        raise OSError("no more")

    with lived.open() as s:
        with writer_lock(lived.path), pytest.raises(StoreLocked):
            export(s, "value=high", folder / "members.csv", identified=True)
        assert list(folder.iterdir()) == []
        with monkeypatch.context() as patched:
            patched.setattr(Transaction, "finish", fail)
            with pytest.raises(OSError, match="no more"):
                export(s, "value=high", folder / "members.csv", identified=True)
        assert list(folder.iterdir()) == []
        assert log.decisions(s.store, kinds=("exported",)) == []
        export(s, "value=high", folder / "members.csv", identified=True)
        assert [path.name for path in folder.iterdir()] == ["members.csv"]


def test_a_column_is_exported_once(lived, tmp_path):
    with lived.open() as s, pytest.raises(OperationError, match="'user' is named twice"):
        export(s, "value=high", tmp_path / "members.csv", columns=["user", "since", "user"])


def test_an_exported_probability_is_the_recorded_one(lived, tmp_path):
    with lived.open() as s:
        recorded = {
            f"#{user}": share for user, share in s.store.rows("SELECT user, probability FROM members")
        }
        for label in labels(segments(s)):
            export(s, f"value={label}", tmp_path / f"{label}.csv")
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


def grow(shop, give_model):
    """Lets a shop's log grow, and returns what was told after each step, by position.

    The same tick twice, a model, other labels, ticks gone over again: none of it may reach back.
    """
    told = {}
    shop.events([(f"u{n:02}", n / 100, "purchase", 10.0 + 7 * n) for n in range(24)])
    for day in range(1, 8):
        shop.at(day + 0.5)
        shop.events([(f"u{n:02}", day + 0.1, "purchase", 100.0) for n in range(day, 24, 5)])
        with shop.open() as s:
            rescore(s)
            told[s.store.head()] = looked(s)
        shop.events([(f"u{n:02}", day + 0.2, "view", None) for n in range(day, 24, 7)])
        with shop.open() as s:
            if day == 3:
                give_model(s)
            elif day == 5:
                give_model(s, labels=("gold", "silver", "rest"), name="metals")
            elif day == 6:
                rescore_range(s, shop.instant(2), shop.instant(5))
            else:
                rescore(s)
            told[s.store.head()] = looked(s)
    return told


def looked(s, **how):
    """Everything a person can look at, but what was not recorded with a change."""
    sizes = segments(s, **how)
    one = user(s, "u03", history=3, **how)
    for event in (one["smallest_change"] or {}).get("events", []):
        # Of a past moment it is done just before its end, of the present one now.
        del event["time"]
    return {
        "sizes": sizes,
        "members": {
            label: [
                (each["user"], each["since"], each["cause"], each["backfilled"])
                for each in members(s, f"value={label}", where="orders >= 1", limit=None, **how)["members"]
            ]
            for label in labels(sizes)
        },
        "user": one | {"labels": {name: each["since"] for name, each in one["labels"].items()}},
        "changes": list(changes(s, first=True, **how)),
        "transitions": transitions(s, instant(1), instant(5), **how),
        "frames": list(replay(s, feed=True, **how)),
    }


def test_a_position_shows_what_was_told_when_the_log_ended_there(shop, give_model, tmp_path):
    told = grow(shop, give_model)
    with shop.open() as s:
        unknown = 0
        for position, then in told.items():
            now = looked(s, position=position)
            one, other = labels(now["sizes"]), labels(then["sizes"])
            assert set(one) == set(other)
            for label, each in one.items():
                if each["expected"] is None and other[label]["expected"] is not None:
                    unknown += 1
                    each["expected"] = other[label]["expected"]
            for what in then:
                assert now[what] == then[what], (position, what)
        assert 0 < unknown < 3 * len(told)
        position = sorted(told)[4]
        for label, then in told[position]["members"].items():
            made = export(s, f"value={label}", tmp_path / "a.csv", position=position, identified=True)
            rows = list(csv.DictReader((tmp_path / "a.csv").open()))
            assert made["rows"] == len(then)
            assert [(row["user"], row["since"]) for row in rows] == [each[:2] for each in then]
        assert log.decisions(s.store, kinds=("exported",))[0].body["position"] == position
        with pytest.raises(OperationError, match=f"No margin is recorded .* at position {position}"):
            members(s, "value=high", position=position, order="margin")


@pytest.mark.parametrize("tick", ["12h", "1d", "7d"])
def test_changes_in_size_are_over_days_whatever_the_tick(make_shop, tick):
    shop = make_shop(tick=tick)
    shop.at(0)
    shop.events([(f"u{n:02}", n / 100, "purchase", 10.0 + 7 * n) for n in range(30)])
    known = {}
    for half in range(0, 90, 3):
        shop.at(half / 2 + 0.3)
        shop.events([(f"v{half}", half / 2 + 0.2, "purchase", 20.0 + half)])
        with shop.open() as s:
            rescore(s)
            told = segments(s)
            known[s.as_of()] = {label: each["users"] for label, each in labels(told).items()}
    with shop.open() as s:
        for label, each in labels(told).items():
            ends = [s.as_of()]
            while len(ends) < 30:
                ends.append(s.ticks.previous(ends[-1]))

            def size(instant, label=label):
                before = [as_of for as_of in known if as_of <= instant]
                return known[max(before)][label] if before else None

            for days in (1, 30):
                assert each[f"change_{days}d"] == each["users"] - size(s.as_of() - days * 86_400_000_000)
            assert each["trend"] == [found for end in reversed(ends) if (found := size(end)) is not None]


def test_a_label_of_a_former_model_can_be_named(shop, give_model, tmp_path):
    shop.at(5.5)
    shop.events([(f"u{n:02}", n / 10, "purchase", 10.0 + 7 * n) for n in range(24)])
    with shop.open() as s:
        give_model(s)
    shop.at(9.5)
    with shop.open() as s:
        give_model(s, labels=("gold", "silver", "rest"), name="metals")
        then = segments(s, at=instant(6))
        assert set(labels(then)) == {"high", "medium", "low"}
        for label, each in labels(then).items():
            assert members(s, f"value={label}", at=instant(6))["total"] == each["users"]
            assert members(s, f"value={label}")["total"] == 0
            assert export(s, f"value={label}", tmp_path / "a.csv", at=instant(6))["rows"] == each["users"]
        left = list(changes(s, segment="value=low"))
        assert left
        assert all("low" in (each["from"], each["to"]) for each in left)
        for refused in (
            lambda: members(s, "value=lwo", at=instant(6)),
            lambda: list(changes(s, segment="value=lwo")),
        ):
            with pytest.raises(OperationError, match="no label 'lwo': there are high, medium, low, gold"):
                refused()
