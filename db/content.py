"""The content digest: which behaviour a store holds, whatever its commits, numbers and order.

Every row is hashed with texts in place of vocabulary numbers and the external id in place of the surrogate,
without seq, session and late flag; the digests are summed modulo 2^256, so an import extends the sum.
Bytes: docs/log-format.md.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from db import carried, log, vocabulary
from db.encoding import SOURCE_ID_BYTES, Integers, Records, canonical
from db.errors import StoreDamaged, StoreError
from db.lock import writer_lock
from db.words import Digested

if TYPE_CHECKING:
    from db.store import Store

Bools = np.ndarray[Any, np.dtype[np.bool_]]

NAME = "content"
VERSION = 1
MODULUS = 1 << 256
CHUNK = 100_000
READ_ROWS = 500_000
TEXTS = ("kind", "order", "item", "category", "platform", "device", "region", "currency")
MEASURES = ("occurred_at", "amount", "quantity", "rating", "duration")
OTHER = "attribute:other"
HASHED = ("source_id", *TEXTS, *MEASURES)

ROW = np.dtype(
    [("version", "u1"), ("user", "V32")]
    + [(name, "V32") for name in TEXTS]
    + [(name, "<i8") for name in MEASURES]
    + [("nulls", "u1"), ("source_id", f"V{SOURCE_ID_BYTES}"), ("attributes", "V32")]
)


def content_digest(store: Store) -> str | None:
    """Hex of the multiset digest of all behaviour; None without the key.

    Users the vault does not know (erased persons) are left out. What was summed is kept in `snapshots`.
    """
    if not store.vault.available:
        return None
    with store.reading():
        total, position = _kept(store)
        last = max(store.last_seq("behaviour"), _newest(store))
        total += _summed(store, position, last)
    if last > position:
        _keep(store, total % MODULUS, last)
    return (total % MODULUS).to_bytes(32, "big").hex()


def _newest(store: Store) -> int:
    """The last behaviour seq of the commits, whose row may have been purged."""
    return int(store.rows("SELECT coalesce(max(behaviour_last), 0) FROM commits")[0][0])


def leave_out(store: Store, users: Sequence[int]) -> None:
    """Makes the kept sum what it is once some users are forgotten, inside the open transaction.

    To be called while their ids are still known: their own rows leave the sum, and rows of others that name
    them (aliases) stay in it without the name. Raises KeyMissing.
    """
    store.vault.require()
    total, position = _kept(store)
    links = carried.links(store, position=position)
    naming = links.filter(pl.col("other").is_in(users), ~pl.col("user").is_in(users))
    columns = ["seq", "user", *HASHED]
    own = log.behaviour(store, position=position, users=users, columns=columns)
    others = log.behaviour(store, position=position, users=naming["user"].to_list(), columns=columns)
    others = others.filter(pl.col("seq").is_in(naming["seq"].implode()))
    if not own.height + others.height:
        return
    for rows in (own, others):
        total -= _sum(rows, _words(store, rows, _carried_by(store, rows)))
    total += _sum(others, _words(store, others, _carried_by(store, others), without=users))
    _keep(store, total % MODULUS, position)


def _carried_by(store: Store, rows: pl.DataFrame) -> pl.DataFrame:
    """seq, name, value of what the rows, which are by seq, carry."""
    first, last = (int(rows["seq"][0]), int(rows["seq"][-1])) if rows.height else (0, -1)
    return carried.everything(store, first, last).filter(pl.col("seq").is_in(rows["seq"].implode()))


def _summed(store: Store, after: int, last: int) -> int:
    """The sum over the rows with after < seq <= last."""
    total = 0
    for start in range(after, last, READ_ROWS):
        end = min(start + READ_ROWS, last)
        rows = log.behaviour(store, after_seq=start, position=end, columns=["seq", "user", *HASHED])
        if rows.height:
            total += _sum(rows, _words(store, rows, carried.everything(store, start + 1, end)))
    return total


def kept_is_right(store: Store) -> bool:
    """Whether the kept sum is that of the rows it covers, summed anew; raises KeyMissing."""
    with store.reading():
        total, position = _kept(store)
        if position and not store.rows("SELECT 1 FROM commits WHERE behaviour_last = ?", (position,)):
            return False
        return total == _summed(store, 0, position) % MODULUS


class Running:
    """The sum behind the content digest, extended by a transaction as it appends."""

    def __init__(self, store: Store, users: Digested, texts: Digested) -> None:
        """`users` and `texts`: what this transaction numbered."""
        self._store, self._users, self._texts = store, users, texts
        self._total, self._position = _kept(store)
        # Without the key, or behind rows that were not summed yet, `content_digest` does it when asked.
        self._open = store.vault.available and self._position >= store.last_seq("behaviour")

    def prepare(self, rows: pl.DataFrame, attributes: pl.DataFrame) -> Words | None:
        """What `add` needs of the store, None where nothing is summed; `attributes`: seq, name, value."""
        try:
            if not self._open:
                return None
            return _words(self._store, rows, attributes, self._users, self._texts)
        except StoreDamaged:
            # To be told by `content_digest`, not by a commit that is sound by itself.
            self._open = False
            return None

    def add(self, rows: pl.DataFrame, words: Words) -> None:
        """Adds behaviour rows; reads nothing, so that another thread may do it."""
        self._total = (self._total + _sum(rows, words)) % MODULUS
        self._position = int(rows["seq"][-1])

    def keep(self) -> None:
        """Keeps the sum in the open transaction."""
        if self._open:
            _keep(self._store, self._total, self._position)


def _kept(store: Store) -> tuple[int, int]:
    found = store.rows("SELECT payload, position FROM snapshots WHERE name = ?", (NAME,))
    return (int(json.loads(found[0][0])["sum"], 16), int(found[0][1])) if found else (0, 0)


def _keep(store: Store, total: int, position: int) -> None:
    """Keeps the sum for the next call; without the right to write now, the next call sums again."""
    row = (NAME, position, canonical({"sum": f"{total:064x}"}))
    sql = "INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?)"
    if store.open_transaction is not None:
        store.connection.execute(sql, row)
        return
    with suppress(StoreError), writer_lock(store.path, wait=0):
        store.connection.execute(sql, row)


@dataclass(frozen=True)
class Words:
    """Digests of what the numbers in some rows stand for, and the attributes these rows carry.

    carried: seq, kind, name and value of each, by seq, kind and name.
    """

    users: _Digests
    texts: _Digests
    carried: list[tuple[int, str, str, int | str | None]]


def _words(
    store: Store,
    rows: pl.DataFrame,
    attributes: pl.DataFrame,
    users: Digested | None = None,
    texts: Digested | None = None,
    without: Sequence[int] = (),
) -> Words:
    """What is not among the digests at hand is read from the store; `without`: users taken as unknown."""
    others, hidden = _others(store, attributes), set(without)
    asked = pl.concat([rows["user"], others["value"]]).unique()
    external = store.vault.external_ids(asked.to_list() if users is None else _unknown(asked, users))
    known = {user: _sha(text) for user, text in external.items() if user not in hidden}
    persons = _Digests(known, users)
    return Words(persons, _Digests(_texts(store, rows, texts), texts), _carried(store, attributes, persons))


def _others(store: Store, attributes: pl.DataFrame) -> pl.DataFrame:
    """The attributes that name another user."""
    names = vocabulary.texts(store, OTHER)
    return attributes.filter(pl.col("name").is_in(list(names)))


def _unknown(numbers: pl.Series, at_hand: Digested) -> list[int]:
    return numbers.filter(~numbers.is_between(at_hand.first, at_hand.stop, closed="left")).to_list()


def _sum(rows: pl.DataFrame, words: Words) -> int:
    """The sum of the digests of the rows whose user is known."""
    known = rows.filter(pl.Series(words.users.know(rows["user"])))
    return sum(_chunk_sum(chunk, words) for chunk in known.iter_slices(CHUNK))


def versions(store: Store, rows: pl.DataFrame) -> pl.Series:
    """What tells the contents of one source id apart: Int64[rows], from texts, the external id left out.

    `rows`: source_id, the texts' vocabulary numbers and the measures. Bytes: docs/log-format.md.
    """
    words = _Digests(_texts(store, rows))
    parts = [_digests(_records(chunk, words)) for chunk in rows.iter_slices(CHUNK)]
    first = np.frombuffer(b"".join(parts), dtype="<i8").reshape(-1, 4)[:, 0]
    return pl.Series("version", first, dtype=pl.Int64)


def _chunk_sum(rows: pl.DataFrame, words: Words) -> int:
    records = _records(rows, words.texts)
    records["user"] = words.users.of(rows["user"])
    _add_attributes(rows["seq"], words.carried, records)
    limbs = np.frombuffer(_digests(records), dtype=">u4").reshape(-1, 8).sum(axis=0, dtype=np.uint64)
    return sum(int(limb) << (32 * (7 - at)) for at, limb in enumerate(limbs))


def _records(rows: pl.DataFrame, words: _Digests) -> Records:
    """One record per row, zeros for its user and its attributes."""
    records: Records = np.zeros(rows.height, dtype=ROW)
    records["version"] = VERSION
    for name in TEXTS:
        if rows[name].null_count() < rows.height:
            records[name] = words.of(rows[name])
    for bit, name in enumerate((*MEASURES, "source_id")):
        column = rows[name]
        records["nulls"] |= column.is_null().to_numpy().astype("u1") << np.uint8(bit)
        if column.null_count() == rows.height:
            continue
        if name == "source_id":
            packed = b"".join(column.fill_null(bytes(SOURCE_ID_BYTES)))
            records[name] = np.frombuffer(packed, dtype=f"V{SOURCE_ID_BYTES}")
        else:
            records[name] = column.fill_null(0).to_numpy()
    return records


def _digests(records: Records) -> bytes:
    """The SHA-256 of each record, one after the other."""
    view, width = records.view(np.uint8).reshape(-1).data, records.dtype.itemsize
    return b"".join([sha256(view[at : at + width]).digest() for at in range(0, view.nbytes, width)])


def _sha(text: str) -> bytes:
    return sha256(text.encode()).digest()


class _Digests:
    """Digests by number, looked up a column at a time: those given, and those of a range of numbers."""

    def __init__(self, digests: dict[int, bytes], range_of: Digested | None = None) -> None:
        self._numbers: Integers = np.fromiter(sorted(digests), dtype=np.int64, count=len(digests))
        # One more, of zeros, for null.
        packed = b"".join([*map(digests.__getitem__, self._numbers.tolist()), bytes(32)])
        self._table: Records = np.frombuffer(packed, dtype="V32")
        self._first = 0 if range_of is None else range_of.first
        self._range: Records = np.zeros(0, dtype="V32") if range_of is None else range_of.table()

    def of(self, numbers: pl.Series) -> Records:
        """The digest of each number, all of which are known; 32 zero bytes for null."""
        asked = numbers.fill_null(-1).to_numpy()
        found: Records = np.empty(asked.size, dtype="V32")
        inside = self._inside(asked)
        found[inside] = self._range[asked[inside] - self._first]
        place = np.searchsorted(self._numbers, asked[~inside])
        place[asked[~inside] < 0] = self._numbers.size
        found[~inside] = self._table[place]
        return found

    def know(self, numbers: pl.Series) -> Bools:
        """Which of the numbers, none of them null, have a digest."""
        asked = numbers.to_numpy()
        return self._inside(asked) | np.isin(asked, self._numbers)

    def _inside(self, numbers: Integers) -> Bools:
        return (numbers >= self._first) & (numbers < self._first + self._range.size)


def _texts(store: Store, rows: pl.DataFrame, at_hand: Digested | None = None) -> dict[int, bytes]:
    """SHA-256 of every text the rows use, by vocabulary number, those at hand left out."""
    numbers = pl.concat([rows[name].drop_nulls().rename("number") for name in TEXTS]).unique()
    used = numbers.to_list() if at_hand is None else _unknown(numbers, at_hand)
    found = {
        number: _sha(text)
        for number, text in store.rows(
            "SELECT id, text FROM vocabulary WHERE id IN (SELECT value FROM json_each(?))",
            (json.dumps(used),),
        )
    }
    if len(found) < len(used):
        raise _wordless(store)
    return found


def _wordless(store: Store) -> StoreDamaged:
    return StoreDamaged(f"{store.path} uses words its vocabulary does not hold: run 'segtui verify'.")


def _carried(
    store: Store, attributes: pl.DataFrame, persons: _Digests
) -> list[tuple[int, str, str, int | str | None]]:
    """seq, kind, name and value of attributes given as seq, name, value.

    The value is a text for texts, and the digest of the external id in hex for another user.
    """
    if attributes.is_empty():
        return []
    named = {
        number: (kind, text)
        for number, kind, text in store.rows(
            "SELECT id, kind, text FROM vocabulary WHERE id IN (SELECT value FROM json_each(?))",
            (json.dumps(attributes["name"].unique().to_list()),),
        )
    }
    spoken = [number for number, (kind, _) in named.items() if kind == "attribute:text"]
    said = attributes.filter(pl.col("name").is_in(spoken))["value"].unique()
    texts = dict(
        store.rows(
            "SELECT id, text FROM vocabulary WHERE id IN (SELECT value FROM json_each(?))",
            (json.dumps(said.to_list()),),
        )
    )
    if not (set(attributes["name"]) <= named.keys() and set(said) <= texts.keys()):
        raise _wordless(store)
    others = attributes.filter(pl.col("name").is_in([n for n, (kind, _) in named.items() if kind == OTHER]))
    who = others["value"].unique()
    digests = zip(who.to_list(), persons.of(who), persons.know(who), strict=True)
    named_others = {user: digest.tobytes().hex() if known else None for user, digest, known in digests}

    def told(name: int, value: int) -> int | str | None:
        kind = named[name][0]
        if kind == OTHER:
            return named_others[value]
        return texts[value] if kind == "attribute:text" else value

    return sorted(
        (seq, *named[name], told(name, value))
        for seq, name, value in attributes.select("seq", "name", "value").iter_rows()
    )


def _add_attributes(
    seqs: pl.Series, carried: list[tuple[int, str, str, int | str | None]], records: Records
) -> None:
    """Fills in SHA-256 of the canonical JSON [[kind, name, value], …] of rows that carry attributes."""
    first, last = seqs[0], seqs[-1]
    own = carried[bisect_left(carried, (first,)) : bisect_left(carried, (last + 1,))]
    place = seqs.to_numpy()
    for seq, group in groupby(own, itemgetter(0)):
        at = int(np.searchsorted(place, seq))
        if place[at] == seq:
            told = canonical([[kind, name, value] for _, kind, name, value in group])
            records["attributes"][at] = np.void(sha256(told).digest())


def forget(store: Store) -> None:
    """Drops the kept sum: after the vault changed, the next call sums the whole log again."""
    store.connection.execute("DELETE FROM snapshots WHERE name = ?", (NAME,))
