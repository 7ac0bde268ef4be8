"""Copies of a store that were kept aside: nobody may be found there who was erased."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import MappingProxyType

from db import content
from db.copies import beside, kept_before
from db.errors import NotAStore, StoreDamaged
from db.forgetting import traces
from db.sqlite import connect, explained
from db.store import Store, check_kind


def forget_aside(
    store: Store, ids: Sequence[str], *, purge: bool, numbers: Mapping[int, str] = MappingProxyType({})
) -> list[Path]:
    """Removes the ids from every copy of the store kept aside before a migration or a restore.

    With `purge` a copy that knows any of them is removed as a whole, for it cannot be made to forget what
    they did without a decision of its own; so is one that holds what users did who have no id any more, who
    are told by `numbers` (see forgetting.traces). Returns the copies removed. The caller holds the writer's
    lock. Raises KeyMissing and KeyWrong for a copy under a key that is not here, StoreDamaged for one that
    cannot be read.
    """
    removed = []
    for path in kept_before(store.path):
        with _opened(path, store.path) as copy:
            users = sorted(set(copy.vault.known(list(ids)).values()))
            if users and not purge:
                _forget(copy, users)
            held = purge and (bool(users) or _hold(copy, numbers))
        if held:
            for file in (path, *beside(path)):
                file.unlink(missing_ok=True)
            removed.append(path)
    return removed


@contextmanager
def _opened(path: Path, store: Path) -> Iterator[Store]:
    """The copy as it is: opened the usual way, one of an older version would be migrated."""
    try:
        with explained(path), closing(connect(path)) as connection:
            check_kind(connection, path)
            yield Store(path, connection, beside=store)
    except (NotAStore, StoreDamaged) as error:
        raise StoreDamaged(
            f"{path} cannot be read, so nobody can be forgotten in it: delete it, and run the command again."
        ) from error


def _hold(copy: Store, numbers: Mapping[int, str]) -> bool:
    """Whether a copy holds events of these users: the same number may be another's in another history."""
    found = traces(copy, list(numbers)) if numbers else {}
    return any(found[user] == numbers[user] for user in found)


def _forget(copy: Store, users: Sequence[int]) -> None:
    copy.connection.execute("BEGIN IMMEDIATE")
    copy.vault.forget(users)
    content.forget(copy)
    copy.connection.execute("COMMIT")
