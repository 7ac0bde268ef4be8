"""A rescore inside a tick reads only whom events touched, and leaves what one that reads everyone leaves."""

import shutil

import pytest

from db import projections
from segtui.operations import reach as reaches
from segtui.operations import rescoring
from segtui.operations.erase import erase
from segtui.operations.ingest import import_files
from segtui.operations.reach import Reach, Touched
from segtui.operations.rescore import rescore
from segtui.operations.segment import define
from segtui.operations.session import open_session
from segtui.operations.verify import verify

LEFT = {
    "changes": "SELECT * FROM membership_changes ORDER BY seq",
    "decisions": "SELECT seq, kind, body FROM decisions ORDER BY seq",
    "members": "SELECT * FROM members ORDER BY segmentation, user",
    "counts": "SELECT * FROM member_counts ORDER BY segmentation, label",
    "sizes": "SELECT * FROM sizes ORDER BY segmentation, as_of, label",
    "state": "SELECT * FROM snapshots WHERE name = 'state'",
}


@pytest.fixture
def read(monkeypatch):
    """The reaches that runs chose, newest last."""
    chosen = []

    def choose(*asked):
        chosen.append(reaches.reach(*asked))
        return chosen[-1]

    monkeypatch.setattr(rescoring, "reach", choose)
    return chosen


@pytest.fixture
def scored(shop, give_model):
    """A shop whose users were scored by a model, a rule and a list, in the tick that is still open."""
    shop.at(3.1)
    names = [f"u{number}" for number in range(12)]
    shop.events([(name, index / 5, "purchase", 10.0 * index) for index, name in enumerate(names)])
    with shop.open() as s:
        give_model(s)
        define(s, "rich", "spend_28d > 100 AND value <> 'low'")
        rescore(s)
    return shop


def left(path):
    """Everything a rescore leaves, by table."""
    with open_session(path) as s:
        return {name: s.store.rows(sql) for name, sql in LEFT.items()}


def test_the_touched_alone_are_read_and_nothing_comes_out_otherwise(scored, tmp_path, monkeypatch, read):
    rows = [("u1", 3.05, "purchase", 190.0), ("u2", 3.05, "view", None), ("new", 3.06, "purchase", 20.0)]
    scored.events([*rows, ("u3", 1.5, "purchase", 300.0)])
    other = shutil.copytree(scored.path.parent, tmp_path / "other") / scored.path.name
    with scored.open() as s:
        told = rescore(s)
        assert isinstance(read[-1], Touched)
        assert len(read[-1].everyone) == 4
        assert told["changed"] > 2
        assert told["ticks"][-1]["state_digest"] == told["state_digest"]
        assert told["state_digest"] == projections.state_digest(s.store, position=s.store.head())
        assert verify(s)["ok"], verify(s)["checks"]
    monkeypatch.setattr(rescoring, "reach", lambda s, *_: Reach(s))
    with open_session(other) as s:
        again = rescore(s)
    assert {k: v for k, v in again.items() if k not in ("seconds", "ticks")} == {
        k: v for k, v in told.items() if k not in ("seconds", "ticks")
    }
    mine, theirs = left(scored.path), left(other)
    for name in LEFT:
        assert mine[name] == theirs[name], name


def test_an_alias_brings_both_of_its_users(scored, read):
    scored.at(3.2)
    path = scored.path.with_name("alias.ndjson")
    path.write_text('{"user": "u7", "previous": "u1", "time": "2026-01-08T01:00:00Z", "kind": "alias"}\n')
    with scored.open() as s:
        import_files(s, [path], format="events")
        rescore(s)
        assert isinstance(read[-1], Touched)
        assert read[-1].everyone.tolist() == sorted([s.user("u1"), s.user("u7")])
        assert verify(s)["ok"], verify(s)["checks"]


@pytest.mark.parametrize("what", ["tick", "erasure", "full", "many"])
def test_everyone_is_read_where_anyone_may_move(scored, read, monkeypatch, what):
    scored.events([("u1", 3.05, "purchase", 190.0)])
    if what == "many":
        monkeypatch.setattr(reaches, "FEW_USERS", 0)
        monkeypatch.setattr(reaches, "EVERYTHING_SHARE", 0.01)
    with scored.open() as s:
        if what == "tick":
            scored.at(4.1)
        if what == "erasure":
            erase(s, ["u2"])
        rescore(s, full=what == "full")
        assert type(read[-1]) is Reach
        assert verify(s)["ok"], verify(s)["checks"]
