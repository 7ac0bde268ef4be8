"""Verification finds whatever was changed behind the store's back, and says where."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from db import chain, encoding, log, segments
from db.store import Store

Frame = Callable[..., pl.DataFrame]
Tamper = Callable[..., None]


@pytest.fixture
def sound(store: Store, events: Frame, moves: Frame, rescore: Callable[..., int]) -> Path:
    """Behaviour 1 to 4, decision 5, changes 6 and 7; then behaviour 8 and 9, decision 10, change 11."""
    with store.transaction(actor="ann", source="cdnow") as tx:
        users = tx.surrogates(pl.Series(["a", "b", "a", "c"]))
        view, high, value = (
            tx.number("kind", "view"),
            tx.number("label", "high"),
            tx.number("segmentation", "value"),
        )
        tx.number("reason", "first")
        shown = events(*({"kind": view, "amount": at, "occurred_at": at} for at in range(4)))
        tx.append_behaviour(
            shown.with_columns(users.alias("user")), pl.DataFrame({"row": [0], "name": [view], "value": [3]})
        )
        rescore(tx, 10)
        base = {"segmentation": value, "to_label": high, "reason": 4, "cause": "event"}
        tx.append_changes(moves(base | {"user": 1, "as_of": 10}, base | {"user": 2, "as_of": 10}))
        _save(tx, value, [(1, high, 10, 6), (2, high, 10, 7)])
        tx.save_sizes(_sizes(value, 10, high, 2))
    with store.transaction(actor="bob") as tx:
        tx.append_behaviour(events({"user": 1, "kind": view}, {"user": 2, "kind": view}))
        rescore(tx, 20)
        tx.append_changes(moves(base | {"user": 3, "as_of": 20}))
        _save(tx, value, [(3, high, 20, 11)])
        tx.save_sizes(_sizes(value, 20, high, 3))
    assert [check for check in chain.verify(store) if not check.ok] == []
    store.close()
    return store.path


def _save(tx: object, segmentation: int, rows: list[tuple[int, int, int, int]]) -> None:
    frame = pl.DataFrame(rows, schema=["user", "label", "since", "change_seq"], orient="row")
    empty = {"probability": pl.Int64, "margin": pl.Int64, "scores": pl.Binary}
    frame = frame.with_columns(pl.lit(None, dtype).alias(name) for name, dtype in empty.items())
    tx.save_members(segmentation, frame)  # type: ignore[attr-defined]


def _sizes(segmentation: int, as_of: int, label: int, users: int) -> pl.DataFrame:
    row = {
        "segmentation": segmentation,
        "pass": 1,
        "as_of": as_of,
        "label": label,
        "users": users,
        "expected": None,
    }
    return pl.DataFrame([row])


def faults(path: Path) -> dict[str, str]:
    with Store.open(path) as store:
        return {check.name: check.detail for check in chain.verify(store) if not check.ok}


CELLS = [
    ("UPDATE behaviour SET amount = amount + 1 WHERE seq = 3", 1, "behaviour"),
    ("UPDATE behaviour SET amount = NULL WHERE seq = 1", 1, "behaviour"),
    ("UPDATE behaviour SET quantity = 0 WHERE seq = 8", 2, "behaviour"),
    ("UPDATE behaviour SET source_id = zeroblob(16) WHERE seq = 8", 2, "behaviour"),
    ("UPDATE behaviour SET user = 3 WHERE seq = 9", 2, "behaviour"),
    ("UPDATE behaviour SET late = 1 WHERE seq = 9", 2, "behaviour"),
    ("UPDATE attributes SET value = 4", 1, "behaviour"),
    ("UPDATE attributes SET name = 2", 1, "behaviour"),
    ("DELETE FROM attributes", 1, "behaviour"),
    ("INSERT INTO attributes VALUES (2, 1, 1)", 1, "behaviour"),
    ("UPDATE decisions SET body = replace(body, '\"as_of\":10', '\"as_of\":11')", 1, "decisions"),
    ("UPDATE decisions SET kind = 'promoted' WHERE seq = 10", 2, "decisions"),
    ("UPDATE membership_changes SET probability = 1 WHERE seq = 6", 1, "changes"),
    ("UPDATE membership_changes SET cause = 'clock' WHERE seq = 11", 2, "changes"),
    ("UPDATE membership_changes SET hindsight = 1 WHERE seq = 11", 2, "changes"),
    ("UPDATE vocabulary SET text = 'forged' WHERE id = 4", 1, "vocabulary"),
]


@pytest.mark.parametrize(("statement", "commit", "stream"), CELLS)
def test_a_changed_cell_is_found_in_its_commit_and_stream(
    sound: Path, tamper: Tamper, statement: str, commit: int, stream: str
) -> None:
    tamper(sound, statement)
    detail = faults(sound)["chain"]
    assert detail.startswith(f"commit {commit} of 20")
    assert f"its {stream} rows, " in detail
    assert "were changed" in detail


COMMITS = [
    "actor = 'nobody'",
    "recorded_at = recorded_at + 1",
    "source = 'other'",
    "source = NULL",
    "digest = zeroblob(32)",
]


@pytest.mark.parametrize("change", COMMITS)
def test_a_rewritten_commit_is_found(sound: Path, tamper: Tamper, change: str) -> None:
    tamper(sound, f"UPDATE commits SET {change} WHERE id = 1")
    assert faults(sound)["chain"].startswith("commit 1 ")
    assert faults(sound)["chain"].endswith("it was rewritten")


@pytest.mark.parametrize("stream", ["behaviour", "changes", "vocabulary"])
def test_half_a_range_is_found(sound: Path, tamper: Tamper, stream: str) -> None:
    with Store.open(sound) as store, store.transaction(actor="ann") as tx:
        tx.append_decision("noted", {})
    tamper(sound, f"UPDATE commits SET {stream}_last = 99 WHERE id = 3")
    told = faults(sound)
    assert told["sequence"].startswith("commit 3 of 20")
    assert told["sequence"].endswith(f"tells half a range of its {stream}")


def test_a_commit_of_an_unknown_encoding_is_found(sound: Path, tamper: Tamper) -> None:
    tamper(sound, "UPDATE commits SET encoding = 99 WHERE id = 2")
    assert "encoding 99 is not known" in faults(sound)["chain"]


def test_a_commit_rewritten_with_its_rows_breaks_the_next(sound: Path, tamper: Tamper, events: Frame) -> None:
    """Whoever recomputes one commit's own digests must recompute every later one."""
    with Store.open(sound) as store:
        rows = log.stored_behaviour(store, 8, 9).with_columns(pl.col("user") + 0, amount=pl.lit(5, pl.Int64))
        forged = encoding.stream_digest(encoding.leaves("behaviour", encoding.behaviour_records(rows)))
    tamper(
        sound,
        "UPDATE behaviour SET amount = 5 WHERE seq > 7",
        f"UPDATE commits SET behaviour_digest = x'{forged.hex()}' WHERE id = 2",
    )
    assert faults(sound)["chain"].endswith("it was rewritten")


@pytest.mark.parametrize(
    ("table", "seq"), [("behaviour", 4), ("behaviour", 9), ("decisions", 5), ("membership_changes", 11)]
)
def test_a_removed_row_is_found(sound: Path, tamper: Tamper, table: str, seq: int) -> None:
    tamper(sound, f"DELETE FROM {table} WHERE seq = {seq}")
    assert {"sequence", "chain"} <= set(faults(sound))


@pytest.mark.parametrize(
    ("table", "rows"),
    [
        ("behaviour", "(seq, user, occurred_at, kind, late) VALUES (12, 1, 1, 1, 0)"),
        ("decisions", "VALUES (12, 'promoted', '{}')"),
        ("vocabulary", "VALUES (99, 'kind', 'forged')"),
    ],
)
def test_an_added_row_is_found(sound: Path, tamper: Tamper, table: str, rows: str) -> None:
    tamper(sound, f"INSERT INTO {table} {rows}")
    assert table in faults(sound)["sequence"]


def test_an_attribute_of_no_commit_is_found(sound: Path, tamper: Tamper) -> None:
    tamper(sound, "INSERT INTO attributes VALUES (99, 1, 1)")
    assert faults(sound)["chain"] == "1 attributes belong to no commit"


def test_an_attribute_of_no_row_is_found(sound: Path, tamper: Tamper) -> None:
    tamper(sound, "DELETE FROM attributes", "INSERT INTO attributes VALUES (0, 1, 3)")
    assert "behaviour rows, seq 1 to 4, were changed" in faults(sound)["chain"]


def test_a_swapped_pair_is_found(sound: Path, tamper: Tamper) -> None:
    """Two rows of one user trade places: the same rows in another order."""
    tamper(
        sound,
        "UPDATE behaviour SET seq = -1 WHERE seq = 1",
        "UPDATE behaviour SET seq = 1 WHERE seq = 3",
        "UPDATE behaviour SET seq = 3 WHERE seq = -1",
    )
    assert faults(sound)["chain"].endswith("its behaviour rows, seq 1 to 4, were changed")


def test_a_removed_last_commit_shows_in_the_rows_it_leaves(sound: Path, tamper: Tamper) -> None:
    tamper(sound, "DELETE FROM commits WHERE id = 2")
    assert "behaviour has 6 rows, the commits 4" in faults(sound)["sequence"]


def test_swapped_commits_are_found(sound: Path, tamper: Tamper) -> None:
    tamper(
        sound,
        "UPDATE commits SET id = -1 WHERE id = 1",
        "UPDATE commits SET id = 1 WHERE id = 2",
        "UPDATE commits SET id = 2 WHERE id = -1",
    )
    assert {"sequence", "chain"} <= set(faults(sound))


def test_a_missing_or_changed_trigger_is_found(sound: Path) -> None:
    with Store.open(sound) as store:
        store.connection.execute("DROP TRIGGER commits_no_update")
        store.connection.execute("DROP TRIGGER behaviour_no_delete")
        store.connection.execute(
            "CREATE TRIGGER behaviour_no_delete BEFORE DELETE ON behaviour BEGIN SELECT 1; END"
        )
    assert set(faults(sound)) == {"triggers"}
    assert "commits_no_update" in faults(sound)["triggers"]
    assert "behaviour_no_delete" in faults(sound)["triggers"]


PROJECTIONS = [
    ("UPDATE members SET label = 9 WHERE user = 1", "memberships"),
    ("UPDATE members SET since = 11 WHERE user = 1", "memberships"),
    ("DELETE FROM members WHERE user = 2", "memberships"),
    ("INSERT INTO members VALUES (7, 1, 2, NULL, NULL, NULL, 10, 6)", "memberships"),
    ("UPDATE member_counts SET users = 4", "memberships"),
    ("UPDATE sizes SET users = 1 WHERE as_of = 20", "sizes"),
    (
        (
            "UPDATE snapshots SET payload = "
            "CAST(replace(CAST(payload AS TEXT), '\"events\": 6', '\"events\": 7') AS BLOB)"
        ),
        "totals",
    ),
]


@pytest.mark.parametrize(("statement", "name"), PROJECTIONS)
def test_a_projection_that_is_not_the_fold_is_found(
    sound: Path, tamper: Tamper, statement: str, name: str
) -> None:
    tamper(sound, statement)
    assert name in faults(sound)
    assert "chain" not in faults(sound)


def test_a_damaged_index_is_found(sound: Path) -> None:
    with Store.open(sound) as store:
        page = store.rows("SELECT rootpage FROM sqlite_schema WHERE name = 'behaviour_by_user'")[0][0]
        store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with sound.open("r+b") as file:
        file.seek(page * 4096 - 8)
        file.write(b"\x01\x02\x03")
    assert "integrity" in faults(sound)


def test_a_copy_that_differs_is_found(store: Store, events: Frame) -> None:
    with store.transaction(actor="ann") as tx:
        tx.append_behaviour(events(*({"user": user} for user in range(segments.SEGMENT_ROWS))))
    (copy,) = segments.held(store, "behaviour")
    pl.read_parquet(copy.path).with_columns(pl.col("late") + 1).write_parquet(copy.path)
    (found,) = [check for check in chain.verify(store) if not check.ok]
    assert found.name == "copies"
    assert str(copy.path) in found.detail
    copy.path.write_bytes(b"not parquet")
    assert [check.name for check in chain.verify(store) if not check.ok] == ["copies"]


def test_commits_of_every_size_verify_in_blocks(
    store: Store, events: Frame, monkeypatch: pytest.MonkeyPatch
) -> None:
    for size in (1, 3, 0, 7, 2):
        with store.transaction(actor="ann") as tx:
            tx.append_behaviour(events(*({"user": user % 3} for user in range(size))))
            tx.append_decision("noted", {"size": size})
    for rows in (1, 4, 1_000):
        monkeypatch.setattr(chain, "BLOCK_ROWS", rows)
        assert [check for check in chain.verify(store) if not check.ok] == []


def test_an_empty_store_verifies(store: Store) -> None:
    assert [check for check in chain.verify(store) if not check.ok] == []
