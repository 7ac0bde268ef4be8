"""What a process that was killed left behind: drafts and staging files, which may hold anybody.

Whoever takes the writer's lock next removes them. A backup is made without that lock, and anywhere: where its
draft stands is noted beside the store, in a file whose OS lock says that the process still lives.
"""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from db.copies import DRAFT, KEPT, PRIVATE, remove_draft

STAGING = "staging-"
NOTE = "making-"


def private_name(store: Path) -> Path:
    """A name beside the store for something that `sweep` removes should it be left behind."""
    return store.parent / f"{store.name}.{STAGING}{secrets.token_hex(8)}"


@contextmanager
def noted(store: Path, draft: Path) -> Iterator[None]:
    """Lets the store's next writer remove a draft, should this process not live to do it."""
    note = store.parent / f"{store.name}.{NOTE}{secrets.token_hex(8)}"
    lock = FileLock(note, mode=PRIVATE)
    with ExitStack() as held:
        try:
            lock.acquire(timeout=0)
            held.callback(lock.release)
            held.callback(note.unlink, missing_ok=True)
            note.write_text(str(draft.absolute()), encoding="utf-8", errors="surrogateescape")
        except (OSError, Timeout):
            # A store that can only be read is backed up all the same.
            pass
        yield


def sweep(store: Path) -> None:
    """Removes what killed processes left of this store's; the caller holds the writer's lock."""
    name = re.escape(store.name)
    staging = re.compile(rf"{name}\.{STAGING}.*")
    notes = re.compile(rf"{name}\.{NOTE}[0-9a-f]{{16}}")
    # A draft's own companions (its write-ahead log, lock and list) are found by it, or by themselves.
    drafts = re.compile(rf"({name}(?:{KEPT}|\.erasures)?{re.escape(DRAFT)})(?:[-.].*)?")
    keys = re.compile(rf"{name}\.key(?:\.new)?\.[^.]+{re.escape(DRAFT)}")
    for left in list(store.parent.iterdir()):
        if staging.fullmatch(left.name):
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)
        elif keys.fullmatch(left.name):
            left.unlink(missing_ok=True)
        elif notes.fullmatch(left.name):
            _end(left)
        elif found := drafts.fullmatch(left.name):
            remove_draft(store.parent / found[1])


def _end(note: Path) -> None:
    """Removes the draft that a note tells of, unless whoever makes it still lives."""
    try:
        draft = note.read_text(encoding="utf-8", errors="surrogateescape")
        with FileLock(note, mode=PRIVATE).acquire(timeout=0):
            if draft:
                remove_draft(Path(draft))
            note.unlink(missing_ok=True)
    except (OSError, Timeout):
        return
