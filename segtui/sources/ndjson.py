"""Lines of JSON objects to columns of texts, perhaps nested, keeping count of every line.

Whole chunks are read at once; where a chunk does not read, it is halved until the lines at fault stand alone,
and only those are looked at one by one. JSON numbers are exact to 15 digits; longer ones belong in quotes.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import polars as pl
from polars.datatypes import DataTypeClass

from segtui.sources import files
from segtui.sources.delimited import Chunk
from segtui.sources.errors import SourceError
from segtui.sources.judging import broken
from segtui.sources.nearest import missing

ALONE = 64  # lines: chunks this small are read one by one
HALF_CHARACTER = r"\\u[dD][89a-fA-F]"  # escapes of surrogates, which Polars does not check


Type = pl.DataType | DataTypeClass
Schema = dict[str, Type]


def read(
    path: Path, names: Sequence[str] | Schema, *, piece: bool = False
) -> Iterator[tuple[Chunk, pl.Series]]:
    """The named members of each line's object, and the lines themselves; blank lines are no rows.

    Members are texts, unless `names` gives them another type: lists and structs of texts. A line whose member
    is not of its type is broken. `piece`: a first line that is no object is broken as any other.
    """
    schema: Schema = names if isinstance(names, dict) else dict.fromkeys(names, pl.String())
    seen = piece
    for frame in files.filled(path):
        if not seen and frame.height:
            seen = True
            if not frame["text"][0].lstrip().startswith("{"):
                raise SourceError(
                    f"{path}, line {frame['line'][0]}: not a JSON object; events are one object a line: "
                    "choose another format or write a mapping file."
                )
        good, rows, bad = _objects(frame, schema)
        yield Chunk(good["line"], rows, bad), good["text"]


def require(path: Path, rows: pl.DataFrame, texts: pl.Series, needed: Iterable[str], what: str) -> None:
    """Raises SourceError when a needed member is in none of the rows; says which the first line has."""
    absent = [name for name in needed if rows[name].null_count() == rows.height]
    if absent:
        there = [name for name in members(texts[0]) if name not in absent]
        raise SourceError(
            f"{path}, line 1: {what} needs {missing(absent, there, 'member')}: "
            "choose another format or correct the mapping file."
        )


def members(text: str) -> list[str]:
    """The names in the object a line holds; none when it holds no object."""
    found = _object(text)
    return [] if isinstance(found, str) else list(found)


def is_text(line: str, name: str) -> bool:
    """Whether a member that is no number is a text in the line, not a list or an object."""
    found = _object(line)
    return not isinstance(found, str) and isinstance(found.get(name), str)


def all_members(path: Path) -> list[str]:
    """The names in the objects of a file's first mebibyte, in the order they come."""
    seen: dict[str, None] = {}
    for line in files.head(path):
        seen.update(dict.fromkeys(members(line)) if line.strip() else {})
    return list(seen)


def _objects(frame: pl.DataFrame, schema: Schema) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Lines that are objects, their members, and the broken lines (REJECTED)."""
    kept: list[pl.DataFrame] = []
    failed: list[tuple[int, str, str]] = []
    pending = [frame]
    while pending:
        piece = pending.pop()
        rows = _at_once(piece["text"], schema)
        if rows is None and piece.height > ALONE:
            half = piece.height // 2
            pending += [piece[half:], piece[:half]]
        elif rows is None:
            rows, good, wrong = _one_by_one(piece, schema)
            failed += wrong
            kept.append(pl.concat([good, rows], how="horizontal"))
        else:
            kept.append(pl.concat([piece, rows], how="horizontal"))
    whole = pl.concat(kept)
    lines, reasons, texts = zip(*failed, strict=True) if failed else ((), (), ())
    bad = broken(
        pl.Series(lines, dtype=pl.Int64),
        pl.Series(reasons, dtype=pl.String),
        pl.Series(texts, dtype=pl.String),
    )
    return whole.select("line", "text"), whole.select(_key(name) for name in schema).rename(_name), bad


def _key(name: str) -> str:
    """A column name no line number or text can collide with."""
    return f"member:{name}"


def _keyed(schema: Schema) -> Schema:
    return {_key(name): dtype for name, dtype in schema.items()}


def _name(key: str) -> str:
    return key.removeprefix("member:")


def _at_once(texts: pl.Series, schema: Schema) -> pl.DataFrame | None:
    """The members of all lines, or None where a line is at fault."""
    if texts.is_empty():
        return pl.DataFrame(schema=_keyed(schema))
    if texts.str.contains(HALF_CHARACTER).any() or not texts.str.contains(r"^\s*\{").all():
        return None
    raw = texts.str.join("\n").item().encode()
    try:
        rows = pl.read_ndjson(io.BytesIO(raw), schema=schema)
    except pl.exceptions.PolarsError:
        return None
    return rows.rename(_key) if rows.height == len(texts) else None


def _one_by_one(
    frame: pl.DataFrame, schema: Schema
) -> tuple[pl.DataFrame, pl.DataFrame, list[tuple[int, str, str]]]:
    good, members, failed = [], [], []
    for line, text in frame.iter_rows():
        found = _object(text)
        shaped = found if isinstance(found, str) else _members(found, schema)
        if isinstance(shaped, str):
            failed.append((line, shaped, text))
        else:
            good.append(line)
            members.append(shaped)
    rows = pl.DataFrame(members, schema=_keyed(schema), orient="row")
    return rows, frame.filter(pl.col("line").is_in(good)), failed


def _members(found: dict[str, object], schema: Schema) -> list[object] | str:
    """The members in the shapes of the schema, or which one has another shape."""
    members = []
    for name, dtype in schema.items():
        try:
            members.append(_shaped(found.get(name), dtype))
        except TypeError as error:
            return f"{name} {error}"
    return members


def _shaped(value: object, dtype: Type) -> object:
    """A JSON value in the shape of a type, its leaves as texts; TypeError where it has another shape."""
    if value is None:
        return None
    if isinstance(dtype, pl.List):
        if not isinstance(value, list):
            raise TypeError("is not a list")
        return [_shaped(one, dtype.inner) for one in value]
    if isinstance(dtype, pl.Struct):
        if not isinstance(value, dict):
            raise TypeError("is not an object, or holds one that is none")
        return {field.name: _shaped(value.get(field.name), field.dtype) for field in dtype.fields}
    return _text(value)


def _object(text: str) -> dict[str, object] | str:
    """The object a line holds, or why it holds none."""
    try:
        found = json.loads(text, parse_float=str, parse_int=str, parse_constant=_refuse)
        json.dumps(found, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        return f"not JSON: {error.msg} at column {error.colno}"
    except UnicodeEncodeError:
        return "not JSON: half a character in an escape"
    except (ValueError, RecursionError):
        return "not JSON: a number that is none, or nested too deep"
    return found if isinstance(found, dict) else "not a JSON object"


def _refuse(constant: str) -> float:
    raise ValueError(constant)


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
