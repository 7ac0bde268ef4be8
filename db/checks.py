"""What verification looks at beside the chain: the schema, the vault, and that every projection is the fold
of the log.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from db import (
    content,
    forgetting,
    keys,
    log,
    lost_words,
    projections,
    rebuilding,
    redactions,
    retention,
    seals,
    snapshots,
    states,
    summary,
    vocabulary,
)
from db.errors import StoreError
from db.migrate import TRIGGERS, made_objects, objects

if TYPE_CHECKING:
    from db.store import Store

REBUILD = "run 'segtui rebuild'"
UNREADABLE = (
    StoreError,
    sqlite3.Error,
    pl.exceptions.PolarsError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
)
"""What data that nobody wrote may do to whoever reads it."""


@dataclass(frozen=True)
class Check:
    """One thing looked at: its name, whether it holds, and what was found."""

    name: str
    ok: bool
    detail: str


def guarded(name: str, look: Callable[[], Check]) -> Check:
    """What `look` finds; a check that does not hold where the data cannot even be read."""
    try:
        return look()
    except UNREADABLE as error:
        return Check(name, False, unreadable(error))


def unreadable(error: BaseException) -> str:
    """What to say of data that cannot be read."""
    return f"cannot be read ({' '.join(str(error).split()) or type(error).__name__})"


def beside_the_log(store: Store) -> list[Check]:
    """Everything in the store that is not the log."""
    looks: dict[str, Callable[[Store], Check]] = {
        "triggers": _triggers,
        "schema": _schema,
        "vault": _vault,
        "erased": _erased,
        "totals": _totals,
        "content": _content,
        "rescores": _rescores,
        "memberships": _memberships,
        "scores": _scores,
        "sizes": _sizes,
        "snapshots": _snapshots,
    }
    return [guarded(name, partial(look, store)) for name, look in looks.items()]


def moment(instant: int) -> str:
    """An instant (µs UTC) as people read it, whatever stands there."""
    try:
        return f"{datetime.fromtimestamp(instant / 1e6, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):
        return f"an impossible time ({instant})"


# --- the schema --------------------------------------------------------------------------------------


def _triggers(store: Store) -> Check:
    return _like_new(store, "triggers", TRIGGERS, "the log refuses changes")


def _schema(store: Store) -> Check:
    return _like_new(store, "schema", ("table", "index", "view"), "tables, indexes and views as made")


def _like_new(store: Store, name: str, types: Sequence[str], sound: str) -> Check:
    """Whether the objects of these types are those that this version makes."""
    expected, found = made_objects(types, clear=store.vault.clear), objects(store.connection, types)
    wrong = sorted(each for each in expected | found if expected.get(each) != found.get(each))
    told = f"missing, changed or added: {', '.join(wrong)}: {REBUILD}" if wrong else sound
    return Check(name, not wrong, told)


# --- identities --------------------------------------------------------------------------------------


def _vault(store: Store) -> Check:
    """Every entry is found by its own id; of sealed ones that can be told with the key."""
    held = dict(store.rows("SELECT name, value FROM meta"))
    strange = sorted(set(held) - {"next_user", "key_check", "key_place", "to_wipe"})
    if held.get("key_place", keys.FILE) not in (keys.FILE, keys.KEYRING):
        strange.append("key_place")
    if strange:
        return Check("vault", False, f"meta's {strange[0]} is nothing this program wrote")
    entries = store.vault.count()
    astray = _next_user_astray(store)
    if astray:
        return Check("vault", False, astray)
    try:
        if not store.vault.available:
            return Check("vault", True, f"{entries:,} entries, not opened: the key is not here")
        wrong = store.vault.misplaced()
    except StoreError as error:
        return Check("vault", False, str(error))
    if wrong:
        detail = f"{wrong:,} of {entries:,} entries stand under another id's look-up hash"
        return Check("vault", False, detail)
    return Check("vault", True, f"{entries:,} {store.vault.told}")


def _next_user_astray(store: Store) -> str | None:
    """What is wrong with the number the next user gets; None when it follows the newest one's."""
    newest = max([store.vault.newest_user(), *forgetting.erased(store)])
    if store.vault.next_user() == newest + 1:
        return None
    return f"#{newest} is the newest user, meta's next_user does not follow it"


def _erased(store: Store) -> Check:
    """Who has no entry any more was erased, holds nothing, and what was purged was purged by a decision."""
    erased = forgetting.erased(store)
    astray = _next_user_astray(store)
    if astray:
        # Everyone up to a number that was made up would be listed as missing, however many that are.
        return Check("erased", False, astray)
    orphans = store.vault.orphans()
    if orphans != erased:
        strange = min(set(orphans) ^ set(erased))
        return Check("erased", False, f"#{strange} is erased by half: {REBUILD}")
    condition, value = log.among("user", erased)
    held = store.rows(f"SELECT min(user) FROM members WHERE {condition}", (value,))[0][0]  # noqa: S608
    if held is not None:
        return Check("erased", False, f"#{held} was erased and is still a member: {REBUILD}")
    decided = sum(each.body["purged"] for each in log.decisions(store, kinds=(forgetting.DECISION,)))
    decided += sum(each.body["events"] for each in log.decisions(store, kinds=(retention.DECISION,)))
    purged = store.rows("SELECT count(*) FROM redactions")[0][0]
    if decided != purged:
        return Check("erased", False, f"{purged:,} events were cut, by decisions {decided:,}")
    decided = sum(each.body["words"] for each in log.decisions(store, kinds=redactions.CUTTING))
    words = lost_words.count(store)
    if decided != words:
        return Check("erased", False, f"{words:,} words were taken, by decisions {decided:,}")
    return Check("erased", True, f"{len(erased):,} persons; {purged:,} events cut")


# --- sums over the whole log -------------------------------------------------------------------------


def _totals(store: Store) -> Check:
    kept, found = summary.load(store), summary.scan(store)
    at = store.rows("SELECT position FROM snapshots WHERE name = ?", (summary.NAME,))
    detail = f"{found.events:,} events of {found.users:,} users"
    if kept == found and at in ([], [(found.position,)]):
        return Check("totals", True, detail)
    return Check("totals", False, f"{detail}, kept are {kept.events:,} of {kept.users:,}: {REBUILD}")


def _content(store: Store) -> Check:
    """The sum kept for the content digest is that of the rows, and nothing else is kept."""
    names = {name for (name,) in store.rows("SELECT name FROM snapshots")}
    known = {content.NAME, states.NAME, summary.NAME, *(each.name for each in snapshots.held(store))}
    known |= {f"{seals.PREFIX}{name}" for name in seals.kept(store)}
    strange = sorted(names - known)
    if strange:
        return Check("content", False, f"{strange[0]!r} is no snapshot of this program: {REBUILD}")
    if not store.vault.available:
        return Check("content", True, "not counted: the key is not here")
    if not content.kept_is_right(store):
        return Check("content", False, f"the content digest's kept sum is not that of the rows: {REBUILD}")
    return Check("content", True, "its kept sum is that of the rows")


# --- memberships -------------------------------------------------------------------------------------


def _rescores(store: Store) -> Check:
    """The rescores kept for folds are those decided."""
    decided = rebuilding.decided_rescores(store)
    kept = projections.rescores(store)
    differing = _first_difference(decided, kept, "seq")
    if differing is not None:
        return Check("rescores", False, f"rescore {differing} is kept otherwise than decided: {REBUILD}")
    return Check("rescores", True, f"{kept.height:,} are those decided")


def _memberships(store: Store) -> Check:
    """The head's memberships and counts are the fold of the recorded changes."""
    everything = log.changes(store)
    folded = everything.partition_by("segmentation", as_dict=True)
    numbers = {
        row[0]
        for row in store.rows("SELECT segmentation FROM member_counts UNION SELECT segmentation FROM members")
    }
    members = 0
    for segmentation in sorted(numbers | {key[0] for key in folded}):
        expected = projections.fold(folded.get((segmentation,), everything.clear()))
        expected = expected.select("user", "label", "since", "seq")
        kept = projections.memberships(store, segmentation).select("user", "label", "since", "seq")
        differing = _first_difference(expected, kept, "user")
        name = _name(store, segmentation)
        if differing is not None:
            return Check(
                "memberships", False, f"{name}: user #{differing} is not what the changes say: {REBUILD}"
            )
        counts = expected.group_by("label").agg(pl.len().cast(pl.Int64).alias("users"))
        counted = store.frame(
            "SELECT label, users FROM member_counts WHERE segmentation = ? AND users <> 0",
            (segmentation,),
            {"label": pl.Int64(), "users": pl.Int64()},
        )
        differing = _first_difference(counts, counted, "label")
        if differing is not None:
            label = vocabulary.texts(store, "label").get(differing, f"label {differing}")
            return Check("memberships", False, f"{name}={label} has another count than members: {REBUILD}")
        members += expected.height
    if (states.at_head(store) != states.summed(store)).any():
        return Check("memberships", False, f"the state digest's kept sum is not that of members: {REBUILD}")
    return Check("memberships", True, f"{members:,} are the fold of {everything.height:,} changes")


def _scores(store: Store) -> Check:
    """Probabilities are among the scores kept, whose sums are those the rescore decided."""
    scored = 0
    for (segmentation,) in store.rows("SELECT DISTINCT segmentation FROM members ORDER BY segmentation"):
        held = projections.memberships(store, segmentation)
        name = _name(store, segmentation)
        without = held.filter(pl.col("scores").is_null())
        stray = without.filter(pl.col("margin").is_not_null())
        if stray.height:
            return Check(
                "scores", False, f"{name}: user #{stray['user'][0]} has a margin, no scores: {REBUILD}"
            )
        held = held.filter(pl.col("scores").is_not_null())
        for (size,), rows in (
            held.with_columns(pl.col("scores").bin.size().alias("size"))
            .partition_by("size", as_dict=True)
            .items()
        ):
            if size % 4:
                return Check("scores", False, f"{name}: user #{rows['user'][0]} has half a score: {REBUILD}")
            wrong = _unlike_scores(rows, size // 4)
            if wrong is not None:
                return Check("scores", False, f"{name}: user #{wrong} is not what the scores say: {REBUILD}")
        if without.is_empty() and not _sums_hold(store, segmentation, held):
            return Check("scores", False, f"{name}: the scores are not those the rescore decided: {REBUILD}")
        scored += held.height
    return Check("scores", True, f"{scored:,} members have the scores they were decided by")


def _unlike_scores(rows: pl.DataFrame, labels: int) -> int | None:
    """The first user whose probability is none of the scores, which are int32 millionths."""
    scores = np.frombuffer(b"".join(rows["scores"]), "<i4").reshape(-1, labels)
    probability = rows["probability"].fill_null(-1).to_numpy()
    wrong = (scores != probability[:, None]).all(axis=1)
    return int(rows["user"].to_numpy()[wrong][0]) if wrong.any() else None


def _sums_hold(store: Store, segmentation: int, held: pl.DataFrame) -> bool:
    """Whether the scores add up to what the newest rescore decided; True where nothing can be compared."""
    expected = rebuilding.expected_at_head(store, segmentation)
    if expected is None or held.is_empty() or (held["scores"].bin.size() != 4 * len(expected)).any():
        return True
    scores = np.frombuffer(b"".join(held["scores"]), "<i4").reshape(-1, len(expected))
    return bool((scores.sum(axis=0, dtype=np.int64) == expected).all())


def _sizes(store: Store) -> Check:
    """The sizes kept per scored tick, in every pass, are those of the fold and of the rescores."""
    ticks = 0
    keys = ["pass", "as_of"]
    peopled = pl.col("users") != 0
    for segmentation in projections.rescores(store)["segmentation"].unique().sort():
        folded = rebuilding.folded_sizes(store, segmentation)
        kept = rebuilding.kept_sizes(store, segmentation)
        told = folded.filter(pl.col("decided")).drop("decided")
        wrong = _difference(told, kept.join(told, on=keys, how="semi")).drop("expected")
        rest = folded.filter(~pl.col("decided") & peopled).drop("decided", "expected")
        kept_rest = kept.join(told, on=keys, how="anti").filter(peopled).drop("expected")
        wrong = pl.concat([wrong, _difference(rest, kept_rest)])
        if wrong.height:
            row = wrong.sort("as_of", "label").row(0, named=True)
            label = vocabulary.texts(store, "label").get(row["label"], f"label {row['label']}")
            where = f"{_name(store, segmentation)}={label} at {moment(row['as_of'])}"
            return Check("sizes", False, f"{where} is not the fold of the changes: {REBUILD}")
        ticks += kept.select(keys).n_unique()
    strays = store.rows("SELECT segmentation FROM sizes EXCEPT SELECT segmentation FROM rescores")
    if strays:
        return Check("sizes", False, f"{_name(store, strays[0][0])} was never scored: {REBUILD}")
    return Check("sizes", True, f"{ticks:,} scored ticks are the fold of the changes")


def _snapshots(store: Store) -> Check:
    """Every snapshot is the fold from zero at its position."""
    kept = snapshots.held(store)
    for each in kept:
        changes = log.changes(store, segmentation=each.segmentation, position=each.position)
        everything = log.changes(
            store, segmentation=each.segmentation, position=each.position, governing=False
        )
        wrong = each.as_of != everything["as_of"].max()
        wrong |= not snapshots.load(store, each).equals(projections.fold(changes))
        if wrong:
            where = f"{_name(store, each.segmentation)} at position {each.position}"
            return Check("snapshots", False, f"{where} is not the fold of the changes: {REBUILD}")
    return Check("snapshots", True, f"{len(kept)} are the fold of the changes from zero")


def _name(store: Store, segmentation: int) -> str:
    return vocabulary.texts(store, "segmentation").get(segmentation, f"segmentation {segmentation}")


def _difference(left: pl.DataFrame, right: pl.DataFrame) -> pl.DataFrame:
    """The rows that stand in one of two frames only."""
    keys = left.columns
    right = right.select(keys)
    return pl.concat(
        [
            left.join(right, on=keys, how="anti", nulls_equal=True),
            right.join(left, on=keys, how="anti", nulls_equal=True),
        ]
    )


def _first_difference(left: pl.DataFrame, right: pl.DataFrame, key: str) -> Any:
    """The least key of a row that stands in one of two frames only; None when they are equal."""
    if left.equals(right.select(left.columns)):
        return None
    differing = _difference(left, right)
    return differing[key].min() if differing.height else None
