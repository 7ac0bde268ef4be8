"""The writer's lock: one writer per store over writing and checkpointing, and who it is."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from db.errors import StoreLocked
from db.sqlite import explained


def lock_path(store: Path) -> Path:
    """The file whose OS lock is the right to write."""
    return Path(f"{store}.lock")


def holder_path(store: Path) -> Path:
    """Says who holds the lock: JSON with pid, command and since (µs UTC)."""
    return Path(f"{store}.lock.holder")


@contextmanager
def writer_lock(store: Path, wait: float) -> Iterator[None]:
    """Holds the lock of `store`; raises StoreLocked, naming the holder, after `wait` seconds."""
    lock = FileLock(lock_path(store), mode=0o600)
    with explained(store):
        try:
            lock.acquire(timeout=wait, poll_interval=0.02)
        except Timeout as timeout:
            raise StoreLocked(
                f"{_holder(store)}: {store} takes one writer at a time, try again when it is done."
            ) from timeout
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


def _command() -> str:
    # No more than a command's name: what follows it may be a person's id.
    return " ".join([Path(sys.argv[0]).name, *sys.argv[1:2]]).strip() or "python"


def _holder(store: Path) -> str:
    try:
        told = json.loads(holder_path(store).read_text())
        since = datetime.fromtimestamp(told["since"] / 1e6, UTC)
        return (
            f"Process {told['pid']} ({told['command']}) holds the store since {since:%Y-%m-%d %H:%M:%S} UTC"
        )
    except (OSError, ValueError, KeyError):
        return "Another process holds the store"
