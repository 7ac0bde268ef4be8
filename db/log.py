# ruff: noqa: S608  (the names put into SQL are this package's own; values are always bound)
"""Reading the log: frames of raw integers, decisions, commits, totals."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import polars as pl

from db import passes, segments
from db import summary as totals
from db.encoding import ENCODING
from db.folds import in_time
from db.upcasting import upcast
from db.vocabulary import CORRECTION

if TYPE_CHECKING:
    from db.store import Store

BEHAVIOUR: dict[str, pl.DataType] = {
    "seq": pl.Int64(),
    "user": pl.Int64(),
    "occurred_at": pl.Int64(),
    "kind": pl.Int64(),
    "order": pl.Int64(),
    "item": pl.Int64(),
    "category": pl.Int64(),
    "platform": pl.Int64(),
    "device": pl.Int64(),
    "region": pl.Int64(),
    "currency": pl.Int64(),
    "source_id": pl.Binary(),
    "session": pl.Int64(),
    "amount": pl.Int64(),
    "quantity": pl.Int64(),
    "rating": pl.Int64(),
    "duration": pl.Int64(),
    "late": pl.Int64(),
}
CHANGES: dict[str, pl.DataType] = {
    "seq": pl.Int64(),
    "segmentation": pl.Int64(),
    "user": pl.Int64(),
    "from_label": pl.Int64(),
    "to_label": pl.Int64(),
    "probability": pl.Int64(),
    "as_of": pl.Int64(),
    "pass": pl.Int64(),
    "cause": pl.String(),
    "cause_seq": pl.Int64(),
    "reason": pl.Int64(),
    "model": pl.Int64(),
    "backfilled": pl.Int64(),
    "hindsight": pl.Int64(),
}


SPARSE_ROWS = 10_000


@dataclass(frozen=True)
class Decision:
    """What an operator or the system decided."""

    seq: int
    recorded_at: int
    actor: str
    kind: str
    body: dict[str, Any]
    source: str | None = None


@dataclass(frozen=True)
class Commit:
    """One transaction: who, from where, and the first and last seq (or vocabulary number) of each stream."""

    id: int
    recorded_at: int
    actor: str
    source: str | None
    behaviour_first: int | None
    behaviour_last: int | None
    decisions_first: int | None
    decisions_last: int | None
    changes_first: int | None
    changes_last: int | None
    vocabulary_first: int | None
    vocabulary_last: int | None
    encoding: int
    behaviour_digest: bytes | None
    decisions_digest: bytes | None
    changes_digest: bytes | None
    vocabulary_digest: bytes | None
    digest: bytes


@dataclass(frozen=True)
class Summary:
    """The log in a few numbers; first and last are the oldest and newest occurred_at (µs UTC)."""

    events: int
    users: int
    first: int | None
    last: int | None
    position: int
    last_import: Commit | None


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def among(column: str, users: Sequence[int]) -> tuple[str, str]:
    """A condition and its parameter: the column is one of `users`."""
    return f"{column} IN (SELECT value FROM json_each(?))", json.dumps([int(user) for user in users])


def behaviour(
    store: Store,
    *,
    position: int | None = None,
    after_seq: int = 0,
    since: int | None = None,
    before: int | None = None,
    users: Sequence[int] | None = None,
    seqs: Sequence[int] | None = None,
    between: tuple[int, int] | None = None,
    columns: Sequence[str] | None = None,
) -> pl.DataFrame:
    """Behaviour with seq in (after_seq, position] and occurred_at in [since, before), by seq.

    `users` and `seqs` look these up one by one; `between` scans for users in a half-open range.
    """
    names = list(BEHAVIOUR) if columns is None else list(columns)
    if users is None and seqs is None:
        return _scanned_behaviour(store, position, after_seq, since, before, between, names)
    conditions = {
        "seq > ?": after_seq,
        "seq <= ?": position,
        "occurred_at >= ?": since,
        "occurred_at < ?": before,
    }
    where = [condition for condition, value in conditions.items() if value is not None]
    parameters: list[Any] = [value for value in conditions.values() if value is not None]
    for column, wanted in (("user", users), ("seq", seqs)):
        if wanted is not None:
            condition, value = among(column, wanted)
            where.append(condition)
            parameters.append(value)
    return store.frame(
        f"SELECT {_quoted(names)} FROM behaviour WHERE {' AND '.join(where)} ORDER BY seq",
        parameters,
        {name: BEHAVIOUR[name] for name in names},
    )


def _scanned_behaviour(
    store: Store,
    position: int | None,
    after_seq: int,
    since: int | None,
    before: int | None,
    between: tuple[int, int] | None,
    names: list[str],
) -> pl.DataFrame:
    """Everyone's behaviour: from the columnar copies where there are, from the table for the rest."""
    first_user, next_user = between or (None, None)
    where = pl.lit(True)
    if since is not None:
        where &= pl.col("occurred_at") >= since
    if before is not None:
        where &= pl.col("occurred_at") < before
    if between is not None:
        where &= pl.col("user").is_between(*between, closed="left")

    def from_rows(first: int, last: int) -> pl.DataFrame:
        return store.frame(
            f"SELECT {_quoted(names)} FROM behaviour WHERE seq BETWEEN ? AND ? "
            "AND occurred_at >= coalesce(?, occurred_at) AND occurred_at < coalesce(?, occurred_at + 1) "
            "AND user >= coalesce(?, user) AND user < coalesce(?, user + 1) ORDER BY seq",
            (first, last, since, before, first_user, next_user),
            {name: BEHAVIOUR[name] for name in names},
        )

    with store.reading():
        last = store.last_seq("behaviour") if position is None else position
        return segments.read(store, "behaviour", after_seq + 1, last, names, where, from_rows)


def stored_behaviour(store: Store, first: int, last: int) -> pl.DataFrame:
    """Behaviour rows with first <= seq <= last from the table itself, all columns, by seq."""
    return _stored(store, "behaviour", BEHAVIOUR, first, last)


def stored_changes(store: Store, first: int, last: int) -> pl.DataFrame:
    """Membership changes with first <= seq <= last from the table itself, all columns, by seq."""
    return _stored(store, "membership_changes", CHANGES, first, last)


def _stored(store: Store, table: str, schema: dict[str, pl.DataType], first: int, last: int) -> pl.DataFrame:
    names = list(schema)
    if last - first >= SPARSE_ROWS:
        # Most logs leave columns empty: SQLite finds them faster than their nulls become objects.
        counts = ", ".join(f'count("{name}")' for name in names)
        filled = store.rows(f"SELECT {counts} FROM {table} WHERE seq BETWEEN ? AND ?", (first, last))[0]
        names = [name for name, count in zip(names, filled, strict=True) if count or name == "seq"]
    rows = store.frame(
        f"SELECT {_quoted(names)} FROM {table} WHERE seq BETWEEN ? AND ? ORDER BY seq",
        (first, last),
        {name: schema[name] for name in names},
    )
    return rows.select(
        pl.col(name) if name in names else pl.lit(None, dtype=dtype).alias(name)
        for name, dtype in schema.items()
    )


def decisions(
    store: Store,
    *,
    kinds: Sequence[str] | None = None,
    position: int | None = None,
    newest_first: bool = False,
    limit: int | None = None,
) -> list[Decision]:
    """Decisions by seq, those of the open transaction too; older ones as they would be written today."""
    where: list[str] = ["1"]
    parameters: list[Any] = []
    if kinds is not None:
        where.append(f"d.kind IN ({','.join('?' * len(kinds))})")
        parameters += list(kinds)
    if position is not None:
        where.append("d.seq <= ?")
        parameters.append(position)
    rows = store.rows(
        "SELECT d.seq, d.kind, d.body, c.recorded_at, c.actor, c.source, c.encoding FROM decisions d "
        "LEFT JOIN commits c ON c.id = "
        "(SELECT id FROM commits WHERE decisions_last >= d.seq ORDER BY decisions_last LIMIT 1) "
        f"WHERE {' AND '.join(where)} ORDER BY d.seq {'DESC' if newest_first else ''} LIMIT ?",
        [*parameters, -1 if limit is None else limit],
    )
    tx = store.open_transaction
    return [
        Decision(
            seq=seq,
            recorded_at=tx.recorded_at if recorded_at is None and tx else recorded_at,
            actor=tx.actor if actor is None and tx else actor,
            kind=kind,
            body=upcast(encoding or ENCODING, kind, json.loads(body)),
            source=tx.source if source is None and tx else source,
        )
        for seq, kind, body, recorded_at, actor, source, encoding in rows
    ]


_COMMIT = ", ".join(field.name for field in fields(Commit))


def commits(store: Store) -> list[Commit]:
    """All commits, oldest first."""
    return [Commit(*row) for row in store.rows(f"SELECT {_COMMIT} FROM commits ORDER BY id")]


def behaviour_with(store: Store, decision: int) -> tuple[int, int] | None:
    """The first and last seq of the behaviour that was committed with a decision; None for none."""
    rows = store.rows(
        "SELECT behaviour_first, behaviour_last FROM commits "
        "WHERE ? BETWEEN decisions_first AND decisions_last AND behaviour_first IS NOT NULL",
        (decision,),
    )
    return (rows[0][0], rows[0][1]) if rows else None


def changes(
    store: Store,
    *,
    segmentation: int | None = None,
    users: Sequence[int] | None = None,
    as_of_from: int | None = None,
    as_of_to: int | None = None,
    position: int | None = None,
    after_seq: int = 0,
    labels: Sequence[int] | None = None,
    cause: str | None = None,
    first: bool = True,
    governing: bool = True,
) -> pl.DataFrame:
    """Membership changes with as_of_from < as_of <= as_of_to and seq > after_seq, by as_of and seq.

    `labels`: only from one of them or to one. `first`: with first assignments, which come from no label.
    `governing`: only the rows a fold at `position` reads, those of the newest pass over each as-of.
    """
    held = None if labels is None else json.dumps([int(label) for label in labels])
    either = pl.any_horizontal(pl.col("from_label", "to_label").is_in(list(labels or ())))
    given: list[tuple[str, pl.Expr, Any]] = [
        (sql, expression, value)
        for sql, expression, value in (
            ("segmentation = ?", pl.col("segmentation") == pl.lit(segmentation), segmentation),
            ("as_of > ?", pl.col("as_of") > pl.lit(as_of_from), as_of_from),
            ("as_of <= ?", pl.col("as_of") <= pl.lit(as_of_to), as_of_to),
            (
                "EXISTS (SELECT 1 FROM json_each(?) WHERE value IN (from_label, to_label))",
                either.fill_null(value=False),
                held,
            ),
            ("cause = ?", pl.col("cause") == pl.lit(cause), cause),
            ("from_label IS NOT NULL AND ?", pl.col("from_label").is_not_null(), None if first else 1),
        )
        if value is not None
    ]
    where = ["1", *(sql for sql, _, _ in given)]
    wanted = pl.all_horizontal(pl.lit(True), *(expression for _, expression, _ in given))
    parameters: list[Any] = [value for _, _, value in given]
    if users is not None:
        condition, value = among("user", users)
        # The plus keeps SQLite to the index over users: by the others it would read most of the table.
        where = [f"+{sql}" if sql[0].isalpha() else sql for sql in where] + [condition]
        parameters.append(value)
    seq = "seq" if users is None else "+seq"
    names = _quoted(list(CHANGES))

    def from_rows(first: int, last: int) -> pl.DataFrame:
        # Between copies and behind them there is little: by as-of SQLite would go through all that is copied.
        by = "NOT INDEXED" if users is None and _few_changes(store, first, last) else ""
        sql = f"SELECT {names} FROM membership_changes {by} WHERE {' AND '.join(where)}"
        return store.frame(
            f"{sql} AND {seq} BETWEEN ? AND ? ORDER BY seq", (*parameters, first, last), CHANGES
        )

    with store.reading():
        last = store.last_seq("membership_changes") if position is None else position
        if users is None:
            rows = segments.read(store, "changes", after_seq + 1, last, list(CHANGES), wanted, from_rows)
        else:
            rows = from_rows(after_seq + 1, last)
        rows = rows if in_time(rows) else rows.sort("as_of", "seq")
        return passes.governing(store, rows, position) if governing else rows


def _few_changes(store: Store, first: int, last: int) -> bool:
    """Whether at most as many changes as wait for a copy stand between two seqs."""
    sql = "SELECT 1 FROM membership_changes NOT INDEXED WHERE seq BETWEEN ? AND ? LIMIT ?"
    most = segments.SEGMENT_ROWS
    found = store.rows(f"SELECT count(*) FROM ({sql})", (first, last, most + 1))[0][0]
    return int(found) <= most


def summary(store: Store) -> Summary:
    """The log in a few numbers, without a scan."""
    with store.reading():
        known = totals.load(store)
        newest = store.rows(
            f"SELECT {_COMMIT} FROM commits WHERE behaviour_last IS NOT NULL "
            "ORDER BY behaviour_last DESC LIMIT 1"
        )
        return Summary(
            events=known.events,
            users=known.users,
            first=known.first,
            last=known.last,
            position=store.head(),
            last_import=Commit(*newest[0]) if newest else None,
        )


def users(store: Store, between: tuple[int, int]) -> pl.Series:
    """The users in a half-open range who have behaviour, ascending."""
    sql = "SELECT DISTINCT user FROM behaviour WHERE user >= ? AND user < ? ORDER BY user"
    return store.frame(sql, between, {"user": pl.Int64()})["user"]


def users_since(store: Store, position: int) -> pl.Series:
    """The users with behaviour after a position, ascending."""
    # DISTINCT or ORDER BY would make SQLite go through the whole index over users.
    sql = "SELECT user FROM behaviour NOT INDEXED WHERE seq > ?"
    return store.frame(sql, (position,), {"user": pl.Int64()})["user"].unique().sort()


def kinds_decided(store: Store, after_seq: int) -> list[str]:
    """The kinds of the decisions after a position, each once."""
    rows = store.rows("SELECT DISTINCT kind FROM decisions WHERE seq > ? ORDER BY kind", (after_seq,))
    return [kind for (kind,) in rows]


def last_events(
    store: Store, *, position: int | None = None, users: Sequence[int] | None = None
) -> pl.DataFrame:
    """user, first, last (occurred_at), newest_seq of everyone with behaviour up to `position`, by user.

    `users`: only these, found by index.
    Corrections are bookkeeping: they say nothing about when a user was seen.
    """
    names = ["user", "occurred_at", "seq", "kind"]
    correction = store.rows("SELECT id FROM vocabulary WHERE kind = 'kind' AND text = ?", (CORRECTION,))
    seen = behaviour(store, position=position, users=users, columns=names if correction else names[:-1])
    if correction:
        seen = seen.filter(pl.col("kind") != correction[0][0])
    return seen_of(seen)


def seen_of(behaviour: pl.DataFrame) -> pl.DataFrame:
    """user, first, last (occurred_at), newest_seq of everyone with any of these rows, by user."""
    return (
        behaviour.group_by("user")
        .agg(
            pl.col("occurred_at").min().alias("first"),
            pl.col("occurred_at").max().alias("last"),
            pl.col("seq").max().alias("newest_seq"),
        )
        .sort("user")
    )
