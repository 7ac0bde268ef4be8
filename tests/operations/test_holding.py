"""Events that are held while a command lasts are those that would be read again."""

import pytest

from db import log
from segtui.operations import session
from segtui.operations.erase import erase


@pytest.fixture
def reads(monkeypatch):
    """Each read of behaviour from the store."""
    found, behaviour = [], log.behaviour
    monkeypatch.setattr(log, "behaviour", lambda *given, **how: found.append(how) or behaviour(*given, **how))
    return found


@pytest.fixture
def lived(shop):
    shop.events([("ann", 0.1, "purchase", 50.0), ("bob", 0.2, "view", None), ("ann", 0.3, "correction", 5.0)])
    return shop


def test_they_are_read_once_and_tell_who_was_seen_when(lived, reads):
    with lived.open() as s:
        events, seen = s.events(), s.last_events()
        reads.clear()
        with s.holding_events():
            assert s.events().equals(events)
            assert s.events().equals(events)
            assert s.last_events().equals(seen)
        assert len(reads) == 1
        s.events()
        assert len(reads) == 2, "no longer than the block"


def test_some_of_them_are_read_as_ever(lived, reads):
    with lived.open() as s, s.holding_events():
        s.events()
        asked = {"before": s.require_as_of()}, {"users": [1]}, {"position": 1}, {"after_seq": 1}
        told = [s.events(**each).height for each in asked]
        assert len(reads) == 1 + len(asked)
        assert told[1] < s.events().height


def test_what_another_commits_is_read(lived, reads):
    with lived.open() as s, s.holding_events():
        before = s.events().height
        lived.events([("cat", 0.4, "purchase", 5.0)])
        assert s.events().height == before + 1
        assert s.last_events().height == 3
        with lived.open() as other:
            erase(other, ["cat"])
        assert s.events().height == before


def test_a_long_log_is_not_held(lived, reads, monkeypatch):
    monkeypatch.setattr(session, "MOST_HELD", 1)
    with lived.open() as s, s.holding_events():
        assert s.events().equals(s.events())
        assert len(reads) == 2
        s.last_events()
    assert "kind" in reads[1]["columns"]
    assert "amount" not in reads[2]["columns"], "who was seen when asks for no more than it needs"
