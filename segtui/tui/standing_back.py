"""Long work that gives way to what a key waits for."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from typing import TypeVar

T = TypeVar("T")

NICE = 10
"""How much less than others it gets, on the scale of nice(1); the kernel stops at the end of that."""


def standing_back(work: Callable[[], T]) -> T:
    """Runs `work` in a thread of its own, and any thread that it starts, after all others that want to run.

    On Linux only: elsewhere a thread has no priority of its own. What was lowered cannot be raised again,
    and a worker's thread goes on to the next question, hence another.
    """
    done: Future[T] = Future()

    def run() -> None:
        if sys.platform == "linux":
            own = threading.get_native_id()
            os.setpriority(os.PRIO_PROCESS, own, os.getpriority(os.PRIO_PROCESS, own) + NICE)
        try:
            done.set_result(work())
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=copy_context().run, args=(run,)).start()
    return done.result()
