"""Decisions of older encodings are told as today's, and stay what they are."""

from __future__ import annotations

from types import MappingProxyType

import pytest

from db import encoding, log, upcasting
from db.chain import verify
from db.store import Store
from db.upcasting import STEPS, upcast


def test_there_is_a_step_from_every_known_encoding_to_the_next() -> None:
    assert list(STEPS) == list(range(1, encoding.ENCODING))
    assert list(encoding.KNOWN) == [*STEPS, encoding.ENCODING]


def test_a_first_rescore_has_no_sizes_and_an_export_no_moment() -> None:
    assert upcast(1, "rescored", {"changed": 3}) == {"changed": 3, "sizes": None}
    assert upcast(1, "exported", {"rows": 3}) == {"rows": 3, "as_of": None, "position": None}
    assert upcast(1, "exported", {"as_of": 5}) == {"as_of": 5, "position": None}
    assert upcast(1, "imported", {"rows": 3}) == {"rows": 3}
    assert upcast(2, "rescored", {"changed": 3}) == {"changed": 3}


def test_what_cut_events_took_no_words() -> None:
    none = {"words": 0, "rest_words": []}
    assert upcast(1, "users_erased", {"purged": 3}) == {"purged": 3, "rest": []} | none
    assert upcast(2, "retained", {"events": 3, "rest": []}) == {"events": 3, "rest": []} | none
    assert upcast(3, "retained", {"events": 3}) == {"events": 3}


def test_what_is_stored_is_not_changed_by_reading_it() -> None:
    body = {"changed": 3}
    upcast(1, "rescored", body)
    assert body == {"changed": 3}


def test_an_older_decision_is_read_as_todays_and_verifies_as_it_was_written(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store.transaction(actor="ann") as tx:
        tx.append_decision("noted", {"text": "old"})
    number = encoding.ENCODING
    renamed = {number: lambda kind, body: {"said": body["text"]} if kind == "noted" else body}
    monkeypatch.setattr(upcasting, "ENCODING", number + 1)
    monkeypatch.setattr(upcasting, "STEPS", MappingProxyType(dict(STEPS) | renamed))
    assert [each.body for each in log.decisions(store)] == [{"said": "old"}]
    assert store.rows("SELECT body FROM decisions") == [('{"text":"old"}',)]
    assert [check for check in verify(store) if not check.ok] == []
