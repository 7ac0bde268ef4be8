"""Who is due at a rescore, and what caused the moves of those who moved. No JAX."""

from __future__ import annotations

import numpy as np
import polars as pl

from engine.errors import EngineError
from engine.ticks import Ticks

# The edit that ran the rescore; else the first of the others that applies, in this order.
EDITS = ("model", "definition", "label", "decision")
CAUSES = (*EDITS, "erasure", "consent", "manual", "identity", "late_event", "event", "clock")


def due(
    last_event: pl.DataFrame,
    touched: np.ndarray,
    previous_as_of: int | None,
    ticks: Ticks,
    longest_window_days: int,
) -> np.ndarray:
    """Who can differ from the last rescore at `previous_as_of`: sorted int64 users.

    `last_event` has user and last, the newest instant before `previous_as_of`. Whoever was active within the
    longest window then still has something that can leave it, or a recency, silence or tenure below its cap;
    for all others nothing moves but by an event, which makes them `touched`. Everyone is due the first time.
    """
    if previous_as_of is None:
        active = last_event["user"]
    else:
        start = ticks.days_before(previous_as_of, longest_window_days)
        active = last_event.filter(pl.col("last") >= start)["user"]
    return np.union1d(active.to_numpy(), touched).astype(np.int64)


def causes(
    users: np.ndarray,
    as_of: int,
    previous_as_of: int | None,
    new_events: pl.DataFrame,
    edit: tuple[str, int] | None,
    joined: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """The cause of each user's move: frame of user, cause, cause_seq, in the order of `users`.

    `new_events` (user, seq, occurred_at, late) are what counts for the first time since the last rescore, at
    `previous_as_of`; those at or after `as_of` are left out. `edit` is the decision (cause, seq) that ran
    this rescore, when one did. `joined` (user, seq) are those whom an alias, or the end of one, has touched
    since. A late event is one flagged so that falls before `previous_as_of`. Clock has
    no seq.
    """
    frame = pl.DataFrame({"user": np.asarray(users, np.int64)})
    if edit is not None:
        cause, seq = edit
        if cause not in EDITS:
            raise EngineError(
                f"{cause!r} is not an edit that can run a rescore: it is one of {', '.join(EDITS)}."
            )
        return frame.with_columns(cause=pl.lit(cause), cause_seq=pl.lit(seq, pl.Int64))
    before = pl.lit(False) if previous_as_of is None else pl.col("occurred_at") < previous_as_of
    late = pl.col("late").cast(pl.Boolean) & before
    newest = (
        new_events.lazy()
        .filter(pl.col("occurred_at") < as_of)
        .group_by(pl.col("user").cast(pl.Int64))
        .agg(
            late_seq=pl.col("seq").filter(late).max().cast(pl.Int64),
            event_seq=pl.col("seq").filter(~late).max().cast(pl.Int64),
        )
    )
    links = pl.DataFrame(schema={"user": pl.Int64, "seq": pl.Int64}) if joined is None else joined
    return (
        frame.lazy()
        .join(newest, on="user", how="left", maintain_order="left")
        .join(links.lazy().select("user", joined_seq="seq"), on="user", how="left", maintain_order="left")
        .select(
            "user",
            cause=pl.when(pl.col("joined_seq").is_not_null())
            .then(pl.lit("identity"))
            .when(pl.col("late_seq").is_not_null())
            .then(pl.lit("late_event"))
            .when(pl.col("event_seq").is_not_null())
            .then(pl.lit("event"))
            .otherwise(pl.lit("clock")),
            cause_seq=pl.coalesce("joined_seq", "late_seq", "event_seq"),
        )
        .collect()
    )
