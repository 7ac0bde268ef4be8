"""The frames every source gives, whatever the outside format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import polars as pl

from segtui.sources.rates import Rates

PARSED: dict[str, pl.DataType] = {
    "line": pl.Int64(),  # 1-based line in the file, header counted; Parquet: 1-based row
    "user": pl.String(),
    "time": pl.Int64(),  # µs since the epoch, UTC
    "kind": pl.String(),
    "order": pl.String(),
    "item": pl.String(),
    "category": pl.String(),
    "platform": pl.String(),
    "device": pl.String(),
    "region": pl.String(),
    "currency": pl.String(),  # ISO 4217
    "session": pl.String(),
    "id": pl.String(),  # the source's own event id
    "amount": pl.Int64(),  # the line's net total in minor units of its currency; refunds negative
    "refunded": pl.Int64(),  # what was given back of the amount by now, where the source tells states
    "quantity": pl.Int64(),
    "rating": pl.Int64(),  # hundredths, 0 to 500
    "duration": pl.Int64(),  # milliseconds
    "email": pl.String(),  # trimmed, lower case; only where it identifies the user
}

REJECTED: dict[str, pl.DataType] = {
    "line": pl.Int64(),
    "reason": pl.String(),
    "row": pl.String(),  # the raw row as JSON
}

ATTRIBUTES: dict[str, pl.DataType] = {
    "line": pl.Int64(),
    "name": pl.String(),
    "number": pl.Float64(),  # exactly one of number and text is there
    "text": pl.String(),
}


ALIASES: dict[str, pl.DataType] = {
    "line": pl.Int64(),
    "other": pl.String(),  # the user's previous id
    "row": pl.String(),  # the raw row
}


@dataclass
class Batch:
    """Some rows of a file: each is either accepted or rejected; both keep the order of the file.

    accepted: PARSED. rejected: REJECTED. attributes: ATTRIBUTES of accepted lines, None where the format
    has none. aliases: ALIASES of accepted lines that are aliases or end one, None where there are none.
    """

    accepted: pl.DataFrame
    rejected: pl.DataFrame
    attributes: pl.DataFrame | None = None
    aliases: pl.DataFrame | None = None

    @property
    def rows(self) -> int:
        """Rows read, good and bad."""
        return self.accepted.height + self.rejected.height


@dataclass(frozen=True)
class Columns:
    """Columns of a file, in its order, that do not go into the log.

    vaulted: they say who the user is, and go to the vault. dropped: they go nowhere. identifying: all that
    would be vaulted if a row had them.
    """

    vaulted: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    identifying: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def among(cls, names: Iterable[str], used: Iterable[str], vaulted: Iterable[str]) -> Columns:
        """Of the columns `names`: those that name the user, and those of no use."""
        names, who, kept = list(names), set(vaulted), set(used)
        return cls(
            tuple(name for name in names if name in who),
            tuple(name for name in names if name not in who and name not in kept),
            tuple(sorted(who)),
        )

    def and_those(self, others: Columns) -> Columns:
        """With those of another file."""
        return Columns(
            tuple(dict.fromkeys(self.vaulted + others.vaulted)),
            tuple(dict.fromkeys(self.dropped + others.dropped)),
            tuple(dict.fromkeys(self.identifying + others.identifying)),
        )


class Currencies:
    """The one currency that rows must be in or have a rate to, and how many good rows there are of each.

    Told none, it is that of most rows of the first batch which has any: see `main` when all is read.
    """

    def __init__(self, chosen: str | None = None, rates: Rates | None = None) -> None:
        self.chosen = chosen
        self.rates = rates
        self.converted: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()

    @property
    def main(self) -> str | None:
        """The currency of most rows counted so far, the first by name of several; None for none.

        Rates lead to the store's currency, so one that has rates itself is it only where all have.
        """
        rated = self.rates.currencies if self.rates else frozenset()
        return min(self._counts, key=lambda name: (name in rated, -self._counts[name], name), default=None)

    def count(self, currencies: pl.Series) -> None:
        """Counts the currencies of rows that are good otherwise, null for none."""
        for name, rows in currencies.drop_nulls().value_counts().iter_rows():
            self._counts[name] += rows
        self.chosen = self.chosen or self.main


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a source has to be told from outside.

    timezone: the zone of times that do not carry one. currency: the store's, for amounts that do not carry
    one; None before the first import, then default_currency stands in where the format names none either.
    currencies: which rows to reject for their currency; None for none. now: µs UTC; the time of `identify`
    events, and nothing may lie more than a day after it. piece: what is read is a piece of something longer,
    so lines that are all unlike the format are rejected one by one, and say nothing against the format.
    """

    now: int
    timezone: str = "UTC"
    currency: str | None = None
    default_currency: str = "EUR"
    currencies: Currencies | None = None
    piece: bool = False
