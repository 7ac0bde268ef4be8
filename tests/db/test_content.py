"""The content digest says what a store holds, however it came there."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from db import log
from db.content import content_digest, forget, leave_out, versions
from db.errors import StoreDamaged
from db.store import Store

Frame = Callable[..., pl.DataFrame]
Rows = Sequence[dict[str, Any]]


def append(store: Store, rows: Rows, events: Frame, *, source: str = "a") -> None:
    """Rows with texts; `age` becomes an attribute."""
    with store.transaction(actor="ann", source=source) as tx:
        frame = events(
            *({k: v for k, v in row.items() if k not in ("user", "kind", "item", "age")} for row in rows)
        )
        frame = frame.with_columns(
            tx.surrogates(pl.Series([row["user"] for row in rows])).alias("user"),
            tx.numbers("kind", pl.Series([row.get("kind", "view") for row in rows])).alias("kind"),
            tx.numbers("item", pl.Series([row.get("item") for row in rows], dtype=pl.String)).alias("item"),
        )
        told = [
            (at, tx.number("attribute:number", "age"), row["age"])
            for at, row in enumerate(rows)
            if "age" in row
        ]
        carried = pl.DataFrame(told, schema=["row", "name", "value"], orient="row") if told else None
        tx.append_behaviour(frame, carried)


def digest(rows: Rows, events: Frame) -> str | None:
    with tempfile.TemporaryDirectory() as folder, Store.create(Path(folder) / "shop.db") as store:
        append(store, rows, events)
        return content_digest(store)


row = st.fixed_dictionaries(
    {"user": st.sampled_from(["a", "b", "ü"]), "occurred_at": st.integers(-5, 5)},
    optional={
        "kind": st.sampled_from(["view", "purchase"]),
        "item": st.sampled_from(["x", "y"]),
        "amount": st.integers(-2, 2),
        "age": st.integers(0, 2),
        "source_id": st.binary(min_size=16, max_size=16),
    },
)


@settings(max_examples=25, deadline=None)
@given(data=st.data(), rows=st.lists(row, min_size=1, max_size=12))
def test_any_split_of_the_rows_over_commits_in_any_order_is_the_same_content(
    events: Frame, data: st.DataObject, rows: list[dict[str, Any]]
) -> None:
    shuffled = data.draw(st.permutations(rows))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(rows)))) | {len(rows)})
    with tempfile.TemporaryDirectory() as folder, Store.create(Path(folder) / "shop.db") as store:
        start = 0
        for cut in cuts:
            append(store, shuffled[start:cut], events, source=str(cut))
            start = cut
            if data.draw(st.booleans()):
                content_digest(store)
        assert content_digest(store) == digest(rows, events)


PLAIN = {
    "user": "a",
    "occurred_at": 1,
    "kind": "view",
    "item": "x",
    "amount": 3,
    "age": 1,
    "source_id": bytes(16),
}


@pytest.mark.parametrize(
    "change",
    [
        {"user": "b"},
        {"occurred_at": 2},
        {"kind": "purchase"},
        {"item": "y"},
        {"item": None},
        {"amount": 4},
        {"amount": None},
        {"quantity": 0},
        {"age": 2},
        {"source_id": None},
        {"category": 1},
    ],
)
def test_any_other_row_is_another_content(events: Frame, change: dict[str, Any]) -> None:
    assert digest([PLAIN], events) != digest([PLAIN | change], events)


def test_a_row_twice_is_another_content(events: Frame) -> None:
    once = digest([PLAIN], events)
    assert len({once, digest([PLAIN, PLAIN], events), digest([PLAIN] * 3, events)}) == 3


@pytest.mark.parametrize("change", [{"session": 5}, {"late": 1}])
def test_what_the_store_adds_is_not_content(events: Frame, change: dict[str, Any]) -> None:
    assert digest([PLAIN], events) == digest([PLAIN | change], events)


def test_an_empty_store_has_a_content(store: Store) -> None:
    assert content_digest(store) == "0" * 64


def test_nobody_can_tell_the_content_without_the_key(store: Store, events: Frame) -> None:
    append(store, [PLAIN], events)
    Path(f"{store.path}.key").unlink()
    with Store.open(store.path) as opened:
        assert content_digest(opened) is None


def test_persons_the_vault_forgot_are_left_out(store: Store, events: Frame) -> None:
    append(store, [PLAIN, PLAIN | {"user": "b"}], events)
    content_digest(store)
    store.connection.execute("DELETE FROM vault WHERE user = 2")
    forget(store)
    assert content_digest(store) == digest([PLAIN], events)


def test_a_word_the_vocabulary_does_not_hold_is_told(store: Store, events: Frame) -> None:
    with store.transaction(actor="ann") as tx:
        tx.append_behaviour(events({"user": tx.surrogates(pl.Series(["a"])).item(), "kind": 99}))
    with pytest.raises(StoreDamaged, match="segtui verify"):
        content_digest(store)


def test_a_reader_need_not_wait_for_the_writer(store: Store, events: Frame) -> None:
    append(store, [PLAIN], events)
    with Store.open(store.path) as reader, store.transaction(actor="ann"):
        assert content_digest(reader) == digest([PLAIN], events)


def test_a_transaction_that_fails_takes_its_content_back(store: Store, events: Frame) -> None:
    append(store, [PLAIN], events)
    before = content_digest(store)
    with pytest.raises(KeyError), store.transaction(actor="ann") as tx:  # noqa: PT012 (the body is the case)
        tx.append_behaviour(log.behaviour(store).drop("seq"))
        assert content_digest(store) != before
        raise KeyError
    assert content_digest(store) == before


def test_versions_tell_contents_apart_and_nothing_else(store: Store, events: Frame) -> None:
    rows = [PLAIN, PLAIN | {"user": "b", "session": 4, "late": 1, "age": 7}, PLAIN | {"amount": 4}]
    append(store, [*rows, PLAIN | {"item": "y"}], events)
    found = versions(store, log.behaviour(store)).to_list()
    assert found[0] == found[1]
    assert len(set(found)) == 3


def test_versions_are_the_same_whatever_numbers_the_texts_have(tmp_path: Path, events: Frame) -> None:
    told = []
    for name, first in (("a", "x"), ("b", "y")):
        with Store.create(tmp_path / f"{name}.db") as store:
            append(store, [PLAIN | {"item": first}, PLAIN, PLAIN | {"item": "y"}], events)
            told.append(versions(store, log.behaviour(store)).to_list()[1:])
    assert told[0] == told[1]


def test_leaving_a_person_out_takes_off_what_their_changed_rows_carry(store: Store, events: Frame) -> None:
    append(store, [PLAIN | {"user": "b"}], events)
    with store.transaction(actor="ann") as tx:
        user, view = tx.surrogates(pl.Series(["a"])).item(), tx.number("kind", "view")
        name = tx.number("attribute:version", "version")
        told = pl.DataFrame({"row": [0], "name": [name], "value": [-7]})
        tx.append_behaviour(events({"user": user, "kind": view}), told)
    content_digest(store)
    with store.transaction(actor="ann"):
        leave_out(store, [user])
        store.connection.execute("DELETE FROM vault WHERE user = ?", (user,))
    assert content_digest(store) == digest([PLAIN | {"user": "b"}], events)
