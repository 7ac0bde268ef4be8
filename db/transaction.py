# ruff: noqa: S608  (the names put into SQL are this package's own; values are always bound)
"""One transaction of the log: appends in stream order, then the commit row that chains them."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import polars as pl

from db import encoding, members, summary
from db.bulk import BULK_ROWS, Staging
from db.encoding import Header, Records
from db.log import BEHAVIOUR, CHANGES
from db.schema import STREAMS
from db.vocabulary import KINDS

if TYPE_CHECKING:
    from db.store import Store

LOOKUP_CHUNK = 10_000
ATTRIBUTES: dict[str, pl.DataType] = dict.fromkeys(("seq", "name", "value"), pl.Int64())


class Transaction:
    """What one commit appends. Streams come in the order behaviour, decisions, changes."""

    def __init__(self, store: Store, *, actor: str, source: str | None, recorded_at: int) -> None:
        self.store = store
        self.actor = actor
        self.source = source
        self.recorded_at = recorded_at
        self.next_seq = store.head() + 1
        self._staging = Staging(store)
        self._ranges: dict[str, tuple[int, int] | None] = dict.fromkeys(STREAMS)
        self._behaviour: list[pl.DataFrame] = []
        self._attributes: list[pl.DataFrame] = []
        self._changes: list[pl.DataFrame] = []
        self._hasher: ThreadPoolExecutor | None = None
        self._hashed: Future[Records] | None = None
        self._decisions: list[tuple[int, str, str]] = []
        self._vocabulary: list[tuple[int, str, str]] = []
        self._summary = summary.load(store)

    # --- texts and persons -------------------------------------------------------------------------

    def numbers(self, kind: str, texts: pl.Series) -> pl.Series:
        """Vocabulary numbers (Int64) of the texts of a kind, made where missing; nulls stay null."""
        if kind not in KINDS:
            raise ValueError(f"unknown vocabulary kind {kind!r}")
        unique = texts.drop_nulls().unique(maintain_order=True).to_list()
        if not unique:
            return pl.Series(texts.name, [None] * len(texts), dtype=pl.Int64)
        known = self._known(kind, unique)
        missing = [text for text in unique if text not in known]
        if missing:
            first = self._next("vocabulary")
            entries = pl.DataFrame(
                {
                    "id": pl.int_range(first, first + len(missing), dtype=pl.Int64, eager=True),
                    "kind": pl.repeat(kind, len(missing), eager=True),
                    "text": missing,
                }
            )
            self._staging.insert("vocabulary", entries)
            self._vocabulary += entries.rows()
            known.update(zip(missing, range(first, first + len(missing)), strict=True))
        return _replaced(texts, unique, [known[text] for text in unique])

    def number(self, kind: str, text: str) -> int:
        """The vocabulary number of one text, made where missing."""
        return int(self.numbers(kind, pl.Series([text])).item())

    def _known(self, kind: str, unique: Sequence[str]) -> dict[str, int]:
        """The numbers of those texts that have one."""
        if len(unique) > LOOKUP_CHUNK:
            # Then most of the kind is wanted, or the kind is small: one scan of it is quickest.
            return dict(self.store.rows("SELECT text, id FROM vocabulary WHERE kind = ?", (kind,)))
        marks = ",".join("?" * len(unique))
        sql = f"SELECT text, id FROM vocabulary WHERE kind = ? AND text IN ({marks})"
        return dict(self.store.rows(sql, (kind, *unique)))

    def _next(self, table: str) -> int:
        return int(self.store.rows(f"SELECT coalesce(max(id), 0) + 1 FROM {table}")[0][0])

    def surrogates(self, external_ids: pl.Series, name: str = "id") -> pl.Series:
        """User numbers (Int64) of external ids, made and encrypted where missing; nulls stay null.

        Raises KeyMissing, KeyWrong.
        """
        vault = self.store.vault
        vault.require()
        unique = external_ids.drop_nulls().unique(maintain_order=True).to_list()
        if not unique:
            return pl.Series(external_ids.name, [None] * len(external_ids), dtype=pl.Int64)
        known = vault.known(unique, name)
        fresh = [text for text in unique if text not in known]
        if fresh:
            first = vault.next_user()
            users = range(first, first + len(fresh))
            vault.add(self._staging, fresh, users, name)
            known.update(zip(fresh, users, strict=True))
            self.store.connection.execute("UPDATE meta SET value = ? WHERE name = 'next_user'", (users.stop,))
        return _replaced(external_ids, unique, [known[text] for text in unique])

    # --- streams -----------------------------------------------------------------------------------

    def append_behaviour(
        self, frame: pl.DataFrame, attributes: pl.DataFrame | None = None
    ) -> tuple[int, int] | None:
        """Appends behaviour rows in their order; returns their first and last seq, None for no rows.

        `frame`: the columns of log.BEHAVIOUR without seq. `attributes`: row (index into `frame`), name,
        value (vocabulary numbers or millionths).
        """
        if frame.is_empty():
            return None
        rows, span = self._sequenced("behaviour", frame, BEHAVIOUR)
        told = _attached(attributes, span)
        self._behaviour.append(rows)
        self._attributes.append(told)
        if rows.height >= BULK_ROWS and len(self._behaviour) == 1:
            # Hashing and SQLite both leave the interpreter alone: they run side by side.
            self._hasher = ThreadPoolExecutor(1)
            self._hashed = self._hasher.submit(encoding.behaviour_leaves, rows, told)
        self._summary = self._summary.extended(self.store, rows, span[1])
        self._staging.insert("behaviour", rows)
        if told.height:
            self._staging.insert("attributes", told)
        return span

    def append_decision(self, kind: str, body: dict[str, Any]) -> int:
        """Appends a decision, its body as canonical JSON; returns its seq.

        A `rescored` body (segmentation, pass, from, as_of, position) is also kept as a projection.
        """
        text = encoding.canonical(body).decode()
        seq = self._take("decisions", 1)[0]
        self.store.database.table("decisions").insert({"seq": seq, "kind": kind, "body": text})
        self._decisions.append((seq, kind, text))
        if kind == "rescored":
            members.keep_rescore(self.store, seq, self.number("segmentation", body["segmentation"]), body)
        return seq

    def append_changes(self, frame: pl.DataFrame) -> tuple[int, int] | None:
        """Appends membership changes in their order; returns their first and last seq, None for no rows.

        `frame`: the columns of log.CHANGES without seq.
        """
        if frame.is_empty():
            return None
        rows, span = self._sequenced("changes", frame, CHANGES)
        self._staging.insert("membership_changes", rows)
        self._changes.append(rows)
        return span

    def _take(self, stream: str, count: int) -> tuple[int, int]:
        """The next `count` seqs, for a stream that nothing after it has been appended to."""
        later = STREAMS[STREAMS.index(stream) + 1 :]
        if any(self._ranges[name] for name in later):
            raise ValueError(f"{stream} must be appended before {' and '.join(later)}")
        first, last = self.next_seq, self.next_seq + count - 1
        held = self._ranges[stream]
        self._ranges[stream] = (held[0] if held else first, last)
        self.next_seq = last + 1
        return first, last

    def _sequenced(
        self, stream: str, frame: pl.DataFrame, schema: dict[str, pl.DataType]
    ) -> tuple[pl.DataFrame, tuple[int, int]]:
        """The frame with seq and exactly the schema's columns and types, and its seqs."""
        told = frame.select(pl.col(name).cast(dtype) for name, dtype in schema.items() if name != "seq")
        span = self._take(stream, frame.height)
        return told.select(pl.int_range(span[0], span[1] + 1, dtype=pl.Int64).alias("seq"), pl.all()), span

    # --- models and projections --------------------------------------------------------------------

    def put_model(self, digest: str, spec: str, parameters: bytes) -> None:
        """Keeps a model's spec and parameters for good; the same digest again changes nothing."""
        if not self.store.rows("SELECT 1 FROM models WHERE digest = ?", (digest,)):
            self.store.database.table("models").insert(
                {"digest": digest, "spec": spec, "parameters": parameters}
            )

    def save_members(self, segmentation: int, frame: pl.DataFrame) -> None:
        """Brings the head's memberships up to date.

        `frame`: user, label, probability, margin, scores (Binary), since, change_seq. A null label removes
        the user; a null since or change_seq keeps the one held.
        """
        members.save(self.store, self._staging, segmentation, frame)

    def save_sizes(self, frame: pl.DataFrame) -> None:
        """Keeps the sizes of scored ticks: segmentation, pass, as_of, label, users, expected (Float64)."""
        members.save_sizes(self.store, frame)

    # --- the end -----------------------------------------------------------------------------------

    def finish(self) -> None:
        """Writes the commit row and what is kept about the whole log; Store.transaction calls it."""
        vocabulary = (self._vocabulary[0][0], self._vocabulary[-1][0]) if self._vocabulary else None
        if vocabulary is None and not any(self._ranges.values()):
            return
        leaves = {
            "behaviour": self._behaviour_leaves(),
            "decisions": encoding.decision_leaf(self._decisions),
            "changes": encoding.change_leaves(self.changes),
        }
        digests = {
            name: encoding.stream_digest(found) if found.size else None for name, found in leaves.items()
        }
        digests["vocabulary"] = encoding.vocabulary_digest(self._vocabulary) if vocabulary else None
        header = Header(
            id=self._next("commits"),
            recorded_at=self.recorded_at,
            actor=self.actor,
            source=self.source,
            ranges={**self._ranges, "vocabulary": vocabulary},
            leaves={name: int(found.size) for name, found in leaves.items()},
            digests=digests,
        )
        row: dict[str, Any] = {
            "id": header.id,
            "recorded_at": self.recorded_at,
            "actor": self.actor,
            "source": self.source,
            "encoding": header.encoding,
            "digest": header.digest(self.store.chain_digest()),
        }
        for name, span in header.ranges.items():
            row[f"{name}_first"], row[f"{name}_last"] = span or (None, None)
            row[f"{name}_digest"] = digests[name]
        self.store.database.table("commits").insert(row)
        if self._ranges["behaviour"]:
            self._summary.save(self.store)

    def _behaviour_leaves(self) -> Records:
        if self._hashed is not None and len(self._behaviour) == 1:
            return self._hashed.result()
        return encoding.behaviour_leaves(self.behaviour, _joined(self._attributes, ATTRIBUTES))

    @property
    def behaviour(self) -> pl.DataFrame:
        """The behaviour rows appended so far, with seq."""
        return _joined(self._behaviour, BEHAVIOUR)

    @property
    def changes(self) -> pl.DataFrame:
        """The membership changes appended so far, with seq."""
        return _joined(self._changes, CHANGES)

    def release(self) -> None:
        """Removes staging files; Store.transaction calls it when the transaction has ended."""
        if self._hasher is not None:
            self._hasher.shutdown()
        self._staging.release()


def _joined(parts: list[pl.DataFrame], schema: dict[str, pl.DataType]) -> pl.DataFrame:
    return pl.concat(parts) if parts else pl.DataFrame(schema=schema)


def _attached(attributes: pl.DataFrame | None, span: tuple[int, int]) -> pl.DataFrame:
    """seq, name, value of attributes whose rows got the seqs of `span`."""
    if attributes is None:
        return pl.DataFrame(schema=ATTRIBUTES)
    told = attributes.select(
        (pl.col("row").cast(pl.Int64) + span[0]).alias("seq"),
        pl.col("name").cast(pl.Int64),
        pl.col("value").cast(pl.Int64),
    ).sort("seq", "name")
    if not told["seq"].is_between(*span).all():
        raise ValueError("attributes name rows that are not in the frame")
    return told


def _replaced(texts: pl.Series, unique: list[str], numbers: list[int]) -> pl.Series:
    """Each text's number, null for null."""
    return texts.replace_strict(
        pl.Series(unique, dtype=pl.String),
        pl.Series(numbers, dtype=pl.Int64),
        default=None,
        return_dtype=pl.Int64,
    )
