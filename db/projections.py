# ruff: noqa: S608  (the names put into SQL are this package's own; values are always bound)
"""Folds of the log: memberships, sizes, history and transitions at any as-of and position."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from db import log, summary, vocabulary
from db.encoding import Integers
from db.members import SIZES
from db.passes import RESCORES, governing, left_by, passes, rescores

if TYPE_CHECKING:
    from db.store import Store
    from db.transaction import Transaction

__all__ = [
    "digest_of",
    "fold",
    "fold_sizes",
    "history",
    "memberships",
    "passes",
    "rebuild",
    "rescores",
    "size_history",
    "sizes",
    "state_digest",
    "transitions",
]

MEMBERSHIPS: dict[str, pl.DataType] = {
    "user": pl.Int64(),
    "label": pl.Int64(),
    "probability": pl.Int64(),
    "since": pl.Int64(),
    "seq": pl.Int64(),
    "pass": pl.Int64(),
}


def fold(changes: pl.DataFrame) -> pl.DataFrame:
    """Memberships from one segmentation's governing changes (columns of log.CHANGES, in any order).

    The last change of a user, by as_of and seq, decides; a change to no label ends the membership.
    Returns user, label, probability, since (as_of of the change), seq, pass; by user.
    """
    users, as_ofs, seqs = (changes[name].to_numpy() for name in ("user", "as_of", "seq"))
    order = np.lexsort((seqs, as_ofs, users))
    grouped = users[order]
    newest = order[np.append(grouped[1:] != grouped[:-1], True)] if order.size else order
    return changes.select(
        "user",
        pl.col("to_label").alias("label"),
        "probability",
        pl.col("as_of").alias("since"),
        "seq",
        "pass",
    )[newest].filter(pl.col("label").is_not_null())


def memberships(
    store: Store,
    segmentation: int,
    *,
    as_of: int | None = None,
    position: int | None = None,
    users: Sequence[int] | None = None,
) -> pl.DataFrame:
    """user, label, probability, since, seq, pass; by user. At the head also margin and scores.

    `users`: only these, found by index.
    """
    if as_of is not None or position is not None:
        recorded = log.changes(
            store, segmentation=segmentation, users=users, as_of_to=as_of, position=position
        )
        return fold(recorded)
    among = ""
    parameters: list[Any] = [segmentation]
    if users is not None:
        condition, value = log.among("m.user", users)
        among = f"AND {condition}"
        parameters.append(value)
    return store.frame(
        'SELECT m.user, m.label, m.probability, m.since, m.change_seq, c."pass", m.margin, m.scores '
        "FROM members m LEFT JOIN membership_changes c ON c.seq = m.change_seq "
        f"WHERE m.segmentation = ? {among} ORDER BY m.user",
        parameters,
        {**MEMBERSHIPS, "margin": pl.Int64(), "scores": pl.Binary()},
    )


def sizes(
    store: Store, segmentation: int, *, as_of: int | None = None, position: int | None = None
) -> dict[int, int]:
    """Users by label, labels without users left out."""
    if as_of is None and position is None:
        rows = store.rows(
            "SELECT label, users FROM member_counts WHERE segmentation = ? AND users > 0 ORDER BY label",
            (segmentation,),
        )
        return dict(rows)
    kept = _kept_sizes(store, segmentation, as_of) if as_of is not None and position is None else None
    if kept is not None:
        return kept
    held = memberships(store, segmentation, as_of=as_of, position=position)
    return dict(held.group_by("label").len().sort("label").iter_rows())


def _kept_sizes(store: Store, segmentation: int, as_of: int) -> dict[int, int] | None:
    """Sizes as kept for the last scored tick; None when a change was recorded after it."""
    with store.reading():
        ticks = store.frame(
            'SELECT DISTINCT segmentation, "pass", as_of FROM sizes WHERE segmentation = ? AND as_of <= ?',
            (segmentation, as_of),
            {"segmentation": pl.Int64(), "pass": pl.Int64(), "as_of": pl.Int64()},
        )
        ticks = governing(store, ticks).sort("as_of", "pass")
        newest = store.rows(
            "SELECT max(as_of) FROM membership_changes WHERE segmentation = ? AND as_of <= ?",
            (segmentation, as_of),
        )[0][0]
        if ticks.is_empty() or (newest is not None and newest > ticks["as_of"][-1]):
            return None
        return dict(
            store.rows(
                'SELECT label, users FROM sizes WHERE segmentation = ? AND as_of = ? AND "pass" = ? '
                "AND users > 0 ORDER BY label",
                (segmentation, ticks["as_of"][-1], ticks["pass"][-1]),
            )
        )


def size_history(
    store: Store, segmentation: int, *, since: int | None = None, position: int | None = None
) -> pl.DataFrame:
    """as_of, label, users, expected of scored ticks, in the pass that governs them, by as_of.

    From the newest tick at or before `since` on. At a `position` behind the head users are folded from the
    changes; expected is null where a later rescore went over the same tick, for only the last is kept.
    """
    with store.reading():
        if position is not None:
            return _size_history_then(store, segmentation, since, position)
        rows = store.frame(
            'SELECT segmentation, "pass", as_of, label, users, expected FROM sizes '
            "WHERE segmentation = ?1 AND as_of >= coalesce("
            "(SELECT max(as_of) FROM sizes WHERE segmentation = ?1 AND as_of <= ?2), ?2, as_of) "
            'ORDER BY as_of, "pass", label',
            (segmentation, since),
            SIZES,
        )
        kept = governing(store, rows)
    newest = kept.filter(pl.col("pass") == pl.col("pass").max().over("as_of"))
    return newest.select("as_of", "label", "users", "expected")


def _size_history_then(store: Store, segmentation: int, since: int | None, position: int) -> pl.DataFrame:
    scored = rescores(store, segmentation, position)
    folded = fold_sizes(
        log.changes(store, segmentation=segmentation, position=position), governing(store, scored, position)
    )
    if since is not None:
        first = folded.filter(pl.col("as_of") <= since)["as_of"].max()
        folded = folded.filter(pl.col("as_of") >= (since if first is None else first))
    untouched = store.frame(
        'SELECT s."pass", s.as_of, s.label, s.expected FROM sizes s WHERE s.segmentation = ?1 AND ?2 >= '
        "(SELECT max(r.seq) FROM rescores r "
        'WHERE r.segmentation = ?1 AND r."pass" = s."pass" AND r.as_of = s.as_of)',
        (segmentation, position),
        {name: SIZES[name] for name in ("pass", "as_of", "label", "expected")},
    )
    return (
        folded.drop("expected")
        .join(untouched, on=["pass", "as_of", "label"], how="left", maintain_order="left")
        .select("as_of", "label", "users", "expected")
        .sort("as_of", "label")
    )


def history(store: Store, user: int, *, position: int | None = None) -> pl.DataFrame:
    """The governing changes of one user in every segmentation (columns of log.CHANGES)."""
    return log.changes(store, users=[user], position=position)


def transitions(
    store: Store, segmentation: int, from_as_of: int, to_as_of: int, *, position: int | None = None
) -> pl.DataFrame:
    """from_label, to_label, users between two as-ofs; null: not a member."""
    with store.reading():
        before = memberships(store, segmentation, as_of=from_as_of, position=position)
        after = memberships(store, segmentation, as_of=to_as_of, position=position)
    return (
        before.select("user", pl.col("label").alias("from_label"))
        .join(after.select("user", pl.col("label").alias("to_label")), on="user", how="full", coalesce=True)
        .group_by("from_label", "to_label")
        .agg(pl.len().cast(pl.Int64).alias("users"))
        .sort("from_label", "to_label", nulls_last=True)
    )


def state_digest(store: Store, *, as_of: int | None = None, position: int | None = None) -> str:
    """The digest of all memberships, from the head's projection or folded from the log."""
    states: dict[str, dict[str, Integers]] = {}
    with store.reading():
        labels = vocabulary.texts(store, "label")
        for number, name in vocabulary.texts(store, "segmentation").items():
            if as_of is None and position is None:
                held = store.frame(
                    "SELECT user, label FROM members WHERE segmentation = ?",
                    (number,),
                    {"user": pl.Int64(), "label": pl.Int64()},
                )
            else:
                held = memberships(store, number, as_of=as_of, position=position)
            states[name] = {
                labels[label]: group["user"].to_numpy()
                for (label,), group in held.partition_by("label", as_dict=True).items()
            }
    return digest_of(states)


def digest_of(states: dict[str, dict[str, Integers]]) -> str:
    """SHA-256 (hex) over segmentations and labels by name, and their sorted surrogates.

    `states`: segmentation name -> label name -> surrogates int64[n]. Empty ones do not count, so a label
    nobody holds is the same as none. Bytes: docs/log-format.md.
    """
    digest = hashlib.sha256()
    for segmentation in sorted(states, key=str.encode):
        labels = {name: users for name, users in states[segmentation].items() if len(users)}
        if not labels:
            continue
        _text(digest, segmentation)
        digest.update(len(labels).to_bytes(8, "little"))
        for label in sorted(labels, key=str.encode):
            _text(digest, label)
            users = np.sort(np.asarray(labels[label], dtype="<i8"))
            digest.update(users.size.to_bytes(8, "little"))
            digest.update(users.tobytes())
    return digest.hexdigest()


def _text(digest: hashlib._Hash, text: str) -> None:
    encoded = text.encode()
    digest.update(len(encoded).to_bytes(4, "little") + encoded)


def decided_rescores(store: Store) -> pl.DataFrame:
    """What `rescores` keeps, read from the decisions themselves."""
    numbers = {name: number for number, name in vocabulary.texts(store, "segmentation").items()}
    rows = [
        (
            each.seq,
            numbers[each.body["segmentation"]],
            each.body["pass"],
            each.body.get("from"),
            each.body["as_of"],
            each.body["position"],
        )
        for each in log.decisions(store, kinds=("rescored",))
    ]
    return pl.DataFrame(rows, schema=RESCORES, orient="row")


def _decided_sizes(store: Store, segmentation: int) -> pl.DataFrame:
    """pass, as_of, label, users, expected as the last rescore of each tick decided them, in their order."""
    name = vocabulary.text(store, segmentation)
    labels = {text: number for number, text in vocabulary.texts(store, "label").items()}
    told = {
        (each.body["pass"], each.body["as_of"]): each.body["sizes"] or ()
        for each in log.decisions(store, kinds=("rescored",))
        if each.body["segmentation"] == name
    }
    rows = [(*tick, labels[label], *counts) for tick, sizes in told.items() for label, *counts in sizes]
    schema = {column: dtype for column, dtype in SIZES.items() if column != "segmentation"}
    return pl.DataFrame(rows, schema, orient="row", strict=False)


def expected_at_head(store: Store, segmentation: int) -> list[int] | None:
    """The sums of the newest rescore, in the order of its scores; None when memberships changed after it."""
    newest = rescores(store, segmentation).tail(1)
    if newest.is_empty():
        return None
    seq, _, number, _, as_of, _ = newest.row(0)
    since = store.rows(
        "SELECT count(*) FROM membership_changes WHERE segmentation = ? AND seq > "
        "(SELECT coalesce(changes_last, decisions_last) FROM commits WHERE decisions_last >= ? "
        "ORDER BY decisions_last LIMIT 1)",
        (segmentation, seq),
    )[0][0]
    tick = (pl.col("pass") == number) & (pl.col("as_of") == as_of)
    sums = _decided_sizes(store, segmentation).filter(tick)["expected"].drop_nulls()
    return None if since or sums.is_empty() else sums.cast(pl.Int64).to_list()


def rebuild(store: Store, tx: Transaction) -> None:
    """Drops the projections and folds them again: rescores, members, sizes, totals.

    Margins and scores are not in the log: they are null until everyone is scored again.
    """
    connection = store.connection
    for table in ("rescores", "members", "member_counts", "sizes"):
        connection.execute(f"DELETE FROM {table}")
    connection.executemany("INSERT INTO rescores VALUES (?, ?, ?, ?, ?, ?)", decided_rescores(store).rows())
    for segmentation in rescores(store)["segmentation"].unique().sort():
        tx.save_sizes(folded_sizes(store, segmentation).drop("decided"))
    for (segmentation,), changes in log.changes(store).partition_by("segmentation", as_dict=True).items():
        held = fold(changes)
        tx.save_members(
            segmentation,
            held.select(
                "user",
                "label",
                "probability",
                pl.lit(None, pl.Int64).alias("margin"),
                pl.lit(None, pl.Binary).alias("scores"),
                "since",
                pl.col("seq").alias("change_seq"),
            ),
        )
    connection.execute("DELETE FROM snapshots")
    summary.scan(store).save(store)


def kept_sizes(store: Store, segmentation: int) -> pl.DataFrame:
    """Every size kept (columns of SIZES), those of passes that no longer govern too."""
    return store.frame(
        'SELECT segmentation, "pass", as_of, label, users, expected FROM sizes WHERE segmentation = ? '
        'ORDER BY "pass", as_of, label',
        (segmentation,),
        SIZES,
    )


def folded_sizes(store: Store, segmentation: int) -> pl.DataFrame:
    """What `kept_sizes` should be: sizes at each tick of each pass, as it left them (columns of SIZES).

    Besides `decided`: whether the tick's rescore tells its rows. Otherwise sums are unknown (null), and a
    row of nobody may be missing or too many.
    """
    ticks = rescores(store, segmentation)
    changes = log.changes(store, segmentation=segmentation, governing=False)
    parts = [pl.DataFrame(schema=SIZES)]
    for number in ticks["pass"].unique().sort():
        read = left_by(changes, ticks, number)
        parts.append(fold_sizes(read.sort("as_of", "seq"), ticks.filter(pl.col("pass") == number)))
    both = (
        pl.concat(parts)
        .drop("expected")
        .join(
            _decided_sizes(store, segmentation).with_columns(pl.lit(True).alias("told")),
            on=["pass", "as_of", "label"],
            how="full",
            coalesce=True,
            suffix="_decided",
        )
        .with_columns(pl.col("segmentation").fill_null(segmentation), pl.col("users").fill_null(0))
    )
    # Whoever is erased after the rescore leaves a sum that nobody decided.
    same = (pl.col("users") == pl.col("users_decided").fill_null(0)).all().over("pass", "as_of")
    told = pl.col("told").fill_null(False)
    return (
        both.with_columns((told.any().over("pass", "as_of") & same).alias("decided"))
        .filter(~pl.col("decided") | told)
        .with_columns(pl.when("decided").then("expected").alias("expected"))
        .select(*SIZES, "decided")
        .sort("pass", "as_of", "label")
    )


def fold_sizes(changes: pl.DataFrame, ticks: pl.DataFrame) -> pl.DataFrame:
    """Sizes at every governing scored tick, from the moves in and out of each label.

    `changes`, `ticks`: one segmentation's governing changes and rescores. Returns segmentation, pass,
    as_of, label, users, expected (null: the log does not hold it).
    """
    moves = pl.concat(
        [
            changes.select("as_of", pl.col("to_label").alias("label"), pl.lit(1, pl.Int64).alias("users")),
            changes.sort("as_of", "seq").select(
                "as_of",
                pl.col("to_label").shift(1).over("user").alias("label"),
                pl.lit(-1, pl.Int64).alias("users"),
            ),
        ]
    ).filter(pl.col("label").is_not_null())
    scored = ticks.group_by("as_of").agg(pl.col("segmentation").first(), pl.col("pass").max())
    grid = scored.join(moves.select(pl.col("label").unique()), how="cross").sort("as_of")
    running = (
        moves.group_by("as_of", "label")
        .agg(pl.col("users").sum())
        .sort("as_of")
        .with_columns(pl.col("users").cum_sum().over("label"))
    )
    return grid.join_asof(
        running, on="as_of", by="label", strategy="backward", check_sortedness=False
    ).select(
        "segmentation",
        "pass",
        "as_of",
        "label",
        pl.col("users").fill_null(0),
        pl.lit(None, pl.Float64).alias("expected"),
    )
