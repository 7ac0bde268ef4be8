# ruff: noqa: S608  (the names put into SQL are this package's own; values are always bound)
"""Folds of the log: memberships, sizes, history and transitions at any as-of and position."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from db import log, snapshots, states, vocabulary
from db.encoding import Integers
from db.folds import MEMBERSHIPS, fold, fold_sizes
from db.members import SIZES
from db.passes import governing, last_rescored, passes, rescores
from db.states import digest_of

if TYPE_CHECKING:
    from db.store import Store

__all__ = [
    "MEMBERSHIPS",
    "digest_of",
    "expected",
    "fold",
    "fold_sizes",
    "history",
    "memberships",
    "passes",
    "rescores",
    "scored_at",
    "scores",
    "size_history",
    "sizes",
    "state_digest",
    "transitions",
]


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
        if users is None:
            return snapshots.folded(store, segmentation, as_of=as_of, position=position)
        return fold(
            log.changes(store, segmentation=segmentation, users=users, as_of_to=as_of, position=position)
        )
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


def scored_at(store: Store, segmentation: int, as_of: int) -> bool:
    """Whether the newest rescore of a segmentation was for this as-of."""
    return last_rescored(store, segmentation) == as_of


def expected(store: Store, segmentation: int, as_of: int) -> dict[int, int]:
    """Sums of scores (millionths) by label, as kept for an as-of by the newest pass over it."""
    rows = store.rows(
        'SELECT label, expected FROM sizes WHERE segmentation = ?1 AND as_of = ?2 AND "pass" = '
        '(SELECT max("pass") FROM sizes WHERE segmentation = ?1 AND as_of = ?2) AND expected IS NOT NULL',
        (segmentation, as_of),
    )
    return {label: int(total) for label, total in rows}


def scores(held: pl.DataFrame, labels: int) -> Integers:
    """int32[n, labels] of the rows of memberships at the head that have scores of so many labels."""
    width = 4 * labels
    own = held.filter(pl.col("scores").bin.size() == width)["scores"].to_list()
    return np.frombuffer(b"".join(own), "<i4").reshape(-1, labels)


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
    """The digest of all memberships: at the head as it is kept, else folded from the log."""
    with store.reading():
        if as_of is None and position is None:
            return states.told(states.at_head(store))
        return digest_of(states_of(store, as_of, position))


def states_of(
    store: Store, as_of: int | None, position: int | None = None, *, without: Collection[str] = ()
) -> dict[str, dict[str, Integers]]:
    """Surrogates by label by segmentation, folded from the log; segmentations `without` are left out."""
    with store.reading():
        labels = vocabulary.texts(store, "label")
        found: dict[str, dict[str, Integers]] = {}
        for number, name in vocabulary.texts(store, "segmentation").items():
            if name in without:
                continue
            held = memberships(store, number, as_of=as_of, position=position)
            found[name] = {
                labels[label]: group["user"].to_numpy()
                for (label,), group in held.partition_by("label", as_dict=True).items()
            }
    return found
