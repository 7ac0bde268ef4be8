"""Appending: numbers, surrogates, streams in order, small and bulk alike."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from db import bulk, content, log, rebuilding, segments, vocabulary, words
from db.carried import attributes as attributes_of
from db.chain import verify
from db.store import Store

Frame = Callable[..., pl.DataFrame]


def test_texts_get_numbers_once(store: Store) -> None:
    with store.transaction(actor="ann") as tx:
        first = tx.numbers("item", pl.Series("item", ["shoe", None, "hat", "shoe"]))
        assert first.to_list() == [1, None, 2, 1]
        assert (first.dtype, first.name) == (pl.Int64, "item")
        assert tx.number("category", "shoe") == 3
    with store.transaction(actor="ann") as tx:
        assert tx.numbers("item", pl.Series(["sock", "hat"])).to_list() == [4, 2]
        assert tx.numbers("item", pl.Series([None, None], dtype=pl.String)).to_list() == [None, None]
        assert tx.numbers("item", pl.Series([], dtype=pl.String)).to_list() == []
    assert vocabulary.texts(store, "item") == {1: "shoe", 2: "hat", 4: "sock"}
    assert vocabulary.number(store, "item", "hat") == 2
    assert vocabulary.number(store, "item", "glove") is None
    assert vocabulary.text(store, 3) == "shoe"


def test_more_texts_than_one_query_takes(store: Store) -> None:
    many = pl.Series([f"sku-{number}" for number in range(25_000)])
    with store.transaction(actor="ann") as tx:
        first = tx.numbers("item", many)
    with store.transaction(actor="ann") as tx:
        assert tx.numbers("item", many.reverse()).to_list() == first.reverse().to_list()
    assert first.n_unique() == 25_000


def test_unknown_kinds_of_words_are_refused(store: Store) -> None:
    with (
        store.transaction(actor="ann") as tx,
        pytest.raises(ValueError, match="unknown vocabulary kind 'colour'"),
    ):
        tx.number("colour", "red")


def test_streams_come_in_order(store: Store, events: Frame, moves: Frame) -> None:
    with store.transaction(actor="ann") as tx:
        assert tx.append_behaviour(events({}, {})) == (1, 2)
        assert tx.append_behaviour(events({"user": 2})) == (3, 3)
        assert tx.append_decision("noted", {}) == 4
        with pytest.raises(ValueError, match="behaviour must be appended before decisions"):
            tx.append_behaviour(events({}))
        assert tx.append_decision("noted", {}) == 5
        assert tx.append_changes(moves({"to_label": 1})) == (6, 6)
        with pytest.raises(ValueError, match="decisions must be appended before changes"):
            tx.append_decision("noted", {})
        assert tx.append_changes(moves({"user": 2, "to_label": 1}, {"user": 3, "to_label": 1})) == (7, 8)
        assert tx.next_seq == 9
    (commit,) = log.commits(store)
    assert (commit.behaviour_first, commit.behaviour_last) == (1, 3)
    assert (commit.decisions_first, commit.decisions_last) == (4, 5)
    assert (commit.changes_first, commit.changes_last) == (6, 8)
    assert store.head() == 8
    with store.transaction(actor="ann") as tx:
        rebuilding.rebuild(store, tx)
    assert [check for check in verify(store) if not check.ok] == []


def test_empty_frames_append_nothing(store: Store, events: Frame, moves: Frame) -> None:
    with store.transaction(actor="ann") as tx:
        assert tx.append_behaviour(events()) is None
        assert tx.append_changes(moves()) is None
        assert tx.next_seq == 1
    assert log.commits(store) == []


def test_a_missing_column_is_refused(store: Store, events: Frame) -> None:
    with pytest.raises(pl.exceptions.ColumnNotFoundError), store.transaction(actor="ann") as tx:
        tx.append_behaviour(events({}).drop("amount"))


def test_attributes_belong_to_rows_of_the_frame(store: Store, events: Frame) -> None:
    with pytest.raises(ValueError, match="not in the frame"), store.transaction(actor="ann") as tx:
        tx.append_behaviour(events({}), pl.DataFrame({"row": [1], "name": [1], "value": [1]}))


def test_small_and_bulk_appends_are_the_same_commit(
    tmp_path: Path, events: Frame, moves: Frame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every column, null and not, through sqlite-utils and through the staging file."""
    rng = random.Random(4)

    def maybe(value: int) -> int | None:
        return value if rng.random() < 0.7 else None

    rows = [
        {
            "user": rng.randrange(40),
            "occurred_at": rng.randrange(-(10**15), 10**15),
            "source_id": rng.randbytes(16) if rng.random() < 0.5 else None,
            **{
                name: maybe(rng.randrange(-(2**60), 2**60))
                for name in log.BEHAVIOUR
                if name not in ("seq", "user", "occurred_at", "kind", "source_id", "late")
            },
        }
        for _ in range(300)
    ]
    moved = [
        {
            "user": rng.randrange(40),
            "to_label": maybe(3),
            "probability": maybe(5),
            "cause": rng.choice(["event", "late_event"]),
        }
        for _ in range(300)
    ]
    carried = pl.DataFrame({"row": [5, 3, 5], "name": [9, 8, 7], "value": [-1, 2, 3]})
    digests, behaviour, changes = [], [], []
    for limit in (10_000, 1):
        monkeypatch.setattr(bulk, "BULK_ROWS", limit)
        with Store.create(tmp_path / f"{limit}.db") as store:
            with store.transaction(actor="ann", recorded_at=5) as tx:
                assert tx.append_behaviour(events(*rows), carried) == (1, 300)
                assert tx.append_changes(moves(*moved)) == (301, 600)
            with store.transaction(actor="ann", recorded_at=6) as tx:
                tx.append_behaviour(events(*rows[:100]))
            digests.append(store.chain_digest())
            behaviour.append(log.behaviour(store))
            changes.append(log.changes(store))
            assert attributes_of(store)["seq"].to_list() == [4, 6, 6]
            with store.transaction(actor="ann") as tx:
                rebuilding.rebuild(store, tx)
            assert [check for check in verify(store) if not check.ok] == []
    assert digests[0] == digests[1]
    assert_frame_equal(behaviour[0], behaviour[1])
    assert_frame_equal(changes[0], changes[1])
    assert behaviour[0].head(300).drop("seq").to_dicts() == events(*rows).to_dicts()


def test_more_bulk_appends_than_files_can_be_attached(store: Store, events: Frame) -> None:
    frame = events(*({"user": user} for user in range(bulk.BULK_ROWS)))
    times = bulk.MOST_ATTACHED + 2
    with store.transaction(actor="ann") as tx:
        for at in range(times):
            tx.append_behaviour(frame.with_columns(pl.col("user") + at * bulk.BULK_ROWS))
    assert log.behaviour(store)["user"].to_list() == list(range(times * bulk.BULK_ROWS))
    assert [check for check in verify(store) if not check.ok] == []


def test_models_stay_as_they_were_put(store: Store) -> None:
    with store.transaction(actor="ann") as tx:
        tx.put_model("ab", '{"a":1}', b"\x01\x02")
    with store.transaction(actor="ann") as tx:
        tx.put_model("ab", '{"a":1}', b"\x01\x02")
    assert store.rows("SELECT digest, spec, parameters FROM models") == [("ab", '{"a":1}', b"\x01\x02")]


def test_reads_inside_a_transaction_see_its_rows(store: Store, events: Frame) -> None:
    with store.transaction(actor="ann", recorded_at=77) as tx:
        tx.append_behaviour(events({"user": 4}))
        tx.append_decision("noted", {"a": 1})
        assert log.behaviour(store)["user"].to_list() == [4]
        (decision,) = log.decisions(store)
        assert (decision.actor, decision.recorded_at, decision.body) == ("ann", 77, {"a": 1})


def test_parts_are_one_append(tmp_path: Path, events: Frame, monkeypatch: pytest.MonkeyPatch) -> None:
    """However the rows are cut between users, few or staged: the same commit."""
    monkeypatch.setattr(segments, "SEGMENT_ROWS", 60)
    rows = [{"user": at // 5, "amount": at if at > 70 else None, "source_id": None} for at in range(100)]
    frame = events(*rows)
    carried = pl.DataFrame({"row": [3, 98], "name": [1, 1], "value": [5, 6]})
    digests = []
    for limit, cuts in ((10_000, [100]), (10_000, [35, 65]), (20, [10, 60, 30])):
        monkeypatch.setattr(bulk, "BULK_ROWS", limit)
        with Store.create(tmp_path / f"{limit}-{len(cuts)}.db") as store:
            with store.transaction(actor="ann", recorded_at=5) as tx:
                at, parts = 0, []
                for count in cuts:
                    own = carried.filter(pl.col("row").is_between(at, at + count - 1))
                    parts.append((frame[at : at + count], own.with_columns(pl.col("row") - at)))
                    at += count
                assert tx.append_parts(iter(parts)) == (1, 100)
                assert tx.append_parts([]) is None
            digests.append(store.chain_digest())
            (copy,) = segments.held(store, "behaviour")
            assert_frame_equal(pl.read_parquet(copy.path), log.stored_behaviour(store, 1, 100))
            assert log.summary(store).users == 20
            assert [check for check in verify(store) if not check.ok] == []
    assert len(set(digests)) == 1


def test_a_user_in_two_parts_is_refused(store: Store, events: Frame) -> None:
    with pytest.raises(ValueError, match="one part"), store.transaction(actor="ann") as tx:
        tx.append_parts([(events({}), None), (events({}), None)])
    assert log.behaviour(store).is_empty()


def test_the_content_is_summed_as_rows_come(store: Store, events: Frame) -> None:
    """What the transaction keeps is what a store without it sums."""
    for day in range(2):
        with store.transaction(actor="ann") as tx:
            user = tx.surrogates(pl.Series([f"u-{day}"])).item()
            names = [tx.number("attribute:number", "age"), tx.number("attribute:text", "town")]
            tx.append_behaviour(
                events({"user": user, "kind": tx.number("kind", "view"), "amount": day}),
                pl.DataFrame({"row": 0, "name": names, "value": [7, tx.number("attribute_value", "Rome")]}),
            )
    kept = store.rows("SELECT position, payload FROM snapshots WHERE name = 'content'")
    assert kept[0][0] == store.last_seq("behaviour")
    told = content.content_digest(store)
    with store.transaction(actor="ann"):
        content.forget(store)
    assert content.content_digest(store) == told


def test_texts_that_were_forgotten_are_looked_up_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "REMEMBERED", 2)
    with store.transaction(actor="ann") as tx:
        for texts in (["a", "b", "c"], ["a", "d", "b"], ["d", "c", None]):
            numbers = tx.numbers("item", pl.Series(texts)).to_list()
            users = tx.surrogates(pl.Series(texts)).to_list()
            assert numbers == users == [None if text is None else "abcd".index(text) + 1 for text in texts]
    assert [check for check in verify(store) if not check.ok] == []


def test_content_is_the_same_whether_digests_are_at_hand_or_read(
    tmp_path: Path, events: Frame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Users and texts numbered in this transaction and in one before, with room for their digests or none."""
    told = set()
    for room in (words.DIGESTED, 2, 0):
        monkeypatch.setattr(words, "DIGESTED", room)
        with Store.create(tmp_path / f"{room}.db") as store:
            for ids in (["a", "b"], ["b", "c", "d"], ["a", "e"]):
                with store.transaction(actor="ann") as tx:
                    users = tx.surrogates(pl.Series(ids)).to_list()
                    items = tx.numbers("item", pl.Series(ids)).to_list()
                    kind = tx.number("kind", "view")
                    rows = [
                        {"user": user, "item": item, "kind": kind}
                        for user, item in zip(users, items, strict=True)
                    ]
                    tx.append_behaviour(events(*rows))
            kept = store.rows("SELECT payload FROM snapshots WHERE name = 'content'")
            assert kept
            told.add(content.content_digest(store))
            with store.transaction(actor="ann"):
                content.forget(store)
            told.add(content.content_digest(store))
    assert len(told) == 1
