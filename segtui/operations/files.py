"""Writing result files: whole or not at all, readable by their owner only."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import polars as pl

from segtui.operations.errors import OperationError

FORMATS = (".csv", ".parquet", ".ndjson")


def write_frame(frame: pl.DataFrame, out: Path) -> dict[str, Any]:
    """Writes CSV, Parquet or NDJSON by the file's ending, `-` as CSV to stdout; returns rows and digest.

    A file appears under its name only when it is complete, with mode 0600.
    """
    if str(out) == "-":
        frame.write_csv(sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return {"rows": frame.height, "out": "-", "file_digest": None}
    with frame_beside(frame, out) as (told, place):
        place()
    return told


@contextmanager
def frame_beside(frame: pl.DataFrame, out: Path) -> Iterator[tuple[dict[str, Any], Callable[[], None]]]:
    """Writes a frame to a file beside `out`; yields what `write_frame` returns, and what puts it in place.

    Where the block ends with an error there is neither the one nor the other.
    """
    if out.suffix not in FORMATS:
        raise OperationError(
            f"{out} ends in none of {', '.join(FORMATS)}: choose a format by the file's ending."
        )
    require_folder(out)
    with _beside(out, lambda file: _write(frame, file, out.suffix)) as (digest, place):
        yield {"rows": frame.height, "out": str(out), "file_digest": digest}, place


def write_text(text: str, out: Path) -> None:
    """Writes a text to a file that appears under its name only when it is complete, with mode 0600."""
    with _beside(out, lambda file: file.write(text.encode())) as (_, place):
        place()


def require_folder(out: Path) -> None:
    """Raises OperationError where there is no folder to write `out` in."""
    if not out.parent.is_dir():
        raise OperationError(f"Folder {out.parent} is not there: create it first, or write elsewhere.")


def refuse_unwritable(out: Path) -> None:
    """Raises OperationError where a new file cannot be made: what it is to tell of comes before it."""
    if out.exists():
        raise OperationError(f"{out} is there already: choose another name.")
    if not os.access(out.parent, os.W_OK | os.X_OK):
        raise OperationError(f"{out} cannot be made: check the folder {out.parent} and its permissions.")


@contextmanager
def _beside(out: Path, write: Callable[[IO[bytes]], object]) -> Iterator[tuple[str, Callable[[], None]]]:
    """Writes a file beside `out`; yields its SHA-256 in hex, and what puts it in place."""
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    placed = False

    def place() -> None:
        nonlocal placed
        part.replace(out)
        placed = True

    # What a killed process of the same number left.
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        with part.open("rb") as written:
            digest = hashlib.file_digest(written, "sha256").hexdigest()
        yield digest, place
    except BaseException:
        if placed:
            out.unlink(missing_ok=True)
        raise
    finally:
        part.unlink(missing_ok=True)


def _write(frame: pl.DataFrame, file: IO[bytes], suffix: str) -> None:
    if suffix == ".csv":
        frame.write_csv(file)
    elif suffix == ".parquet":
        frame.write_parquet(file)
    else:
        frame.write_ndjson(file)
