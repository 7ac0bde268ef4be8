# ruff: noqa: S608  (the names put into SQL are this package's own; values are always bound)
"""Purged rows: their leaves stay, so that the chain still verifies, and `redactions` lists their seqs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from db import encoding, log, segments
from db.encoding import LEAF, Records
from db.schema import triggers

if TYPE_CHECKING:
    from db.store import Store

GUARDED = ("behaviour", "attributes")


def purge(store: Store, users: Sequence[int]) -> int:
    """Removes the users' behaviour and its attributes inside the open transaction; returns how many events.

    The copies that hold them go first: a reader must never find in a copy what the log no longer has. The
    triggers that refuse deletion are back before the transaction ends.
    """
    rows = log.behaviour(store, users=users)
    if rows.is_empty():
        return 0
    seqs = rows["seq"]
    segments.remove(store, "behaviour", seqs)
    _keep_leaves(store, rows, log.attributes(store, users=users).select("seq", "name", "value"))
    connection, wanted = store.connection, (json.dumps(seqs.to_list()),)
    guards = [f"{table}_no_delete" for table in GUARDED]
    connection.execute("PRAGMA secure_delete = ON").fetchall()
    for guard in guards:
        connection.execute(f"DROP TRIGGER {guard}")
    for table in GUARDED:
        connection.execute(f"DELETE FROM {table} WHERE seq IN (SELECT value FROM json_each(?))", wanted)
    for guard in guards:
        connection.execute(triggers()[guard])
    connection.execute("INSERT INTO redactions SELECT value FROM json_each(?)", wanted)
    return rows.height


def _keep_leaves(store: Store, rows: pl.DataFrame, attributes: pl.DataFrame) -> None:
    """Writes down the leaves of rows, by commit and user, while they can still be computed."""
    commits = [each for each in log.commits(store) if each.behaviour_first is not None]
    starts = pl.Series([each.behaviour_first for each in commits], dtype=pl.Int64)
    place = starts.search_sorted(rows["seq"], side="right").cast(pl.Int64) - 1
    for (at,), part in rows.with_columns(place.alias("at")).partition_by("at", as_dict=True).items():
        commit = commits[at]
        carried = attributes.filter(pl.col("seq").is_in(part["seq"].implode()))
        own = part.drop("at")
        leaves = encoding.leaves(
            "behaviour",
            encoding.behaviour_records(own, encoding.by_user(own)),
            encoding.attribute_records(carried),
            encoding=commit.encoding,
        )
        store.connection.executemany(
            "INSERT INTO leaves VALUES (?, 'behaviour', ?, ?)",
            [(commit.id, int(user), bytes(digest)) for user, digest in leaves.tolist()],
        )


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
