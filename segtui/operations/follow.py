"""Ingesting a stream of event lines: small commits, each with the place in the file that it ends at."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from db import commits, content, log
from db.leftovers import private_name
from db.sqlite import explained
from segtui import sources
from segtui.operations.earlier import Earlier
from segtui.operations.feeds import HEAD_BYTES, Batches, Feed, Growing, Lines, Pipe, Place, Tell, head_of
from segtui.operations.ingest import STEPS, OtherCurrency, check_currency, decide
from segtui.operations.ingest_rows import Arrivals, Counts
from segtui.operations.live import patiently
from segtui.operations.progress import Cancelled, never, quiet
from segtui.operations.quarantine import Quarantine
from segtui.operations.reading import Files, Pace, Reading
from segtui.operations.session import Session

BATCH_ROWS = 5_000
BATCH_BYTES = 8 << 20
DELAY = 0.5
"""Seconds that a line waits for others to be committed with."""
SUMMED = ("rows", "accepted", "duplicates", "changed", "suppressed", "quarantined", "late")
LASTING = ("quarantine_file", "first_seq", "last_seq", "offset")
STDIN = Path("-")
FOLLOWED = "followed"
AUTO, DEFAULT_FORMAT = "auto", "events"
BLANK_LINES = 1


@dataclass(frozen=True)
class _Stream:
    """What is read of one file, or pipe, from one beginning to its end: `began` is the position before it."""

    file: str | None
    began: int


def ingest(
    s: Session,
    file: Path = STDIN,
    *,
    follow: bool = False,
    format: str = "auto",
    source: str | None = None,
    rows: int = BATCH_ROWS,
    delay: float = DELAY,
    tell: Tell = lambda _: None,
    cancelled: Cancelled = never,
) -> Iterator[dict[str, Any]]:
    """Commits event lines as they come, at most `rows` together and none later than `delay` seconds.

    One dict per commit: the counts of `import_files`. `file` is read on from where the last commit of it
    ended, which is kept in the commit itself; `-` is the standard input, a pipe. With `follow` a file is read
    on as it grows, until `cancelled`; one that was cut or replaced is read from its beginning, which `tell`
    says, and the one before beside it as long as that grows: the `offset` of its lines is None. Lines that
    cannot be events go to quarantine. Raises OperationError for what cannot be read.
    """
    s.store.vault.require()
    place, stream, head = Place(), _Stream(None, s.store.head()), b""
    feed: Feed = Pipe(0, "the standard input")
    if file != STDIN:
        place, stream = _resumed(s, file, str(file.absolute()), tell)
        feed = Growing(file, place.offset, follow=follow, tell=tell)
        with file.open("rb") as beginning:
            head = beginning.read(min(place.offset, HEAD_BYTES))
    batches = Batches(feed, place, head, rows=rows, size=BATCH_BYTES, delay=delay)
    ingesting = former = _Ingesting(s, feed.name, format, source, stream)
    while (lines := batches.next(cancelled)) is not None:
        if any(text.strip() for text in lines.texts):
            commit = partial((former if lines.late else ingesting).commit, lines)
            yield patiently(commit, tell, cancelled) if follow else commit()
        if lines.turns:
            # What comes now is another file, or this one from its beginning: its rows may be there already.
            former, ingesting = ingesting, ingesting.begun_anew(_Stream(stream.file, s.store.head()))
    if batches.left and not cancelled():
        tell(f"The last line of {feed.name} has no end yet: it waits for the rest.")


def total(s: Session, results: Iterator[dict[str, Any]]) -> dict[str, Any]:
    """The counts of all commits together; users are those with new events."""
    summed: dict[str, Any] = dict.fromkeys(SUMMED, 0) | dict.fromkeys(LASTING) | {"seconds": 0.0}
    for each in results:
        for name in SUMMED:
            summed[name] += each[name]
        for name in LASTING:
            told = summed[name] if name == "first_seq" and summed[name] is not None else each[name]
            summed[name] = summed[name] if told is None else told
        summed["seconds"] = round(summed["seconds"] + each["seconds"], 3)
    span = (summed["first_seq"] or 1, summed["last_seq"] or 0)
    users = s.store.rows("SELECT count(DISTINCT user) FROM behaviour WHERE seq BETWEEN ? AND ?", span)[0][0]
    return summed | {"users": users, "content_digest": content.content_digest(s.store)}


class _Ingesting:
    """Batches of one feed on their way into the log."""

    def __init__(self, s: Session, name: str, format: str, source: str | None, stream: _Stream) -> None:
        self._s, self._name = s, name
        self._format, self._source = format, source
        self._started = time.time_ns() // 1000
        self._earlier: Earlier | None = None
        self._stream = stream

    def begun_anew(self, stream: _Stream) -> _Ingesting:
        """The same for what comes of the feed from another beginning on."""
        other = copy(self)
        other._stream, other._earlier = stream, None
        return other

    def commit(self, lines: Lines) -> dict[str, Any]:
        """One commit of what is new in the lines, and of the place they end at."""
        began = time.monotonic()
        guess: str | None = None
        while True:
            try:
                reading, counts, rejected = self._once(lines, guess)
                break
            except OtherCurrency as other:
                guess = other.currency
        if counts.first_seq is not None and self._earlier is not None:
            self._earlier.own(counts.first_seq)
        return {
            "rows": reading.rows,
            "suppressed": reading.suppressed,
            "quarantined": rejected.rows,
            **asdict(counts),
            "quarantine_file": str(rejected.file) if rejected.file else None,
            "offset": None if lines.late else lines.place.offset,
            "content_digest": content.content_digest(self._s.store),
            "seconds": round(time.monotonic() - began, 3),
        }

    def _once(self, lines: Lines, guess: str | None) -> tuple[Reading, Counts, Quarantine]:
        s = self._s
        if self._format == AUTO:
            self._format = sources.detect_streamed(lines.texts) or AUTO
        form = DEFAULT_FORMAT if self._format == AUTO else self._format
        source = self._source or form
        with s.store.transaction(actor=s.actor, source=source) as tx:
            if self._earlier is None:
                self._earlier = _earlier(s, source, self._stream)
            # Made in here, since a transaction begins by removing what killed ones left.
            with _spooled(s, lines) as file:
                files = Files([file], form, "a stream", None)
                pace = Pace(quiet, **STEPS)
                pace.step("read")
                columns = sources.columns(files.paths, form).identifying
                reading = Reading(s, files, None, guess, None, pace, columns, piece=True)
                arrivals = Arrivals(s, tx, source, self._earlier)
                refused = []
                for each in reading:
                    refused.append(each.batch.rejected)
                    arrivals.take(each.batch, each.file)
            check_currency(reading)
            rejected = Quarantine(s.store.path, source, self._started, goes_on=True, columns=columns)
            for rows in refused:
                numbers = pl.col("line") + (lines.first - 1 - BLANK_LINES)
                rejected.add(Path(self._name), rows.with_columns(numbers.alias("line")))
            rejected.close()
            pace.step("sift")
            counts = arrivals.append(pace)
            if counts.first_seq is not None or self._stream.file is not None:
                decide(s, tx, reading, rejected, source, counts, self._told(lines))
        return reading, counts, rejected

    def _told(self, lines: Lines) -> dict[str, Any]:
        """What is recorded of where a batch ends; nothing of late lines, whose file nobody goes on with."""
        kept = self._stream.file is not None and not lines.late
        return {FOLLOWED: asdict(self._stream) | asdict(lines.place) if kept else None}


@contextmanager
def _spooled(s: Session, lines: Lines) -> Iterator[Path]:
    """The lines in a file of their own, as readers want them, behind a blank line.

    So no line is the first, whose first bytes would say what kind of file it is.
    """
    path = private_name(s.store.path)
    try:
        with explained(s.store.path):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
                file.write("\n".join([*[""] * BLANK_LINES, *lines.texts, ""]))
        yield path
    finally:
        path.unlink(missing_ok=True)


def _resumed(s: Session, file: Path, kept: str, tell: Tell) -> tuple[Place, _Stream]:
    """Where the last commit of a file ended, and the stream it was of; else the beginning of a new one."""
    new = Place(), _Stream(kept, s.store.head())
    told = _last_of(s, kept)
    if told is None or not file.is_file():
        return new
    place = Place(told["offset"], told["lines"], told["head"], told["head_bytes"])
    size = file.stat().st_size
    if size < place.offset:
        tell(f"{file} was cut to {size:,} bytes, {place.offset:,} were read: it is read from its beginning.")
        return new
    if head_of(file, place.head_bytes) != place.head:
        tell(f"{file} is another file than the one read before: it is read from its beginning.")
        return new
    tell(f"{file} was read up to line {place.lines:,}: it goes on there.")
    return place, _Stream(kept, told["began"])


def _last_of(s: Session, kept: str) -> dict[str, Any] | None:
    """What the newest import of a followed file recorded of it."""
    for decision in log.decisions(s.store, kinds=("imported",), newest_first=True):
        told = decision.body.get(FOLLOWED)
        if told is not None and told["file"] == kept:
            return dict(told)
    return None


def _earlier(s: Session, source: str, stream: _Stream) -> Earlier:
    """What the log holds of a source, knowing which of it is of this stream."""
    earlier = Earlier(s.store, source)
    this = (stream.file, stream.began)
    own = [
        decision.seq
        for decision in log.decisions(s.store, kinds=("imported",))
        if (told := decision.body.get(FOLLOWED)) and (told["file"], told["began"]) == this
    ]
    for first_seq in commits.begun_with(s.store, own):
        earlier.own(first_seq)
    return earlier
