# ruff: noqa: S608  (the names put into SQL are this package's own; values are always bound)
"""Purged rows: their leaves stay, so that the chain still verifies, and `redactions` lists their seqs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from db import encoding, log, lost_words, segments
from db.encoding import LEAF, Records
from db.schema import triggers

if TYPE_CHECKING:
    from db.store import Store

GUARDED = ("behaviour", "attributes")
CUTTING = ("retained", "users_erased")
"""The decisions that cut rows."""
CHUNK = 10_000


def rows_of(store: Store, users: Sequence[int]) -> pl.DataFrame:
    """seq, user of the users' behaviour."""
    return log.behaviour(store, users=users, columns=["seq", "user"])


def cut(store: Store, rows: pl.DataFrame) -> dict[str, Any]:
    """Removes behaviour rows (seq, user), their attributes, and words that no other event uses.

    Inside the open transaction; returns what the decision that cuts them has to tell. The copies that hold
    them go first: a reader must never find in a copy what the log no longer has. The triggers that refuse
    deletion are back before the transaction ends.
    """
    if rows.is_empty():
        return _left(store, 0)
    words = lost_words.unused(store, rows["seq"])
    segments.remove(store, "behaviour", rows["seq"])
    for commit in log.commits(store):
        if commit.behaviour_first is not None and commit.behaviour_last is not None:
            own = rows.filter(pl.col("seq").is_between(commit.behaviour_first, commit.behaviour_last))
            _keep_leaves(store, commit, own["user"].unique())
    connection = store.connection
    guards = [f"{table}_no_delete" for table in GUARDED]
    connection.execute("PRAGMA secure_delete = ON").fetchall()
    for guard in guards:
        connection.execute(f"DROP TRIGGER {guard}")
    for part in rows["seq"].to_frame().iter_slices(CHUNK):
        wanted = (json.dumps(part["seq"].to_list()),)
        for table in GUARDED:
            connection.execute(f"DELETE FROM {table} WHERE seq IN (SELECT value FROM json_each(?))", wanted)
        connection.execute("INSERT INTO redactions SELECT value FROM json_each(?)", wanted)
    for guard in guards:
        connection.execute(triggers()[guard])
    lost_words.redact(store, words)
    return _left(store, len(words))


def _left(store: Store, words: int) -> dict[str, Any]:
    """What is left of leaves and of the vocabulary, beside the number of words that were just taken."""
    return {"rest": rest(store), "words": words, "rest_words": lost_words.rest(store)}


def _keep_leaves(store: Store, commit: log.Commit, users: pl.Series) -> None:
    """Writes down a commit's leaves of these users, while they can still be computed."""
    if users.is_empty():
        return
    found = _leaves(store, commit, users)
    # A leaf that was kept already is that of all the rows there were.
    store.connection.executemany(
        "INSERT OR IGNORE INTO leaves VALUES (?, 'behaviour', ?, ?)",
        [(commit.id, int(user), bytes(digest)) for user, digest in found.tolist()],
    )


def _leaves(store: Store, commit: log.Commit, users: pl.Series) -> Records:
    """The leaves of a commit's behaviour that is in the log, of these users only."""
    assert commit.behaviour_first is not None
    assert commit.behaviour_last is not None
    span = (commit.behaviour_first, commit.behaviour_last)
    rows = log.stored_behaviour(store, *span).filter(pl.col("user").is_in(users.implode()))
    carried = store.frame(
        "SELECT seq, name, value FROM attributes WHERE seq BETWEEN ? AND ? ORDER BY seq, name",
        span,
        dict.fromkeys(("seq", "name", "value"), pl.Int64()),
    ).filter(pl.col("seq").is_in(rows["seq"].implode()))
    return encoding.leaves(
        "behaviour",
        encoding.behaviour_records(rows, encoding.by_user(rows)),
        encoding.attribute_records(carried),
        encoding=commit.encoding,
    )


def rest(store: Store) -> list[list[Any]]:
    """[commit, digest in hex] of the rows that are left of leaves some of whose rows were cut.

    The digest is that of a stream with these leaves alone; the decision that cuts rows tells it, so that the
    rows left are still proven.
    """
    with_leaves = {commit for (commit,) in store.rows('SELECT DISTINCT "commit" FROM leaves')}
    told: list[list[Any]] = []
    for commit in log.commits(store):
        if commit.id in with_leaves:
            users = store.frame(
                "SELECT user FROM leaves WHERE \"commit\" = ? AND stream = 'behaviour'",
                (commit.id,),
                {"user": pl.Int64()},
            )["user"]
            found = _leaves(store, commit, users)
            if found.size:
                told.append([commit.id, encoding.stream_digest(found).hex()])
    return told


@dataclass(frozen=True)
class Proven:
    """What was left when events were last cut, as the newest decision tells it: digests by commit.

    rows: of leaves some of whose rows were cut, see `rest`. words: of the vocabulary's entries, see
    `lost_words.rest`.
    """

    rows: Mapping[int, bytes]
    words: Mapping[int, bytes]


def proven(store: Store) -> Proven:
    """What the newest decision that cuts events proves."""
    for decision in log.decisions(store, kinds=CUTTING, newest_first=True, limit=1):
        told = (decision.body[name] for name in ("rest", "rest_words"))
        return Proven(*({commit: bytes.fromhex(digest) for commit, digest in pairs} for pairs in told))
    return Proven({}, {})


def kept_leaves(store: Store, first: int, last: int) -> dict[int, Records]:
    """The leaves kept for purged behaviour, by commit, of the commits first to last."""
    found = store.rows(
        'SELECT "commit", user, digest FROM leaves WHERE stream = \'behaviour\' AND "commit" BETWEEN ? AND ?',
        (first, last),
    )
    by_commit: dict[int, list[tuple[int, bytes]]] = {}
    for commit, user, digest in found:
        by_commit.setdefault(commit, []).append((user, digest))
    return {commit: np.array(leaves, dtype=LEAF) for commit, leaves in by_commit.items()}


def redacted(store: Store, seqs: Sequence[int]) -> set[int]:
    """Those of the seqs whose rows were purged."""
    if not store.rows("SELECT 1 FROM redactions LIMIT 1"):
        return set()
    rows = store.rows(
        "SELECT seq FROM redactions WHERE seq IN (SELECT value FROM json_each(?))",
        (json.dumps([int(seq) for seq in seqs]),),
    )
    return {seq for (seq,) in rows}
