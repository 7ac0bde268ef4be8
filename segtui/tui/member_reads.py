"""What the page of members asks: pages in any order under any filter, and facts about those it shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from segtui.operations import words as numbers
from segtui.operations.errors import OperationError
from segtui.operations.progress import Cancelled, Progress, Stopped, never
from segtui.operations.session import Session, open_session
from segtui.tui.filtering import is_expression

if TYPE_CHECKING:
    from segtui.operations.facts import Facts
    from segtui.operations.like import Ids
    from segtui.operations.listing import Listing

AHEAD_OF = 5_000
"""Members that are sorted by when they leave: each is decided for all ticks to come."""
LEAVES = ("leaves", "-leaves")


class MemberReads:
    """The part of Data that reads members."""

    path: Path

    def __init__(self) -> None:
        self.reading = ""
        """What members are waited for, in words; nothing while nothing takes long."""
        self._listing: Listing | None = None
        self._one_reader = Lock()
        self._ids: Ids | None = None
        self._facts: Facts | None = None
        self._leaving: tuple[object, dict[str, Any]] = (None, {})

    def members(
        self,
        segment: str,
        asked: str | None,
        order: str | None,
        at: int | None,
        offset: int,
        limit: int,
        cancelled: Cancelled = never,
    ) -> dict[str, Any]:
        """One page of a segment's members, of those `asked` for: by an expression, or a part of their id.

        In the order of their import the store has them; for all else everyone is read once. Raises Stopped
        where that took so long that something else is asked by now.
        """
        from segtui.operations.members import members

        expression = is_expression(asked or "")
        where, part = (asked, None) if expression else (None, asked)
        with open_session(self.path) as s:
            if order in LEAVES:
                found = self._by_leaving(s, segment, where, part, order, at)
                return found | {"members": found["members"][offset : offset + limit]}
            if not asked and at is None and order in (None, "user", "-user"):
                return members(s, segment, order=order, offset=offset, limit=limit)
            if part:
                self._read_ids(s, segment, at, cancelled)
            with (
                self._listing_of(s, segment, at, cancelled) as listing,
                self._says(f"Reading what {numbers.plural(listing.total, 'member')} did"),
            ):
                return listing.page(s, where, order, offset, limit, part)

    def _read_ids(self, s: Session, segment: str, at: int | None, cancelled: Cancelled) -> None:
        """Has the ids told, of a million in seconds: an expression that is typed instead need not wait."""
        with self._listing_of(s, segment, at, cancelled) as listing:
            known = listing
        with self._says(f"Reading the ids of {numbers.plural(known.total, 'member')}") as progress:
            known.ids(s, progress, cancelled)

    @contextmanager
    def _says(self, what: str) -> Iterator[Progress]:
        """Tells what is read, and how much of it is, for as long as it takes."""

        def told(_: str, share: float | None) -> None:
            self.reading = what if share is None else f"{what}: {share:.0%}"

        told(what, None)
        try:
            yield told
        finally:
            self.reading = ""

    def _by_leaving(
        self, s: Session, segment: str, where: str | None, part: str | None, order: str, at: int | None
    ) -> dict[str, Any]:
        """All of them by when silence moves them; kept until something else is asked."""
        from segtui.operations.members import members

        key = (segment, where, part, order, at, s.store.head())
        if self._leaving[0] != key:
            with self._listing_of(s, segment, at) as listing:
                total = listing.page(s, where, None, 0, 1, part)["total"]
            if total > AHEAD_OF:
                raise OperationError(
                    f"{numbers.count(total)} members are too many to sort by when they leave, which decides "
                    f"each of them for the ticks to come: filter to {numbers.count(AHEAD_OF)} or fewer first."
                )
            found = members(s, segment, where=where, part=part, order=order, at=at, limit=None)
            self._leaving = (key, found)
        return self._leaving[1]

    def read_members(self, segment: str, at: int | None, cancelled: Cancelled = never) -> None:
        """Reads everyone of a segment, so that what is then asked about them is answered at once."""
        with open_session(self.path) as s, self._listing_of(s, segment, at, cancelled):
            pass

    def likely_names(self) -> list[str]:
        """Names that expressions begin with, as far as they are known without reading the log."""
        from segtui.operations.asked import likely_names

        with open_session(self.path) as s:
            return likely_names(s)

    @contextmanager
    def _listing_of(
        self, s: Session, segment: str, at: int | None, cancelled: Cancelled = never
    ) -> Iterator[Listing]:
        """The listing of a segment, one thread's at a time; Stopped for who came too late."""
        from segtui.operations.like import Ids
        from segtui.operations.listing import Listing

        with self._one_reader:
            if cancelled():
                raise Stopped
            if self._listing is None or not self._listing.current(s, segment, at):
                self._listing = None  # gives its memory back before another is read
                self._ids = self._ids or Ids()
                with self._says(f"Reading the members of {segment}"):
                    self._listing = Listing(s, segment, at, self._ids)
            yield self._listing

    def facts(
        self, segment: str, users: Sequence[str], names: Sequence[str], at: int | None
    ) -> dict[str, dict[str, str]]:
        """Features of some members in words, by user and name."""
        with open_session(self.path) as s:
            facts, currency = self._facts_of(s), s.settings.currency
            found = facts.features(s, segment, users, names, at)
            return {
                user: {name: _worded(value, facts.units[name], currency) for name, value in own.items()}
                for user, own in found.items()
            }

    def catalogue(self) -> dict[str, str]:
        """What each feature means, by name."""
        with open_session(self.path) as s:
            return self._facts_of(s).meanings

    def _facts_of(self, s: Session) -> Facts:
        from segtui.operations.facts import Facts

        facts = self._facts
        if facts is None or facts.head != s.store.head():
            facts = self._facts = Facts(s)
        return facts

    def leaving(self, segment: str, users: Sequence[str], at: int | None) -> dict[str, dict[str, Any] | None]:
        """When silence moves some members."""
        from segtui.operations.facts import leaving_of

        with open_session(self.path) as s:
            return leaving_of(s, segment, users, at)


def _worded(value: float | str | None, unit: str, currency: str | None) -> str:
    """A feature's value in a narrow column."""
    if value is None:
        return "·"
    return value if isinstance(value, str) else numbers.quantity(value, unit, currency, named=False)
