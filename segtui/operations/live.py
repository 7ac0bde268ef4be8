"""What goes on as the store does: rescoring after each commit, and telling the changes as they come."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from db import log
from db.errors import StoreLocked
from segtui.operations.changes import change_frame, worded
from segtui.operations.errors import OperationError
from segtui.operations.progress import Cancelled, never
from segtui.operations.rescore import rescore
from segtui.operations.session import Session

POLL = 0.05
"""Seconds between two looks at whether somebody committed."""
CLOCK_POLL = 1.0
"""Seconds between two looks at whether a tick ended."""

Tell = Callable[[str], None]
Done = TypeVar("Done")


def patiently(work: Callable[[], Done], tell: Tell, cancelled: Cancelled) -> Done:
    """Does the work, again and again while another writer holds the store, which `tell` says once."""
    told = False
    while True:
        try:
            return work()
        except StoreLocked as error:
            if cancelled():
                raise
            if not told:
                tell(f"{error} It is waited for.")
                told = True


def follow(
    s: Session, *, tell: Tell = lambda _: None, cancelled: Cancelled = never
) -> Iterator[dict[str, Any]]:
    """Rescores at once, then after each commit of others and at each tick's end, until `cancelled`.

    One dict per rescore that recorded something, as `rescore` gives it. Commits that come while one runs are
    rescored together after it. While there is nothing to rescore, or to rescore by, it waits.
    """
    told = ""
    while not cancelled():
        version, as_of = s.store.data_version(), s.as_of()
        if as_of is not None and log.summary(s.store).events:
            try:
                result = patiently(lambda: rescore(s), tell, cancelled)
            except OperationError as error:
                if str(error) != told:
                    told = str(error)
                    tell(told)
            else:
                if result["ticks"]:
                    yield result
        _wait(s, version, as_of, cancelled)


def _wait(s: Session, version: int, as_of: int | None, cancelled: Cancelled) -> None:
    """Waits until another connection commits, or the current as-of is another."""
    looked = time.monotonic()
    while not cancelled() and s.store.data_version() == version:
        time.sleep(POLL)
        if time.monotonic() - looked >= CLOCK_POLL:
            looked = time.monotonic()
            if s.as_of() != as_of:
                return


def watch(
    s: Session,
    *,
    segment: str | None = None,
    cause: str | None = None,
    first: bool = False,
    cancelled: Cancelled = never,
) -> Iterator[dict[str, Any]]:
    """Membership changes as `changes` tells them, as soon as they are recorded, until `cancelled`."""
    position = s.store.head()
    while not cancelled():
        version = s.store.data_version()
        with s.store.reading():
            head = s.store.head()
            found = change_frame(s, segment=segment, cause=cause, first=first, after_seq=position)
            told = worded(s, found) if head > position and found.height else []
        position = head
        yield from told
        while not cancelled() and s.store.data_version() == version:
            time.sleep(POLL)
