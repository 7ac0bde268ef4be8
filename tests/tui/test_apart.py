"""Long work in a process of its own: told, called off, refused, and ended by others."""

from __future__ import annotations

import gc
import importlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from segtui.garbage import SELDOM
from segtui.operations.errors import OperationError
from segtui.operations.progress import Stopped
from segtui.tui.apart import apart
from segtui.tui.standing_back import NICE, standing_back


def counted(upto, *, cancelled, heard):
    """Tells each number, then who counted."""
    for number in range(upto):
        heard(number, number / upto)
    own = {"process": os.getpid(), "group": os.getpgrp(), "garbage": gc.get_threshold()}
    return own | {"session": os.getsid(0), "nice": os.nice(0), "called off": cancelled()}


def waited(*, cancelled, heard):
    """Works until called off."""
    heard(os.getpid())
    while not cancelled():
        time.sleep(0.005)
    raise Stopped


def refused(*, cancelled):
    raise OperationError("There is nothing to learn: import some first.")


def at_an_end(*, cancelled):
    raise EOFError("the file")


def broken(*, cancelled):
    return {}["there"]


class Odd(Exception):
    def __init__(self, one, other):
        super().__init__(one + other)


class Absent:
    """What cannot be made elsewhere, as after a library was changed under an open terminal."""

    def __reduce__(self):
        return importlib.import_module, ("no_such_module",)


def oddly(*, cancelled):
    raise Odd("not to be made", " of one text")


def test_what_it_tells_and_returns_comes_over():
    told = []
    found = apart(counted, 3, heard=lambda *said: told.append(said))
    assert told == [(0, 0), (1, 1 / 3), (2, 2 / 3)]
    assert found.pop("process") == found.pop("group") != os.getpid(), "no key sends it a signal"
    kept = {"session": os.getsid(0), "nice": os.nice(0) + NICE, "called off": False}
    assert found == kept | {"garbage": SELDOM}


def test_it_stands_back_no_further_for_a_thread_that_does_so_itself():
    found = standing_back(lambda: apart(counted, 0, heard=print))
    assert found["nice"] == os.nice(0) + NICE


def test_it_can_be_called_off():
    begun = []
    with pytest.raises(Stopped):
        apart(waited, cancelled=lambda: bool(begun), heard=begun.append)


def test_its_errors_are_raised_here_and_tell_where_they_were():
    with pytest.raises(OperationError) as told:
        apart(refused)
    assert str(told.value) == "There is nothing to learn: import some first."
    with pytest.raises(KeyError, match="in broken"):
        apart(broken)
    with pytest.raises(EOFError, match="the file"):
        apart(at_an_end)
    with pytest.raises(RuntimeError, match="not to be made of one text"):
        apart(oddly)


def test_one_that_others_ended_is_told_in_a_sentence():
    with pytest.raises(OperationError, match=r"ended \(SIGKILL\), and what it had not finished"):
        apart(waited, heard=lambda process: os.kill(process, signal.SIGKILL))


def test_what_it_could_not_begin_with_is_told():
    with pytest.raises(OperationError, match=r"ended \(exit code 1: \w+Error: .*no_such_module"):
        apart(counted, Absent(), heard=print)


def test_called_off_as_it_ends_it_is_what_it_became():
    """It has said all it had to say, and is gone, before it is asked to stop."""
    ended = []

    def gone():
        if ended:
            time.sleep(1)
        return bool(ended)

    found = apart(counted, 1, cancelled=gone, heard=lambda *_: ended.append(True))
    assert found["process"] != os.getpid()


def test_who_is_told_may_fail():
    def fails(*_):
        raise EOFError("nobody listens")

    with pytest.raises(EOFError, match="nobody listens"):
        apart(counted, 50_000, heard=fails)


def test_it_ends_with_the_process_it_works_for():
    told = "from tests.tui.test_apart import *; apart(waited, heard=lambda own: print(own, flush=True))"
    with subprocess.Popen([sys.executable, "-c", told], stdout=subprocess.PIPE, text=True) as ours:
        own = int(ours.stdout.readline())
        ours.kill()
    until = time.monotonic() + 10
    while lives(own):
        assert time.monotonic() < until, "it goes on for nobody"
        time.sleep(0.01)


def lives(process):
    """Whether it runs; one that has ended may wait for long to be taken notice of."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{process}/stat")
    return not state.exists() or state.read_text().rpartition(") ")[2][0] != "Z"
