"""Opening files: plain or gzip, text in whole lines, Parquet in slices."""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from segtui.sources.errors import SourceError

CHUNK_BYTES = 16 << 20
LONGEST_LINE = 16 << 20
PARQUET_ROWS = 150_000

GZIP_MAGIC = b"\x1f\x8b"
GZIP_TRAILER = 4  # bytes at the end: the size of what is packed
PARQUET_MAGIC = b"PAR1"
NO_TEXT = (pl.Binary, pl.Object, pl.Duration)  # types of columns whose values are written as no text
UTF8_MARK = b"\xef\xbb\xbf"
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class Lines:
    """Some consecutive lines of a text file, without their ends; first is the number of the first line."""

    first: int
    texts: pl.Series
    last: bool  # nothing follows

    def numbers(self) -> pl.Series:
        """The 1-based number of each line."""
        return pl.int_range(self.first, self.first + len(self.texts), dtype=pl.Int64, eager=True)


def check(path: Path) -> None:
    """Raises SourceError unless path is a file with something in it that may be read."""
    try:
        if path.is_dir():
            raise SourceError(f"{path} is a folder: name the files in it.")
        if path.stat().st_size == 0:
            raise _empty(path)
        with path.open("rb"):
            pass
    except FileNotFoundError:
        raise SourceError(f"There is no file {path}: check its name and folder.") from None
    except (OSError, ValueError) as error:
        raise SourceError(f"{path} cannot be read ({_why(error)}): check its name and rights.") from error


def is_parquet(path: Path) -> bool:
    """Whether the file begins as Parquet does; raises SourceError when it cannot be read."""
    check(path)
    with path.open("rb") as file:
        return file.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC


def head(path: Path, size: int = 1 << 20) -> list[str]:
    """The whole lines in the first `size` bytes of a text file, for recognising formats.

    A last line that is cut there is left out.
    """
    check(path)
    with _open(path) as file:
        raw = _read(file, size, path, 1)
    if not raw:
        raise _empty(path)
    _refuse_marks(raw, path)
    if len(raw) == size:
        _refuse_endless(raw, path, 1)
        raw = raw[: raw.rindex(b"\n")]
    text = _decoded(raw.removeprefix(UTF8_MARK), path, 1)
    return [line.removesuffix("\r") for line in text.split("\n")]


def lines(path: Path) -> Iterator[Lines]:
    """The lines of a text file, plain or gzip, some megabytes at a time; CR LF counts as one end.

    Raises SourceError for a file that is missing, empty, cut off, not UTF-8, or not made of lines.
    """
    check(path)
    with _open(path) as file:
        number, rest, start = 1, b"", True
        while True:
            read = _read(file, CHUNK_BYTES, path, number)
            raw = rest + read
            if start:
                _refuse_marks(raw, path)
                raw = raw.removeprefix(UTF8_MARK)
                start = False
            if not read:
                break
            end = raw.rfind(b"\n") + 1
            raw, rest = raw[:end], raw[end:]
            if len(rest) > LONGEST_LINE:
                _refuse_endless(rest, path, number + raw.count(b"\n"))
            if raw:
                texts = _texts(raw, path, number)
                yield Lines(number, texts, last=False)
                number += len(texts)
        if number == 1 and not raw:
            raise _empty(path)
        yield Lines(number, _texts(raw, path, number), last=True)


def filled(path: Path) -> Iterator[pl.DataFrame]:
    """Line number and text of the lines that are not blank, as `lines` gives them; frames may be empty.

    Raises SourceError at the end when there was none.
    """
    seen = False
    for part in lines(path):
        frame = pl.DataFrame({"line": part.numbers(), "text": part.texts})
        frame = frame.filter(pl.col("text").str.contains(r"\S"))
        seen = seen or frame.height > 0
        if part.last and not seen:
            raise blank(path)
        yield frame


def _empty(path: Path) -> SourceError:
    return SourceError(f"{path} is empty: there is nothing to import, export it again.")


def blank(path: Path) -> SourceError:
    """The error for a file of blank lines."""
    return SourceError(f"{path} holds only blank lines: there is nothing to import, export it again.")


def parquet_columns(path: Path) -> dict[str, bool]:
    """The columns of a Parquet file, and whether each is text."""
    with _arrow(path) as file:
        schema = _frame([], file.schema_arrow).schema
        return {name: dtype == pl.String for name, dtype in schema.items()}


def parquet(path: Path) -> Iterator[tuple[int, pl.DataFrame]]:
    """The rows of a Parquet file, PARQUET_ROWS at a time, with the 1-based number of each frame's first."""
    with _arrow(path) as file:
        first = 1
        for groups in _row_groups(file.metadata):
            for batch in file.iter_batches(PARQUET_ROWS, row_groups=groups):
                batch.validate(full=True)
                yield first, _frame([batch], file.schema_arrow)
                first += batch.num_rows
        if first == 1:
            yield first, _frame([], file.schema_arrow)


def _row_groups(metadata: Any) -> Iterator[list[int]]:
    """Row groups to be read together: Arrow keeps what it has read of them until it is through them all."""
    groups: list[int] = []
    rows = 0
    for group in range(metadata.num_row_groups):
        groups.append(group)
        rows += metadata.row_group(group).num_rows
        if rows >= PARQUET_ROWS:
            yield groups
            groups, rows = [], 0
    if groups:
        yield groups


def batches(path: Path) -> int:
    """About how many pieces `lines` or `parquet` will give of a file; gzip tells its size modulo 4 GB."""
    if is_parquet(path):
        with _arrow(path) as file:
            return max(1, -(-int(file.metadata.num_rows) // PARQUET_ROWS))
    size = path.stat().st_size
    if size >= GZIP_TRAILER:
        with path.open("rb") as raw:
            if raw.read(len(GZIP_MAGIC)) == GZIP_MAGIC:
                raw.seek(-GZIP_TRAILER, os.SEEK_END)
                size = max(size, int.from_bytes(raw.read(), "little"))
    return size // CHUNK_BYTES + 1


def _frame(batches: list[Any], schema: Any) -> pl.DataFrame:
    """Arrow batches as a frame; metadata stays behind, for Polars panics where it is no text."""
    from pyarrow import RecordBatch, Table
    from pyarrow import schema as build

    plain = build([field.remove_metadata() for field in schema])
    bare = [RecordBatch.from_arrays(batch.columns, schema=plain) for batch in batches]
    table = Table.from_batches(bare, plain)
    return pl.DataFrame(pl.from_arrow(table))


@contextmanager
def _arrow(path: Path) -> Iterator[Any]:
    """A Parquet file through Arrow, whose reader refuses damaged files where the one of Polars panics."""
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path) as file:
            if len(set(file.schema_arrow.names)) < len(file.schema_arrow.names):
                raise SourceError(f"{path} has two columns of the same name: rename one of the two.")
            yield file
    except (ArrowException, UnicodeDecodeError, OSError, pl.exceptions.PolarsError) as error:
        raise SourceError(
            f"{path} begins as Parquet but cannot be read ({_why(error)}): it is damaged or cut off, "
            "export it again."
        ) from error


def _open(path: Path) -> gzip.GzipFile | io.BufferedReader:
    with path.open("rb") as file:
        zipped = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
    return gzip.open(path, "rb") if zipped else path.open("rb")


def _read(file: gzip.GzipFile | io.BufferedReader, size: int, path: Path, number: int) -> bytes:
    try:
        return file.read(size)
    except EOFError:
        raise SourceError(
            f"{path} is a gzip file that ends too early (after line {number - 1:,} or later): "
            "it was cut off, copy it again."
        ) from None
    except (OSError, zlib.error) as error:
        raise SourceError(
            f"{path} cannot be read past line {number - 1:,} ({_why(error)}): copy it again."
        ) from error


def _refuse_endless(raw: bytes, path: Path, number: int) -> None:
    if b"\n" not in raw:
        raise SourceError(
            f"{path}, line {number} has no end within {max(len(raw) >> 20, 1)} MB: "
            "it is not a text file of rows; check its format."
        )


def _refuse_marks(raw: bytes, path: Path) -> None:
    if raw.startswith(PARQUET_MAGIC):
        raise SourceError(f"{path} is Parquet, this format is text: choose another format.")
    if raw.startswith(UTF16_MARKS):
        raise SourceError(f"{path} is UTF-16 text: save it as UTF-8.")
    if raw.startswith(b"PK\x03\x04"):
        raise SourceError(f"{path} is a zip archive or a spreadsheet: unpack it or save it as CSV.")


def _texts(raw: bytes, path: Path, number: int) -> pl.Series:
    _decoded(raw, path, number)
    if not raw:
        return pl.Series("text", [], dtype=pl.String)
    # In one piece: of a piece that a filter empties, Polars can make no sentence.
    return pl.read_lines(io.BytesIO(raw)).to_series().rename("text").rechunk()


def _decoded(raw: bytes, path: Path, number: int) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = number + raw.count(b"\n", 0, error.start)
        column = error.start - raw.rfind(b"\n", 0, error.start)
        raise SourceError(
            f"{path}, line {line}, column {column}: byte 0x{raw[error.start]:02X} is not UTF-8 text; "
            "save the file as UTF-8 (from Latin-1: iconv -f latin1 -t utf-8)."
        ) from None


def _why(error: Exception) -> str:
    text = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return " ".join(text.split())[:120]
