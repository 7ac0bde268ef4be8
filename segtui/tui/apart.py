"""Long work in a process of its own, of which a key feels nothing but its share of the processors.

In a thread it would hold the interpreter in turns, and its memory's lock; and the libraries' threads that
compute for it are those that answer questions, and stand back for nobody.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from signal import Signals
from tempfile import TemporaryFile
from typing import IO, Any, TypeVar

from segtui import garbage
from segtui.operations.errors import OperationError
from segtui.operations.progress import Cancelled, never
from segtui.tui.standing_back import NICE

T = TypeVar("T")

PATIENCE = 0.1
"""Seconds between looks whether the work is called off."""
RETURNED, RAISED, ENDED = "", "!", "?"
"""What is sent besides the names of those that are told; the last one is not, where nothing is."""
LEAST = 19
"""The lowest priority there is, on the scale of nice(1)."""


def apart(
    work: Callable[..., T], *given: Any, cancelled: Cancelled = never, **told: Callable[..., object]
) -> T:
    """What `work(*given, cancelled=…, **told)` returns or raises, done elsewhere.

    `work` is a function of a module, and what is given, told and returned can be pickled. Whom it tells is
    called here. Raises OperationError where the process was ended by others; it ends with this one. Where
    there are no such processes (on Windows), the work is done here.
    """
    if os.name != "posix":
        return work(*given, cancelled=cancelled, **told)
    here, there = Pipe()
    paths = os.pathsep.join(map(os.path.abspath, sys.path))
    with there, TemporaryFile() as complaints:
        process = subprocess.Popen(  # noqa: S603  # this interpreter
            [sys.executable, "-P", "-m", __name__, str(there.fileno()), str(_priority())],
            pass_fds=[there.fileno()],
            env=os.environ | {"PYTHONPATH": paths},
            # The terminal is the screens' own, and so are the signals it sends. Not a session of its own: to
            # Linux each is as good as any other, however low the priority of what is in it.
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=complaints,
            process_group=0,
        )
        there.close()
        with process, here:
            with suppress(ConnectionError):
                here.send((work, given, list(told)))
            what, said = _outcome(here, cancelled, told)
        if what == ENDED:
            raise _ended(process.returncode, complaints)
    if what == RAISED:
        raise said
    returned: T = said
    return returned


def _priority() -> int:
    """That of what stands back: from the process's own on, as the thread that asks may stand back itself."""
    return min(os.getpriority(os.PRIO_PROCESS, os.getpid()) + NICE, LEAST)


def _outcome(
    child: Connection, cancelled: Cancelled, told: dict[str, Callable[..., object]]
) -> tuple[str, Any]:
    """How the work ended, and with what; passes on what it tells until then."""
    asked = False
    while True:
        if child.poll(PATIENCE):
            try:
                what, said = child.recv()
            except (EOFError, ConnectionError):
                return ENDED, None
            if what in (RETURNED, RAISED):
                return what, said
            told[what](*said)
        if not asked and cancelled():
            asked = True
            # It may have ended just now, and what it said last is yet to be read.
            with suppress(ConnectionError):
                child.send(None)


def _ended(code: int, complaints: IO[bytes]) -> OperationError:
    """What to say of a process that ended without an outcome: how, and what it complained of last."""
    complaints.seek(0)
    last = complaints.read().decode(errors="replace").strip().rpartition("\n")[2]
    how = (Signals(-code).name if code < 0 else f"exit code {code}") + (f": {last}" if last else "")
    return OperationError(
        f"The process that did the work was ended ({how}), and what it had not finished is not in "
        "the store: see whether memory was short, and try again."
    )


def main() -> None:
    """Does the work that comes over the connection whose number is the first argument, at the priority that
    is the second."""
    os.setpriority(os.PRIO_PROCESS, 0, int(sys.argv[2]))
    garbage.seldom()
    parent, speaking, stop = Connection(int(sys.argv[1])), threading.Lock(), threading.Event()
    work, given, names = parent.recv()

    def say(what: str, *said: Any) -> None:
        with speaking:
            parent.send((what, said))

    def listen() -> None:
        try:
            parent.recv()
            stop.set()
            parent.recv()
        except (EOFError, ConnectionError):
            # Nobody is left to tell; what was not committed is not in the store.
            os._exit(1)

    threading.Thread(target=listen, daemon=True).start()
    try:
        outcome = (
            RETURNED,
            work(*given, cancelled=stop.is_set, **{name: partial(say, name) for name in names}),
        )
    except BaseException as error:
        outcome = (RAISED, _portable(error))
    with speaking:
        parent.send(outcome)
    garbage.leave()


def _portable(error: BaseException) -> BaseException:
    """The error with where it was raised, or, where it cannot be sent, another that tells of it."""
    text = "".join(traceback.format_exception(error))
    error.add_note(text)
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301  # its own
    except Exception:  # whatever a class does when it is made of other arguments than it was
        return RuntimeError(text)
    return error


if __name__ == "__main__":
    main()
