# ruff: noqa: S608  (the names put into SQL are this package's own; values are always bound)
"""What the projections should be, folded from the log again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from db import log, summary, vocabulary
from db.folds import fold, fold_sizes
from db.members import SIZES
from db.passes import RESCORES, left_by, rescores

if TYPE_CHECKING:
    from db.store import Store
    from db.transaction import Transaction


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
    for table in ("rescores", "members", "member_counts", "sizes", "snapshots"):
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
