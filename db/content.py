"""The content digest: which behaviour a store holds, whatever its commits, numbers and order.

Every row is hashed with texts in place of vocabulary numbers and the external id in place of the surrogate,
without seq, session and late flag; the digests are summed modulo 2^256, so an import extends the sum.
Bytes: docs/log-format.md.
"""

from __future__ import annotations

import json
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from db import log
from db.encoding import ENCODING, SOURCE_ID_BYTES, Integers, Records, canonical
from db.errors import StoreDamaged, StoreError
from db.lock import writer_lock

if TYPE_CHECKING:
    from db.store import Store

NAME = "content"
MODULUS = 1 << 256
CHUNK = 100_000
VERIFIED_ROWS = 1_000_000
TEXTS = ("kind", "order", "item", "category", "platform", "device", "region", "currency")
MEASURES = ("occurred_at", "amount", "quantity", "rating", "duration")

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
        rows = log.behaviour(
            store, after_seq=position, columns=["seq", "user", "source_id", *TEXTS, *MEASURES]
        )
        if rows.height:
            total = (total + _sum(store, rows)) % MODULUS
            position = int(rows["seq"][-1])
    if rows.height:
        _keep(store, total, position)
    return total.to_bytes(32, "big").hex()


def kept_is_right(store: Store) -> bool:
    """Whether the kept sum is that of the rows it covers, summed anew; raises KeyMissing."""
    with store.reading():
        total, position = _kept(store)
        if position and not store.rows("SELECT 1 FROM commits WHERE behaviour_last = ?", (position,)):
            return False
        found = 0
        for after in range(0, position, VERIFIED_ROWS):
            rows = log.behaviour(
                store,
                after_seq=after,
                position=min(after + VERIFIED_ROWS, position),
                columns=["seq", "user", "source_id", *TEXTS, *MEASURES],
            )
            found += _sum(store, rows) if rows.height else 0
    return total == found % MODULUS


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


def _sum(store: Store, rows: pl.DataFrame) -> int:
    """The sum of the rows' digests."""
    external = store.vault.external_ids(rows["user"].unique().to_list())
    users = _Digests({user: _sha(text) for user, text in external.items()})
    words = _Digests(_words(store, rows))
    known = rows.filter(pl.col("user").is_in(list(external)))
    return sum(_chunk_sum(store, chunk, users, words) for chunk in known.iter_slices(CHUNK))


def versions(store: Store, rows: pl.DataFrame) -> pl.Series:
    """What tells the contents of one source id apart: Int64[rows], from texts, the external id left out.

    `rows`: source_id, the texts' vocabulary numbers and the measures. Bytes: docs/log-format.md.
    """
    words = _Digests(_words(store, rows))
    parts = [_digests(_records(chunk, words)) for chunk in rows.iter_slices(CHUNK)]
    first = np.frombuffer(b"".join(parts), dtype="<i8").reshape(-1, 4)[:, 0]
    return pl.Series("version", first, dtype=pl.Int64)


def _chunk_sum(store: Store, rows: pl.DataFrame, users: _Digests, words: _Digests) -> int:
    records = _records(rows, words)
    records["user"] = users.of(rows["user"])
    _add_attributes(store, rows, records)
    limbs = np.frombuffer(_digests(records), dtype=">u4").reshape(-1, 8).sum(axis=0, dtype=np.uint64)
    return sum(int(limb) << (32 * (7 - at)) for at, limb in enumerate(limbs))


def _records(rows: pl.DataFrame, words: _Digests) -> Records:
    """One record per row, zeros for its user and its attributes."""
    records: Records = np.zeros(rows.height, dtype=ROW)
    records["version"] = ENCODING
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
    """Digests by number, looked up a column at a time."""

    def __init__(self, digests: dict[int, bytes]) -> None:
        self.numbers: Integers = np.fromiter(sorted(digests), dtype=np.int64, count=len(digests))
        # One more, of zeros, for null.
        packed = b"".join([*map(digests.__getitem__, self.numbers.tolist()), bytes(32)])
        self.table: Records = np.frombuffer(packed, dtype="V32")

    def of(self, numbers: pl.Series) -> Records:
        """The digest of each number, all of which are known; 32 zero bytes for null."""
        place = np.searchsorted(self.numbers, numbers.fill_null(0).to_numpy())
        place[numbers.is_null().to_numpy()] = self.numbers.size
        return self.table[place]


def _words(store: Store, rows: pl.DataFrame) -> dict[int, bytes]:
    """SHA-256 of every text the rows use, by vocabulary number."""
    used = pl.concat([rows[name].drop_nulls().rename("number") for name in TEXTS]).unique().to_list()
    found = {
        number: _sha(text)
        for number, text in store.rows(
            "SELECT id, text FROM vocabulary WHERE id IN (SELECT value FROM json_each(?))",
            (json.dumps(used),),
        )
    }
    if len(found) < len(used):
        raise StoreDamaged(f"{store.path} uses words its vocabulary does not hold: run 'segtui verify'.")
    return found


def _add_attributes(store: Store, rows: pl.DataFrame, records: Records) -> None:
    """Fills in SHA-256 of the canonical JSON [[kind, name, value], …] of rows that carry attributes."""
    first, last = rows["seq"][0], rows["seq"][-1]
    told = store.rows(
        "SELECT a.seq, n.kind, n.text, a.value, v.text FROM attributes a JOIN vocabulary n ON n.id = a.name "
        "LEFT JOIN vocabulary v ON v.id = a.value AND n.kind = 'attribute:text' "
        "WHERE a.seq BETWEEN ? AND ? ORDER BY a.seq, n.kind, n.text",
        (first, last),
    )
    by_seq: dict[int, list[list[Any]]] = {}
    for seq, kind, name, value, text in told:
        by_seq.setdefault(seq, []).append([kind, name, value if text is None else text])
    place = rows["seq"].to_numpy()
    for seq, carried in by_seq.items():
        at = int(np.searchsorted(place, seq))
        if at < place.size and place[at] == seq:
            records["attributes"][at] = np.void(sha256(canonical(carried)).digest())


def forget(store: Store) -> None:
    """Drops the kept sum: after the vault changed, the next call sums the whole log again."""
    store.connection.execute("DELETE FROM snapshots WHERE name = ?", (NAME,))
