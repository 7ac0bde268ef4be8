"""Reading the files of one import through their source, batch by batch."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from db import retention
from db.erasures import Erasures
from db.vocabulary import LINKING
from segtui import sources
from segtui.operations import words
from segtui.operations.ahead import ahead
from segtui.operations.aliases import Aliases
from segtui.operations.errors import OperationError
from segtui.operations.progress import Progress
from segtui.operations.session import Session
from segtui.operations.suppression import suppress

MAPPED = "map"
"""What stands for the format of files that a mapping describes."""

PATIENCE = 1.0
"""Seconds before a pace is told: until then it says nothing about the rest."""


@dataclass(frozen=True)
class Files:
    """What one import is to read, all of one format, or as a mapping says; `why` it is taken for that."""

    paths: list[Path]
    format: str
    why: str
    mapping: Path | None

    @classmethod
    def of(cls, paths: Sequence[Path], format: str, mapping: Path | None) -> Files:
        """Looks at each file; raises SourceError for one that is none, OperationError for a mixture."""
        chosen, why = None, "as told" if mapping is None else f"as {mapping} says"
        for path in paths:
            name = format if mapping is None else MAPPED
            if name == "auto":
                name, why = sources.detect(path)
            if chosen is not None and name != chosen:
                raise OperationError(
                    f"{path} is {name}, the files before it are {chosen}: import one format at a time."
                )
            chosen = name
        if chosen is None:
            raise OperationError("Nothing to import: name at least one file.")
        return cls(list(paths), chosen, why, mapping)


@dataclass(frozen=True)
class Read:
    """A batch, and the file it is from by place among the import's."""

    file: int
    path: Path
    batch: sources.Batch


class Reading:
    """One pass over the files: `rows`, `accepted` and `suppressed` grow with each batch.

    Rows of erased persons, and those older than a cut, are counted and left out; not even their words get
    into the vocabulary. A reading holds what the store settled when it was made; `guess` is the currency to
    try while it has settled none.
    """

    def __init__(
        self,
        s: Session,
        files: Files,
        timezone: str | None,
        guess: str | None,
        rates: sources.Rates | None,
        pace: Pace,
        columns: Collection[str],
        *,
        piece: bool = False,
    ) -> None:
        """`columns`: where ids stand. `piece`: the files hold a piece of something longer, see Options."""
        settings = s.settings
        self.files = files
        self.rows = 0
        self.accepted = 0
        self.suppressed = 0
        self._erasures = Erasures(s.store)
        self._erasures.refuse_lost()
        self._origin = retention.origin(s.store)
        self._aliases = Aliases(s)
        self._columns = columns
        currency = settings.currency or guess
        self.currencies = sources.Currencies(currency, rates)
        self.settles_currency = currency is None
        self._pace = pace
        self._options = sources.Options(
            timezone=timezone or settings.timezone,
            currency=settings.currency,
            currencies=self.currencies,
            now=s.wall(),
            piece=piece,
        )
        # A table says what is known now, and now is the newest event: it must not move a data clock to today.
        told_now = files.format == "table" and settings.clock == "data"
        self._time = (s.now() or s.wall()) if told_now else None

    def __iter__(self) -> Iterator[Read]:
        sizes = [sources.batches(path) for path in self.files.paths]
        done = 0
        for index, path in enumerate(self.files.paths):
            seen = 0
            self._pace.at(f"reading {path.name}", done / sum(sizes), self.rows)
            read = sources.read(path, self.files.format, self._options, self.files.mapping)
            for batch in ahead(read):
                self.rows += batch.rows
                yield Read(index, path, self._kept(self._aliases.sift(batch, str(path))))
                seen = min(seen + 1, sizes[index])
                self._pace.at(f"reading {path.name}", (done + seen) / sum(sizes), self.rows)
            done += sizes[index]

    def _kept(self, batch: sources.Batch) -> sources.Batch:
        """The batch without rows of erased persons, at the time that tables are told for."""
        accepted, rejected = suppress(
            self._erasures, batch.accepted, batch.rejected, batch.aliases, self._columns
        )
        if self._origin is not None:
            # What a cut took away does not come back with a file that still has it.
            passed = (pl.col("time") < self._origin.before) & ~pl.col("kind").is_in(retention.LASTING)
            accepted = accepted.filter(~passed)
        self.suppressed += batch.rows - accepted.height - rejected.height
        self.accepted += accepted.height
        attributes = batch.attributes
        if attributes is not None:
            attributes = attributes.join(
                accepted.select("line"), on="line", how="semi", maintain_order="left"
            )
        aliases = batch.aliases
        if aliases is not None:
            linking = accepted.filter(pl.col("kind").is_in(LINKING)).select("line")
            aliases = aliases.join(linking, on="line", how="semi", maintain_order="left")
        if self._time is not None:
            accepted = accepted.with_columns(pl.lit(self._time, dtype=pl.Int64).alias("time"))
        return sources.Batch(accepted, rejected, attributes, aliases)


class Pace:
    """Tells how an import comes along: what it does, rows, rows/s and time left, over all its steps.

    steps: the name of each and its part of the whole.
    """

    def __init__(self, progress: Progress, **steps: float) -> None:
        self._progress = progress
        self._steps = steps
        self._began = time.monotonic()
        self._done = 0.0
        self._part = 0.0

    def step(self, name: str) -> None:
        """Goes on to a step, those before it are done."""
        names = list(self._steps)
        self._done = sum(self._steps[each] for each in names[: names.index(name)])
        self._part = self._steps[name]

    def at(self, what: str, share: float, rows: int) -> None:
        """The step is at a share (0..1) and has got through so many rows."""
        whole = self._done + self._part * share
        gone = time.monotonic() - self._began
        told = [f"{words.count(rows)} rows"] if rows else []
        if gone > PATIENCE and rows:
            told.append(f"{words.count(round(rows / gone))} rows/s")
        if gone > PATIENCE and whole > 0:
            told.append(f"{words.seconds(gone / whole * (1 - whole))} left")
        self._progress(f"{what}: {', '.join(told)}" if told else what, whole)
