"""A part of an id or of a name, as somebody types who looks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

    from segtui.operations.session import Session


def parts(text: str) -> tuple[str, bool]:
    """The part in lower case, and whether it may not be there: that is what `!` before it says."""
    part = text.removeprefix("!").strip().lower()
    return part, bool(part) and text.startswith("!")


def ids_of(s: Session, users: pl.Series) -> pl.Series:
    """What users are called in results, in lower case."""
    import polars as pl

    names = s.external(users.to_list())
    return pl.Series([names[user] for user in users], dtype=pl.String).str.to_lowercase()


def like(ids: pl.Series, text: str) -> pl.Series:
    """Which of these ids the text keeps."""
    part, absent = parts(text)
    found = ids.str.contains(part, literal=True)
    return ~found if absent else found
