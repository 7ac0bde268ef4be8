# ruff: noqa: S608  (the names put into SQL are this package's own; values are always bound)
"""One transaction of the log: appends in stream order, then the commit row that chains them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import polars as pl

from db import encoding, members, summary
from db.bulk import Staging
from db.encoding import Header, VocabularyDigest
from db.identities import ID
from db.log import BEHAVIOUR, CHANGES
from db.proof import Proof
from db.schema import STREAMS
from db.segments import Draft
from db.spill import Scratch
from db.vocabulary import KINDS
from db.words import Digested, Met

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
        self._digested_users, self._digested_words = Digested(), Digested()
        self._proof = Proof(store, self._digested_users, self._digested_words)
        self.scratch = Scratch(store)
        self._changes: list[pl.DataFrame] = []
        self._decisions: list[tuple[int, str, str]] = []
        self._vocabulary = VocabularyDigest()
        self._met_words: dict[str, Met] = {}
        self._met_users: dict[str, Met] = {}
        self._commit: int | None = None
        self._summary = summary.load(store)

    # --- texts and persons -------------------------------------------------------------------------

    def numbers(self, kind: str, texts: pl.Series) -> pl.Series:
        """Vocabulary numbers (Int64) of the texts of a kind, made where missing; nulls stay null."""
        if kind not in KINDS:
            raise ValueError(f"unknown vocabulary kind {kind!r}")
        if kind not in self._met_words:
            self._met_words[kind] = Met(
                not self.store.rows("SELECT 1 FROM vocabulary WHERE kind = ? LIMIT 1", (kind,))
            )
        return self._met_words[kind].numbers(texts, partial(self._words, kind))

    def number(self, kind: str, text: str) -> int:
        """The vocabulary number of one text, made where missing."""
        return int(self.numbers(kind, pl.Series([text])).item())

    def _words(self, kind: str, texts: list[str]) -> list[int]:
        """The numbers of different texts, made where missing."""
        known = {} if self._met_words[kind].whole else self._known(kind, texts)
        missing = [text for text in texts if text not in known]
        if missing:
            first = self._next("vocabulary")
            entries = [(first + at, kind, text) for at, text in enumerate(missing)]
            self._staging.put("vocabulary", entries)
            self._vocabulary.add(entries)
            self._digested_words.add(first, missing)
            known.update((text, number) for number, _, text in entries)
        return [known[text] for text in texts]

    def _known(self, kind: str, texts: Sequence[str]) -> dict[str, int]:
        """The numbers of those texts that have one."""
        known: dict[str, int] = {}
        for at in range(0, len(texts), LOOKUP_CHUNK):
            chunk = texts[at : at + LOOKUP_CHUNK]
            marks = ",".join("?" * len(chunk))
            sql = f"SELECT text, id FROM vocabulary WHERE kind = ? AND text IN ({marks})"
            known.update(self.store.rows(sql, (kind, *chunk)))
        return known

    def _next(self, table: str) -> int:
        return int(self.store.rows(f"SELECT coalesce(max(id), 0) + 1 FROM {table}")[0][0])

    def surrogates(self, external_ids: pl.Series, name: str = "id") -> pl.Series:
        """User numbers (Int64) of external ids, made and encrypted where missing; nulls stay null.

        Raises KeyMissing, KeyWrong.
        """
        vault = self.store.vault
        vault.require()
        if name not in self._met_users:
            self._met_users[name] = Met(vault.next_user() == 1)
        return self._met_users[name].numbers(external_ids, partial(self._users, name))

    def _users(self, name: str, external_ids: list[str]) -> list[int]:
        """The surrogates of different external ids, made where missing."""
        vault = self.store.vault
        known = {} if self._met_users[name].whole else vault.known(external_ids, name)
        fresh = [text for text in external_ids if text not in known]
        if fresh:
            first = vault.next_user()
            users = range(first, first + len(fresh))
            vault.add(self._staging, fresh, users, name)
            if name == ID:
                self._digested_users.add(first, fresh)
            known.update(zip(fresh, users, strict=True))
            self.store.connection.execute("UPDATE meta SET value = ? WHERE name = 'next_user'", (users.stop,))
        return [known[text] for text in external_ids]

    # --- streams -----------------------------------------------------------------------------------

    def append_behaviour(
        self, frame: pl.DataFrame, attributes: pl.DataFrame | None = None
    ) -> tuple[int, int] | None:
        """Appends behaviour rows in their order; returns their first and last seq, None for no rows.

        `frame`: the columns of log.BEHAVIOUR without seq. `attributes`: row (index into `frame`), name,
        value (vocabulary numbers or millionths). All rows of a user in this transaction come in one frame.
        """
        return self.append_parts([(frame, attributes)])

    def append_parts(
        self, parts: Iterable[tuple[pl.DataFrame, pl.DataFrame | None]]
    ) -> tuple[int, int] | None:
        """Appends frames as `append_behaviour` does, holding only some of them at a time."""
        behaviour, attributes = (self._staging.appender(name) for name in ("behaviour", "attributes"))
        first: int | None = None
        for frame, told in parts:
            if frame.is_empty():
                continue
            rows, span = self._sequenced("behaviour", frame, BEHAVIOUR)
            carried = _attached(told, span)
            first = span[0] if first is None else first
            self._proof.add(rows, carried)
            self._summary = self._summary.extended(self.store, rows, span[1])
            behaviour.add(rows)
            if carried.height:
                attributes.add(carried)
        behaviour.finish()
        attributes.finish()
        return None if first is None else (first, self.next_seq - 1)

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
        vocabulary = self._vocabulary.span
        if vocabulary is None and not any(self._ranges.values()):
            return
        leaves = {
            "behaviour": self._proof.leaves(),
            "decisions": encoding.decision_leaf(self._decisions),
            "changes": encoding.change_leaves(self.changes),
        }
        digests = {
            name: encoding.stream_digest(found) if found.size else None for name, found in leaves.items()
        }
        digests["vocabulary"] = self._vocabulary.digest() if vocabulary else None
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
            self._proof.keep()
        self._commit = header.id

    def copy(self) -> None:
        """Hands what was copied of the committed rows to the columnar copies; Store.transaction calls it."""
        if self._commit is None:
            return
        changes = Draft(self.store, "changes")
        changes.add(self.changes)
        for draft in (self._proof.copy, changes):
            span = self._ranges[draft.stream]
            if span is not None:
                draft.adopt(self._commit, *span)

    @property
    def changes(self) -> pl.DataFrame:
        """The membership changes appended so far, with seq."""
        return pl.concat(self._changes) if self._changes else pl.DataFrame(schema=CHANGES)

    def release(self) -> None:
        """Removes staging files; Store.transaction calls it when the transaction has ended."""
        self._proof.release()
        self.scratch.release()
        self._staging.release()


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
