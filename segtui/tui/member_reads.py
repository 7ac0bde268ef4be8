"""What the page of members asks: pages in any order under any filter, and facts about those it shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from segtui.operations import words as numbers
from segtui.operations.errors import OperationError
from segtui.operations.session import Session, open_session
from segtui.tui.filtering import is_expression

if TYPE_CHECKING:
    from segtui.operations.facts import Facts
    from segtui.operations.listing import Listing

AHEAD_OF = 5_000
"""Members that are sorted by when they leave: each is decided for all ticks to come."""
LEAVES = ("leaves", "-leaves")


class MemberReads:
    """The part of Data that reads members."""

    path: Path

    def __init__(self) -> None:
        self._listing: Listing | None = None
        self._one_reader = Lock()
        self._facts: Facts | None = None
        self._leaving: tuple[object, dict[str, Any]] = (None, {})

    def members(
        self, segment: str, asked: str | None, order: str | None, at: int | None, offset: int, limit: int
    ) -> dict[str, Any]:
        """One page of a segment's members, of those `asked` for: by an expression, or a part of their id.

        By arrival the store has them in order; for all else everyone is read once.
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
            with self._listing_of(s, segment, at) as listing:
                return listing.page(s, where, order, offset, limit, part)

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

    def read_members(self, segment: str, at: int | None) -> None:
        """Reads everyone of a segment, so that what is then asked about them is answered at once."""
        with open_session(self.path) as s, self._listing_of(s, segment, at):
            pass

    @contextmanager
    def _listing_of(self, s: Session, segment: str, at: int | None) -> Iterator[Listing]:
        """The listing of a segment, one thread's at a time."""
        from segtui.operations.listing import Listing

        with self._one_reader:
            if self._listing is None or not self._listing.current(s, segment, at):
                self._listing = None  # gives its memory back before another is read
                self._listing = Listing(s, segment, at)
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
