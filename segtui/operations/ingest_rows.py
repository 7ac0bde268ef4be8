"""From batches of outside rows to rows of the log, in memory that does not grow with their number.

Batches become integers (vocabulary, vault, hashes) and are set aside; then those with a source's own id are
judged by ranges of the id, and all that is left by ranges of users, part by part into the log.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import polars as pl

from db.spill import Histogram
from db.store import Transaction
from db.vocabulary import LINKING, UNLINKING
from segtui.operations.earlier import Earlier
from segtui.operations.reading import Pace
from segtui.operations.session import Session
from segtui.operations.sifting import LINK, PLAIN, PRESENT, TABLE, UNLINK, Sieve
from segtui.sources import Batch

TEXTS = ("kind", "order", "item", "category", "platform", "device", "region", "currency")
NUMBERS = ("amount", "quantity", "rating", "duration")
MILLIONTH = 1_000_000
PART_ROWS = 200_000
KEY_BYTES = 4
"""Of a source id's hash, to cut the rows into ranges."""


@dataclass
class Counts:
    """What became of the rows of an import, as told by `import_files`; `newest` is an occurred_at."""

    accepted: int = 0
    duplicates: int = 0
    changed: int = 0
    users: int = 0
    late: int = 0
    newest: int = 0
    first_seq: int | None = None
    last_seq: int | None = None


def _with_base(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows at what is left of their amount, each before it, as `base`, at the amount it began with."""
    began = rows.filter(pl.col("refunded") > 0).with_columns(pl.col("row") - 1, pl.lit(True).alias("base"))
    return pl.concat([began.drop("refunded"), _standing(rows).with_columns(pl.lit(False).alias("base"))])


def _standing(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows at what is left of their amount."""
    return rows.with_columns(pl.col("amount") - pl.col("refunded").fill_null(0)).drop("refunded")


class Arrivals:
    """The rows of one import on their way into the log: `take` every batch, then `append` once."""

    def __init__(self, s: Session, tx: Transaction, source: str, earlier: Earlier | None = None) -> None:
        self._tx = tx
        self._prefix = source.encode() + b"\0"
        self._sieve = Sieve(s, tx, source, earlier)
        self._rows = tx.scratch.spill("rows", "user")
        self._with_id = tx.scratch.spill("ids", "key")
        self._carried = tx.scratch.spill("carried", "user")
        self._sessions = tx.scratch.spill("sessions", "user")
        self._sizes = Histogram()
        self._taken = 0
        self._counts = Counts()
        self.worded: set[str] = set()
        """The attributes that were given texts."""

    def take(self, batch: Batch, file: int) -> None:
        """Sets a batch of the import's `file`-th file aside."""
        if batch.accepted.is_empty():
            return
        rows = self._numbered(batch, file)
        self._taken += rows.height
        self._sizes.add(rows["user"])
        with_id = pl.col("key").is_not_null() & (pl.col("way") == PLAIN)
        self._with_id.add(_with_base(rows.filter(with_id).drop("line")))
        self._rows.add(_standing(rows.filter(~with_id)).drop("line", "key"))
        if batch.attributes is not None:
            carried = self._attributes(batch.attributes).join(
                rows.select("line", "row", "user"), on="line", how="inner"
            )
            self._carry(carried)
        if batch.aliases is not None:
            other = self._tx.number("attribute:other", "other")
            named = batch.aliases.select(
                "line",
                pl.lit(other, dtype=pl.Int64).alias("name"),
                self._tx.surrogates(batch.aliases["other"]).alias("value"),
            )
            linking = rows.filter(pl.col("way").is_in([LINK, UNLINK])).select("line", "row", "user")
            self._carry(named.join(linking, on="line", how="inner"))

    def _carry(self, carried: pl.DataFrame) -> None:
        self._sizes.add(carried["user"])
        self._carried.add(carried.select("row", "user", "name", "value"))

    def append(self, pace: Pace) -> Counts:
        """Appends what the log does not hold yet; a user's rows keep the order of the files."""
        counts = self._counts
        counts.users = self._sizes.users
        self._judge_ids(pace)
        span = self._tx.append_parts(self._parts(pace))
        if span is not None:
            counts.first_seq, counts.last_seq = span
        counts.accepted = self._taken - counts.duplicates - counts.changed
        return counts

    def _numbered(self, batch: Batch, file: int) -> pl.DataFrame:
        """Texts to vocabulary numbers, external ids to surrogates, source ids to 16-byte hashes.

        A session's text becomes a number of this import, which tells it from others of its user.
        """
        parsed, tx = batch.accepted, self._tx
        way = pl.lit(PLAIN)
        if batch.attributes is not None:
            carries = pl.col("line").is_in(batch.attributes["line"].unique().implode())
            way = pl.when(carries).then(TABLE).otherwise(PRESENT)
        if batch.aliases is not None:
            # Of a line's rows only one joins ids; what else it holds is behaviour.
            links = pl.col("line").is_in(batch.aliases["line"].implode()) & pl.col("kind").is_in(LINKING)
            ends = pl.when(pl.col("kind") == UNLINKING).then(UNLINK).otherwise(LINK)
            way = pl.when(links).then(ends).otherwise(way)
        first = 2 * self._taken  # between two rows is room for what the second began with
        session = pl.col("session")
        return parsed.select(
            "line",
            pl.int_range(first + 1, first + 2 * pl.len(), 2, dtype=pl.Int64).alias("row"),
            pl.lit(file, dtype=pl.Int64).alias("file"),
            way.cast(pl.Int64).alias("way"),
            pl.when(session.is_not_null()).then(session.hash().reinterpret(signed=True)).alias("session"),
            pl.col("time").alias("occurred_at"),
            *NUMBERS,
            "refunded",
            tx.surrogates(parsed["user"]).alias("user"),
            *(tx.numbers(name, parsed[name]).alias(name) for name in TEXTS),
            *self._hashed(parsed["id"]),
        )

    def _hashed(self, ids: pl.Series) -> tuple[pl.Series, pl.Series]:
        """source_id and key: a hash of the source and its own id, and the beginning of it as a number."""
        if ids.null_count() == len(ids):
            return pl.Series("source_id", ids, dtype=pl.Binary), pl.Series("key", ids, dtype=pl.Int64)
        hashes = [
            None if text is None else hashlib.sha256(self._prefix + text.encode()).digest()[:16]
            for text in ids
        ]
        keys = [None if digest is None else int.from_bytes(digest[:KEY_BYTES]) for digest in hashes]
        return pl.Series("source_id", hashes, dtype=pl.Binary), pl.Series("key", keys, dtype=pl.Int64)

    def _attributes(self, attributes: pl.DataFrame) -> pl.DataFrame:
        """line, name, value: names and texts numbered, numbers in whole millionths."""
        tx = self._tx
        spoken = pl.col("text").is_not_null()
        texts = attributes.filter(spoken)
        self.worded.update(texts["name"].unique())
        numbers = attributes.filter(~spoken & pl.col("number").is_not_null())
        return pl.concat(
            [
                texts.select(
                    "line",
                    tx.numbers("attribute:text", texts["name"]).alias("name"),
                    tx.numbers("attribute_value", texts["text"]).alias("value"),
                ),
                numbers.select(
                    "line",
                    tx.numbers("attribute:number", numbers["name"]).alias("name"),
                    (pl.col("number") * MILLIONTH).round().cast(pl.Int64).alias("value"),
                ),
            ]
        )

    def _judge_ids(self, pace: Pace) -> None:
        """Rows with an id, by ranges of it: what is new or changed joins the other rows."""
        parts = -(-self._with_id.rows // PART_ROWS)
        bounds = [(1 << 8 * KEY_BYTES) * at // parts for at in range(parts + 1)] if parts else []
        for at, (low, high) in enumerate(pairwise(bounds)):
            pace.at("comparing ids", at / (2 * parts), self._with_id.rows * at // parts)
            rows = self._with_id.between(low, high)
            if rows is None or rows.is_empty():
                continue
            judged = self._sieve.by_id(rows.drop("key").sort("row"))
            self._counts.duplicates += judged.duplicates
            self._counts.changed += judged.changed - judged.begun
            self._rows.add(judged.rows)
            # Whoever something is taken back from may have no row of their own in the files.
            self._sizes.add(judged.rows.filter(pl.col("row") < 0)["user"])
            self._carried.add(judged.versions)
            self._sessions.add(judged.sessions)

    def _parts(self, pace: Pace) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
        """The new rows by ranges of users, ascending, and what they carry."""
        counts, done = self._counts, 0
        began = 0.5 if self._with_id.rows else 0.0
        for between in self._sizes.cuts(PART_ROWS):
            pace.at("looking for what is new", began + (1 - began) * done / self._taken, done)
            rows = self._rows.between(*between)
            if rows is None or rows.is_empty():
                continue
            done += rows.height
            sifted = self._sieve.part(
                rows, self._carried.between(*between), self._sessions.between(*between), between
            )
            counts.duplicates += sifted.duplicates
            if sifted.rows.height:
                counts.late += int(sifted.rows["late"].sum())
                counts.newest = max(counts.newest, int(sifted.rows["occurred_at"].max()))  # type: ignore[arg-type]
                yield sifted.rows, sifted.attributes
        pace.step("write")
        pace.at("writing", 0.0, done)
