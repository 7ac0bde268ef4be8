"""Keeping linear algebra to one thread for a while."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits

_held = threading.Lock()


@contextmanager
def one_thread() -> Iterator[None]:
    """Has BLAS and OpenMP use one thread in the block.

    The limit is the process's: of two blocks that overlapped, the first to end would lift it for the other,
    and the last would leave it for good, so they take turns.
    """
    with _held, threadpool_limits(1):
        yield
