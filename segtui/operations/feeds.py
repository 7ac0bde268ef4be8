"""Lines as they arrive: from a pipe, or from a file that perhaps still grows, with the place they end at."""

from __future__ import annotations

import hashlib
import json
import os
import select
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from segtui.operations.errors import OperationError
from segtui.operations.progress import Cancelled, never

READ_BYTES = 1 << 20
LONGEST_LINE = 16 << 20
POLL = 0.05
"""Seconds between two looks at a file that may have grown."""
GRACE = 5.0
"""Seconds without growth after which nobody writes any more to a file that another took the name of: who
writes it is told of a rotation only after it."""
HEAD_BYTES = 4_096

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Place:
    """How far a file was read: bytes and lines, all ended, and its head by which it is known again.

    head: SHA-256 in hex of the first `head_bytes` bytes.
    """

    offset: int = 0
    lines: int = 0
    head: str = ""
    head_bytes: int = 0


@dataclass(frozen=True)
class Lines:
    """Some consecutive lines, without their ends; `first` is the number of the first.

    place: where they end. turns: the lines after them are another file's, or this one's from its beginning.
    late: they are of the file before that, which was written to once more.
    """

    first: int
    texts: list[str]
    place: Place
    turns: bool = False
    late: bool = False


class Feed(Protocol):
    """Where lines come from."""

    name: str
    left: Left | None
    """The file that was read before this one, and may still be written to."""

    def read(self, seconds: float) -> bytes | None:
        """What is there, after waiting up to some seconds for it; empty for nothing, None at the end."""
        ...

    def begins_anew(self) -> bool:
        """Whether what `read` gives from now on is another file's, from its beginning."""
        ...


class Left:
    """A file that another took the name of, until nobody seems to write to it any more."""

    left: Left | None = None

    def __init__(self, descriptor: int, offset: int, name: str) -> None:
        self._descriptor, self._offset, self.name = descriptor, offset, name
        self._grown = time.monotonic()
        self.over = False
        """Whether what is there now is all."""

    def read(self, _seconds: float) -> bytes | None:
        """What is there, without waiting; None, and the file is let go, once it has not grown for GRACE."""
        found = os.pread(self._descriptor, READ_BYTES, self._offset)
        if found:
            self._offset += len(found)
            self._grown = time.monotonic()
            return found
        if not self.over and time.monotonic() - self._grown < GRACE:
            return b""
        os.close(self._descriptor)
        return None

    def begins_anew(self) -> bool:
        """Nobody looks whether it was cut."""
        return False


class Pipe:
    """A pipe or terminal. What is not read waits on the other side."""

    left: Left | None = None

    def __init__(self, descriptor: int, name: str) -> None:
        self._descriptor = descriptor
        self.name = name

    def read(self, seconds: float) -> bytes | None:
        """What is there, after waiting up to some seconds for it; None once nobody writes any more."""
        if not select.select([self._descriptor], [], [], seconds)[0]:
            return b""
        return os.read(self._descriptor, READ_BYTES) or None

    def begins_anew(self) -> bool:
        """A pipe has one beginning."""
        return False


class Growing:
    """A regular file, read from an offset on; followed, also through being replaced or cut."""

    def __init__(self, path: Path, offset: int, *, follow: bool, tell: Tell) -> None:
        """Raises OperationError for what is no regular file, or cannot be read."""
        self.name = str(path)
        self._path, self._follow, self._tell = path, follow, tell
        self._file = _opened(path)
        self._offset = offset
        self._anew = False
        self.left: Left | None = None

    def read(self, seconds: float) -> bytes | None:
        """What is there, after waiting up to some seconds for it; None at the end of one not followed."""
        until = time.monotonic() + seconds
        while True:
            found = os.pread(self._file, READ_BYTES, self._offset)
            if found:
                self._offset += len(found)
                return found
            if not self._follow:
                return None
            if self._replaced() or time.monotonic() >= until:
                return b""
            time.sleep(min(POLL, seconds))

    def begins_anew(self) -> bool:
        """Whether another file, or this one cut, is read from its beginning since the last call."""
        anew, self._anew = self._anew, False
        return anew

    def _replaced(self) -> bool:
        """Goes over to the file that stands under the name now, if that is another or was cut."""
        own = os.fstat(self._file)
        if own.st_size < self._offset:
            self._tell(f"{self.name} was cut to {own.st_size:,} bytes: it is read from its beginning again.")
            self.left = None
        else:
            try:
                there = self._path.stat()
            except FileNotFoundError:
                return False  # a rotation takes the old file away before the new one is there
            if (there.st_dev, there.st_ino) == (own.st_dev, own.st_ino):
                return False
            newer = _opened(self._path)
            self._tell(
                f"{self.name} is another file now: it is read from its beginning, and the one before it "
                "as long as that grows."
            )
            self.left, self._file = Left(self._file, self._offset, self.name), newer
        self._offset, self._anew = 0, True
        return True

    def close(self) -> None:
        """Lets the file go."""
        os.close(self._file)


def _opened(path: Path) -> int:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise OperationError(
            f"{path} cannot be read ({error.strerror}): check its name and rights."
        ) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OperationError(f"{path} is no regular file: name one, or pipe it into 'segtui ingest -'.")
    return descriptor


def head_of(path: Path, length: int) -> str:
    """SHA-256 in hex of the first `length` bytes of a file, of all if it has fewer."""
    with path.open("rb") as file:
        return hashlib.sha256(file.read(length)).hexdigest()


class Batches:
    """Cuts what a feed gives into batches of ended lines, bounded by number, bytes and delay."""

    def __init__(self, feed: Feed, place: Place, head: bytes, *, rows: int, size: int, delay: float) -> None:
        """`head`: the first bytes before the place, at most HEAD_BYTES. `delay`: seconds a line may wait."""
        self._feed = feed
        self._most_rows, self._most_bytes, self._delay = rows, size, delay
        self._place, self._head = place, head
        self._whole: list[bytes] = []
        self._rest = b""
        self._late: tuple[Left, Batches] | None = None
        self._anew = self._ended = self._unended = False

    @property
    def left(self) -> bool:
        """Whether a line without its end was left where it is."""
        return bool(self._rest)

    def next(self, cancelled: Cancelled) -> Lines | None:
        """The next lines, perhaps none for now; None when the feed has ended or all was called off."""
        late = self._late_lines(over=self._anew or cancelled())
        if late is not None:
            return late
        since = time.monotonic()
        while not self._full():
            stop = cancelled()
            if self._ended or self._anew or stop:
                break
            if self._whole and time.monotonic() - since >= self._delay:
                break
            found = self._feed.read(POLL if self._whole else self._delay)
            self._anew = self._feed.begins_anew()
            self._ended = found is None
            cut = self._anew and self._feed.left is None
            if cut or (self._ended and self._takes_end()):
                # Nothing more comes to what stands behind the last end of line.
                self._unended = bool(self._rest)
                self._whole += [self._rest] if self._rest else []
                self._rest = b""
            if found:
                *whole, self._rest = (self._rest + found).split(b"\n")
                self._whole += whole
                self._refuse_endless()
            elif not self._whole and not self._ended and not self._anew:
                return Lines(self._place.lines + 1, [], self._place)
        if not self._whole and (self._ended or not self._anew):
            return None
        return self._cut()

    def _late_lines(self, *, over: bool) -> Lines | None:
        """What came to the file before this one; `over`: nothing more is waited for."""
        while self._late is not None:
            left, batches = self._late
            left.over = over
            found = batches.next(never)
            if found is None:
                self._late = None
            elif found.texts:
                return replace(found, late=True)
            elif not over:
                break
        return None

    def _full(self) -> bool:
        return len(self._whole) >= self._most_rows or sum(map(len, self._whole)) >= self._most_bytes

    def _takes_end(self) -> bool:
        """A pipe's last line is one; that of a file may be half of one still being written."""
        if isinstance(self._feed, Pipe | Left):
            return True
        try:
            return isinstance(json.loads(self._rest), dict)
        except (ValueError, RecursionError):
            return False

    def _refuse_endless(self) -> None:
        if len(self._rest) > LONGEST_LINE:
            number = self._place.lines + len(self._whole) + 1
            raise OperationError(
                f"{self._feed.name}, line {number:,} is longer than {LONGEST_LINE >> 20} MiB: "
                "that is no line of events, cut it out."
            )

    def _cut(self) -> Lines:
        count, size = 0, 0
        for line in self._whole[: self._most_rows]:
            if count and size + len(line) > self._most_bytes:
                break
            count, size = count + 1, size + len(line) + 1
        texts, self._whole = self._whole[:count], self._whole[count:]
        ends = [b""] if texts else []
        if self._unended and texts and not self._whole:
            size, ends = size - 1, []
        if len(self._head) < HEAD_BYTES:
            self._head = (self._head + b"\n".join([*texts, *ends]))[:HEAD_BYTES]
        last, start = self._place.lines, self._place
        head = hashlib.sha256(self._head).hexdigest()
        self._place = Place(start.offset + size, last + count, head, len(self._head))
        turns = self._anew and not self._whole and self._late is None
        cut = Lines(last + 1, [text.decode(errors="replace") for text in texts], self._place, turns)
        if turns:
            self._leave()
            self._anew, self._unended, self._place, self._head = False, False, Place(), b""
        return cut

    def _leave(self) -> None:
        """Goes on reading the file before, behind what was cut of it, beside the one that begins."""
        left, rows, size = self._feed.left, self._most_rows, self._most_bytes
        if left is not None:
            batches = Batches(left, self._place, b"", rows=rows, size=size, delay=0.0)
            batches._rest, self._rest = self._rest, b""
            self._late = left, batches
