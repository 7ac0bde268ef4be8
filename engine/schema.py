"""Columns and units of the frames that cross the engine's boundary.

Instants are microseconds since the Unix epoch, UTC, of the years 2 to 9998. Amounts are minor units of the
currency, refunds negative; a user's must add up within 63 bits, and their squares times their number within
127. Ratings are hundredths, durations milliseconds; `order` to `session` are vocabulary numbers without
meaning of their own. Null is allowed where a comment says so.
"""

from collections.abc import Mapping

import polars as pl

from engine.errors import EngineError

EVENTS: dict[str, pl.DataType] = {
    "seq": pl.Int64(),
    "user": pl.Int64(),
    "occurred_at": pl.Int64(),
    "kind": pl.Categorical(),
    # From here on null is allowed.
    "order": pl.Int64(),
    "item": pl.Int64(),
    "category": pl.Int64(),
    "platform": pl.Int64(),
    "device": pl.Int64(),
    "region": pl.Int64(),
    "session": pl.Int64(),  # an ordinal within the event's own user
    "amount": pl.Int64(),
    "quantity": pl.Int64(),
    "rating": pl.Int64(),
    "duration": pl.Int64(),
}

ATTRIBUTES: dict[str, pl.DataType] = {
    "seq": pl.Int64(),
    "user": pl.Int64(),
    "occurred_at": pl.Int64(),
    "name": pl.String(),
    # One of the two is null.
    "number": pl.Float64(),
    "text": pl.String(),
}

IDENTITY: dict[str, pl.DataType] = {"user": pl.Int64(), "canonical": pl.Int64()}

BOOKKEEPING = ("alias", "consent", "identify", "unalias")
"""Kinds that say something about a user without being something the user did."""


def empty(columns: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """A frame of these columns without rows."""
    return pl.DataFrame(schema=dict(columns))


def canonical(frame: pl.DataFrame, identity: pl.DataFrame | None) -> pl.Series:
    """The canonical user of each row of `frame`: identity's where it names the row's user, else the user."""
    if identity is None or identity.is_empty():
        return frame["user"]
    joined = frame.select("user").join(
        identity.select("user", "canonical"), on="user", how="left", maintain_order="left"
    )
    return joined.select(pl.coalesce("canonical", "user").alias("user"))["user"]


def require(frame: pl.DataFrame, columns: Mapping[str, pl.DataType], what: str) -> None:
    """EngineError when `frame` lacks one of `columns`."""
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise EngineError(f"The frame of {what} lacks the columns {', '.join(missing)}; see engine.schema.")
