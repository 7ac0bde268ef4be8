"""Canonical bytes of rows, leaves and headers: what the chain hashes. See docs/log-format.md."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from db.schema import BEHAVIOUR_INTEGERS, CHANGE_INTEGERS

ENCODING = 3
"""The version of what a commit holds: of its bytes, and of what its decisions tell (db.upcasting)."""
KNOWN = range(1, ENCODING + 1)
CAUSE_BYTES = 16
SOURCE_ID_BYTES = 16
GENESIS = bytes(32)

Records = np.ndarray[Any, np.dtype[np.void]]
Integers = np.ndarray[Any, np.dtype[np.int64]]

BEHAVIOUR_RECORD = np.dtype(
    [(name, "<i8") for name in BEHAVIOUR_INTEGERS] + [("nulls", "<u4"), ("source_id", f"V{SOURCE_ID_BYTES}")]
)
CHANGE_RECORD = np.dtype(
    [(name, "<i8") for name in CHANGE_INTEGERS] + [("nulls", "<u4"), ("cause", f"S{CAUSE_BYTES}")]
)
ATTRIBUTE_RECORD = np.dtype([("seq", "<i8"), ("name", "<i8"), ("value", "<i8")])
LEAF = np.dtype([("user", "<i8"), ("digest", "V32")])


Order = np.ndarray[Any, np.dtype[np.intp]] | slice
AS_IS = slice(None)


def _integers(frame: pl.DataFrame, names: Sequence[str], dtype: np.dtype[np.void], order: Order) -> Records:
    """Records with the integer columns and the mask of nulls (bit i: column i) filled in."""
    records: Records = np.zeros(frame.height, dtype=dtype)
    nulls = np.zeros(frame.height, dtype="<u4")
    for bit, name in enumerate(names):
        column = frame[name]
        if column.null_count() == frame.height:
            nulls |= np.uint32(1 << bit)
            continue
        if column.null_count():
            nulls |= column.is_null().to_numpy()[order].astype("<u4") << np.uint32(bit)
            column = column.fill_null(0)
        records[name] = column.to_numpy()[order]
    records["nulls"] = nulls
    return records


def behaviour_records(frame: pl.DataFrame, order: Order = AS_IS) -> Records:
    """One record of 156 bytes per behaviour row (columns of log.BEHAVIOUR), the rows taken in `order`."""
    records = _integers(frame, BEHAVIOUR_INTEGERS, BEHAVIOUR_RECORD, order)
    ids = frame["source_id"]
    absent = np.uint32(1 << len(BEHAVIOUR_INTEGERS))
    if ids.null_count() == frame.height:
        records["nulls"] |= absent
        return records
    missing = ids.is_null().to_numpy()
    packed = b"".join(ids.fill_null(bytes(SOURCE_ID_BYTES)))
    if len(packed) != SOURCE_ID_BYTES * frame.height:
        raise ValueError("every source_id has 16 bytes")
    records["source_id"] = np.frombuffer(packed, dtype=f"V{SOURCE_ID_BYTES}")[order]
    records["nulls"] |= missing[order].astype("<u4") * absent
    return records


def behaviour_leaves(rows: pl.DataFrame, attributes: pl.DataFrame | None) -> Records:
    """The leaves of one commit's behaviour; `rows` by seq, `attributes`: seq, name, value."""
    records = behaviour_records(rows, by_user(rows))
    return leaves("behaviour", records, None if attributes is None else attribute_records(attributes))


def change_leaves(rows: pl.DataFrame) -> Records:
    """The leaves of one commit's membership changes; `rows` by seq."""
    return leaves("changes", change_records(rows, by_user(rows)))


def by_user(rows: pl.DataFrame, *before: pl.Series) -> Order:
    """The order of rows, given by seq, by the keys `before` and then by user and seq."""
    keys = [*before, rows["user"]]
    return np.lexsort([key.to_numpy() for key in reversed(keys)])


def change_records(frame: pl.DataFrame, order: Order = AS_IS) -> Records:
    """One record of 124 bytes per membership change (columns of log.CHANGES), the rows taken in `order`."""
    records = _integers(frame, CHANGE_INTEGERS, CHANGE_RECORD, order)
    records["cause"] = frame["cause"].to_numpy().astype(f"S{CAUSE_BYTES}")[order]
    return records


def attribute_records(frame: pl.DataFrame) -> Records:
    """One record of 24 bytes per attribute: seq, name, value."""
    records: Records = np.empty(frame.height, dtype=ATTRIBUTE_RECORD)
    for name in ("seq", "name", "value"):
        records[name] = frame[name].to_numpy()
    return records


def _slices(users: Integers) -> tuple[Integers, Integers]:
    """Distinct users of a sorted array and the bounds of their rows (one longer)."""
    starts = np.flatnonzero(np.diff(users, prepend=users[0] - 1 if users.size else 0))
    return users[starts], np.append(starts, users.size).astype(np.int64)


def leaves(
    stream: str, rows: Records, attributes: Records | None = None, *, encoding: int = ENCODING
) -> Records:
    """One leaf per user: SHA-256(encoding, stream's first letter, rows by seq, attribute rows by seq, name).

    `rows`: by user, then seq. `attributes`: theirs. `encoding`: the commit's. Returns LEAF[users].
    """
    if not rows.size:
        return np.zeros(0, dtype=LEAF)
    users, bounds = _slices(rows["user"])
    base = hashlib.sha256(bytes([encoding]) + stream[:1].encode())
    view, width = rows.view(np.uint8).reshape(-1).data, rows.dtype.itemsize
    extra: dict[int, bytes] = {}
    if attributes is not None and attributes.size:
        extra = _attribute_bytes(rows, attributes)
    digests = bytearray()
    for user, start, end in zip(users.tolist(), bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        leaf = base.copy()
        leaf.update(view[start * width : end * width])
        if user in extra:
            leaf.update(extra.pop(user))
        digests += leaf.digest()
    for owner in extra:  # attributes without a row: never written, so such a leaf is a difference
        digests += hashlib.sha256(extra[owner]).digest()
    found: Records = np.empty(users.size + len(extra), dtype=LEAF)
    found["user"] = [*users.tolist(), *extra]
    found["digest"] = np.frombuffer(bytes(digests), dtype="V32")
    return found


def _attribute_bytes(rows: Records, attributes: Records) -> dict[int, bytes]:
    """The attribute records of each user, by seq and name. An attribute without its row counts for user 0."""
    by_seq = np.argsort(rows["seq"], kind="stable")
    seqs = rows["seq"][by_seq]
    place = np.minimum(np.searchsorted(seqs, attributes["seq"]), seqs.size - 1)
    owners = np.where(seqs[place] == attributes["seq"], rows["user"][by_seq][place], 0)
    order = np.lexsort((attributes["name"], attributes["seq"], owners))
    carried, owners = attributes[order], owners[order]
    users, bounds = _slices(owners)
    return {
        user: carried[start:end].tobytes()
        for user, start, end in zip(users.tolist(), bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)
    }


def decision_leaf(rows: Sequence[tuple[int, str, str]], *, encoding: int = ENCODING) -> Records:
    """The single leaf of a commit's decisions: seq, then kind and body, each with its length before it.

    No leaf for no rows.
    """
    if not rows:
        return np.zeros(0, dtype=LEAF)
    leaf = hashlib.sha256(bytes([encoding]) + b"d")
    for seq, kind, body in rows:
        leaf.update(seq.to_bytes(8, "little", signed=True))
        for text in (kind.encode(), body.encode()):
            leaf.update(len(text).to_bytes(4, "little"))
            leaf.update(text)
    found: Records = np.zeros(1, dtype=LEAF)
    found["digest"] = np.frombuffer(leaf.digest(), dtype="V32")
    return found


def stream_digest(found: Records) -> bytes:
    """SHA-256 over the leaves by user: user as int64, then 32 bytes."""
    return hashlib.sha256(found[np.argsort(found["user"], kind="stable")].tobytes()).digest()


class VocabularyDigest:
    """SHA-256 over the canonical JSON [[id, kind, text], …] of a commit's new entries, as they come."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256(b"[")
        self.span: tuple[int, int] | None = None

    def add(self, entries: Sequence[tuple[int, str, str]]) -> None:
        """The next entries, by id."""
        if not entries:
            return
        self._hash.update(b"," if self.span else b"")
        self._hash.update(canonical([list(entry) for entry in entries])[1:-1])
        self.span = (self.span[0] if self.span else entries[0][0], entries[-1][0])

    def digest(self) -> bytes:
        """The digest of the entries so far."""
        whole = self._hash.copy()
        whole.update(b"]")
        return whole.digest()


def vocabulary_digest(entries: Sequence[tuple[int, str, str]]) -> bytes:
    """SHA-256 over the canonical JSON [[id, kind, text], …] of the new entries, by id."""
    found = VocabularyDigest()
    found.add(entries)
    return found.digest()


def canonical(value: Any) -> bytes:
    """JSON with sorted keys, no blanks, UTF-8; no NaN, no infinity."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


@dataclass(frozen=True)
class Header:
    """What a commit's digest covers beside the one before it; ranges are first and last seq."""

    id: int
    recorded_at: int
    actor: str
    source: str | None
    ranges: dict[str, tuple[int, int] | None]
    leaves: dict[str, int]
    digests: dict[str, bytes | None]
    encoding: int = ENCODING

    def digest(self, previous: bytes) -> bytes:
        """SHA-256(previous digest, canonical JSON of this header)."""
        body = {
            "id": self.id,
            "recorded_at": self.recorded_at,
            "actor": self.actor,
            "source": self.source,
            "encoding": self.encoding,
            "leaves": self.leaves,
            **{name: list(span) if span else None for name, span in self.ranges.items()},
            **{f"{name}_digest": digest.hex() if digest else None for name, digest in self.digests.items()},
        }
        return hashlib.sha256(previous + canonical(body)).digest()
