"""What training refuses, and that what it advises instead would do."""

import re

import pytest

from segtui.operations.errors import OperationError
from segtui.operations.ingest import import_files
from segtui.operations.train import train
from tests.operations.conftest import QUICK


def purchases(users, days, amount=lambda user, day: 10 + user % 7):
    """One purchase of every user on every one of the days given for the user."""
    return [(f"u{user}", day, "purchase", amount(user, day)) for user in range(users) for day in days(user)]


LOGS = {
    "nobody buys in the horizon": [
        *purchases(1_100, lambda user: [user % 40, 60 + user % 40]),
        ("u0", 200, "view", None),
    ],
    "everybody buys in the horizon": purchases(700, lambda user: range(user % 9, 120, 9)),
    "few buy in the horizon": purchases(1_200, lambda user: range(user % 60, 400, 170)),
    "a log shorter than the horizon": purchases(2_000, lambda user: [user % 20, 20 + user % 25]),
    "few of one label": purchases(
        1_000, lambda user: [user % 60, *([120 + user % 90] if user < 980 else [])]
    ),
}


def follow(s, sentence):
    """Does what the refusal says would do."""
    assert sentence.count(". ") == 0
    found = dict(re.findall(r"--(cutoff|horizon) (\S+)", sentence))
    assert found, sentence
    cutoff = s.instant(found["cutoff"]) if "cutoff" in found else None
    return train(s, **QUICK, cutoff=cutoff, horizon=found["horizon"], promote=False)


@pytest.mark.parametrize("tick", ["1d", "7d"])
@pytest.mark.parametrize("what", LOGS)
def test_what_a_refusal_advises_would_do(what, tick, make_shop):
    shop = make_shop(clock="data", tick=tick)
    shop.events(LOGS[what])
    horizon = "14d" if what.startswith("few buy") else "90d"
    with shop.open() as s:
        with pytest.raises(OperationError, match="would do") as refused:
            train(s, **QUICK, horizon=horizon)
        told = follow(s, str(refused.value))
        assert told["label_counts"]["high"] >= 50
        last = s.ticks.previous(s.data_end())
        with pytest.raises(OperationError, match="not known yet") as refused:
            train(s, **QUICK, horizon=told["horizon"], cutoff=last)
        assert follow(s, str(refused.value))["users"]


def test_when_nothing_would_do_more_history_is_asked_for(make_shop):
    shop = make_shop(clock="data")
    shop.events(purchases(60, lambda user: range(user % 9, 200, 30)))
    with shop.open() as s, pytest.raises(OperationError, match=r"of 60 users bought .* import more history"):
        train(s)


@pytest.mark.parametrize("tick", ["7d", "12h"])
def test_the_default_cutoff_is_the_last_tick_end_whose_outcomes_are_known(tick, make_shop):
    shop = make_shop(clock="data", tick=tick)
    shop.events(purchases(1_200, lambda user: range(user % 50, 200, 50 + user % 40)))
    with shop.open() as s:
        told = train(s, **QUICK, horizon="60d", promote=False)
        at = s.instant(told["cutoff"])
        assert s.ticks.at_or_after(at) == at
        assert s.ticks.days_before(at, -60) <= s.data_end() < s.ticks.days_before(s.ticks.next(at), -60)


# --- given labels ----------------------------------------------------------------------------------


@pytest.fixture
def table(make_shop):
    """Gives a store with the rows of a table of 300 users: columns by name, values by row."""

    def make(**columns):
        shop = make_shop(clock="data")
        path = shop.path.with_name("users.csv")
        rows = [",".join([str(row), *(str(value(row)) for value in columns.values())]) for row in range(300)]
        path.write_text("\n".join([",".join(["user_id", *columns]), *rows]) + "\n")
        with shop.open() as s:
            import_files(s, [path], format="table")
        return shop

    return make


def test_numbers_as_labels_are_called_as_they_were_written(table):
    shop = table(score=lambda row: [1.1, 2.2, 4.35][row % 3], visits=lambda row: row % 3 + row % 7)
    with shop.open() as s:
        assert train(s, **QUICK, label="score")["labels"] == ["1.1", "2.2", "4.35"]


def test_a_column_of_many_values_is_refused_in_a_short_sentence(table):
    shop = table(
        spent=lambda row: row / 8,
        note=lambda row: f"{'very ' * 20}long {row}",
        colour=lambda row: ["red", "blue"][row % 2],
        visits=lambda row: row % 90,
    )
    with shop.open() as s:
        for label in ("spent", "note", "visits"):
            with pytest.raises(OperationError, match="50 users each; --label colour would do") as refused:
                train(s, **QUICK, label=label)
            assert len(str(refused.value)) < 500
        assert "300 values (0: 1, 0.125: 1," in _refusal(s, "spent")
        assert "292 more)" in _refusal(s, "spent")
        assert train(s, **QUICK, label="colour")["labels"] == ["blue", "red"]


def test_an_unknown_column_lists_a_few_that_there_are(table):
    shop = table(**{f"column_{number}": lambda row: row % 2 for number in range(40)})
    with shop.open() as s:
        assert _refusal(s, "mood").endswith("column_15, 32 more.")


def test_a_column_with_one_value_is_refused(table):
    with table(country=lambda row: "FR").open() as s:
        assert "1 value (FR: 300)" in _refusal(s, "country")
        assert _refusal(s, "country").endswith("import more rows first.")


def _refusal(s, label):
    with pytest.raises(OperationError) as refused:
        train(s, **QUICK, label=label)
    return str(refused.value)
