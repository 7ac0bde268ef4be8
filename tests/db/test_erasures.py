"""The list of erased persons, and rows that were purged."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from db import content, keys, log, redactions, summary
from db.chain import verify
from db.content import content_digest
from db.erasures import ERASED, LIFTED, PURGED, Erasures, carry_erasures, erasures_path
from db.errors import KeyMissing, StoreDamaged
from db.forgetting import erased, forget, to_wipe
from db.segments import SEGMENT_ROWS, held
from db.store import Store

Frame = Callable[..., pl.DataFrame]
PEOPLE = 6


def failed(store: Store) -> list[str]:
    return [check.name for check in verify(store) if not check.ok]


# --- the list ----------------------------------------------------------------------------------------


def test_the_newest_state_of_somebody_counts(store: Store) -> None:
    erasures = Erasures(store)
    assert erasures.persons == 0
    erasures.record(["ann", "bob"], ERASED, 10)
    erasures.record(["bob"], LIFTED, 20)
    erasures.record(["cid"], PURGED, 5)
    for each in (erasures, Erasures(store)):
        assert each.states(["ann", "bob", "cid", "dora"]) == {"ann": ERASED, "cid": PURGED}
        assert each.persons == 2
    assert stat.S_IMODE(erasures_path(store.path).stat().st_mode) == 0o600


def test_a_clock_that_steps_back_undoes_no_erasure(store: Store) -> None:
    for state, at in ((ERASED, 100), (LIFTED, 200), (ERASED, 150)):
        Erasures(store).record(["ann"], state, at)
    assert Erasures(store).states(["ann"]) == {"ann": ERASED}


def test_a_list_is_neither_a_list_of_ids_nor_of_look_up_hashes(store: Store) -> None:
    Erasures(store).record(["ann"], ERASED, 10)
    text = erasures_path(store.path).read_text()
    assert "ann" not in text
    assert store.vault.lookups(["ann"], "id")[0].hex() not in text


def test_two_stores_hash_the_same_person_differently(store: Store, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with Store.create(tmp_path / "other" / "shop.db", key=bytes(range(32))) as other:
        hashes = set()
        for each in (store, other):
            Erasures(each).record(["ann"], ERASED, 10)
            lines = map(json.loads, erasures_path(each.path).read_text().splitlines())
            hashes |= {line["hash"] for line in lines if "hash" in line}
    assert len(hashes) == 2


def test_lists_are_joined_whoever_began_them(store: Store, tmp_path: Path) -> None:
    other = tmp_path / "backup.db"
    Erasures(store).record(["ann"], ERASED, 10)
    erasures_path(store.path).rename(erasures_path(other))
    Erasures(store).record(["bob"], PURGED, 20)
    carry_erasures(other, store.path)
    joined = Erasures(store)
    assert joined.states(["ann", "bob", "cid"]) == {"ann": ERASED, "bob": PURGED}
    joined.record(["ann"], LIFTED, 30)
    carry_erasures(other, store.path)
    assert Erasures(store).states(["ann", "bob"]) == {"bob": PURGED}


def test_a_list_without_its_key_is_not_taken_for_an_empty_one(store: Store) -> None:
    Erasures(store).record(["ann"], ERASED, 10)
    Path(f"{store.path}.key").unlink()
    with Store.open(store.path) as opened, pytest.raises(KeyMissing, match=r"put it back as .*shop\.db\.key"):
        Erasures(opened).states(["ann"])


@pytest.mark.parametrize(
    "text", ["aa\n", '{"list": 1}\n', '{"list": "a", "hash": "b", "at": 1, "state": "x"}\n']
)
def test_a_file_that_is_no_list_is_refused(store: Store, text: str) -> None:
    erasures_path(store.path).write_text(text)
    with pytest.raises(StoreDamaged, match="not a list of erased persons"):
        Erasures(store)


# --- purged rows -------------------------------------------------------------------------------------


@pytest.fixture
def peopled(store: Store, events: Frame) -> Store:
    """Three commits of PEOPLE users' events, with attributes."""
    for commit in range(3):
        with store.transaction(actor="ann") as tx:
            users = tx.surrogates(pl.Series([f"p{number}" for number in range(PEOPLE)]))
            kind, colour = tx.number("kind", "view"), tx.number("attribute:number", "colour")
            rows = [
                {"user": user, "kind": kind, "occurred_at": 1_000 * commit + at, "amount": user * 7}
                for at, user in enumerate([*users, *users])
            ]
            carried = pl.DataFrame(
                {"row": list(range(0, len(rows), 3)), "name": colour, "value": 9},
                schema_overrides={"row": pl.Int64, "name": pl.Int64, "value": pl.Int64},
            )
            tx.append_behaviour(events(*rows), carried)
    return store


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    batches=st.lists(
        st.tuples(st.sets(st.integers(1, PEOPLE), min_size=1), st.booleans()), min_size=1, max_size=4
    )
)
def test_whoever_is_forgotten_in_whatever_order_the_chain_verifies(
    tmp_path_factory: pytest.TempPathFactory, events: Frame, batches: list[tuple[set[int], bool]]
) -> None:
    with Store.create(tmp_path_factory.mktemp("purged") / "shop.db", key=bytes(32)) as store:
        peopled.__wrapped__(store, events)
        rows, left = log.behaviour(store), set(range(1, PEOPLE + 1))
        purged: set[int] = set()
        for users, purge in batches:
            content_digest(store)
            with store.transaction(actor="ann") as tx:
                forget(tx, sorted(users), purge=purge)
            left -= users
            purged |= users if purge else set()
            assert failed(store) == []
            kept = rows.filter(~pl.col("user").is_in(list(purged)))
            assert log.behaviour(store).equals(kept)
            assert set(store.vault.external_ids(range(1, PEOPLE + 1))) == left
            assert erased(store) == sorted(set(range(1, PEOPLE + 1)) - left)
            seqs = rows["seq"].to_list()
            assert redactions.redacted(store, seqs) == set(seqs) - set(kept["seq"])
        digest = content_digest(store)
        store.connection.execute("DELETE FROM snapshots WHERE name = 'content'")
        assert content_digest(store) == digest
        assert not to_wipe(store)


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("DELETE FROM behaviour WHERE seq = 3", "chain"),
        ('DELETE FROM leaves WHERE user = 2 AND "commit" = 1', "chain"),
        ("UPDATE leaves SET digest = zeroblob(32) WHERE user = 2", "chain"),
        ("INSERT INTO leaves VALUES (1, 'behaviour', 77, zeroblob(32))", "chain"),
        ("INSERT INTO leaves VALUES (99, 'behaviour', 2, zeroblob(32))", "chain"),
        ("INSERT INTO redactions VALUES (3)", "chain"),
        ("DELETE FROM redactions WHERE seq = (SELECT min(seq) FROM redactions)", "chain"),
        ("INSERT INTO erased VALUES (3)", "erased"),
        ("DELETE FROM erased", "erased"),
    ],
)
def test_what_no_purge_did_is_found(
    peopled: Store, tamper: Callable[..., None], statement: str, told: str
) -> None:
    with peopled.transaction(actor="ann") as tx:
        forget(tx, [2], purge=True)
    assert failed(peopled) == []
    peopled.close()
    tamper(peopled.path, statement)
    with Store.open(peopled.path) as store:
        assert told in failed(store)


def test_a_purge_without_its_decision_is_found(peopled: Store) -> None:
    with peopled.transaction(actor="ann") as tx:
        rows = redactions.rows_of(peopled, [4])
        assert rows.height == 6
        redactions.cut(peopled, rows)
        summary.scan(peopled).save(peopled)
        content.forget(peopled)
        tx.append_decision("noted", {})
    assert failed(peopled) == ["erased"]


def test_the_log_refuses_again_once_a_purge_is_done(peopled: Store) -> None:
    with peopled.transaction(actor="ann") as tx:
        forget(tx, [2], purge=True)
    for statement in ("DELETE FROM behaviour", "DELETE FROM attributes"):
        with pytest.raises(Exception, match="append-only"):
            peopled.connection.execute(statement)


def test_a_purge_that_fails_leaves_everything(peopled: Store) -> None:
    before = peopled.chain_digest(), log.behaviour(peopled)

    def fail() -> None:
        with peopled.transaction(actor="ann") as tx:
            forget(tx, [2, 3], purge=True)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert (peopled.chain_digest(), erased(peopled)) == (before[0], [])
    assert log.behaviour(peopled).equals(before[1])
    assert peopled.vault.surrogate("p1") == 2
    assert failed(peopled) == []


def test_copies_that_hold_purged_rows_are_made_anew(store: Store, events: Frame) -> None:
    people = [f"p{number}" for number in range(SEGMENT_ROWS)]
    for _ in range(2):
        with store.transaction(actor="ann") as tx:
            users = tx.surrogates(pl.Series(people))
            tx.append_behaviour(events({}).drop("user").join(users.to_frame("user"), how="cross"))
    before = {segment.path: segment.path.read_bytes() for segment in held(store, "behaviour")}
    assert before
    with store.transaction(actor="ann") as tx:
        forget(tx, [1, SEGMENT_ROWS], purge=True)
    after = held(store, "behaviour")
    assert after
    assert after[0].first_seq == 1
    assert not {segment.path.read_bytes() for segment in after} & set(before.values())
    assert log.behaviour(store)["user"].n_unique() == SEGMENT_ROWS - 2
    assert failed(store) == []


def test_a_reader_keeps_the_write_ahead_log_and_the_next_writer_empties_it(
    peopled: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    peopled.connection.execute("PRAGMA busy_timeout = 50")
    sealed = peopled.rows("SELECT ciphertext FROM vault WHERE user = 2")[0][0]
    with Store.open(peopled.path) as reader:
        with reader.reading():
            assert log.behaviour(reader).height
            with peopled.transaction(actor="ann") as tx:
                forget(tx, [2], purge=False)
            assert to_wipe(peopled)
            assert log.behaviour(reader).height
        with peopled.transaction(actor="ann") as tx:
            tx.append_decision("noted", {})
        assert not to_wipe(peopled)
    folder = peopled.path.parent
    assert not [path for path in folder.iterdir() if path.is_file() and sealed in path.read_bytes()]
    assert failed(peopled) == []


def test_no_page_keeps_what_was_split_away_from_it(store: Store) -> None:
    """Splitting a page leaves copies of rows in its free space, where deleting the rows does not reach."""
    for commit in range(12):
        with store.transaction(actor="ann") as tx:
            tx.surrogates(pl.Series([f"p{commit}-{number}" for number in range(800)]))
    store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    gone = list(range(1, 9_600, 40))
    traces = store.rows(f"SELECT lookup, ciphertext FROM vault WHERE user IN ({','.join(map(str, gone))})")
    assert all(trace in store.path.read_bytes() for row in traces for trace in row)
    with store.transaction(actor="ann") as tx:
        forget(tx, gone, purge=False)
    left = store.path.read_bytes() + Path(f"{store.path}-wal").read_bytes()
    assert not [trace for row in traces for trace in row if trace in left]
    assert store.vault.count() == 9_600 - len(gone)
    assert failed(store) == []


def test_a_list_under_a_kept_key_is_sealed_under_the_stores_own_and_under_no_other(store: Store) -> None:
    other, own = bytes(32), store.vault.check
    listed = erasures_path(store.path)
    Erasures(store).record(["gone"], ERASED, 1)
    Erasures(store).reseal(other)
    keys.write_key(keys.kept_path(store.path, keys.key_check(other)), other)
    lines = [line for line in listed.read_text().splitlines() if own.hex() not in line]
    listed.write_text("".join(f"{line}\n" for line in lines))
    away = keys.key_path(store.path).rename(store.path.with_name("away"))
    with Store.open(store.path) as opened:
        Erasures(opened).adopt()
        assert listed.read_text().splitlines() == lines
        away.rename(keys.key_path(store.path))
        Erasures(opened).adopt()
        keys.kept_path(store.path, keys.key_check(other)).unlink()
        assert Erasures(opened).states(["gone"]) == {"gone": ERASED}
        assert keys.key_check(other).hex() not in listed.read_text()
