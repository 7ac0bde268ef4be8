"""Comma separated and similar text to columns, keeping count of every line.

Lines without a quotation mark are split as they stand; the others go through a CSV reader. A record may span
lines inside quotes. A line that does not have the header's columns, or opens a quote that nothing closes
within MULTILINE lines, is broken: it is given back whole, with its reason, and the next line starts afresh.
"""

from __future__ import annotations

import csv
import io
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from segtui.sources import files
from segtui.sources.errors import SourceError
from segtui.sources.judging import broken
from segtui.sources.schema import REJECTED

MULTILINE = 200
BLANKS = "blanks"  # the delimiter of columns between any blanks
DELIMITERS = (",", ";", "\t", "|")


@dataclass(frozen=True)
class Chunk:
    """Records of a file as text columns, with the line each starts on; broken ones apart (REJECTED)."""

    lines: pl.Series
    rows: pl.DataFrame
    broken: pl.DataFrame


def header(line: str, delimiter: str) -> list[str]:
    """The column names of a header line; unnamed columns are called by their place."""
    cells = _cells(line, delimiter)
    return [cell.strip() or f"column {place}" for place, cell in enumerate(cells, start=1)]


def _named(line: str, delimiter: str) -> list[str]:
    return line.split() if delimiter == BLANKS else header(line, delimiter)


def sniff(line: str) -> str:
    """The delimiter of a header line: the candidate that splits it most often."""
    return max(DELIMITERS, key=lambda delimiter: len(header(line, delimiter)))


def literal(character: str) -> str:
    """A regular expression for one character, also inside brackets."""
    return f"\\x{{{ord(character):x}}}"


@dataclass(frozen=True)
class Shape:
    """How a file is laid out: its columns, its delimiter, and whether its first line names the columns."""

    names: list[str]
    delimiter: str
    headed: bool = True


def shape_of(path: Path, delimiter: str | None = None, names: Sequence[str] | None = None) -> Shape:
    """The layout of a file; `names` are its columns where it has no header, or may have none.

    Raises SourceError when a name stands twice.
    """
    lines = [line for line in files.head(path) if line.strip()]
    if not lines:
        raise files.blank(path)
    delimiter = delimiter or sniff(lines[0])
    found = _named(lines[0], delimiter)
    if names is not None and found != list(names):
        if all(len(_named(line, delimiter)) != len(names) for line in lines[:10]):
            raise SourceError(
                f"{path}, line 1: {len(found)} columns, not the {len(names)} that should be there, "
                f"{', '.join(names)}: choose another format or correct the mapping file."
            )
        return Shape(list(names), delimiter, headed=False)
    names = found
    twice = next((name for name, times in Counter(names).items() if times > 1), None)
    if twice is not None:
        raise SourceError(f"{path}, line 1: column '{twice}' stands twice, rename one of the two.")
    return Shape(names, delimiter)


def read(path: Path, shape: Shape) -> Iterator[Chunk]:
    """The records after the header line, as chunks; blank lines count as lines, not as records."""
    rest: pl.DataFrame | None = None
    headed = not shape.headed
    between_blanks = shape.delimiter == BLANKS
    names, delimiter = shape.names, "\t" if between_blanks else shape.delimiter
    for part in files.lines(path):
        frame = pl.DataFrame({"line": part.numbers(), "text": part.texts})
        if between_blanks:
            frame = frame.with_columns(pl.col("text").str.strip_chars().str.replace_all(r"\s+", "\t"))
        if rest is not None:
            frame = pl.concat([rest, frame])
        if not headed:
            filled = frame["text"].str.contains(r"\S").arg_true()
            headed = len(filled) > 0
            frame = frame[filled[0] + 1 :] if headed else frame.clear()
        records, rest, unclosed = _records(frame, delimiter, final=part.last)
        yield _split(records.filter(pl.col("text").str.contains(r"\S")), unclosed, names, delimiter)


def _records(
    frame: pl.DataFrame, delimiter: str, *, final: bool
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Lines joined to records where quotes span them; lines to read again with the next ones; unclosed lines.

    Whether a line leaves a quote open depends on whether it began inside one; both answers come from regular
    expressions over all lines, and only lines that open a quote are walked through.
    """
    nothing = frame.clear()
    if not frame["text"].str.contains('"', literal=True).any():
        return frame, nothing, nothing
    text = pl.col("text")
    sep = literal(delimiter)
    field = rf'(?:"(?:[^"]|"")*"(?:[^"{sep}][^{sep}]*)?|[^"{sep}][^{sep}]*)?'
    opens = frame.select(text.str.contains(rf'^(?:{field}{sep})*"(?:[^"]|"")*$')).to_series()
    if not opens.any():
        return frame, nothing, nothing
    closes = frame.select(
        text.str.contains(rf'^(?:[^"]|"")*"(?:[^"{sep}][^{sep}]*)?(?:{sep}{field})*$')
    ).to_series()
    closing = closes.arg_true().to_list()
    group = list(range(frame.height))
    unclosed: list[int] = []
    until, keep = -1, frame.height
    for start in opens.arg_true().to_list():
        if start <= until:
            continue
        place = bisect_right(closing, start)
        end = closing[place] if place < len(closing) else None
        if end is None and not final and frame.height - start <= MULTILINE:
            keep = start
            break
        if end is None or end - start > MULTILINE:
            unclosed.append(start)
            continue
        group[start + 1 : end + 1] = [start] * (end - start)
        until = end
    frame = frame.with_columns(pl.Series("group", group))
    rest = frame[keep:].drop("group")
    lone = frame[unclosed].drop("group")
    joined = (
        frame[:keep]
        .filter(~pl.col("group").is_in(unclosed))
        .group_by("group", maintain_order=True)
        .agg(pl.col("line").first(), pl.col("text").str.join("\n"))
        .drop("group")
    )
    return joined, rest, lone


def _split(records: pl.DataFrame, unclosed: pl.DataFrame, names: list[str], delimiter: str) -> Chunk:
    width = len(names)
    quoted = pl.col("text").str.contains('"', literal=True)
    plain = records.filter(~quoted)
    parts = plain.select("line", pl.col("text").str.split_exact(delimiter, width).alias("cells"))
    cells = parts["cells"].struct.unnest()
    cells.columns = [f"{place}" for place in range(width + 1)]
    fits = (cells[f"{width - 1}"].is_not_null()) & (cells[f"{width}"].is_null())
    good = cells.filter(fits).drop(f"{width}").insert_column(0, plain["line"].filter(fits))
    bad = [_miscounted(plain.filter(~fits), delimiter, width)]
    special = records.filter(quoted)
    if special.height:
        kept, wrong = _quoted(special, width, delimiter)
        good = pl.concat([good, kept]).sort("line")
        bad.append(_miscounted(wrong, delimiter, width))
    if unclosed.height:
        reason = pl.Series(["a quotation mark is opened and not closed"]).new_from_index(0, unclosed.height)
        bad.append(broken(unclosed["line"], reason, unclosed["text"]))
    rows = good.drop("line")
    rows.columns = names
    return Chunk(good["line"], rows, pl.concat(bad).sort("line"))


def _quoted(records: pl.DataFrame, width: int, delimiter: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Records with quotation marks, split by a CSV reader; those of another width apart.

    Polars reads those that keep to the rules, all at once; the others, which it might refuse or take
    otherwise, go through the reader of the standard library one by one.
    """
    sep = literal(delimiter)
    field = rf'(?:"(?:[^"]|"")*"|[^"{sep}\r\n]*)'
    regular = records["text"].str.contains(rf"^{field}(?:{sep}{field}){{{width - 1}}}$")
    kept = _at_once(records.filter(regular), width, delimiter) if width > 1 else None
    if kept is None:
        return _one_by_one(records, width, delimiter)
    others, wrong = _one_by_one(records.filter(~regular), width, delimiter)
    return pl.concat([kept, others]), wrong


def _at_once(records: pl.DataFrame, width: int, delimiter: str) -> pl.DataFrame | None:
    """Records that keep to the rules of quoting, or None where they are not taken as they should be."""
    names = [f"{place}" for place in range(width)]
    if records.is_empty():
        return pl.DataFrame(schema={"line": pl.Int64, **dict.fromkeys(names, pl.String())})
    raw = records["text"].str.join("\n").item().encode()
    try:
        rows = pl.read_csv(
            io.BytesIO(raw),
            has_header=False,
            new_columns=names,
            separator=delimiter,
            infer_schema=False,
        ).fill_null("")
    except pl.exceptions.PolarsError:
        return None
    return rows.insert_column(0, records["line"]) if rows.shape == (records.height, width) else None


def _one_by_one(records: pl.DataFrame, width: int, delimiter: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    split = [_cells(text, delimiter) for text in records["text"]]
    fits = pl.Series([len(cells) == width for cells in split], dtype=pl.Boolean)
    columns = list(zip(*(cells for cells in split if len(cells) == width), strict=True))
    schema = {f"{place}": pl.String for place in range(width)}
    frame = pl.DataFrame(columns, schema=schema) if columns else pl.DataFrame(schema=schema)
    return frame.insert_column(0, records["line"].filter(fits)), records.filter(~fits)


def _cells(text: str, delimiter: str) -> list[str]:
    """The cells of one record, which may hold line ends inside quotes; none where it cannot be split."""
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error:
        return []
    return rows[0] if len(rows) == 1 else []


def _miscounted(records: pl.DataFrame, delimiter: str, width: int) -> pl.DataFrame:
    if records.is_empty():
        return pl.DataFrame(schema=REJECTED)
    counts = pl.Series([len(_cells(text, delimiter)) for text in records["text"]], dtype=pl.Int64)
    reasons = counts.to_frame("n").select(
        pl.when(pl.col("n") == 0)
        .then(pl.lit("the line cannot be split into columns"))
        .otherwise(pl.format(f"the line has {{}} columns, the header {width}", "n"))
        .alias("reason")
    )
    return broken(records["line"], reasons.to_series(), records["text"])
