"""Importing files: read, check, de-duplicate, append; all of an import or nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from db import content, log, vocabulary
from db.store import Transaction
from segtui import sources
from segtui.operations.errors import OperationError
from segtui.operations.ingest_rows import Arrivals, Counts
from segtui.operations.progress import Progress, quiet
from segtui.operations.quarantine import Quarantine
from segtui.operations.reading import Files, Pace, Reading
from segtui.operations.session import Session

DATA_CLOCK_AGE = 30 * 86_400_000_000
PREVIEW_ROWS = 10
STEPS = {"read": 0.4, "sift": 0.4, "write": 0.2}


class OtherCurrency(Exception):
    """Most rows turned out to be in another currency than those of the first batch."""

    def __init__(self, currency: str | None) -> None:
        super().__init__()
        self.currency = currency


def import_files(
    s: Session,
    files: Sequence[Path],
    *,
    format: str = "auto",
    mapping: Path | None = None,
    source: str | None = None,
    timezone: str | None = None,
    rates: Path | None = None,
    dry_run: bool = False,
    min_accepted: int | None = None,
    max_quarantine: float | None = None,
    progress: Progress = quiet,
) -> dict[str, Any]:
    """Imports files of one format in one commit; returns the counts of cli.md.

    rows = accepted + duplicates + changed + suppressed + quarantined, always. `rates` is a file of rates to
    the store's currency; without, rows in other currencies are quarantined. `max_quarantine` is a
    percentage of the rows. Raises SourceError for files that cannot be read, OperationError when a limit
    is passed (nothing is imported then; the quarantine file stays to be looked at).
    """
    started = time.monotonic()
    found = Files.of([Path(file) for file in files], format, mapping)
    name = source or (mapping.stem if mapping else found.format)
    exchange = None if rates is None else sources.load_rates(Path(rates))
    columns = sources.columns(found.paths, found.format, mapping)
    if not dry_run:
        # External ids cannot go into the vault without its key: said before any work.
        s.store.vault.require()
    guess: str | None = None
    while True:
        pace = Pace(progress, **STEPS)
        read = partial(Reading, s, found, timezone, guess, exchange, pace, columns.identifying)
        rejected = Quarantine(
            s.store.path, name, time.time_ns() // 1000, dry_run=dry_run, columns=columns.identifying
        )
        try:
            if dry_run:
                reading = read()
                result = _dry_run(s, reading, rejected)
            else:
                reading, counts = _import(s, read, rejected, name, pace, min_accepted, max_quarantine)
                result = counts | {"quarantine_file": str(rejected.file) if rejected.file else None}
            break
        except OtherCurrency as other:
            rejected.discard()
            guess = other.currency
        except OperationError:
            rejected.close()
            raise
        except BaseException:
            rejected.discard()
            raise
    return {
        "rows": reading.rows,
        "suppressed": reading.suppressed,
        "quarantined": rejected.rows,
        **result,
        "content_digest": content.content_digest(s.store),
        "seconds": round(time.monotonic() - started, 3),
        "format": found.format,
        "source": name,
        "why": found.why,
        "reasons": rejected.reasons,
        "clock": s.settings.clock,
        "currency": s.settings.currency or reading.currencies.chosen,
        "converted": dict(sorted(reading.currencies.converted.items())),
        "position": log.summary(s.store).position,
        "vaulted": columns.vaulted,
        "dropped": columns.dropped,
    }


def _import(
    s: Session,
    read: Callable[[], Reading],
    rejected: Quarantine,
    source: str,
    pace: Pace,
    min_accepted: int | None,
    max_quarantine: float | None,
) -> tuple[Reading, dict[str, Any]]:
    """One commit of everything that is read and new; its counts, and `retyped`.

    These are the attributes that are given texts and of which the log holds numbers.
    """
    with s.store.transaction(actor=s.actor, source=source) as tx:
        # Only now: another writer may have settled the currency or erased somebody while this one waited.
        reading = read()
        arrivals = Arrivals(s, tx, source)
        pace.step("read")
        for each in reading:
            rejected.add(each.path, each.batch.rejected)
            arrivals.take(each.batch, each.file)
        rejected.close()
        check_currency(reading)
        _check_quarantine(reading, rejected, max_quarantine)
        pace.step("sift")
        counts = arrivals.append(pace)
        if min_accepted is not None and counts.accepted < min_accepted:
            raise OperationError(
                f"Only {counts.accepted:,} rows of {source} are new, --min-accepted asks for "
                f"{min_accepted:,}: nothing was imported."
            )
        if counts.first_seq is not None:
            decide(s, tx, reading, rejected, source, counts)
        worded = sorted(arrivals.worded)
    numbered = (vocabulary.number(s.store, "attribute:number", name) for name in worded)
    retyped = [name for name, number in zip(worded, numbered, strict=True) if number is not None]
    return reading, asdict(counts) | {"retyped": retyped}


def check_currency(reading: Reading) -> None:
    """Raises OtherCurrency when the rows that settle the store's are mostly in another than was taken."""
    if reading.currencies.chosen != reading.currencies.main and reading.settles_currency:
        raise OtherCurrency(reading.currencies.main)


def _check_quarantine(reading: Reading, rejected: Quarantine, limit: float | None) -> None:
    share = 100 * rejected.rows / reading.rows if reading.rows else 0.0
    if limit is not None and share > limit:
        raise OperationError(
            f"{rejected.rows:,} of {reading.rows:,} rows ({share:.1f} %) are in quarantine, "
            f"--max-quarantine allows {limit:g} %: nothing was imported, see {rejected.file}."
        )


def decide(
    s: Session,
    tx: Transaction,
    reading: Reading,
    rejected: Quarantine,
    source: str,
    counts: Counts,
    more: dict[str, Any] | None = None,
) -> None:
    """Records the import, with `more` of it, and what a first import settles: currency and clock."""
    settings = s.settings
    tx.append_decision(
        "imported",
        {
            "source": source,
            "format": reading.files.format,
            "rows": reading.rows,
            "accepted": counts.accepted,
            "duplicates": counts.duplicates,
            "changed": counts.changed,
            "suppressed": reading.suppressed,
            "quarantined": rejected.rows,
            "reasons": rejected.reasons,
            "late": counts.late,
            "converted": dict(sorted(reading.currencies.converted.items())),
        }
        | (more or {}),
    )
    currency = reading.currencies.chosen
    if settings.currency is None and currency is not None:
        tx.append_decision(
            "setting_changed",
            {"name": "currency", "value": currency, "because": "the currency of the first import"},
        )
    if settings.clock is None and counts.first_seq is not None:
        old = counts.newest < s.wall() - DATA_CLOCK_AGE
        because = "newer than 30 d" if not old else "over 30 d old"
        tx.append_decision(
            "setting_changed",
            {
                "name": "clock",
                "value": "data" if old else "wall",
                "because": f"the newest event was {because} at the first import",
            },
        )


def _carried(batch: sources.Batch, rows: pl.DataFrame) -> dict[int, dict[str, Any]]:
    """By line, {"attributes": {name: value}} of the rows of a batch that carry some, a label among them."""
    if batch.attributes is None:
        return {}
    found: dict[int, dict[str, Any]] = {}
    told = batch.attributes.filter(pl.col("line").is_in(rows["line"].implode()))
    for line, name, number, text in told.select("line", "name", "number", "text").iter_rows():
        found.setdefault(line, {"attributes": {}})["attributes"][name] = text if number is None else number
    return found


def _dry_run(s: Session, reading: Reading, rejected: Quarantine) -> dict[str, Any]:
    """What an import would read; nothing is written and nothing is looked up in the log.

    So rows that the log holds already count as accepted.
    """
    preview: list[dict[str, Any]] = []
    users = pl.Series(dtype=pl.UInt64)
    for read in reading:
        rejected.add(read.path, read.batch.rejected)
        accepted = read.batch.accepted
        first = accepted.head(PREVIEW_ROWS - len(preview))
        carried = _carried(read.batch, first)
        preview += [
            row | {"time": s.iso(row["time"])} | carried.get(row["line"], {}) for row in first.to_dicts()
        ]
        users = pl.concat([users, accepted["user"].hash()]).unique()
    check_currency(reading)
    return {
        "dry_run": True,
        "accepted": reading.accepted,
        "duplicates": 0,
        "changed": 0,
        "quarantine_file": None,
        "mapping": sources.fields(reading.files.paths[0], reading.files.format, reading.files.mapping),
        "would_quarantine": rejected.examples,
        "users": users.len(),
        "first_seq": None,
        "last_seq": None,
        "retyped": [],
        "preview": preview,
    }
