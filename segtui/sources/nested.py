"""Formats whose rows hold lists: each element becomes a row, and the rows are read by a mapping.

The same for lines of JSON and for Parquet; all leaves become texts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import polars as pl

from db.vocabulary import LINKING
from segtui.sources import files, mapped, ndjson, numbers
from segtui.sources.errors import SourceError
from segtui.sources.judging import GIVEN
from segtui.sources.mapping import Mapping, parse
from segtui.sources.nearest import missing
from segtui.sources.schema import REJECTED, Batch, Columns, Options

LINE = "#line"  # the line of the file a row comes from
TEXT = "#text"  # that line as it stands there
PLACE = "#place"  # which element of its list a row is, from 1
LENGTH = "#length"  # how many elements that list has
OTHER = "#other"  # the other id that a row joins to its user
WRAPPERS = frozenset({"element", "item", "list", "array_element"})  # what writers put around elements


@dataclass(frozen=True)
class Nested:
    """A format: the shape of its rows, which members must be there, and what flat rows they make.

    flat: a frame of `schema` and LINE to rows with the columns of the mapping `text`, LINE kept. joins: the
    flat columns of user, other id, time and kind of a format whose events say by themselves that two ids are
    one person; where a file first names two together there is an `identify` row more, the other id in OTHER.
    """

    name: str
    schema: ndjson.Schema
    needed: Sequence[str]
    flat: Callable[[pl.DataFrame], pl.DataFrame]
    identifying: Sequence[str]
    text: str
    joins: tuple[str, str, str, str] | None = None

    @cached_property
    def mapping(self) -> Mapping:
        """How the flat rows are read."""
        return parse(self.text, Path(self.name))

    def columns(self, path: Path) -> Columns:
        """What becomes of the members: those that identify go to the vault, those not read nowhere."""
        parquet = files.is_parquet(path)
        names = list(files.parquet_columns(path)) if parquet else ndjson.all_members(path)
        return Columns.among(names, self.schema, self.identifying)

    def fields(self, _path: Path) -> dict[str, str]:
        """Where each field comes from, by the names that members have in the flat rows."""
        told = self.mapping.told
        return told if self.joins is None else told | {"previous": self.joins[1]}

    def read(self, path: Path, options: Options) -> Iterator[Batch]:
        """The rows of a file."""
        pairs = None if self.joins is None else Pairs(*self.joins)
        for rows, broken in self._parquet(path) if files.is_parquet(path) else self._lines(path, options):
            flat = self.flat(rows)
            if pairs is not None:
                flat = pairs.told(flat)
            texts = flat[TEXT].rename(GIVEN)
            raw = flat.select(self.mapping.needed)
            judge = mapped.MappedJudge(raw, flat[LINE], options, self.mapping, set(), texts, nested=True)
            yield mapped.judged(judge, broken)

    def _lines(self, path: Path, options: Options) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
        checked = options.piece
        for chunk, texts in ndjson.read(path, self.schema, piece=options.piece):
            if not checked and chunk.rows.height:
                ndjson.require(path, chunk.rows, texts, self.needed, self.name)
                checked = True
            yield chunk.rows.with_columns(chunk.lines.alias(LINE), texts.alias(TEXT)), chunk.broken

    def _parquet(self, path: Path) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
        there = list(files.parquet_columns(path))
        if not set(self.needed) <= set(there):
            raise SourceError(
                f"{path}: {self.name} needs {missing(list(self.needed), there)}: choose another format."
            )
        for first, frame in files.parquet(path):
            lines = pl.int_range(first, first + frame.height, dtype=pl.Int64, eager=True)
            rows = pl.DataFrame(
                [
                    _shaped(frame[name], dtype, path)
                    if name in there
                    else pl.Series(name, [None], dtype=dtype).new_from_index(0, frame.height)
                    for name, dtype in self.schema.items()
                ]
            )
            text = rows.select(pl.struct(pl.all()).struct.json_encode()).to_series()
            yield rows.with_columns(lines.alias(LINE), text.alias(TEXT)), _NOTHING


_NOTHING = pl.DataFrame(schema=REJECTED)


class Pairs:
    """The ids that a file names together, each two of them told once: where they first stand so."""

    def __init__(self, user: str, other: str, time: str, kind: str) -> None:
        self._user, self._other, self._time, self._kind = user, other, time, kind
        self._met = pl.Series("pair", [], dtype=pl.UInt64)

    def told(self, flat: pl.DataFrame) -> pl.DataFrame:
        """The rows, by LINE, and those that join two ids; all have the column OTHER."""
        user, other = (numbers.trimmed(pl.col(name)) for name in (self._user, self._other))
        timed = pl.col(self._time).str.contains(r"^\s*[0-9]+\s*$")
        plain = ~pl.col(self._kind).is_in(LINKING)  # no line joins twice
        named = flat.filter((user != other) & timed & plain).select(
            LINE, TEXT, self._user, self._other, self._time, pl.struct(user, other).hash().alias("pair")
        )
        fresh = named.unique("pair", keep="first", maintain_order=True).filter(
            ~pl.col("pair").is_in(self._met.implode())
        )
        self._met = pl.concat([self._met, fresh["pair"]])
        joining = fresh.drop("pair").with_columns(pl.lit("identify").alias(self._kind), other.alias(OTHER))
        rows = flat.with_columns(pl.lit(None, dtype=pl.String).alias(OTHER))
        return pl.concat([rows, joining], how="diagonal").sort(LINE, maintain_order=True)


def _shaped(column: pl.Series, dtype: ndjson.Type, path: Path) -> pl.Series:
    """A Parquet column in the shape of a type, its leaves as texts, members it lacks as null."""
    try:
        cast = _cast(pl.col(column.name), column.dtype, dtype).alias(column.name)
        return column.to_frame().with_columns(cast).to_series()
    except TypeError:
        raise SourceError(
            f"{path}: column '{column.name}' holds {column.dtype}, not {dtype}: check its format."
        ) from None


def _cast(value: pl.Expr, given: ndjson.Type, dtype: ndjson.Type) -> pl.Expr:
    if given == pl.Null:
        return pl.lit(None, dtype=dtype)
    if isinstance(given, pl.Struct) and len(given.fields) == 1 and given.fields[0].name in WRAPPERS:
        (only,) = given.fields
        return _cast(value.struct.field(only.name), only.dtype, dtype)
    if isinstance(dtype, pl.List):
        if not isinstance(given, pl.List):
            raise TypeError
        return value.list.eval(_cast(pl.element(), given.inner, dtype.inner))
    if isinstance(dtype, pl.Struct):
        if not isinstance(given, pl.Struct):
            raise TypeError
        there = {one.name: one.dtype for one in given.fields}
        return pl.struct(
            (
                _cast(value.struct.field(one.name), there[one.name], one.dtype)
                if one.name in there
                else pl.lit(None, dtype=one.dtype)
            ).alias(one.name)
            for one in dtype.fields
        )
    if given.is_nested() or given in files.NO_TEXT:
        raise TypeError
    if given.is_float():
        value = value.fill_nan(None)
    return value.cast(pl.String)


def exploded(frame: pl.DataFrame, name: str, keep: pl.Expr | None = None) -> pl.DataFrame:
    """A row for each element of a list of structs, their members as columns, beside PLACE and LENGTH.

    A row with no element stays one row, and so do those for which `keep` is not true; their members are null.
    """
    elements = pl.col(name).list.drop_nulls()
    if keep is not None:
        elements = pl.when(keep.fill_null(False)).then(elements)
    inner = frame.schema[name].inner  # type: ignore[attr-defined]  # callers name a list
    one = pl.lit(None, dtype=inner).implode()
    lists = frame.with_columns(elements.list.len().fill_null(0).cast(pl.Int64).alias(LENGTH))
    lists = lists.with_columns(pl.when(pl.col(LENGTH) > 0).then(elements).otherwise(one).alias(name))
    places = pl.int_ranges(1, pl.max_horizontal(pl.col(LENGTH), 1) + 1)
    return lists.with_columns(places.alias(PLACE)).explode(name, PLACE).unnest(name)


def filled(*values: pl.Expr) -> pl.Expr:
    """The first value that is a text with something in it, and not Google's `(not set)`."""
    return pl.coalesce(numbers.trimmed(pl.when(value != "(not set)").then(value)) for value in values)
