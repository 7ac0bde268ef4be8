"""Tables with named columns, whether they stand in delimited text or in Parquet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from segtui.sources import delimited, files
from segtui.sources.delimited import Chunk
from segtui.sources.errors import SourceError
from segtui.sources.nearest import missing
from segtui.sources.schema import REJECTED


class Table:
    """A file with named columns; numbers come as text, dates of Parquet as they are.

    names: the columns. texts: those that are text in the file itself.
    """

    def __init__(self, path: Path, delimiter: str | None = None, names: Sequence[str] | None = None) -> None:
        """Looks at the file's columns; `names` are those of delimited text without a header."""
        self.path = path
        self.parquet = files.is_parquet(path)
        if self.parquet:
            columns = files.parquet_columns(path)
            self.names = list(columns)
            self.texts = {name for name, text in columns.items() if text}
        else:
            self._shape = delimited.shape_of(path, delimiter, names)
            self.names = self._shape.names
            self.texts = set(self.names)

    def require(self, needed: list[str], what: str) -> None:
        """Raises SourceError unless the needed columns are there; says which are."""
        if not set(needed) <= set(self.names):
            where = self.path if self.parquet else f"{self.path}, line 1"
            raise SourceError(
                f"{where}: {what} needs {missing(needed, self.names)}: "
                "choose another format or correct the mapping file."
            )

    def chunks(self) -> Iterator[Chunk]:
        """The rows of the file, some hundred thousand at a time, at least one chunk."""
        if not self.parquet:
            yield from delimited.read(self.path, self._shape)
            return
        for first, frame in files.parquet(self.path):
            lines = pl.int_range(first, first + frame.height, dtype=pl.Int64, eager=True)
            yield Chunk(
                lines, frame.select(_as_text(frame[name], self.path) for name in frame.columns), _NOTHING
            )


_NOTHING = pl.DataFrame(schema=REJECTED)


def _as_text(column: pl.Series, path: Path) -> pl.Series:
    if column.dtype in (pl.Date, pl.Datetime):
        return column
    if column.dtype.is_nested() or column.dtype in files.NO_TEXT:
        raise SourceError(
            f"{path}: column '{column.name}' holds {column.dtype}, not texts, numbers or dates: "
            "export it as text, or leave it out where nothing needs it."
        )
    if column.dtype.is_float():
        # Writers that know no null put NaN where a number is missing.
        column = column.fill_nan(None)
    return column.cast(pl.String)
