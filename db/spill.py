"""Rows of integers set aside until all of a key range are wanted, in memory or, when they are many, in files.

The files lie in a private folder beside the store, which goes with its transaction; what a killed writer left
the next one sweeps. Texts and external ids never stand in them.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from db.errors import StoreError
from db.leftovers import private_name
from db.sqlite import explain, explained

if TYPE_CHECKING:
    from db.store import Store

HELD_BYTES = 64 << 20
GROUP_ROWS = 1 << 15

Counts = np.ndarray[Any, np.dtype[np.int64]]


class Scratch:
    """The folder of one transaction's spills, made when first needed."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._path: Path | None = None

    def folder(self) -> Path:
        """The folder, mode 0700."""
        if self._path is None:
            path = private_name(self.store.path)
            with explained(self.store.path):
                path.mkdir(mode=0o700)
            self._path = path
        return self._path

    def spill(self, name: str, key: str) -> Spill:
        """Room for rows that are wanted by ranges of the integer column `key`."""
        return Spill(self, name, key)

    def release(self) -> None:
        """Removes the folder and everything in it."""
        if self._path is not None:
            shutil.rmtree(self._path, ignore_errors=True)
            self._path = None


class Spill:
    """Frames of one schema, added in any order; at most HELD_BYTES of them stay in memory."""

    def __init__(self, scratch: Scratch, name: str, key: str) -> None:
        self._scratch, self._name, self._key = scratch, name, key
        self._held: list[pl.DataFrame] = []
        self._files: list[Path] = []
        self.rows = 0

    def add(self, frame: pl.DataFrame) -> None:
        """Sets rows aside; all frames have the same columns."""
        if frame.is_empty():
            return
        self.rows += frame.height
        self._held.append(frame)
        if sum(part.estimated_size() for part in self._held) > HELD_BYTES:
            self._write(pl.concat(self._held))
            self._held.clear()

    def _write(self, frame: pl.DataFrame) -> None:
        path = self._scratch.folder() / f"{self._name}-{len(self._files)}.parquet"
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                # By key, so that a range is found in few row groups.
                frame.sort(self._key).write_parquet(file, compression="lz4", row_group_size=GROUP_ROWS)
        except (OSError, pl.exceptions.PolarsError) as error:
            store = self._scratch.store.path
            raise explain(error, store) or StoreError(f"{store} has no room to sort in: {error}.") from error
        self._files.append(path)

    def between(self, low: int, high: int) -> pl.DataFrame | None:
        """The rows with low <= key < high, in no particular order; None when nothing was ever added."""
        wanted = pl.col(self._key).is_between(low, high, closed="left")
        parts = [part.filter(wanted) for part in self._held]
        if self._files:
            parts.append(pl.scan_parquet(self._files, glob=False).filter(wanted).collect())
        return pl.concat(parts) if parts else None


class Histogram:
    """How many rows each user has: where to cut so that no part holds many more than wanted."""

    def __init__(self) -> None:
        self._counts: Counts = np.zeros(0, dtype=np.int64)

    def add(self, users: pl.Series) -> None:
        """Counts rows by their user number, none of them null."""
        if users.is_empty():
            return
        found = np.bincount(users.to_numpy())
        if found.size > self._counts.size:
            self._counts = np.pad(self._counts, (0, found.size - self._counts.size))
        self._counts[: found.size] += found

    @property
    def users(self) -> int:
        """How many users have a row."""
        return int(np.count_nonzero(self._counts))

    def cuts(self, rows: int) -> list[tuple[int, int]]:
        """Half-open ranges of users, ascending, of about so many rows each; a user is never divided."""
        ends = np.cumsum(self._counts)
        if not ends.size or not ends[-1]:
            return []
        marks = np.arange(rows, ends[-1] + rows, rows)
        bounds = np.unique(np.minimum(np.searchsorted(ends, marks) + 1, ends.size)).tolist()
        return list(zip([0, *bounds[:-1]], bounds, strict=True))
