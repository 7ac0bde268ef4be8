"""The file that keeps every row an import could not take."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import polars as pl

from db.sqlite import explained

EXAMPLES = 10
SCHEMA = {"file": pl.String, "line": pl.Int64, "reason": pl.String, "row": pl.String}


def folder(store: Path) -> Path:
    """Where a store's quarantine files lie."""
    return store.with_name(store.name + ".quarantine")


class Quarantine:
    """The rejected rows of one import: counted by reason, and kept as NDJSON.

    Of a dry run the first are kept as `examples` instead. The file, mode 0600, is made with the first row;
    with `goes_on`, rows are added to it where it is there already.
    """

    def __init__(
        self,
        store: Path,
        source: str,
        recorded_at: int,
        *,
        dry_run: bool = False,
        goes_on: bool = False,
        columns: Sequence[str] = (),
    ) -> None:
        """`columns`: where ids stand in a row, which every line tells as `ids`."""
        self._columns = list(columns)
        self._store, self._source, self._recorded_at = store, source, recorded_at
        self._dry_run = dry_run
        self._flags = os.O_CREAT | os.O_WRONLY | (os.O_APPEND if goes_on else os.O_EXCL)
        self.examples: list[dict[str, Any]] = []
        self._open: BinaryIO | None = None
        self._reasons: Counter[str] = Counter()
        self.file: Path | None = None
        self.rows = 0

    @property
    def reasons(self) -> dict[str, int]:
        """How often each reason occurred, values from the rows left out, most frequent first."""
        return dict(sorted(self._reasons.items(), key=lambda found: (-found[1], found[0])))

    def add(self, path: Path, rejected: pl.DataFrame) -> None:
        """Takes rejected rows (line, reason, row) of a file."""
        if rejected.is_empty():
            return
        self.rows += rejected.height
        worded = rejected["reason"].str.replace_all(r"'[^']*'", "'…'").value_counts()
        for reason, count in worded.iter_rows():
            self._reasons[reason] += count
        if self._dry_run:
            first = rejected.head(EXAMPLES - len(self.examples)).with_columns(pl.lit(str(path)).alias("file"))
            self.examples += first.select(list(SCHEMA)).to_dicts()
            return
        with explained(self._store):
            rejected.select(
                pl.lit(str(path)).alias("file"),
                *("line", "reason", "row"),
                pl.lit(pl.Series([self._columns], dtype=pl.List(pl.String))).first().alias("ids"),
            ).write_ndjson(self._opened())

    def _opened(self) -> BinaryIO:
        if self._open is None:
            where = folder(self._store)
            where.mkdir(mode=0o700, exist_ok=True)
            stamp = datetime.fromtimestamp(self._recorded_at / 1e6, UTC).strftime("%Y%m%dT%H%M%S%f")
            safe = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in self._source)
            self.file = where / f"{stamp}-{safe}.ndjson"
            self._open = os.fdopen(os.open(self.file, self._flags, 0o600), "wb")
        return self._open

    def close(self) -> None:
        """Everything is in the file when this returns."""
        if self._open is not None:
            with explained(self._store):
                self._open.close()
            self._open = None

    def discard(self) -> None:
        """Removes the file: the import did not get far enough for it to tell anything."""
        if self._open is not None:
            self._open.close()
            self._open = None
        if self.file is not None:
            self.file.unlink(missing_ok=True)
            self.file = None
