"""A table with one row per user: every column becomes an attribute of the user, a given label too.

The user is the first of the columns user_id, customer_id, id; else the trimmed lower-case e-mail; else the
number of the row. A column is a number column when nine in ten of its values are numbers; a text in one is
then an error of that row. Columns that identify a person directly never become attributes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from segtui.sources import numbers
from segtui.sources.delimited import Chunk
from segtui.sources.errors import SourceError
from segtui.sources.judging import TEXT_LIMIT, Judge, told
from segtui.sources.schema import ATTRIBUTES, Batch, Columns, Options
from segtui.sources.tabular import Table

NAME = "table"
USER_COLUMNS = ("user_id", "customer_id", "id")
EMAIL_COLUMNS = ("email", "e-mail", "e_mail", "email_address")
TIME_COLUMNS = ("time", "timestamp", "date", "datetime", "event_time", "created_at", "occurred_at")
IDENTIFYING = frozenset(
    {
        *(
            "name",
            "first_name",
            "last_name",
            "full_name",
            "phone",
            "telephone",
            "mobile",
            "address",
            "street",
        ),
        *("ip", "ip_address", "password"),
        *EMAIL_COLUMNS,
    }
)
BEYOND = "it makes attributes of a user of its columns, a mapping makes events of its rows"
NUMERIC_SHARE = 0.9

# Values that cannot be true, by the words of a column's name: lowest, highest (in billionths), and in words.
BROWSE_TIME = "browse_time|browsing_time|visit_time|dwell_time"
NOT_NEGATIVE = "frequency|count|quantity|orders|purchases|visits|sessions|duration|age"
STARS = "rating|rating_star|rating_stars|stars|star_rating"


def recognise(names: list[str]) -> str | None:
    """Why the columns look like a table of users, or None."""
    lower = [name.lower() for name in names]
    if len(names) < 2 or any(name in TIME_COLUMNS for name in lower):
        return None
    found = next((name for name in USER_COLUMNS if name in lower), None)
    return f"one row per {found}" if found else "a table without a time: one row per user"


def columns(path: Path) -> Columns:
    """What becomes of the columns: who the user is goes to the vault, what else identifies one nowhere."""
    names = Table(path).names
    user, email = _who(names)
    attributes = [name for name in names if name.lower() not in IDENTIFYING]
    return Columns.among(names, attributes, [name for name in (user or email,) if name is not None])


def fields(path: Path) -> dict[str, str]:
    """Where the user comes from, and what becomes attributes."""
    names = Table(path).names
    user, email = _who(names)
    attributes = [name for name in names if name != user and name.lower() not in IDENTIFYING]
    return {
        "user": user or email or "the row's number",
        "kind": "'identify'",
        "attributes": ", ".join(attributes),
    }


def _who(names: list[str]) -> tuple[str | None, str | None]:
    """The column that is the user's id, and the one that holds the e-mail."""
    by_lower = {name.lower(): name for name in reversed(names)}
    user = next((by_lower[name] for name in USER_COLUMNS if name in by_lower), None)
    return user, next((by_lower[name] for name in EMAIL_COLUMNS if name in by_lower), None)


def read(path: Path, options: Options) -> Iterator[Batch]:
    """The users of a table, as `identify` events at options.now with their attributes."""
    table = Table(path)
    if len(table.names) < 2:
        raise SourceError(
            f"{path}, line 1: a table of users needs at least two columns, there is only "
            f"{', '.join(table.names) or 'none'}: check the delimiter."
        )
    user, email = _who(table.names)
    columns = [name for name in table.names if name != user and name.lower() not in IDENTIFYING]
    numeric = _numeric(table, columns)
    before = 0
    for chunk in table.chunks():
        yield _batch(chunk, before, columns, numeric, user, email, options)
        before += chunk.rows.height + chunk.broken.height


def _numeric(table: Table, columns: list[str]) -> set[str]:
    """The columns in which nearly all values that are there are numbers, over the whole file."""
    there, good = dict.fromkeys(columns, 0), dict.fromkeys(columns, 0)
    for chunk in table.chunks():
        for name in columns:
            values = chunk.rows[name].to_frame("value")
            filled = numbers.trimmed(pl.col("value")).is_not_null().sum()
            numeric = numbers.billionths(pl.col("value")).is_not_null().sum()
            counts = values.select(filled.alias("there"), numeric.alias("good")).row(0)
            there[name] += counts[0]
            good[name] += counts[1]
    return {name for name in columns if there[name] and good[name] >= NUMERIC_SHARE * there[name]}


def _batch(
    chunk: Chunk,
    before: int,
    columns: list[str],
    numeric: set[str],
    user: str | None,
    email: str | None,
    options: Options,
) -> Batch:
    judge = Judge(chunk.rows, chunk.lines, options)
    if user is not None:
        judge.user(pl.col(f"raw:{user}"))
    elif email is not None:
        judge.put("email", numbers.trimmed(pl.col(f"raw:{email}")).str.to_lowercase())
        judge.user(pl.col("email"))
    else:
        judge.user(_row_numbers(chunk, before))
    judge.put("time", pl.lit(options.now, dtype=pl.Int64))
    judge.put("kind", pl.lit("identify"))
    found = []
    for name in columns:
        raw = pl.col(f"raw:{name}")
        if name in numeric:
            value = judge.number(name, raw, name)
            _refuse_impossible(judge, name, value, raw)
            kept = judge.series(value.cast(pl.Float64) / numbers.ONE)
            found.append(_attribute(chunk.lines, name, kept, None))
        else:
            judge.put(f"text:{name}", numbers.trimmed(raw))
            text = pl.col(f"text:{name}")
            judge.reject(
                text.str.len_chars() > TEXT_LIMIT,
                f"{name} is longer than {TEXT_LIMIT} characters",
            )
            found.append(_attribute(chunk.lines, name, None, judge.series(text)))
    attributes = (
        pl.concat(found).sort("line", maintain_order=True) if found else pl.DataFrame(schema=ATTRIBUTES)
    )
    return judge.batch(chunk.broken, attributes)


def _row_numbers(chunk: Chunk, before: int) -> pl.Series:
    """The number of each row among all rows of the file, broken ones counted."""
    every = pl.concat([chunk.lines, chunk.broken["line"]]).rename("line").to_frame().sort("line")
    numbered = every.with_row_index("row", offset=before + 1)
    return chunk.lines.rename("line").to_frame().join(numbered, on="line", how="left")["row"].cast(pl.String)


def _refuse_impossible(judge: Judge, name: str, value: pl.Expr, raw: pl.Expr) -> None:
    word = f"_{name.lower()}_"
    if any(f"_{part}_" in word for part in BROWSE_TIME.split("|")):
        judge.reject(value <= 0, told(name, raw, "is not above 0"))
    elif any(f"_{part}_" in word for part in STARS.split("|")):
        judge.reject(
            (value < 0) | (value > 5 * numbers.ONE),
            told(name, raw, "is not between 0 and 5"),
        )
    elif any(f"_{part}_" in word for part in NOT_NEGATIVE.split("|")):
        judge.reject(value < 0, told(name, raw, "is negative"))


def _attribute(lines: pl.Series, name: str, number: pl.Series | None, text: pl.Series | None) -> pl.DataFrame:
    frame = pl.DataFrame({"line": lines}).select(
        "line",
        pl.lit(name).alias("name"),
        (pl.lit(None) if number is None else number).cast(pl.Float64).alias("number"),
        (pl.lit(None) if text is None else text).cast(pl.String).alias("text"),
    )
    return frame.filter(pl.col("number").is_not_null() | pl.col("text").is_not_null())
