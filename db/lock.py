"""The writer's lock: one writer per store over writing and checkpointing, and who it is."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from db.errors import StoreError, StoreLocked
from db.sqlite import explained

WAIT_VARIABLE = "SEGTUI_WAIT"
WAIT_SECONDS = 10.0
QUIET_SECONDS = 1.0
POLL_SECONDS = 0.02
BEFORE_COMMAND = ("--wait", "--store")
"""Options with a value that may stand before a command."""

logger = logging.getLogger(__name__)


def lock_path(store: Path) -> Path:
    """The file whose OS lock is the right to write."""
    return Path(f"{store}.lock")


def holder_path(store: Path) -> Path:
    """Says who holds the lock: JSON with pid, command and since (µs UTC)."""
    return Path(f"{store}.lock.holder")


def patience() -> float:
    """For how many seconds a writer waits for another: SEGTUI_WAIT, else ten."""
    told = os.environ.get(WAIT_VARIABLE, "")
    try:
        return max(float(told), 0.0) if told else WAIT_SECONDS
    except ValueError as error:
        raise StoreError(f"{WAIT_VARIABLE} is {told!r}: give a number of seconds, as 60.") from error


@contextmanager
def writer_lock(store: Path, wait: float | None = None) -> Iterator[None]:
    """Holds the lock of `store`; raises StoreLocked, naming the holder, after `wait` seconds.

    `wait`: default `patience()`. Who is waited for longer than a second is told to the log `db.lock`.
    """
    lock = FileLock(lock_path(store), mode=0o600)
    wait = patience() if wait is None else wait
    with explained(store):
        _acquire(lock, store, wait)
    holder = holder_path(store)
    try:
        with explained(store):
            descriptor = os.open(holder, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w") as file:
                json.dump({"pid": os.getpid(), "command": _command(), "since": time.time_ns() // 1000}, file)
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _acquire(lock: FileLock, store: Path, wait: float) -> None:
    quiet = min(wait, QUIET_SECONDS)
    try:
        try:
            lock.acquire(timeout=quiet, poll_interval=POLL_SECONDS)
        except Timeout:
            if wait <= quiet:
                raise
            logger.warning("%s: waiting for it, %g s at most.", _holder(store), wait)
            lock.acquire(timeout=wait - quiet, poll_interval=POLL_SECONDS)
    except Timeout as timeout:
        raise StoreLocked(
            f"{_holder(store)}: {store} takes one writer at a time, try again when it is done."
        ) from timeout


def _command() -> str:
    # No more than a command's name: what follows it may be a person's id.
    told = sys.argv[1:]
    while told[:1] and told[0] in BEFORE_COMMAND:
        told = told[2:]
    name = next((each for each in told[:1] if not each.startswith("-")), "")
    return " ".join([Path(sys.argv[0]).name, name]).strip() or "python"


def _holder(store: Path) -> str:
    try:
        told = json.loads(holder_path(store).read_text())
        since = datetime.fromtimestamp(told["since"] / 1e6, UTC)
        return (
            f"Process {told['pid']} ({told['command']}) holds the store since {since:%Y-%m-%d %H:%M:%S} UTC"
        )
    except (OSError, ValueError, KeyError):
        return "Another process holds the store"
