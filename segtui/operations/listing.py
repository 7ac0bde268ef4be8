"""One segment's members at one moment, read once for every filter and order of them."""

from __future__ import annotations

from typing import Any

import polars as pl

from segtui.operations.asked import Asked
from segtui.operations.like import ids_of, like
from segtui.operations.members import field_of, member_frame, rows
from segtui.operations.moment import refuse_unrecorded
from segtui.operations.session import Session

COLUMNS = {"cause": "seq"}


class Listing:
    """What `members` tells page by page, from a frame of everyone: a page takes no look at the others."""

    def __init__(self, s: Session, segment: str, at: int | None) -> None:
        """Raises as `members` does."""
        self.segment = segment
        self.at = at
        self.head = s.store.head()
        self._everyone, self.when = member_frame(s, segment, at=at)
        self._asked = Asked(s, self.when)
        self._ids: pl.Series | None = None
        self._shown: tuple[str | None, str | None, str, pl.DataFrame] = (None, None, "user", self._everyone)

    def current(self, s: Session, segment: str, at: int | None) -> bool:
        """Whether it is of this segment and moment, and the log has not moved on."""
        return (self.segment, self.at, self.head) == (segment, at, s.store.head())

    def page(
        self,
        s: Session,
        where: str | None,
        order: str | None,
        offset: int,
        limit: int,
        part: str | None = None,
    ) -> dict[str, Any]:
        """As `members` with the same arguments; `part`: of their ids, see `like`."""
        frame = self._frame(s, where, part, order)
        return {
            "segment": self.segment,
            "as_of": None if self.when.as_of is None else s.iso(self.when.as_of),
            "recorded": "at the last change" if self.when.past else "at the last rescore",
            "total": frame.height,
            "members": rows(s, frame.slice(offset, limit), {}),
        }

    def _frame(self, s: Session, where: str | None, part: str | None, order: str | None) -> pl.DataFrame:
        order = order or "user"
        *shown, frame = self._shown
        if shown == [where, part, order]:
            return frame
        field, descending = field_of(order)
        refuse_unrecorded(s, self.when, field)
        frame = self._asked.keep(s, self._everyone, where) if where else self._everyone
        frame = self._like(s, part) if part else frame
        if field != "user" or descending:
            column = COLUMNS.get(field, field)
            frame = frame.sort(column, "user", descending=[descending, False], nulls_last=[True, False])
        self._shown = (where, part, order, frame)
        return frame

    def _like(self, s: Session, part: str) -> pl.DataFrame:
        """Of everyone those whose id the text keeps; all ids are told once."""
        if self._ids is None:
            self._ids = ids_of(s, self._everyone["user"])
        return self._everyone.filter(like(self._ids, part))
