"""A part of an id or of a name, as somebody types who looks for it."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from segtui.operations.progress import Cancelled, Progress, Stopped, never, quiet

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

    from segtui.operations.session import Session


def parts(text: str) -> tuple[str, bool]:
    """The part in lower case, and whether it may not be there: that is what `!` before it says."""
    part = text.removeprefix("!").strip().lower()
    return part, bool(part) and text.startswith("!")


class Ids:
    """What users are called in results, in lower case; told once, and kept until somebody is forgotten.

    Shared by threads: one reads, and whoever asks meanwhile waits for that.
    """

    def __init__(self) -> None:
        # What takes long to load is loaded before anybody types.
        import pyarrow.compute  # noqa: F401

        self._lock = Lock()
        self._asking: list[Cancelled] = []
        self._known: pl.DataFrame | None = None
        self._gone: list[int] = []

    def of(
        self, s: Session, users: pl.Series, progress: Progress = quiet, cancelled: Cancelled = never
    ) -> pa.LargeStringArray:
        """One for each of these users; `#12` for those the vault cannot tell.

        `progress`: the share read so far. Raises Stopped once nobody who asked wants it any more.
        """
        self._asking.append(cancelled)
        try:
            with self._lock:
                return self._told(s, users, progress).to_arrow()
        finally:
            self._asking.remove(cancelled)

    def _told(self, s: Session, users: pl.Series, progress: Progress) -> pl.Series:
        import polars as pl

        from db import forgetting
        from db.identities import ENTRIES, first_named

        gone = forgetting.erased(s.store)
        if self._known is None or self._gone != gone or not s.store.vault.available:
            self._known, self._gone = first_named(pl.DataFrame(schema=ENTRIES)), gone
        asked = pl.DataFrame({"user": users})
        missing = asked.join(self._known, on="user", how="anti")["user"]
        if len(missing) and s.store.vault.available:
            found, read = [], 0
            for entries in s.store.vault.named(missing.to_list()):
                if all(given_up() for given_up in [*self._asking]):
                    raise Stopped
                found.append(entries)
                read += entries.height
                progress("reading ids", min(1.0, read / len(missing)))
            new = first_named(pl.concat([pl.DataFrame(schema=ENTRIES), *found]))
            lower = new.with_columns(pl.col("external").str.to_lowercase())
            self._known = pl.concat([self._known, lower])
        told = asked.join(self._known, on="user", how="left", maintain_order="left")
        number = pl.concat_str(pl.lit("#"), "user")
        return told.select(pl.coalesce("external", number)).to_series()


def ids_of(s: Session, users: pl.Series) -> pa.LargeStringArray:
    """What users are called in results, in lower case."""
    return Ids().of(s, users)


def like(ids: pa.LargeStringArray, text: str) -> pl.Series:
    """Which of these ids the text keeps, a Boolean each.

    Asked of Arrow: Polars has one pool of threads, in which a key would wait for what a training computes.
    """
    import polars as pl
    import pyarrow.compute as pc

    part, absent = parts(text)
    found = pl.Series(pc.match_substring(ids, part), dtype=pl.Boolean)
    return ~found if absent else found
