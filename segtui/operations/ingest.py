"""Importing files: read, check, de-duplicate, append; all of an import or nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from db import content, log
from db.erasures import Erasures
from db.store import Transaction
from segtui import sources
from segtui.operations import quarantine
from segtui.operations.errors import OperationError
from segtui.operations.ingest_rows import Counts, append
from segtui.operations.progress import Progress, quiet
from segtui.operations.session import Session
from segtui.operations.suppression import suppress

DATA_CLOCK_AGE = 30 * 86_400_000_000
PREVIEW_ROWS = 10


@dataclass
class Parsed:
    """What the files of one import hold, before anything is looked up in the store."""

    format: str
    why: str
    accepted: pl.DataFrame
    rejected: pl.DataFrame
    attributes: pl.DataFrame | None
    suppressed: int = 0

    @property
    def rows(self) -> int:
        """Rows read: good, bad, and of erased persons."""
        return self.accepted.height + self.rejected.height + self.suppressed


def parse(
    s: Session,
    files: Sequence[Path],
    *,
    format: str,
    mapping: Path | None,
    timezone: str | None,
    progress: Progress,
) -> Parsed:
    """Reads the files through their source; line numbers stay those of each file."""
    settings = s.settings
    options = sources.Options(
        timezone=timezone or settings.timezone, currency=settings.currency, now=s.wall()
    )
    accepted, rejected, attributes = [], [], []
    chosen, why, rows = None, "as told", 0
    for index, path in enumerate(files):
        name = format
        if mapping is None and format == "auto":
            name, why = sources.detect(path)
        if chosen is not None and name != chosen:
            raise OperationError(
                f"{path} is {name}, the files before it are {chosen}: import one format at a time."
            )
        chosen = name
        for batch in sources.read(path, name, options, mapping):
            row = pl.int_range(rows, rows + batch.accepted.height, dtype=pl.Int64, eager=True)
            frame = batch.accepted.with_columns(row.alias("row"), pl.lit(index, dtype=pl.Int64).alias("file"))
            if batch.attributes is not None:
                attributes.append(
                    batch.attributes.join(frame.select("line", "row"), on="line", how="inner").drop("line")
                )
            rows += frame.height
            accepted.append(frame)
            rejected.append(batch.rejected.with_columns(pl.lit(str(path)).alias("file")))
            progress(f"reading {path.name}", None)
    everything = pl.concat(accepted)
    if chosen == "table" and settings.clock == "data":
        # A table says what is known now, and now is the newest event: it must not move a data clock to today.
        everything = everything.with_columns(pl.lit(s.now() or s.wall(), dtype=pl.Int64).alias("time"))
    return Parsed(
        format=chosen or format,
        why=why,
        accepted=everything,
        rejected=pl.concat(rejected),
        attributes=pl.concat(attributes) if attributes else None,
    )


def import_files(
    s: Session,
    files: Sequence[Path],
    *,
    format: str = "auto",
    mapping: Path | None = None,
    source: str | None = None,
    timezone: str | None = None,
    dry_run: bool = False,
    min_accepted: int | None = None,
    max_quarantine: float | None = None,
    progress: Progress = quiet,
) -> dict[str, Any]:
    """Imports files of one format in one commit; returns the counts of cli.md.

    rows = accepted + duplicates + changed + suppressed + quarantined, always. `max_quarantine` is a
    percentage of the rows. Raises SourceError for files that cannot be read, OperationError when a limit
    is passed (nothing is imported then; the quarantine file stays to be looked at).
    """
    started = time.monotonic()
    if not files:
        raise OperationError("Nothing to import: name at least one file.")
    paths = [Path(file) for file in files]
    parsed = parse(s, paths, format=format, mapping=mapping, timezone=timezone, progress=progress)
    currency = s.settings.currency or _main_currency(parsed.accepted)
    parsed = _quarantine_currencies(parsed, currency)
    name = source or (mapping.stem if mapping else parsed.format)
    columns = sources.columns(paths, parsed.format, mapping)
    erasures = Erasures(s.store)
    parsed = _suppressed(erasures, parsed)
    if dry_run:
        return _dry_run(s, parsed, name, currency, started) | asdict(columns)
    _refuse_missing_key(s)
    quarantine_file = quarantine.write(s.store.path, name, parsed.rejected, time.time_ns() // 1000)
    counts: Counts | None = None
    try:
        _check_quarantine(parsed, max_quarantine, quarantine_file)
        with s.store.transaction(actor=s.actor, source=name) as tx:
            erasures.refuse_changed()
            progress("looking for rows the log holds already", None)
            counts = append(s, tx, parsed.accepted, parsed.attributes, name, progress)
            if min_accepted is not None and counts.accepted < min_accepted:
                raise OperationError(
                    f"Only {counts.accepted:,} rows of {name} are new, --min-accepted asks for "
                    f"{min_accepted:,}: nothing was imported."
                )
            if counts.appended:
                _decide(s, tx, parsed, name, currency, counts)
    except OperationError:
        raise
    except BaseException:
        if quarantine_file is not None:
            quarantine_file.unlink(missing_ok=True)
        raise
    progress("digesting", None)
    return {
        "rows": parsed.rows,
        "accepted": counts.accepted,
        "duplicates": counts.duplicates,
        "changed": counts.changed,
        "suppressed": parsed.suppressed,
        "quarantined": parsed.rejected.height,
        "quarantine_file": str(quarantine_file) if quarantine_file else None,
        "users": parsed.accepted["user"].n_unique(),
        "first_seq": counts.first_seq,
        "last_seq": counts.last_seq,
        "content_digest": content.content_digest(s.store),
        "seconds": round(time.monotonic() - started, 3),
        "format": parsed.format,
        "source": name,
        "why": parsed.why,
        "reasons": quarantine.reasons(parsed.rejected),
        "late": counts.late,
        "clock": s.settings.clock,
        "currency": s.settings.currency,
        **asdict(columns),
    }


def _refuse_missing_key(s: Session) -> None:
    """External ids cannot go into the vault without its key; says so before any work."""
    s.store.vault.require()


def _main_currency(accepted: pl.DataFrame) -> str | None:
    """The currency most rows with an amount are in; ties go to the first by name."""
    counts = (
        accepted.filter(pl.col("currency").is_not_null())
        .group_by("currency")
        .len()
        .sort("len", "currency", descending=[True, False])
    )
    return counts["currency"][0] if counts.height else None


def _quarantine_currencies(parsed: Parsed, currency: str | None) -> Parsed:
    """Moves rows in another currency to the rejected ones."""
    foreign = (pl.col("currency") != pl.lit(currency)).fill_null(False)
    strangers = parsed.accepted.filter(foreign)
    if strangers.is_empty():
        return parsed
    columns = [name for name in strangers.columns if name not in ("row", "file", "line")]
    moved = strangers.select(
        "line",
        pl.format("currency '{}' is not the store's, which is " + str(currency), "currency").alias("reason"),
        pl.struct(columns).struct.json_encode().alias("row"),
        pl.lit("").alias("file"),
    ).select(parsed.rejected.columns)
    return Parsed(
        parsed.format,
        parsed.why,
        parsed.accepted.filter(~foreign),
        pl.concat([parsed.rejected, moved]),
        parsed.attributes,
    )


def _suppressed(erasures: Erasures, parsed: Parsed) -> Parsed:
    """Without the rows of erased persons; not even the words of those may get into the vocabulary."""
    accepted, rejected = suppress(erasures, parsed.accepted, parsed.rejected)
    attributes = parsed.attributes
    if attributes is not None:
        attributes = attributes.join(accepted.select("row"), on="row", how="semi", maintain_order="left")
    left_out = parsed.rows - accepted.height - rejected.height
    return replace(parsed, accepted=accepted, rejected=rejected, attributes=attributes, suppressed=left_out)


def _check_quarantine(parsed: Parsed, limit: float | None, file: Path | None) -> None:
    share = 100 * parsed.rejected.height / parsed.rows if parsed.rows else 0.0
    if limit is not None and share > limit:
        raise OperationError(
            f"{parsed.rejected.height:,} of {parsed.rows:,} rows ({share:.1f} %) are in quarantine, "
            f"--max-quarantine allows {limit:g} %: nothing was imported, see {file}."
        )


def _decide(
    s: Session, tx: Transaction, parsed: Parsed, source: str, currency: str | None, counts: Counts
) -> None:
    """Records the import, and what a first import settles: currency and clock."""
    settings = s.settings
    tx.append_decision(
        "imported",
        {
            "source": source,
            "format": parsed.format,
            "rows": parsed.rows,
            "accepted": counts.accepted,
            "duplicates": counts.duplicates,
            "changed": counts.changed,
            "suppressed": parsed.suppressed,
            "quarantined": parsed.rejected.height,
            "reasons": quarantine.reasons(parsed.rejected),
            "late": counts.late,
        },
    )
    if settings.currency is None and currency is not None:
        tx.append_decision(
            "setting_changed",
            {"name": "currency", "value": currency, "because": "the currency of the first import"},
        )
    if settings.clock is None:
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


def _dry_run(s: Session, parsed: Parsed, source: str, currency: str | None, started: float) -> dict[str, Any]:
    """What an import would read; nothing is written and nothing is looked up in the log."""
    preview = parsed.accepted.drop("row", "file").head(PREVIEW_ROWS)
    return {
        "dry_run": True,
        "rows": parsed.rows,
        "accepted": parsed.accepted.height,
        "duplicates": 0,
        "changed": 0,
        "suppressed": parsed.suppressed,
        "quarantined": parsed.rejected.height,
        "quarantine_file": None,
        "users": parsed.accepted["user"].n_unique(),
        "first_seq": None,
        "last_seq": None,
        "content_digest": content.content_digest(s.store),
        "seconds": round(time.monotonic() - started, 3),
        "format": parsed.format,
        "source": source,
        "why": parsed.why,
        "currency": currency,
        "reasons": quarantine.reasons(parsed.rejected),
        "preview": preview.to_dicts(),
        "position": log.summary(s.store).position,
    }
