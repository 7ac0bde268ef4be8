# ruff: noqa: S608  (the names put into SQL are this package's own; values are always bound)
"""The state digest: who holds which label, as a sum that a move changes by what moved.

Every membership gives four 64-bit numbers that depend on the names of segmentation and label and on the
surrogate; the digest is their sums modulo 2^64. It compares states, the chain proves them.
Bytes: docs/log-format.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from db import vocabulary
from db.encoding import Integers, canonical

if TYPE_CHECKING:
    from db.store import Store

NAME = "state"
LANES = 4
Sum = np.ndarray[Any, np.dtype[np.uint64]]

_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


def nothing() -> Sum:
    """uint64[4]: what nobody's memberships sum up to."""
    return np.zeros(LANES, np.uint64)


def added(segmentation: str, label: str, users: Integers) -> Sum:
    """uint64[4]: what these users, int64[n], add to the sum by holding the label."""
    return np.array([lane.sum(dtype=np.uint64) for lane in _lanes(segmentation, label, users)], np.uint64)


def each(segmentation: str, label: str, users: Integers) -> Sum:
    """uint64[n, 4]: what each of these users, int64[n], adds to the sum by holding the label."""
    return np.stack(list(_lanes(segmentation, label, users)), axis=1)


def _lanes(segmentation: str, label: str, users: Integers) -> Iterator[Sum]:
    numbers = np.ascontiguousarray(users, np.int64).view(np.uint64) * _STEP
    for key in _keys(segmentation, label):
        yield _mixed(_mixed(numbers + key))


def _keys(segmentation: str, label: str) -> Sum:
    texts = (segmentation.encode(), label.encode())
    named = b"".join(len(text).to_bytes(4, "little") + text for text in texts)
    return np.frombuffer(sha256(named).digest(), "<u8").astype(np.uint64)


def _mixed(numbers: Sum) -> Sum:
    """A bijection of 64-bit numbers in which every bit of the result depends on every bit given."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * _FIRST
    numbers = (numbers ^ (numbers >> np.uint64(27))) * _SECOND
    return numbers ^ (numbers >> np.uint64(31))


def told(total: Sum) -> str:
    """The digest of a sum, in hex."""
    return total.astype("<u8").tobytes().hex()


def sum_of(states: Mapping[str, Mapping[str, Integers]]) -> Sum:
    """The sum over segmentation name -> label name -> surrogates int64[n]."""
    total = nothing()
    for segmentation, labels in states.items():
        for label, users in labels.items():
            total += added(segmentation, label, users)
    return total


def digest_of(states: Mapping[str, Mapping[str, Integers]]) -> str:
    """The digest over segmentation name -> label name -> surrogates int64[n]."""
    return told(sum_of(states))


def at_head(store: Store) -> Sum:
    """The sum over the head's memberships: as kept, or summed where none is."""
    found = store.rows("SELECT payload FROM snapshots WHERE name = ?", (NAME,))
    if found:
        return np.frombuffer(bytes.fromhex(json.loads(found[0][0])["sum"]), "<u8").astype(np.uint64)
    return summed(store)


def summed(store: Store) -> Sum:
    """The sum over the head's memberships, row by row."""
    held = store.frame(
        "SELECT segmentation, user, NULL, label FROM members ORDER BY segmentation",
        (),
        dict.fromkeys(("segmentation", "user", "was", "now"), pl.Int64()),
    )
    return _moves(store, held)


def keep(store: Store, total: Sum) -> None:
    """Keeps the sum of the head's memberships, inside the open transaction."""
    row = (NAME, 0, canonical({"sum": told(total)}))
    store.connection.execute("INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?)", row)


def moved(store: Store, segmentation: int, table: str) -> pl.DataFrame:
    """segmentation, user, was, now: whose label the rows of `table` (user, label) change, null for none."""
    return store.frame(
        f"SELECT ?1, s.user, m.label, s.label FROM {table} s "
        "LEFT JOIN members m ON m.segmentation = ?1 AND m.user = s.user WHERE m.label IS NOT s.label",
        (segmentation,),
        dict.fromkeys(("segmentation", "user", "was", "now"), pl.Int64()),
    )


def move(store: Store, total: Sum, moves: pl.DataFrame) -> None:
    """Keeps what a sum becomes by moves (see `moved`), inside the open transaction."""
    keep(store, total + _moves(store, moves))


def _moves(store: Store, moves: pl.DataFrame) -> Sum:
    segmentations, labels = (vocabulary.texts(store, kind) for kind in ("segmentation", "label"))
    total = nothing()
    for (number, was, now), rows in moves.partition_by("segmentation", "was", "now", as_dict=True).items():
        users = rows["user"].to_numpy()
        segmentation = _word(segmentations, number)
        if now is not None:
            total += added(segmentation, _word(labels, now), users)
        if was is not None:
            total -= added(segmentation, _word(labels, was), users)
    return total


def _word(words: Mapping[int, str], number: int) -> str:
    """The text of a number; a number without one, which verification tells of, stands for itself."""
    return words.get(number, f"#{number}")
