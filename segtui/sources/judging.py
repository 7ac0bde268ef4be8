"""Telling good rows from bad ones: every row ends in one of the two, a bad one with its reason."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from db.identities import NUMBERED
from db.vocabulary import CORRECTION, LINKING
from segtui.sources import numbers, times
from segtui.sources.rates import Rates
from segtui.sources.schema import ATTRIBUTES, PARSED, REJECTED, Batch, Currencies, Options

DIGITS = r"^\s*[+-]?[0-9]{20,}(?:\.[0-9]*)?\s*$"  # a number too long for billionths
SHOWN = 40  # characters of a value that a reason quotes
TEXT_LIMIT = 256  # characters an id or a name may have

OTHER = "other"  # the private name of an alias's previous id
GIVEN = "given"  # the private name of the lines as they stand in the file
KIND_LIMIT = 64
SNAKE_CASE = "^[a-z][a-z0-9]*(?:_[a-z0-9]+)*$"

NO_USER = "no customer: row cannot belong to a user"
SURROGATE = "has the shape of the numbers that segtui gives to users: put a letter before it"


def quoted(text: pl.Expr) -> pl.Expr:
    """A value as reasons show it: in single quotes, cut short, without quotes or control characters."""
    clean = text.cast(pl.String).str.replace_all(r"\p{C}", "�").str.replace_all("'", "’", literal=True)
    short = pl.when(clean.str.len_chars() > SHOWN).then(clean.str.head(SHOWN) + "…").otherwise(clean)
    return pl.format("'{}'", short.fill_null(""))


def told(word: str, text: pl.Expr, fault: str) -> pl.Expr:
    """A reason that quotes the value: `date '1997-13-01' is not a date`."""
    return pl.lit(f"{word} ") + quoted(text) + pl.lit(f" {fault}")


class Judge:
    """Values derived from raw rows, and the first reason to reject each.

    `raw` holds the columns as the file has them, `lines` their numbers. Values are put under a PARSED name
    or a private one; expressions see the raw columns as `raw:NAME` and the values put so far by name.
    """

    def __init__(
        self, raw: pl.DataFrame, lines: pl.Series, options: Options, texts: pl.Series | None = None
    ) -> None:
        self.raw = raw
        self.options = options
        # Apart, not as a frame: Polars goes through all columns of one to add another, which takes a table
        # of thousands of columns the square of their number.
        self._columns = {f"raw:{column.name}": column.alias(f"raw:{column.name}") for column in raw}
        self.put("line", lines.cast(pl.Int64))
        if texts is not None:
            self.put(GIVEN, texts)
        self._tests: list[tuple[str, pl.Expr]] = []

    def series(self, expression: pl.Expr) -> pl.Series:
        """An expression over raw columns and values, evaluated."""
        return self._named_in(expression).select(expression.alias("value")).to_series()

    def put(self, name: str, value: pl.Expr | pl.Series) -> None:
        """Keeps a value under a name."""
        if isinstance(value, pl.Expr):
            value = self._named_in(value).with_columns(value.alias(name))[name]
        self._columns[name] = value.alias(name)

    def _named_in(self, expression: pl.Expr) -> pl.DataFrame:
        """What an expression names, and the lines, which tell how many rows there are."""
        return pl.DataFrame([self._columns[name] for name in {"line", *expression.meta.root_names()}])

    def _whole(self) -> pl.DataFrame:
        """Everything that is there and was put."""
        return pl.DataFrame(list(self._columns.values()))

    def reject(self, bad: pl.Expr, reason: pl.Expr | str) -> None:
        """Rejects the rows for which `bad` is true, unless an earlier reason did; null is not bad."""
        name = f"test:{len(self._tests)}"
        self.put(name, bad.fill_null(False))
        self._tests.append((name, pl.lit(reason) if isinstance(reason, str) else reason))

    def user(self, text: pl.Expr | pl.Series) -> None:
        """Puts the user; a row without one is rejected."""
        self.put("user", numbers.trimmed(pl.lit(text) if isinstance(text, pl.Series) else text))
        if self._columns["user"].str.ends_with(".0").any():
            self.put("user", numbers.plain_id(pl.col("user")))
        self.reject(pl.col("user").is_null(), NO_USER)
        self._no_surrogate("user", "user")
        self._limit("user")

    def text(self, name: str, text: pl.Expr) -> None:
        """Puts a text of limited length, null when empty."""
        self.put(name, numbers.trimmed(text))
        self._limit(name)

    def time(self, text: pl.Expr, instants: pl.Series, word: str = "time") -> None:
        """Puts the time; rejects what is not one, lies before 1990 or more than a day after now."""
        self.put("time", instants)
        missing = numbers.trimmed(text).is_null()
        self.reject(missing, f"no {word}")
        value = pl.col("time")
        self.reject(value.is_null(), told(word, text, f"is not a {word}"))
        self.reject(value < times.EARLIEST, told(word, text, "lies before 1990"))
        self.reject(value > self.options.now + times.DAY, told(word, text, "lies in the future"))

    def number(self, name: str, text: pl.Expr, word: str) -> pl.Expr:
        """Puts billionths under a private name and returns them; rejects texts that are not numbers."""
        key = f"number:{name}"
        self.put(key, numbers.billionths(self.plain(text)))
        value = pl.col(key)
        huge = numbers.too_large(value)
        unread = self.series(numbers.trimmed(text).is_not_null() & value.is_null())
        if unread.any():
            huge |= pl.lit(unread) & text.cast(pl.String).str.contains(DIGITS)
        self.reject(huge, told(word, text, "is too large"))
        if unread.any():
            self.reject(pl.lit(unread), told(word, text, "is not a number"))
        return value

    def plain(self, text: pl.Expr) -> pl.Expr:
        """The text of a number with a decimal point and no grouping; sources may write them otherwise."""
        return text

    def quantity(self, text: pl.Expr, word: str = "quantity", *, signed: bool = False) -> None:
        """Puts a whole quantity; unless signed, it may not be negative."""
        value = self.number("quantity", text, word)
        self.put("quantity", numbers.whole(value))
        fraction = value.is_not_null() & pl.col("quantity").is_null()
        self.reject(fraction, told(word, text, "is not a whole number"))
        if not signed:
            self.reject(value < 0, f"negative {word}")

    def kind(self, text: pl.Expr) -> None:
        """Puts the kind; it must be there and in snake_case."""
        self.put("kind", numbers.trimmed(text))
        kind = pl.col("kind")
        self.reject(kind.is_null(), "no kind")
        self.reject(kind == CORRECTION, told("kind", kind, "is the log's own: name it otherwise"))
        snake = kind.str.contains(SNAKE_CASE) & (kind.str.len_chars() <= KIND_LIMIT)
        self._reject_any_of(
            "kind", ~snake, told("kind", kind, "is not a name in snake_case, like add_to_cart")
        )

    def previous(self, text: pl.Expr) -> None:
        """Puts the other id of an alias, its end, or an identify; of those only the last may have none."""
        self.put(OTHER, numbers.plain_id(text))
        kind, same = pl.col("kind"), pl.col(OTHER) == pl.col("user")
        identify = kind == "identify"
        self.put(OTHER, pl.when(~(identify & same).fill_null(False)).then(OTHER))
        linking = kind.is_in(list(LINKING))
        self.reject(linking & ~identify & pl.col(OTHER).is_null(), "an alias without a previous id")
        self.reject(linking & same, "an alias of a user with itself")
        self.reject(
            linking & (pl.col(OTHER).str.len_chars() > TEXT_LIMIT),
            told("previous", pl.col(OTHER), f"is longer than {TEXT_LIMIT} characters"),
        )
        self._no_surrogate(OTHER, "previous")

    def currency(self, text: pl.Expr, amount: pl.Expr) -> None:
        """Puts the currency; a row that names none takes the default one when it has an amount."""
        default = self.options.currency or self.options.default_currency
        given = numbers.trimmed(text).str.to_uppercase()
        implied = pl.when(numbers.trimmed(amount).is_not_null()).then(pl.lit(default))
        self.put("currency", pl.coalesce(given, implied))
        unknown = ~pl.col("currency").is_in(list(numbers.currencies()))
        self._reject_any_of("currency", unknown, told("currency", text, "is not an ISO 4217 code"))

    def amount(self, value: pl.Expr) -> None:
        """Puts billionths as minor units of the currency put before; those of refunds become negative."""
        refund = pl.col("kind") == "refund"
        self.reject(~refund & (value < 0), "negative amount outside a refund")
        size = numbers.minor_units(value.abs(), pl.col("currency"))
        self.put("amount", pl.when(refund).then(-size).otherwise(size))

    def rating(self, text: pl.Expr, stars: int = 5) -> None:
        """Puts the rating in hundredths of 0 to 5; the text counts from 0 to `stars`."""
        value = self.number("rating", text, "rating")
        self.reject(
            (value < 0) | (value > stars * numbers.ONE),
            told("rating", text, f"is not between 0 and {stars}"),
        )
        self.put("rating", numbers.rounded(numbers.bounded(value) * 500, stars * numbers.ONE))

    def duration(self, text: pl.Expr, unit: int = 1000) -> None:
        """Puts the duration in milliseconds; the text counts units of so many milliseconds."""
        value = self.number("duration", text, "duration")
        self.reject(value < 0, "negative duration")
        self.put("duration", numbers.scaled(value, unit))
        self.reject(pl.col("duration") == 0, "duration is 0")

    def batch(self, broken: pl.DataFrame | None = None, attributes: pl.DataFrame | None = None) -> Batch:
        """The rows told apart; `broken` are REJECTED rows that never had columns.

        `attributes` are those of any line; the ones of accepted lines are kept.
        """
        if self.options.currencies is not None and "currency" in self._columns:
            self._one_currency(self.options.currencies)
        frame, bad = self._whole(), self._bad()
        accepted = frame.filter(~bad)
        rejected = frame.filter(bad).rechunk()
        met = [(name, text) for name, text in self._tests if self._columns[name].any()]
        reason = pl.coalesce(pl.when(pl.col(name)).then(text) for name, text in met)
        parts = [
            rejected.select(
                "line",
                reason.alias("reason"),
                (rejected[GIVEN] if GIVEN in rejected.columns else as_json(rejected, self.raw.columns)).alias(
                    "row"
                ),
            )
            if rejected.height
            else pl.DataFrame(schema=REJECTED)
        ]
        if broken is not None and broken.height:
            parts.append(broken)
        good = parsed(accepted)
        if attributes is not None:
            attributes = attributes.join(good.select("line"), on="line", how="semi")
            attributes = attributes.select(list(ATTRIBUTES))
        return Batch(
            good, pl.concat(parts).sort("line", maintain_order=True), attributes, self._aliases(accepted)
        )

    def _bad(self) -> pl.Series:
        """Which rows were rejected until now."""
        tests = [self._columns[name] for name, _ in self._tests]
        found = pl.DataFrame([self._columns["line"], *tests])
        return found.select(pl.any_horizontal(pl.exclude("line")) if tests else pl.lit(False)).to_series()

    def _aliases(self, accepted: pl.DataFrame) -> pl.DataFrame | None:
        """ALIASES of the accepted rows, None where there are none."""
        if OTHER not in accepted.columns:
            return None
        linking = accepted.filter(pl.col("kind").is_in(list(LINKING)) & pl.col(OTHER).is_not_null())
        if linking.is_empty():
            return None
        rows = linking[GIVEN] if GIVEN in linking.columns else as_json(linking, self.raw.columns)
        return linking.select("line", pl.col(OTHER).alias("other"), rows.cast(pl.String).alias("row"))

    def _one_currency(self, currencies: Currencies) -> None:
        """Brings good rows in another currency than the store's to it, or rejects them."""
        bad = self._bad()
        currency = pl.col("currency")
        currencies.count(self._columns["currency"].filter(~bad))
        foreign = currency != pl.lit(currencies.chosen)
        if currencies.rates is None:
            self.reject(
                foreign,
                told("currency", currency, f"is not the store's, which is {currencies.chosen}: give --rates"),
            )
        elif currencies.chosen is not None and self.series(foreign).any():
            self._convert(foreign.fill_null(False), currencies, currencies.rates, currencies.chosen, bad)

    def _convert(
        self, foreign: pl.Expr, currencies: Currencies, rates: Rates, chosen: str, bad: pl.Series
    ) -> None:
        """Brings amounts to the store's currency by the rate of their day; rejects those that have none."""
        currency, amount = pl.col("currency"), pl.col("amount")
        rows = parsed(self._whole()).select("currency", "amount", "refunded", "time")
        self.put("converted", rates.amounts(rows, chosen, self.options.timezone))
        self.put("foreign", foreign)
        if "refunded" in self._columns:
            back = rates.amounts(rows.with_columns(amount="refunded"), chosen, self.options.timezone)
            self.put("refunded", pl.when("foreign").then(pl.lit(back)).otherwise("refunded"))
        foreign = pl.col("foreign")
        lacking = foreign & amount.is_not_null() & pl.col("converted").is_null()
        self.reject(
            lacking,
            told("currency", currency, f"has no rate to {chosen} on its day or before"),
        )
        too_much = foreign & (pl.col("converted").abs() > numbers.LARGEST * 1_000)
        self.reject(too_much, told("amount", amount, f"is too large in {chosen}"))
        moved = self._whole().filter(foreign & ~lacking & ~too_much.fill_null(False) & ~bad)
        currencies.converted.update(dict(moved["currency"].value_counts().iter_rows()))
        self.put("amount", pl.when(foreign).then(pl.col("converted")).otherwise(amount))
        self.put("currency", pl.when(foreign).then(pl.lit(chosen)).otherwise(currency))

    def _reject_any_of(self, name: str, bad: pl.Expr, reason: pl.Expr) -> None:
        """Rejects rows by a value that only few different ones of stand in a file; looks at each once."""
        values = self._columns[name].unique().to_frame()
        wrong = values.filter(bad.fill_null(False)).to_series()
        if wrong.len():
            self.reject(pl.col(name).is_in(wrong.implode()), reason)

    def _no_surrogate(self, name: str, word: str) -> None:
        """Rejects ids that could not be told from a surrogate where one is asked for or shown."""
        own = pl.col(name)
        if self.series(own.str.starts_with("#")).any():
            self.reject(own.str.contains(f"^(?:{NUMBERED})$"), told(word, own, SURROGATE))

    def _limit(self, name: str) -> None:
        # Few texts come near the limit, and bytes are quicker to count than characters.
        if not (self._columns[name].str.len_bytes() > TEXT_LIMIT).any():
            return
        self.reject(
            pl.col(name).str.len_chars() > TEXT_LIMIT,
            told(name, pl.col(name), f"is longer than {TEXT_LIMIT} characters"),
        )


def parsed(frame: pl.DataFrame) -> pl.DataFrame:
    """The PARSED columns of a frame; those it lacks are null."""
    return frame.select(
        (pl.col(name) if name in frame.columns else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in PARSED.items()
    )


def as_json(frame: pl.DataFrame, names: Iterable[str]) -> pl.Series:
    """The raw columns of each row as one JSON object."""
    columns = [pl.col(f"raw:{name}").alias(name) for name in names]
    return frame.select(pl.struct(columns).struct.json_encode()).to_series()


def broken(lines: pl.Series, reasons: pl.Series, texts: pl.Series) -> pl.DataFrame:
    """REJECTED rows for texts that could not be split into columns."""
    frame = pl.DataFrame({"line": lines, "reason": reasons, "text": texts})
    return frame.select(
        pl.col("line").cast(pl.Int64),
        pl.col("reason").cast(pl.String),
        pl.struct("text").struct.json_encode().alias("row"),
    )
