# ruff: noqa: S608  (the names put into SQL are this package's own; values are always bound)
"""Forgetting persons inside one transaction: who they were, what they hold, and, if asked, what they did."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from db import content, log, redactions, summary
from db.erasures import PURGED, Erasures, trace
from db.log import CHANGES
from db.members import MEMBERS
from db.passes import rescores

if TYPE_CHECKING:
    from db.store import Store
    from db.transaction import Transaction

CAUSE = "erasure"
ASKED, CUT = "erasure", "retention"
"""Why somebody is forgotten: they asked, or a cut of older events left nothing of them."""
DECISION = "users_erased"


Counting = Callable[["Store", set[int]], int]
"""How many persons stand behind users, some of whom may be one."""

BECAUSE: dict[str, pl.DataType] = dict.fromkeys(("user", "cause_seq", "reason"), pl.Int64())


@dataclass(frozen=True)
class Forgotten:
    """What an erasure took: persons, their entries in the vault, their events, those of them purged.

    `words`: texts of the vocabulary that nobody else used. `ended`: the changes (columns of log.CHANGES
    without seq) that end their memberships.
    """

    persons: int
    identities: int
    events: int
    purged: int
    words: int
    seq: int
    ended: pl.DataFrame


def forget(tx: Transaction, users: Sequence[int], *, purge: bool, persons: int | None = None) -> Forgotten:
    """Forgets who the users were and ends their memberships; purges their events when asked.

    The decision says that it happened and how much it took, never whom. Other users' rows stay as they are.
    What is left of the persons in the write-ahead log goes when the transaction has ended, see `wipe`.
    `persons`: how many they are, by default one for each number. Raises KeyMissing.
    """
    done = take(tx, users, purge=purge, persons=persons)
    tx.append_changes(done.ended)
    return done


def take(
    tx: Transaction, users: Sequence[int], *, purge: bool, persons: int | None = None, reason: str = ASKED
) -> Forgotten:
    """As `forget`, but leaves `ended` for the caller to append, after the commit's other decisions."""
    store = tx.store
    users = sorted({int(user) for user in users})
    condition, value = log.among("user", users)
    events = store.rows(f"SELECT count(*) FROM behaviour WHERE {condition}", (value,))[0][0]
    identities = sum(1 for _ in store.vault.entries(users))
    content.leave_out(store, users)
    store.vault.forget(users)
    rows = redactions.rows_of(store, users if purge else [])
    left = redactions.cut(store, rows)
    if rows.height:
        summary.scan(store).save(store)
    persons = len(users) if persons is None else persons
    told = {"persons": persons, "identities": identities, "events": events, "purged": rows.height}
    seq = tx.append_decision(DECISION, told | left)
    ended = end_memberships(tx, users, seq, reason)
    store.connection.executemany("INSERT OR IGNORE INTO erased VALUES (?)", [(user,) for user in users])
    store.connection.execute("INSERT OR REPLACE INTO meta VALUES ('to_wipe', 1)")
    return Forgotten(persons, identities, events, rows.height, left["words"], seq, ended)


def end_memberships(tx: Transaction, users: list[int], seq: int, reason: str) -> pl.DataFrame:
    """Moves the users to no label in every segmentation, at its last scored tick; the cause is `seq`.

    Returns the changes (columns of log.CHANGES without seq), which are still to be appended.
    """
    store = tx.store
    ended = [pl.DataFrame(schema=CHANGES).drop("seq")]
    condition, value = log.among("user", users)
    for (segmentation,) in store.rows("SELECT DISTINCT segmentation FROM members"):
        held = store.frame(
            f"SELECT user, label FROM members WHERE segmentation = ? AND {condition} ORDER BY user",
            (segmentation, value),
            {"user": pl.Int64(), "label": pl.Int64()},
        )
        if held.is_empty():
            continue
        newest = rescores(store, segmentation).sort("pass", "as_of").row(-1, named=True)
        number, as_of = newest["pass"], newest["as_of"]
        because = pl.DataFrame(
            {"user": held["user"], "cause_seq": seq, "reason": tx.number("reason", reason)},
            schema=BECAUSE,
        )
        ended.append(ending(held, segmentation, number, as_of, because))
        gone = {name: pl.lit(None) for name in MEMBERS if name != "user"}
        tx.save_members(segmentation, held.select("user").with_columns(**gone))
        store.connection.executemany(
            "UPDATE sizes SET users = users - ? "
            'WHERE segmentation = ? AND "pass" = ? AND as_of = ? AND label = ?',
            [
                (count, segmentation, number, as_of, label)
                for label, count in held.group_by("label").len().iter_rows()
            ],
        )
    return pl.concat(ended)


def ending_again(
    tx: Transaction,
    held: pl.DataFrame,
    segmentation: int,
    number: int,
    as_of: int,
    relatives: pl.DataFrame,
) -> pl.DataFrame:
    """Ends in another pass what persons held who were forgotten before, for the same reason.

    `held`, `number` and what is returned: see `ending`. `relatives`: user, relative of all who are or were
    one person, each with themselves. Who was part of another held nothing any more when both were forgotten:
    the other's end tells why. Where nothing tells, the newest erasure stands for it.
    """
    theirs = relatives.filter(pl.col("user").is_in(held["user"].implode()))
    told_of = _because(tx.store, theirs["relative"].unique().to_list()).rename({"user": "relative"})
    because = (
        theirs.join(told_of, on="relative")
        .sort("user", pl.col("user") == pl.col("relative"), "cause_seq")
        .group_by("user", maintain_order=True)
        .agg(pl.col("cause_seq", "reason").last())
    )
    untold = held.select("user").join(because, on="user", how="anti")
    if untold.height:
        (newest,) = log.decisions(tx.store, kinds=(DECISION,), newest_first=True, limit=1)
        asked = tx.number("reason", ASKED)
        told = {"cause_seq": pl.lit(newest.seq, pl.Int64), "reason": pl.lit(asked, pl.Int64)}
        because = pl.concat([because, untold.with_columns(**told)])
    return ending(held, segmentation, number, as_of, because, backfilled=True)


def ending(
    held: pl.DataFrame,
    segmentation: int,
    number: int,
    as_of: int,
    because: pl.DataFrame,
    *,
    backfilled: bool = False,
) -> pl.DataFrame:
    """Changes from the labels `held` (user, label) to none, because of an erasure (columns of log.CHANGES).

    `number`: the pass. `because`: user, cause_seq, reason.
    """
    if held.is_empty():
        return pl.DataFrame(schema=CHANGES).drop("seq")
    return (
        held.select("user", pl.col("label").alias("from_label"))
        .join(because, on="user", how="left", maintain_order="left")
        .select(
            pl.lit(segmentation, dtype=pl.Int64).alias("segmentation"),
            "user",
            "from_label",
            pl.lit(None, dtype=pl.Int64).alias("to_label"),
            pl.lit(None, dtype=pl.Int64).alias("probability"),
            pl.lit(as_of, dtype=pl.Int64).alias("as_of"),
            pl.lit(number, dtype=pl.Int64).alias("pass"),
            pl.lit(CAUSE).alias("cause"),
            "cause_seq",
            "reason",
            pl.lit(None, dtype=pl.Int64).alias("model"),
            pl.lit(int(backfilled), dtype=pl.Int64).alias("backfilled"),
            pl.lit(0, dtype=pl.Int64).alias("hindsight"),
        )
    )


def _because(store: Store, users: Sequence[int]) -> pl.DataFrame:
    """user, cause_seq, reason: the decision that ended each user's memberships, where there is one."""
    condition, value = log.among("user", users)
    return store.frame(
        "SELECT user, max(cause_seq), reason FROM membership_changes "
        f"WHERE cause = ? AND {condition} GROUP BY user",
        (CAUSE, value),
        BECAUSE,
    )


def erased(store: Store) -> list[int]:
    """The surrogates of everyone erased, in ascending order."""
    return [user for (user,) in store.rows("SELECT user FROM erased ORDER BY user")]


def to_wipe(store: Store) -> bool:
    """Whether the write-ahead log may still hold what an erasure took."""
    return bool(store.rows("SELECT 1 FROM meta WHERE name = 'to_wipe'"))


def wipe(store: Store) -> bool:
    """Empties the write-ahead log after an erasure; False while somebody still reads from it.

    The caller holds the writer's lock, and no transaction is open.
    """
    if not to_wipe(store):
        return True
    busy = store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    if not busy:
        store.connection.execute("DELETE FROM meta WHERE name = 'to_wipe'")
    return not busy


def traces(store: Store, users: Sequence[int] | None = None) -> dict[int, str]:
    """How the list of the erased may name those of the users, or of everyone, who have events."""
    condition, parameters = ("1", []) if users is None else _among(users)
    pairs: dict[str, pl.DataType] = {"user": pl.Int64(), "first": pl.Int64()}
    there = store.frame(
        f"SELECT user, min(seq) FROM behaviour WHERE {condition} GROUP BY user", parameters, pairs
    )
    # Of what was cut before, the leaf tells the commit.
    cut = store.frame(
        f'SELECT user, min("commit") FROM leaves WHERE {condition} GROUP BY user', parameters, pairs
    )
    holding = [commit for commit in log.commits(store) if commit.behaviour_last is not None]
    digests = {commit.id: commit.digest for commit in holding}
    lasts = pl.Series([commit.behaviour_last for commit in holding], dtype=pl.Int64)
    numbers = pl.Series([commit.id for commit in holding], dtype=pl.Int64)
    first = there.with_columns(numbers.gather(lasts.search_sorted(there["first"])).alias("commit"))
    first = first.join(cut.rename({"first": "cut"}), on="user", how="left")
    first = first.select("user", pl.min_horizontal("commit", "cut"))
    return {user: trace(digests[commit], user) for user, commit in first.iter_rows()}


def _among(users: Sequence[int]) -> tuple[str, list[str]]:
    condition, value = log.among("user", users)
    return condition, [value]


def numbers(store: Store, users: set[int]) -> int:  # noqa: ARG001
    """Counts each user as one person."""
    return len(users)


def obey(store: Store, *, actor: str, persons: Counting) -> int:
    """Forgets everyone whom the list of the erased names; returns how many `persons` those were.

    A copy that is older than an erasure holds them still, or, when it was made to forget who they were, what
    they held. Raises KeyMissing when there is a list and not the key to compare it with.
    """
    groups = {True: set[int](), False: set(store.vault.orphans()) - set(erased(store))}
    listed = Erasures(store)
    if listed.persons:
        ids = {text: user for user, _, text in store.vault.entries()}
        for text, state in listed.states(list(ids)).items():
            groups[state == PURGED].add(ids[text])
    if listed.knows_numbers:
        named = {text: user for user, text in traces(store).items()}
        groups[True] |= {named[text] for text in listed.states(list(named))}
    groups[False] -= groups[True]
    forgotten = 0
    if any(groups.values()):
        ended = []
        with store.transaction(actor=actor, source="restore") as tx:
            for purge, users in groups.items():
                if users:
                    count = persons(store, users)
                    ended.append(take(tx, sorted(users), purge=purge, persons=count).ended)
                    forgotten += count
            tx.append_changes(pl.concat(ended))
    return forgotten
