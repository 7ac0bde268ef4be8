"""The smallest change: done as events, it does move the user, and to the label that was told."""

import json

import pytest

from segtui.operations.deciders import Evidence
from segtui.operations.held import held_labels
from segtui.operations.ingest import import_files
from segtui.operations.members import members
from segtui.operations.rescore import rescore
from segtui.operations.segments import segments
from segtui.operations.session import open_session
from segtui.operations.smallest import smallest_change
from segtui.operations.user import user


def held_by(s, limit=100):
    """The label of some users of every label of `value`, by user."""
    (value,) = [each for each in segments(s)["segmentations"] if each["name"] == "value"]
    return {
        each["user"]: label["label"]
        for label in value["labels"]
        for each in members(s, f"value={label['label']}", limit=limit, order="margin")["members"]
    }


def told_changes(s, limit=100, at=None):
    """The smallest change of some users of every label, by user; None where nothing moves them."""
    told = {}
    for name in held_by(s, limit):
        surrogate = s.user(name)
        held = held_labels(s, surrogate, at, None)["value"]
        own = [surrogate]
        evidence = Evidence(
            s.events(before=held.when.as_of, users=own), s.identity(), s.attributes(users=own)
        )
        told[name] = smallest_change(s, held, evidence)
    return told


def applied(s, told, path):
    """Imports all the events, rescores, and gives the label each user then holds."""
    lines = [line for change in told.values() for line in change["events"]]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    before = s.as_of()
    counted = import_files(s, [path], format="events", source="tried")
    assert counted["accepted"] == len(lines)
    rescore(s)
    assert s.as_of() == before
    after = held_by(s, 10_000)
    return {name: after[name] for name in told}


@pytest.mark.xdist_group("simulated-shop")
@pytest.mark.timeout(900)
def test_in_a_simulated_shop_the_events_move_the_user(made_copy, tmp_path):
    with open_session(made_copy) as s:
        told = {name: change for name, change in told_changes(s, 12).items() if change is not None}
        held = held_by(s, 12)
        assert len(told) >= 12
        assert len({change["text"] for change in told.values()}) >= 3
        after = applied(s, told, tmp_path / "tried.ndjson")
    assert all(change["to"] != held[name] for name, change in told.items())
    assert after == {name: change["to"] for name, change in told.items()}


def test_under_a_wall_clock_with_orders_and_sessions(shop, give_model, tmp_path):
    shop.at(20.5)
    shop.events(
        [(f"u{n:02}", d + n / 100, "purchase", 10.0 + 7 * n) for n in range(24) for d in range(n % 5, 20, 5)]
        + [(f"u{n:02}", 19.5, "view", None) for n in range(24)]
    )
    with shop.open() as s:
        give_model(s)
    shop.at(22.25)
    with shop.open() as s:
        rescore(s)
        told = told_changes(s)
        assert told["u03"] == user(s, "u03")["smallest_change"]
        moved = {name: change for name, change in told.items() if change is not None}
        assert len(told) == 24
        assert len(moved) >= 4
        assert {line["time"] for each in moved.values() for line in each["events"]} == {s.iso(s.now())}
        after = applied(s, moved, tmp_path / "tried.ndjson")
    assert after == {name: change["to"] for name, change in moved.items()}


def test_the_starter_rule_is_asked_too(shop, tmp_path):
    shop.at(40.5)
    shop.events([(f"u{n}", d, "purchase", 20.0 + n) for n in range(8) for d in range(n, 30, 9)])
    with shop.open() as s:
        rescore(s)
        told = {name: each for name, each in told_changes(s).items() if each is not None}
        assert told
        assert {each["probability"] for each in told.values()} == {None}
        after = applied(s, told, tmp_path / "tried.ndjson")
    assert after == {name: each["to"] for name, each in told.items()}


def test_of_a_past_moment_it_is_told_as_of_then(shop, give_model):
    shop.at(20.5)
    shop.events([(f"u{n:02}", d, "purchase", 10.0 + 7 * n) for n in range(24) for d in range(n % 5, 20, 5)])
    with shop.open() as s:
        give_model(s)
        at, told = s.as_of(), told_changes(s)
        # What is ordered later tells nobody how much is usual then.
        shop.events([(f"u{n:02}", 28, "purchase", 900.0) for n in range(24)])
        shop.at(30.5)
        rescore(s)
        for name, then in told_changes(s, at=at).items():
            change = told[name]
            if change is None:
                assert then is None
            else:
                assert (then["text"], then["to"]) == (change["text"], change["to"])
