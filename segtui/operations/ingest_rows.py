"""From parsed rows to rows of the log: vocabulary, vault, de-duplication, late flags, sessions."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import polars as pl

from db import content, log, projections, vocabulary
from db.store import Transaction
from segtui.operations import deduplication
from segtui.operations.deduplication import CONTENT
from segtui.operations.progress import Progress
from segtui.operations.session import Session

TEXTS = ("kind", "order", "item", "category", "platform", "device", "region", "currency")
MILLIONTH = 1_000_000


@dataclass
class Counts:
    """What became of the rows of an import."""

    accepted: int
    duplicates: int
    changed: int
    appended: int
    late: int
    newest: int
    first_seq: int | None
    last_seq: int | None


def append(
    s: Session,
    tx: Transaction,
    parsed: pl.DataFrame,
    attributes: pl.DataFrame | None,
    source: str,
    progress: Progress,
) -> Counts:
    """Appends what the log does not hold yet, in the order of the files; returns the counts."""
    rows = _numbered(tx, parsed, source)
    has_id = rows["source_id"].is_not_null()
    carries = rows["row"].is_in(attributes["row"].implode()) if attributes is not None else None
    plain = ~has_id if carries is None else ~has_id & ~carries
    fresh_plain = rows.filter(plain)
    if carries is not None:
        fresh_plain = _first_seen(s, fresh_plain)
    kept = [_new_plain(s, fresh_plain, source)]
    duplicates = int(plain.sum()) - kept[0].height
    versions: pl.DataFrame | None = None
    with_id = rows.filter(has_id if carries is None else has_id & ~carries)
    if with_id.height:
        fresh, versions, repeated = _new_by_id(s, tx, with_id)
        kept.append(fresh)
        duplicates += repeated
    carried: list[pl.DataFrame] = []
    if attributes is not None and carries is not None:
        numbered = _attribute_values(tx, attributes, rows)
        carried.append(numbered.select("row", "name", "value"))
        bearing = rows.filter(carries)
        same = deduplication.same_attributes(numbered, _logged_attributes(s))
        fresh = bearing.filter(~pl.col("row").is_in(same.implode()))
        duplicates += bearing.height - fresh.height
        kept.append(fresh)
    new = pl.concat(kept).sort("user", "row")
    new = _with_sessions(s, _with_late(s, new))
    progress(f"appending {new.height:,} rows", None)
    if versions is not None and versions.height:
        name = tx.number("attribute:version", "version")
        carried.append(versions.select("row", pl.lit(name, dtype=pl.Int64).alias("name"), value="version"))
    linked = None
    if carried:
        position = new.select("row", pl.int_range(pl.len(), dtype=pl.Int64).alias("index"))
        linked = (
            pl.concat(carried)
            .join(position, on="row", how="inner")
            .select(pl.col("index").alias("row"), "name", "value")
        )
    span = tx.append_behaviour(new.select([name for name in log.BEHAVIOUR if name != "seq"]), linked)
    changed = 0 if versions is None else versions.height
    return Counts(
        accepted=rows.height - duplicates - changed,
        duplicates=duplicates,
        changed=changed,
        appended=new.height,
        late=int(new["late"].sum()),
        newest=int(new["occurred_at"].max() or 0),  # type: ignore[arg-type]  # polars types max() loosely
        first_seq=span[0] if span else None,
        last_seq=span[1] if span else None,
    )


def _numbered(tx: Transaction, parsed: pl.DataFrame, source: str) -> pl.DataFrame:
    """Texts to vocabulary numbers, external ids to surrogates, source ids to 16-byte hashes."""
    ids = parsed["id"].drop_nulls().unique()
    prefix = source.encode() + b"\0"
    hashes = {text: hashlib.sha256(prefix + text.encode()).digest()[:16] for text in ids}
    return parsed.select(
        "row",
        "file",
        "session",
        pl.col("time").alias("occurred_at"),
        "amount",
        "quantity",
        "rating",
        "duration",
        tx.surrogates(parsed["user"]).alias("user"),
        *(tx.numbers(name, parsed[name]).alias(name) for name in TEXTS),
        pl.col("id").replace_strict(hashes, default=None, return_dtype=pl.Binary).alias("source_id")
        if hashes
        else pl.lit(None, dtype=pl.Binary).alias("source_id"),
    )


def _new_plain(s: Session, rows: pl.DataFrame, source: str) -> pl.DataFrame:
    """Rows without an id whose multiplicity the log does not hold yet."""
    if rows.is_empty():
        return rows
    ranges = [
        (commit.behaviour_first, commit.behaviour_last or 0)
        for commit in log.commits(s.store)
        if commit.source == source and commit.behaviour_first is not None
    ]
    if ranges:
        span = rows.select(pl.col("occurred_at").min().alias("lo"), pl.col("occurred_at").max().alias("hi"))
        logged = log.behaviour(
            s.store,
            since=span["lo"][0],
            before=span["hi"][0] + 1,
            columns=["seq", "source_id", *CONTENT],
        ).filter(pl.col("source_id").is_null())
        logged = logged.filter(deduplication.within(logged["seq"], ranges))
    else:
        logged = rows.select(CONTENT).clear()
    return rows.filter(deduplication.new_copies(rows, logged))


def _first_seen(s: Session, rows: pl.DataFrame) -> pl.DataFrame:
    """A table's rows without attributes, which only say that a user exists: the first of users not known."""
    if rows.is_empty():
        return rows
    known = log.behaviour(s.store, columns=["user"])["user"].unique()
    return rows.unique("user", keep="first", maintain_order=True).filter(
        ~pl.col("user").is_in(known.implode())
    )


def _new_by_id(s: Session, tx: Transaction, rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame, int]:
    """The events of new and changed rows, the versions of the latter (row, version), the duplicates."""
    logged = log.behaviour(s.store, columns=["seq", "source_id", *CONTENT]).join(
        rows.select("source_id").unique(), on="source_id", how="semi", maintain_order="left"
    )
    logged = logged.join(
        log.versions(s.store, logged["seq"].to_list()), on="seq", how="left", maintain_order="left"
    )
    verdicts = deduplication.compare_by_id(
        rows,
        logged,
        refund=vocabulary.number(s.store, "kind", "refund"),
        version_of=lambda changed: content.versions(s.store, changed),
    )
    judged = pl.concat([rows, verdicts], how="horizontal")
    fresh = judged.filter(pl.col("verdict") == "new").select(rows.columns)
    changed = judged.filter(pl.col("verdict") == "changed")
    kept = [fresh]
    if changed.height:
        kinds = {name: tx.number("kind", name) for name in ("purchase", "refund", vocabulary.CORRECTION)}
        kept.append(deduplication.compensations(changed, **kinds).select(rows.columns))
    return pl.concat(kept), changed.select("row", "version"), rows.height - fresh.height - changed.height


def _attribute_values(tx: Transaction, attributes: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """row, user, name, value: names and texts numbered, numbers in whole millionths."""
    users = rows.select("row", "user")
    is_text = pl.col("text").is_not_null()
    texts = attributes.filter(is_text)
    numbers = attributes.filter(~is_text & pl.col("number").is_not_null())
    return (
        pl.concat(
            [
                texts.select(
                    "row",
                    tx.numbers("attribute:text", texts["name"]).alias("name"),
                    tx.numbers("attribute_value", texts["text"]).alias("value"),
                ),
                numbers.select(
                    "row",
                    tx.numbers("attribute:number", numbers["name"]).alias("name"),
                    (pl.col("number") * MILLIONTH).round().cast(pl.Int64).alias("value"),
                ),
            ]
        )
        .join(users, on="row", how="inner")
        .select("row", "user", "name", "value")
    )


def _logged_attributes(s: Session) -> pl.DataFrame:
    return log.attributes(s.store).select("seq", "user", "name", "value")


def _with_late(s: Session, rows: pl.DataFrame) -> pl.DataFrame:
    """Flags the rows that occurred before the start of the last scored tick."""
    scored = projections.rescores(s.store)
    if scored.is_empty():
        return rows.with_columns(pl.lit(0, dtype=pl.Int64).alias("late"))
    newest = scored.sort("seq")["as_of"][-1]
    start = s.ticks.previous(newest)
    return rows.with_columns((pl.col("occurred_at") < start).cast(pl.Int64).alias("late"))


def _with_sessions(s: Session, rows: pl.DataFrame) -> pl.DataFrame:
    """Session texts to ordinals per user, by first occurrence, continuing the user's last one."""
    if rows["session"].null_count() == rows.height:
        return rows.with_columns(pl.lit(None, dtype=pl.Int64).alias("session"))
    first = (
        rows.filter(pl.col("session").is_not_null())
        .group_by("user", "session")
        .agg(pl.col("occurred_at").min(), pl.col("row").min())
        .sort("user", "occurred_at", "row")
        .select("user", "session", pl.int_range(1, pl.len() + 1).over("user").alias("ordinal"))
    )
    held = (
        log.behaviour(s.store, columns=["user", "session"])
        .group_by("user")
        .agg(pl.col("session").max().fill_null(0).alias("last"))
    )
    first = first.join(held, on="user", how="left").select(
        "user", "session", (pl.col("ordinal") + pl.col("last").fill_null(0)).cast(pl.Int64)
    )
    return rows.join(first, on=["user", "session"], how="left", maintain_order="left").with_columns(
        pl.col("ordinal").alias("session")
    )
