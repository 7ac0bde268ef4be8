"""docs/log-format.md, implemented a second time row by row, gives the digests the store writes."""

from __future__ import annotations

import gzip
import hashlib
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from db import content, encoding, log, projections, states
from db.carried import attributes as attributes_of
from db.store import Store

Frame = Callable[..., pl.DataFrame]

BEHAVIOUR = [
    "seq",
    "user",
    "occurred_at",
    "kind",
    "order",
    "item",
    "category",
    "platform",
    "device",
    "region",
    "currency",
    "session",
    "amount",
    "quantity",
    "rating",
    "duration",
    "late",
]
CHANGES = [
    "seq",
    "segmentation",
    "user",
    "from_label",
    "to_label",
    "probability",
    "as_of",
    "pass",
    "cause_seq",
    "reason",
    "model",
    "backfilled",
    "hindsight",
]


def sha(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def record(row: dict[str, Any], names: list[str], last: bytes, last_is_null: bool = False) -> bytes:
    nulls = sum(1 << bit for bit, name in enumerate(names) if row[name] is None)
    nulls |= last_is_null << len(names)
    return struct.pack(f"<{len(names)}qI16s", *(row[name] or 0 for name in names), nulls, last)


def slow_leaves(letter: bytes, records: dict[int, list[bytes]], encoding: int) -> list[tuple[int, bytes]]:
    return [(user, sha(bytes([encoding]), letter, *records[user])) for user in sorted(records)]


def slow_stream(leaves: list[tuple[int, bytes]]) -> str | None:
    return sha(*(struct.pack("<q", user) + leaf for user, leaf in leaves)).hex() if leaves else None


def fill(store: Store, events: Frame, moves: Frame) -> None:
    with store.transaction(actor="Änn", source="shop", recorded_at=1_700_000_000_000_000) as tx:
        users = tx.surrogates(pl.Series(["u1", "u2", "u1", "u3"]))
        view, order = tx.number("kind", "view"), tx.number("order", "A-1")
        shown = events(
            {"kind": view, "amount": -5, "order": order, "source_id": bytes(range(16))},
            {"kind": view, "rating": 450, "occurred_at": -1},
            {"kind": view, "amount": 0, "session": 3},
            {"kind": view, "late": 1},
        ).with_columns(users.alias("user"))
        age, city = tx.number("attribute:number", "age"), tx.number("attribute:text", "city")
        told = {
            "row": [2, 0, 2],
            "name": [city, age, age],
            "value": [tx.number("attribute_value", "Köln"), 7, 8],
        }
        tx.append_behaviour(shown, pl.DataFrame(told))
        tx.append_decision("segment_defined", {"where": "spend > 3", "b": [1, None], "a": "é"})
        tx.append_decision("empty", {})
        label, value = tx.number("label", "high"), tx.number("segmentation", "value")
        tx.append_changes(
            moves(
                {"user": 2, "to_label": label, "probability": 900_000, "cause": "late_event", "cause_seq": 2},
                {"user": 1, "to_label": label, "segmentation": value},
            )
        )
    with store.transaction(actor="bob", recorded_at=1_700_000_000_000_001) as tx:
        tx.append_decision("noted", {})


def slow_chain(store: Store) -> bytes:
    digest = bytes(32)
    behaviour = log.behaviour(store).to_dicts()
    changes = log.changes(store, governing=False).sort("seq").to_dicts()
    for commit in log.commits(store):
        leaves: dict[str, list[tuple[int, bytes]]] = {"behaviour": [], "decisions": [], "changes": []}
        if commit.behaviour_first is not None:
            rows: dict[int, list[bytes]] = {}
            carried: dict[int, list[bytes]] = {}
            for row in behaviour:
                if commit.behaviour_first <= row["seq"] <= commit.behaviour_last:
                    source_id = row["source_id"]
                    rows.setdefault(row["user"], []).append(
                        record(row, BEHAVIOUR, source_id or bytes(16), source_id is None)
                    )
            for seq, user, _, name, value in attributes_of(store).iter_rows():
                if commit.behaviour_first <= seq <= commit.behaviour_last:
                    carried.setdefault(user, []).append(struct.pack("<3q", seq, name, value))
            leaves["behaviour"] = slow_leaves(
                b"b", {user: rows[user] + carried.get(user, []) for user in rows}, commit.encoding
            )
        if commit.decisions_first is not None:
            told = store.rows(
                "SELECT seq, kind, body FROM decisions WHERE seq BETWEEN ? AND ?",
                (commit.decisions_first, commit.decisions_last),
            )
            parts = [
                struct.pack("<qI", seq, len(kind.encode()))
                + kind.encode()
                + struct.pack("<I", len(body.encode()))
                + body.encode()
                for seq, kind, body in told
            ]
            leaves["decisions"] = slow_leaves(b"d", {0: parts}, commit.encoding)
        if commit.changes_first is not None:
            rows = {}
            for row in changes:
                if commit.changes_first <= row["seq"] <= commit.changes_last:
                    rows.setdefault(row["user"], []).append(record(row, CHANGES, row["cause"].encode()))
            leaves["changes"] = slow_leaves(b"c", rows, commit.encoding)
        words = store.rows(
            "SELECT id, kind, text FROM vocabulary WHERE id BETWEEN ? AND ?",
            (commit.vocabulary_first or 0, commit.vocabulary_last or -1),
        )
        header = {
            "id": commit.id,
            "recorded_at": commit.recorded_at,
            "actor": commit.actor,
            "source": commit.source,
            "encoding": commit.encoding,
            "leaves": {name: len(found) for name, found in leaves.items()},
            "vocabulary": [commit.vocabulary_first, commit.vocabulary_last] if words else None,
            "vocabulary_digest": sha(canonical([list(word) for word in words])).hex() if words else None,
        }
        for name, found in leaves.items():
            first, last = getattr(commit, f"{name}_first"), getattr(commit, f"{name}_last")
            header[name] = None if first is None else [first, last]
            header[f"{name}_digest"] = slow_stream(found)
        digest = sha(digest, canonical(header))
    return digest


def test_the_chain_of_an_older_encoding_is_the_one_the_document_describes(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    path.write_bytes(gzip.decompress((Path(__file__).parent / "stores" / "version-1.db.gz").read_bytes()))
    with Store.open(path) as store:
        assert {commit.encoding for commit in log.commits(store)} == {1}
        with store.transaction(actor="ann") as tx:
            tx.append_decision("noted", {})
        assert log.commits(store)[-1].encoding == encoding.ENCODING
        assert store.chain_digest() == slow_chain(store)


def test_the_chain_digest_is_the_one_the_document_describes(
    store: Store, events: Frame, moves: Frame
) -> None:
    fill(store, events, moves)
    assert store.chain_digest() == slow_chain(store)


def test_the_content_digest_is_the_one_the_document_describes(
    store: Store, events: Frame, moves: Frame
) -> None:
    fill(store, events, moves)
    words = dict(store.rows("SELECT id, text FROM vocabulary"))
    kinds = dict(store.rows("SELECT id, kind FROM vocabulary"))
    external = {1: "u1", 2: "u2", 3: "u3"}
    total = 0
    measures = ["occurred_at", "amount", "quantity", "rating", "duration"]
    carried: dict[int, list[list[Any]]] = {}
    for seq, _, _, name, value in attributes_of(store).iter_rows():
        text = kinds[name] == "attribute:text"
        carried.setdefault(seq, []).append([kinds[name], words[name], words[value] if text else value])
    for row in log.behaviour(store).to_dicts():
        texts = [external[row["user"]], *(words.get(row[name]) for name in content.TEXTS)]
        nulls = sum(1 << bit for bit, name in enumerate([*measures, "source_id"]) if row[name] is None)
        own = carried.get(row["seq"])
        total += int.from_bytes(
            sha(
                b"\x01",
                *(bytes(32) if text is None else sha(text.encode()) for text in texts),
                struct.pack(
                    "<5qB16s", *(row[name] or 0 for name in measures), nulls, row["source_id"] or bytes(16)
                ),
                sha(canonical(sorted(own))) if own else bytes(32),
            )
        )
    assert content.content_digest(store) == f"{total % 2**256:064x}"


def test_the_state_digest_is_the_one_the_document_describes() -> None:
    def text(name: str) -> bytes:
        return struct.pack("<I", len(name.encode())) + name.encode()

    def m(x: int) -> int:
        x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        x = (x ^ x >> 27) * 0x94D049BB133111EB % 2**64
        return x ^ x >> 31

    state = {"value": {"low": [9, 3], "high": [2], "medium": []}, "é": {"in": [1]}, "gone": {"in": []}}
    sums = [0, 0, 0, 0]
    for segmentation, labels in state.items():
        for label, users in labels.items():
            keys = struct.unpack("<4Q", sha(text(segmentation), text(label)))
            for user in users:
                for lane, key in enumerate(keys):
                    sums[lane] += m(m((user * 0x9E3779B97F4A7C15 + key) % 2**64))
    expected = struct.pack("<4Q", *(total % 2**64 for total in sums))
    arrays = {
        name: {label: pl.Series(users, dtype=pl.Int64).to_numpy() for label, users in labels.items()}
        for name, labels in state.items()
    }
    assert projections.digest_of(arrays) == expected.hex()
    assert projections.digest_of({}) == "0" * 64
    each = states.each("value", "low", arrays["value"]["low"])
    assert states.told(each.sum(axis=0)) == projections.digest_of({"value": {"low": arrays["value"]["low"]}})
    assert states.each("value", "low", arrays["gone"]["in"]).shape == (0, states.LANES)


def test_a_source_id_has_16_bytes(events: Frame) -> None:
    frame = events({"source_id": b"short"}).with_columns(seq=pl.lit(1, pl.Int64))
    with pytest.raises(ValueError, match="16 bytes"):
        encoding.behaviour_records(frame)


def test_bodies_are_canonical_json() -> None:
    assert encoding.canonical({"b": 1, "a": "é"}) == '{"a":"é","b":1}'.encode()
    with pytest.raises(ValueError, match="JSON"):
        encoding.canonical({"a": float("nan")})
