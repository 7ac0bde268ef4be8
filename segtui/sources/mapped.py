"""Any CSV, Parquet or NDJSON file, read as a mapping says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from segtui.sources import files, ndjson, numbers, orders, times
from segtui.sources.delimited import Chunk, literal
from segtui.sources.errors import SourceError
from segtui.sources.judging import GIVEN, NO_USER, Judge
from segtui.sources.mapping import DURATIONS, Mapping, Orders
from segtui.sources.schema import Batch, Columns, Options
from segtui.sources.tabular import Table

TEXTS = ("order", "item", "category", "platform", "device", "region", "session", "id")
PAID = ("purchase", "refund")
RUN = "run"  # the private name of the number of the order that a row is of


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
        *,
        nested: bool = False,
    ) -> None:
        """`nested`: each line tells all rows of its order, so the same order on the next is told again."""
        super().__init__(raw, lines, options, texts)
        self.mapping = mapping
        self.written = {f"{prefix}:{name}" for name in written for prefix in ("raw", "filled")}
        if mapping.fill_down or mapping.order:
            order = [numbers.trimmed(pl.col(f"raw:{name}")) for name in mapping.order_columns]
            known = [pl.coalesce(order), *([pl.lit(lines)] if nested else [])]
            self.put(RUN, pl.struct(each.alias(str(at)) for at, each in enumerate(known)).rle_id())
        for name in mapping.fill_down:
            filled = numbers.trimmed(pl.col(f"raw:{name}"))
            self.put(f"filled:{name}", filled.forward_fill().over(RUN))

    def cell(self, name: str) -> pl.Expr:
        """A column of the file, filled down where the mapping says so."""
        return pl.col(f"filled:{name}" if name in self.mapping.fill_down else f"raw:{name}")

    def cells(self, field: str) -> list[pl.Expr]:
        """The columns of a field; of several, empty cells are null."""
        names = self.mapping.columns[field]
        return [self.cell(name) if len(names) == 1 else numbers.trimmed(self.cell(name)) for name in names]

    def value(self, field: str) -> pl.Expr:
        """The text of a field: of its columns, else its constant, else null."""
        if field in self.mapping.columns:
            value = pl.coalesce(self.cells(field))
        else:
            value = pl.lit(self.mapping.constants.get(field), dtype=pl.String)
        if field in self.mapping.purchase_only:
            value = pl.when(pl.col("kind").is_in(PAID)).then(value)
        return value

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
    names = _names(path, mapping)
    mapping = mapping.fitting(names)
    return Columns.among(names, mapping.needed, mapping.identifying)


def fields(path: Path, mapping: Mapping) -> dict[str, str]:
    """Where each field comes from: the columns a file has of those mapped, or a constant in quotes."""
    return mapping.fitting(_names(path, mapping)).told


def _names(path: Path, mapping: Mapping) -> list[str]:
    kind = mapping.format or format_of(path)
    if kind == "ndjson":
        return ndjson.all_members(path)
    return Table(path, mapping.delimiter, mapping.names).names


def read(path: Path, options: Options, mapping: Mapping) -> Iterator[Batch]:
    """The rows of a file as events."""
    kind = mapping.format or format_of(path)
    if kind == "ndjson":
        chunks, written = _ndjson(path, mapping), set(mapping.needed)
    else:
        table = Table(path, mapping.delimiter, mapping.names)
        if table.parquet != (kind == "parquet"):
            is_it = "is" if table.parquet else "is not"
            raise SourceError(f"{path} {is_it} Parquet, {mapping.path} says {kind}: correct its format.")
        mapping = mapping.fitting(table.names)
        table.require(mapping.needed, str(mapping.path))
        chunks, written = table.chunks(), table.texts
    if mapping.order or mapping.fill_down:
        chunks = orders.whole(chunks, mapping.order_columns)
    for chunk in chunks:
        rows, texts = chunk.rows, None
        if GIVEN_TEXT in rows.columns:
            rows, texts = rows.drop(GIVEN_TEXT), rows[GIVEN_TEXT].rename(GIVEN)
        yield judged(MappedJudge(rows, chunk.lines, options, mapping, written, texts), chunk.broken)


GIVEN_TEXT = "\0given"  # beside the columns of JSON lines: the line itself


def format_of(path: Path) -> str:
    """What a file is: parquet, ndjson, or csv."""
    if files.is_parquet(path):
        return "parquet"
    first = next((line for line in files.head(path) if line.strip()), "")
    return "ndjson" if first.lstrip().startswith("{") else "csv"


def _ndjson(path: Path, mapping: Mapping) -> Iterator[Chunk]:
    checked = False
    for chunk, texts in ndjson.read(path, mapping.needed):
        if not checked and chunk.rows.height:
            needed = [name for name in mapping.needed if name not in mapping.optional]
            ndjson.require(path, chunk.rows, texts, needed, str(mapping.path))
            checked = True
        yield Chunk(chunk.lines, chunk.rows.with_columns(texts.alias(GIVEN_TEXT)), chunk.broken)


def judged(judge: MappedJudge, broken: pl.DataFrame) -> Batch:
    """The rows told apart, beside the broken ones (REJECTED)."""
    mapping, value = judge.mapping, judge.value
    _user(judge, mapping)
    _time(judge, mapping, mapping.zone or judge.options.timezone)
    judge.kind(_kind(value("kind"), mapping))
    judge.previous(value("previous"))
    for name in TEXTS:
        judge.text(name, value(name))
    judge.currency(value("currency"), _cost(judge, mapping))
    judge.quantity(value("quantity"), signed=mapping.negative_quantity != "reject")
    total = _total(judge)
    _signs(judge, mapping, total)
    judge.amount(total)
    if mapping.order is not None:
        _order(judge, mapping, mapping.order)
    judge.rating(value("rating"), mapping.stars)
    judge.duration(value("duration"), DURATIONS[mapping.duration])
    return judge.batch(broken)


def _cost(judge: MappedJudge, mapping: Mapping) -> pl.Expr:
    """What tells a row's cost: its amount, its price, or, where its order has neither, the order's figure."""
    own = pl.coalesce(numbers.trimmed(judge.value(name)) for name in ("amount", "price"))
    column = None if mapping.order is None else mapping.order.unpriced
    if column is None:
        return own
    silent = own.is_null().all().over(RUN) & pl.col("kind").is_in(PAID)
    judge.put("unpriced", pl.when(silent).then(numbers.trimmed(judge.cell(column))))
    return pl.coalesce(own, pl.col("unpriced"))


def _total(judge: MappedJudge) -> pl.Expr:
    """What a row cost: its amount, else its price times its quantity; less what is taken off."""
    total = judge.number("amount", judge.value("amount"), "amount")
    if "price" in judge.mapping.columns:
        price = judge.number("price", judge.value("price"), "price")
        judge.put("priced", numbers.bounded(price) * pl.col("quantity").abs())
        priced = pl.col("priced")
        judge.reject(
            total.is_null() & price.is_not_null() & pl.col("quantity").is_null(), "a price and no quantity"
        )
        judge.reject(numbers.too_large(priced), "price times quantity is too large")
        total = pl.coalesce(total, priced)
    for cell in judge.cells("less") if "less" in judge.mapping.columns else ():
        less = judge.number(f"less:{cell.meta.output_name()}", cell, "what is taken off")
        judge.reject(less < 0, "what is taken off is negative")
        total = total - numbers.bounded(less).fill_null(0)
        judge.reject((total < 0) & (less > 0), "more is taken off than the amount")
    return total


def _user(judge: MappedJudge, mapping: Mapping) -> None:
    """The user column; where it is empty, says nobody, or is not there, the trimmed lower-case e-mail."""
    given = pl.lit(None, dtype=pl.String)
    if "user" in mapping.columns:
        # The judge makes ids plain, at the cost of a look at each only where one needs it.
        as_meant = numbers.plain_id if mapping.nobody else numbers.trimmed
        ids = [as_meant(cell) for cell in judge.cells("user")]
        if mapping.nobody:
            ids = [pl.when(~one.is_in(list(mapping.nobody))).then(one) for one in ids]
        given = pl.coalesce(ids)
    if "email" not in mapping.columns:
        judge.user(given)
        return
    address = numbers.trimmed(pl.coalesce(judge.cells("email"))).str.to_lowercase()
    judge.put("email", pl.when(given.is_null()).then(address))
    judge.user(pl.coalesce(given, pl.col("email")))
    judge.reject(
        pl.col("email").is_not_null() & ~pl.col("email").str.contains("^[^@ ]+@[^@ ]+$"),
        f"{NO_USER}, and the e-mail is none",
    )


def _time(judge: MappedJudge, mapping: Mapping, zone: str) -> None:
    cell = judge.cells("time")[0]
    column = judge.series(cell)
    if column.dtype.is_temporal():
        judge.time(cell, times.typed(column, zone))
        return
    instants, *others = (times.formatted(column, one, zone) for one in mapping.time_formats)
    for other in others:
        instants = instants.fill_null(other)
    judge.time(cell, instants)


def _kind(given: pl.Expr, mapping: Mapping) -> pl.Expr:
    """The kind a value of the file stands for: listed as it is, else by the first pattern, else itself."""
    kind = numbers.trimmed(given)
    exact = {value: name for value, name in mapping.kinds.items() if "*" not in value}
    patterns = {value: name for value, name in mapping.kinds.items() if "*" in value}
    found = kind.replace_strict(exact, default=None, return_dtype=pl.String) if exact else None
    named = [] if found is None else [found]
    for pattern, name in patterns.items():
        shape = "^" + ".*".join(re.escape(part) for part in pattern.split("*")) + "$"
        named.append(pl.when(kind.str.contains(shape)).then(pl.lit(name)))
    return pl.coalesce([*named, kind])


def _signs(judge: Judge, mapping: Mapping, total: pl.Expr) -> None:
    """Makes purchases with a negative amount or quantity refunds, where the mapping says so."""
    negative = pl.lit(False)
    if mapping.negative_amount == "refund":
        negative = negative | (total < 0).fill_null(False)
    if mapping.negative_quantity != "reject":
        allowed = ["refund"]
        if mapping.negative_quantity == "refund":
            allowed.append("purchase")
            negative = negative | (pl.col("quantity") < 0).fill_null(False)
        judge.reject((pl.col("quantity") < 0) & ~pl.col("kind").is_in(allowed), "negative quantity")
    kind = pl.col("kind")
    judge.put("kind", pl.when(negative & (kind == "purchase")).then(pl.lit("refund")).otherwise(kind))
    judge.put("quantity", pl.col("quantity").abs())


def _order(judge: MappedJudge, mapping: Mapping, told: Orders) -> None:
    """Lowers amounts to the order's subtotal, shares out refunds, and knows rows by their place."""
    amount = pl.col("amount")
    if told.unpriced is not None:
        _unpriced(judge)
    bought = pl.when(amount > 0).then(amount)
    if told.unpaid:
        unpaid = pl.col("kind").is_in(list(told.unpaid))
        judge.put("amount", pl.when(unpaid).then(0 * amount).otherwise(amount))
    figures = {
        word: _figure(judge, None if column is None else judge.cell(column), word)
        for word, column in (
            ("subtotal", told.subtotal),
            ("total", told.total),
            ("refunded", told.refunded),
        )
    }
    for word in figures:
        judge.put(f"order:{word}", orders.of_order(figures[word], RUN))
    subtotal, total, refunded = (pl.col(f"order:{word}") for word in figures)
    own = _figure(judge, judge.value("refunded") if "refunded" in mapping.columns else None, "row's refunded")
    judge.put("amount", pl.coalesce(orders.subtotal_shared(bought, subtotal, RUN), amount))
    judge.put("whole", numbers.trimmed(judge.value("kind")).is_in(list(told.all_refunded)))
    back = orders.taken_back(bought, own, refunded, total, orders.of_order(pl.col("whole"), RUN), RUN)
    judge.put("refunded", pl.when(back > 0).then(back))
    if told.known_by_place:
        place = pl.int_range(1, pl.len() + 1).over(RUN, "item")
        known = pl.format("{}/{}/{}", "order", pl.col("item").fill_null(""), place)
        judge.put("id", pl.coalesce(pl.col("id"), known))


def _unpriced(judge: MappedJudge) -> None:
    """Shares out what an order cost over its rows, of which none says its own part."""
    run, refund = (RUN, "kind"), pl.col("kind") == "refund"
    figure = judge.number("unpriced", pl.col("unpriced"), "amount")
    judge.reject(~refund & (figure < 0), "negative amount outside a refund")
    judge.put("order:unpriced", numbers.minor_units(figure.abs(), pl.col("currency")))
    shares = orders.evenly(orders.of_order(pl.col("order:unpriced"), run), run)
    judge.put("amount", pl.coalesce("amount", pl.when(refund).then(-shares).otherwise(shares)))


def _figure(judge: MappedJudge, cell: pl.Expr | None, word: str) -> pl.Expr:
    """A figure in minor units of the row's currency, null where there is none; its sign does not count."""
    if cell is None:
        return pl.lit(None, dtype=pl.Int64)
    value = judge.number(word, cell, word)
    return numbers.minor_units(value.abs(), pl.col("currency"))
