# ruff: noqa: S608  (the names put into SQL are this package's own; values are always bound)
"""Texts that no event uses any more, once events are gone for good: they go as well.

An order's number or the value of an attribute may tell who somebody was. The entry stays, under a kind and a
text that say nothing, so that the commit that made it keeps its range. The commit's digest stays as well, and
what is left of its entries is proven by the decision that cut the events, see `rest`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from db import log
from db.anew import made_anew
from db.encoding import VocabularyDigest
from db.schema import triggers
from db.vocabulary import REDACTED

if TYPE_CHECKING:
    from db.store import Store

COLUMNS = ("order", "item", "category", "platform", "device", "region")
"""Of behaviour: those whose words come from a source's rows, and stand nowhere else."""
VALUES = "attribute_value"
READ_ROWS = 1_000_000
CHUNK = 100_000


def unused(store: Store, seqs: pl.Series) -> list[int]:
    """Numbers of the words that no event uses but those with these seqs."""
    used = [_used_by(store, seqs), _carried_by(store, seqs)]
    kinds = ", ".join("?" * (len(COLUMNS) + 1))
    words = store.frame(
        f"SELECT id FROM vocabulary WHERE kind IN ({kinds}) ORDER BY id",
        (*COLUMNS, VALUES),
        {"id": pl.Int64()},
    )["id"]
    return words.filter(~words.is_in(pl.concat(used).implode())).to_list()


def _used_by(store: Store, seqs: pl.Series) -> pl.Series:
    """The words that stand in other events' columns."""
    used = pl.Series("id", [], dtype=pl.Int64)
    for start in range(0, store.last_seq("behaviour"), READ_ROWS):
        rows = log.behaviour(store, after_seq=start, position=start + READ_ROWS, columns=["seq", *COLUMNS])
        rows = rows.filter(~pl.col("seq").is_in(seqs.implode()))
        found = [rows[name].drop_nulls().unique().rename("id") for name in COLUMNS]
        used = pl.concat([used, *found]).unique()
    return used


def _carried_by(store: Store, seqs: pl.Series) -> pl.Series:
    """The texts that other events carry as attributes."""
    return store.frame(
        "SELECT DISTINCT value FROM attributes WHERE seq NOT IN (SELECT value FROM json_each(?)) "
        "AND name IN (SELECT id FROM vocabulary WHERE kind = 'attribute:text')",
        (json.dumps(seqs.to_list()),),
        {"id": pl.Int64()},
    )["id"]


def redact(store: Store, words: Sequence[int]) -> None:
    """Takes the texts out of entries of the vocabulary, for good, inside the open transaction."""
    if not words:
        return
    guards = {name: sql for name, sql in triggers().items() if name.startswith("vocabulary_")}
    with made_anew(store, "vocabulary", triggers=guards) as former:
        gone = "id IN (SELECT value FROM json_each(?))"
        store.connection.execute(
            f"INSERT INTO vocabulary SELECT id, CASE WHEN {gone} THEN '{REDACTED}' ELSE kind END, "
            f"CASE WHEN {gone} THEN CAST(id AS TEXT) ELSE text END FROM {former}",
            (json.dumps(list(words)), json.dumps(list(words))),
        )


def count(store: Store) -> int:
    """How many entries have lost their text."""
    return int(store.rows("SELECT count(*) FROM vocabulary WHERE kind = ?", (REDACTED,))[0][0])


def rest(store: Store) -> list[list[object]]:
    """[commit, digest in hex] of the entries that are left of commits some of whose entries lost their text.

    The digest is that of a vocabulary of these alone; the decision that cuts events tells it.
    """
    gone = store.frame(
        "SELECT id FROM vocabulary WHERE kind = ? ORDER BY id", (REDACTED,), {"id": pl.Int64()}
    )["id"]
    entries = "SELECT id, kind, text FROM vocabulary WHERE id BETWEEN ? AND ? AND kind <> ? ORDER BY id"
    told: list[list[object]] = []
    for commit in log.commits(store) if gone.len() else ():
        first, last = commit.vocabulary_first, commit.vocabulary_last
        if first is None or last is None or not gone.is_between(first, last).any():
            continue
        digest = VocabularyDigest()
        for start in range(first, last + 1, CHUNK):
            digest.add(store.rows(entries, (start, min(start + CHUNK - 1, last), REDACTED)))
        if digest.span is not None:
            told.append([commit.id, digest.digest().hex()])
    return told
