"""The content digest: which behaviour a store holds, whatever its commits, numbers and order.

Every row is hashed with texts in place of vocabulary numbers and the external id in place of the surrogate,
without seq, session and late flag; the digests are summed modulo 2^256, so an import extends the sum.
Bytes: docs/log-format.md.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from db import log
from db.encoding import ENCODING, SOURCE_ID_BYTES, Integers, canonical
from db.errors import StoreError
from db.lock import writer_lock

if TYPE_CHECKING:
    from db.store import Store

NAME = "content"
MODULUS = 1 << 256
CHUNK = 100_000
TEXTS = ("kind", "order", "item", "category", "platform", "device", "region", "currency")
MEASURES = ("occurred_at", "amount", "quantity", "rating", "duration")

ROW = np.dtype(
    [("version", "u1"), ("user", "V32")]
    + [(name, "V32") for name in TEXTS]
    + [(name, "<i8") for name in MEASURES]
    + [("nulls", "u1"), ("source_id", f"V{SOURCE_ID_BYTES}"), ("attributes", "V32")]
)
Digests = np.ndarray[Any, np.dtype[np.void]]


def content_digest(store: Store) -> str | None:
    """Hex of the multiset digest of all behaviour; None without the key.

    Users the vault does not know (erased persons) are left out. What was summed is kept in `snapshots`.
    """
    if not store.vault.available:
        return None
    with store.reading():
        total, position = _kept(store)
        newest = _newest(store)
        for rows in _chunks(store, position):
            total = (total + _sum(store, rows)) % MODULUS
    if newest > position:
        _keep(store, total, newest)
    return total.to_bytes(32, "big").hex()


def _kept(store: Store) -> tuple[int, int]:
    found = store.rows("SELECT payload, position FROM snapshots WHERE name = ?", (NAME,))
    return (int(json.loads(found[0][0])["sum"], 16), int(found[0][1])) if found else (0, 0)


def _newest(store: Store) -> int:
    return int(store.rows("SELECT coalesce(max(seq), 0) FROM behaviour")[0][0])


def _keep(store: Store, total: int, position: int) -> None:
    """Keeps the sum for the next call; without the right to write now, the next call sums again."""
    row = (NAME, position, canonical({"sum": f"{total:064x}"}))
    sql = "INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?)"
    if store.open_transaction is not None:
        store.connection.execute(sql, row)
        return
    with suppress(StoreError), writer_lock(store.path, wait=0):
        store.connection.execute(sql, row)


def _chunks(store: Store, position: int) -> list[pl.DataFrame]:
    rows = log.behaviour(store, after_seq=position, columns=["seq", "user", "source_id", *TEXTS, *MEASURES])
    return list(rows.iter_slices(CHUNK))


def _sum(store: Store, rows: pl.DataFrame) -> int:
    """The sum of the rows' digests."""
    external = store.vault.external_ids(rows["user"].unique().to_list())
    known = {user: _sha(text) for user, text in external.items()}
    rows = rows.filter(pl.col("user").is_in(list(known)))
    if rows.is_empty():
        return 0
    records = np.zeros(rows.height, dtype=ROW)
    records["version"] = ENCODING
    records["user"] = _gathered(rows["user"], known)
    words = _words(store, rows)
    for name in TEXTS:
        if rows[name].null_count() < rows.height:
            records[name] = _gathered(rows[name], words)
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
    _add_attributes(store, rows, records)
    view, width = records.view(np.uint8).reshape(-1).data, records.dtype.itemsize
    digests = b"".join(
        [hashlib.sha256(view[at : at + width]).digest() for at in range(0, width * rows.height, width)]
    )
    limbs = np.frombuffer(digests, dtype=">u4").reshape(-1, 8).sum(axis=0, dtype=np.uint64)
    return sum(int(limb) << (32 * (7 - at)) for at, limb in enumerate(limbs))


def _sha(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _gathered(numbers: pl.Series, digests: dict[int, bytes]) -> Digests:
    """The digest of each number; 32 zero bytes for null."""
    keys: Integers = np.fromiter(sorted(digests), dtype=np.int64)
    table = np.frombuffer(b"".join(digests[key] for key in keys.tolist()), dtype="V32")
    found: Digests = table[np.searchsorted(keys, numbers.fill_null(int(keys[0])).to_numpy())]
    found[numbers.is_null().to_numpy()] = np.void(bytes(32))
    return found


def _words(store: Store, rows: pl.DataFrame) -> dict[int, bytes]:
    """SHA-256 of every text the rows use, by vocabulary number."""
    used = pl.concat([rows[name].drop_nulls().unique().rename("number") for name in TEXTS]).to_list()
    return {
        number: _sha(text)
        for number, text in store.rows(
            "SELECT id, text FROM vocabulary WHERE id IN (SELECT value FROM json_each(?))",
            (json.dumps(used),),
        )
    }


def _add_attributes(store: Store, rows: pl.DataFrame, records: Digests) -> None:
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
            records["attributes"][at] = np.void(hashlib.sha256(canonical(carried)).digest())


def forget(store: Store) -> None:
    """Drops the kept sum: after the vault changed, the next call sums the whole log again."""
    store.connection.execute("DELETE FROM snapshots WHERE name = ?", (NAME,))
