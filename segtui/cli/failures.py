"""How a command ends when it does not succeed: one sentence on stderr and an exit code.

0 done or the reader went away, 1 failed or a check not met, 2 misused, 130 stopped with Ctrl-C.
"""

from __future__ import annotations

import errno
import os
import re
import sys
import tempfile
import traceback
from pathlib import Path

import typer

from segtui.cli.output import ClosedPipe, printable

DONE, FAILED, MISUSED, STOPPED = 0, 1, 2, 130
DISK = {
    errno.ENOSPC: "no space is left on the device: free some and run it again",
    errno.EDQUOT: "the disk quota is used up: free some and run it again",
    errno.EROFS: "the file system is read-only: write elsewhere",
    errno.EACCES: "permission denied: check who owns it and its mode",
    errno.EPERM: "permission denied: check who owns it and its mode",
    errno.ENOENT: "no such file or folder: check the path",
    errno.ENOTDIR: "a part of the path is no folder: check the path",
    errno.EISDIR: "it is a folder: name a file",
    errno.EEXIST: "there is one already: choose another name",
}


def end(error: BaseException) -> int:
    """Says what happened, and returns the exit code."""
    number = _number(error)
    if (
        number == errno.EPIPE
        or isinstance(error, ClosedPipe)
        or isinstance(error.__context__, BrokenPipeError)
    ):
        return _leave_pipe()
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else DONE
    if isinstance(error, typer.TyperException):
        return _say(_misuse(error), error.exit_code)
    # imported late: most commands end well, and `--help` should not wait for what reads files
    from db.errors import StoreError
    from engine.errors import EngineError
    from segtui.operations.errors import OperationError
    from segtui.operations.progress import Stopped
    from segtui.operations.times import TimeError
    from segtui.sources.errors import SourceError

    if isinstance(error, KeyboardInterrupt | Stopped | typer.Abort):
        return _say("Stopped; what was not finished is not in the store.", STOPPED)
    if isinstance(error, TimeError):
        return _say(str(error), MISUSED)
    if isinstance(error, StoreError | SourceError | OperationError | EngineError):
        return _say(str(error), FAILED)
    if isinstance(error, OSError) and number in DISK:
        where = f"{error.filename}: " if error.filename is not None else ""
        return _say(f"{where}{DISK[number]}.", FAILED)
    return _defect(error)


def _number(error: BaseException) -> int | None:
    """The operating system's number of an error; Polars only tells it in words."""
    if not isinstance(error, OSError):
        return None
    told = re.search(r"\(os error (\d+)\)", str(error))
    return int(told[1]) if error.errno is None and told else error.errno


def _say(sentence: str, code: int) -> int:
    sys.stderr.write(f"segtui: {printable(' '.join(sentence.split()))}\n")
    return code


def _misuse(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "segtui"
    # without its full stop, and without the validator's own preamble
    told = error.format_message().rstrip(".").replace("Value error, ", "")
    return f"{told}{'' if told.endswith('?') else '.'} See '{command} --help'."


def _leave_pipe() -> int:
    """Points stdout at nothing, so that the interpreter's last flush has nowhere to fail."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    return DONE


def _defect(error: BaseException) -> int:
    handle, name = tempfile.mkstemp(prefix="segtui-defect-", suffix=".txt")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        traceback.print_exception(error, file=file)
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return _say(
        f"This is a defect in segtui ({type(error).__name__}{where}): please report it with {name}.", FAILED
    )
