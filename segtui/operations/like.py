"""A part of an id or of a name, as somebody types who looks for it."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from segtui.operations.progress import Cancelled, Progress, Stopped, never, quiet

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
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
    """Which of these ids the text keeps, a Boolean each."""
    return Narrowing(ids).like(text)


class Narrowing:
    """Ids that are asked for one text after another: what has a longer one in it had the shorter one.

    Asked of Arrow: Polars has one pool of threads, in which a key would wait for what a training computes.
    """

    def __init__(self, ids: pa.LargeStringArray) -> None:
        self._ids = ids
        self._part = ""
        self._places: npt.NDArray[np.intp] | None = None
        """Where those stand that have the part; None for all."""

    def like(self, text: str) -> pl.Series:
        """Which of the ids the text keeps, a Boolean each."""
        import numpy as np
        import polars as pl
        import pyarrow.compute as pc

        part, absent = parts(text)
        if self._part not in part:
            self._places = None
        among = self._ids if self._places is None else self._ids.take(self._places)
        found = np.flatnonzero(pc.match_substring(among, part).to_numpy(zero_copy_only=False))
        self._places = found if self._places is None else self._places[found]
        self._part = part
        kept = np.full(len(self._ids), absent)
        kept[self._places] = not absent
        return pl.Series(kept)
