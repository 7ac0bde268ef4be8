"""Any CSV, Parquet or NDJSON file, read as a mapping file says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from segtui.sources import files, ndjson, numbers, times
from segtui.sources.delimited import Chunk, literal
from segtui.sources.errors import SourceError
from segtui.sources.judging import NO_USER, Judge
from segtui.sources.mapping import DURATIONS, Mapping
from segtui.sources.schema import Batch, Columns, Options
from segtui.sources.tabular import Table

TEXTS = ("order", "item", "category", "platform", "device", "region", "session", "id")


class MappedJudge(Judge):
    """A judge that knows which column is what and how the file writes numbers."""

    def __init__(
        self,
        raw: pl.DataFrame,
        lines: pl.Series,
        options: Options,
        mapping: Mapping,
        written: set[str],
        texts: pl.Series | None = None,
    ) -> None:
        super().__init__(raw, lines, options, texts)
        self.mapping = mapping
        self.written = {f"raw:{name}" for name in written}

    def value(self, name: str) -> pl.Expr:
        """The raw text of a field: of its column, else its constant, else null."""
        if name in self.mapping.columns:
            return pl.col(f"raw:{self.mapping.columns[name]}")
        return pl.lit(self.mapping.constants.get(name), dtype=pl.String)

    def plain(self, text: pl.Expr) -> pl.Expr:
        """A number written with the mapping's separators, with a point and no grouping.

        A grouping mark counts only between full groups of three; a point where the decimal mark is another
        one makes the text no number. Numbers of a Parquet number column are not written by anyone.
        """
        mapping = self.mapping
        if text.meta.output_name() not in self.written:
            return text
        plain = numbers.trimmed(text)
        decimal = literal(mapping.decimal)
        if mapping.thousands is not None:
            mark = r"\s" if mapping.thousands.isspace() else literal(mapping.thousands)
            grouped = plain.str.contains(rf"^[+-]?[0-9]{{1,3}}(?:{mark}[0-9]{{3}})+(?:{decimal}[0-9]*)?$")
            plain = pl.when(grouped).then(plain.str.replace_all(mark, "")).otherwise(plain)
        if mapping.decimal != ".":
            point = plain.str.contains(".", literal=True)
            plain = pl.when(~point).then(plain.str.replace_all(mapping.decimal, ".", literal=True))
        return plain


def columns(path: Path, mapping: Mapping) -> Columns:
    """What becomes of the columns: user and e-mail go to the vault, those not mapped nowhere."""
    kind = mapping.format or _format(path)
    names = ndjson.all_members(path) if kind == "ndjson" else Table(path, mapping.delimiter).names
    who = [mapping.columns[field] for field in ("user", "email") if field in mapping.columns]
    return Columns.among(names, mapping.columns.values(), who)


def read(path: Path, options: Options, mapping: Mapping) -> Iterator[Batch]:
    """The rows of a file as events."""
    kind = mapping.format or _format(path)
    needed = list(dict.fromkeys(mapping.columns.values()))
    if kind == "ndjson":
        yield from _ndjson(path, options, mapping, needed)
        return
    table = Table(path, mapping.delimiter)
    if table.parquet != (kind == "parquet"):
        is_it = "is" if table.parquet else "is not"
        raise SourceError(f"{path} {is_it} Parquet, {mapping.path} says {kind}: correct its format.")
    table.require(needed, str(mapping.path))
    for chunk in table.chunks():
        yield _judged(MappedJudge(chunk.rows, chunk.lines, options, mapping, table.texts), chunk)


def _format(path: Path) -> str:
    if files.is_parquet(path):
        return "parquet"
    first = next((line for line in files.head(path) if line.strip()), "")
    return "ndjson" if first.lstrip().startswith("{") else "csv"


def _ndjson(path: Path, options: Options, mapping: Mapping, needed: list[str]) -> Iterator[Batch]:
    checked = False
    for chunk, texts in ndjson.read(path, needed):
        if not checked and chunk.rows.height:
            ndjson.require(path, chunk.rows, texts, needed, str(mapping.path))
            checked = True
        yield _judged(MappedJudge(chunk.rows, chunk.lines, options, mapping, set(needed), texts), chunk)


def _judged(judge: MappedJudge, chunk: Chunk) -> Batch:
    mapping, options, value = judge.mapping, judge.options, judge.value
    _user(judge, mapping)
    _time(judge, chunk.rows[mapping.columns["time"]], mapping, mapping.zone or options.timezone)
    kind = numbers.trimmed(value("kind"))
    judge.kind(kind.replace(mapping.kinds) if mapping.kinds else kind)
    for name in TEXTS:
        judge.text(name, value(name))
    judge.currency(value("currency"), value("price" if "price" in mapping.columns else "amount"))
    judge.quantity(value("quantity"), signed=mapping.negative_quantity == "refund")
    if "price" in mapping.columns:
        price = judge.number("price", value("price"), "price")
        judge.put("total", numbers.bounded(price) * pl.col("quantity").abs())
        judge.reject(price.is_not_null() & pl.col("quantity").is_null(), "a price and no quantity")
        judge.reject(numbers.too_large(pl.col("total")), "price times quantity is too large")
        total = pl.col("total")
    else:
        total = judge.number("amount", value("amount"), "amount")
    _signs(judge, mapping, total)
    judge.amount(total)
    judge.rating(value("rating"), mapping.stars)
    judge.duration(value("duration"), DURATIONS[mapping.duration])
    return judge.batch(chunk.broken)


def _user(judge: Judge, mapping: Mapping) -> None:
    """The user column; where it is empty or there is none, the trimmed lower-case e-mail."""
    columns = mapping.columns
    given = (
        numbers.plain_id(pl.col(f"raw:{columns['user']}"))
        if "user" in columns
        else pl.lit(None, dtype=pl.String)
    )
    if "email" not in columns:
        judge.user(given)
        return
    address = numbers.trimmed(pl.col(f"raw:{columns['email']}")).str.to_lowercase()
    judge.put("email", pl.when(given.is_null()).then(address))
    judge.user(pl.coalesce(given, pl.col("email")))
    judge.reject(
        pl.col("email").is_not_null() & ~pl.col("email").str.contains("^[^@ ]+@[^@ ]+$"),
        f"{NO_USER}, and the e-mail is none",
    )


def _time(judge: Judge, column: pl.Series, mapping: Mapping, zone: str) -> None:
    instants = (
        times.typed(column, zone)
        if column.dtype.is_temporal()
        else times.formatted(column, mapping.time_format, zone)
    )
    judge.time(pl.col(f"raw:{mapping.columns['time']}"), instants)


def _signs(judge: Judge, mapping: Mapping, total: pl.Expr) -> None:
    """Makes purchases with a negative amount or quantity refunds, where the mapping says so."""
    negative = pl.lit(False)
    if mapping.negative_amount == "refund":
        negative = negative | (total < 0).fill_null(False)
    if mapping.negative_quantity == "refund":
        negative = negative | (pl.col("quantity") < 0).fill_null(False)
        judge.reject(
            (pl.col("quantity") < 0) & ~pl.col("kind").is_in(["purchase", "refund"]), "negative quantity"
        )
    kind = pl.col("kind")
    judge.put("kind", pl.when(negative & (kind == "purchase")).then(pl.lit("refund")).otherwise(kind))
    judge.put("quantity", pl.col("quantity").abs())
