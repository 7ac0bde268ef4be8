"""One segment's members at one moment, read once for every filter and order of them."""

from __future__ import annotations

from typing import Any

import polars as pl

from segtui.operations.asked import Asked
from segtui.operations.like import Ids, Narrowing
from segtui.operations.members import field_of, member_frame, rows
from segtui.operations.moment import refuse_unrecorded
from segtui.operations.progress import Cancelled, Progress, never, quiet
from segtui.operations.session import Session

COLUMNS = {"cause": "seq"}


class Listing:
    """What `members` tells page by page, from a frame of everyone: a page takes no look at the others."""

    def __init__(self, s: Session, segment: str, at: int | None, ids: Ids | None = None) -> None:
        """Raises as `members` does. `ids`: what is known of ids, which other listings may have asked for."""
        self.segment = segment
        self.at = at
        self.head = s.store.head()
        self._everyone, self.when = member_frame(s, segment, at=at)
        self._asked = Asked(s, self.when, self._everyone)
        self._ids = ids or Ids()
        self._told: Narrowing | None = None
        self._order = ("user", pl.int_range(self._everyone.height, dtype=pl.UInt32, eager=True))
        self._shown: tuple[str | None, str | None, str, pl.Series] = (None, None, *self._order)

    @property
    def total(self) -> int:
        """How many members there are."""
        return self._everyone.height

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
        places = self._places(s, where, part, order or "user")
        return {
            "segment": self.segment,
            "as_of": None if self.when.as_of is None else s.iso(self.when.as_of),
            "recorded": "at the last change" if self.when.past else "at the last rescore",
            "total": len(places),
            "members": rows(s, self._page(places.slice(offset, limit)), {}),
        }

    def _page(self, places: pl.Series) -> pl.DataFrame:
        """Some of everyone, row by row: see Narrowing about what is left to Polars."""
        return pl.DataFrame(
            [self._everyone.row(place) for place in places], schema=self._everyone.schema, orient="row"
        )

    def ids(self, s: Session, progress: Progress = quiet, cancelled: Cancelled = never) -> Narrowing:
        """Everyone's id, see Ids.of; asked for once."""
        if self._told is None:
            self._told = Narrowing(self._ids.of(s, self._everyone["user"], progress, cancelled))
        return self._told

    def _places(self, s: Session, where: str | None, part: str | None, order: str) -> pl.Series:
        """Where those who are asked for stand among everyone, in the order asked for."""
        *shown, places = self._shown
        if shown == [where, part, order]:
            return places
        places = self._sorted(s, order)
        asked = [self._asked.holds(s, where)] if where else []
        asked += [self.ids(s).like(part)] if part else []
        if asked:
            kept = asked[0] if len(asked) == 1 else asked[0] & asked[1]
            places = places.filter(kept if order == "user" else kept.gather(places))
        self._shown = (where, part, order, places)
        return places

    def _sorted(self, s: Session, order: str) -> pl.Series:
        """Everyone's place in an order; the last one asked for is kept."""
        field, descending = field_of(order)
        refuse_unrecorded(s, self.when, field)
        known, places = self._order
        if known != order:
            column = COLUMNS.get(field, field)
            table = self._everyone.select(pl.col(column).alias("key"), "user").with_row_index("place")
            places = table.sort("key", "user", descending=[descending, False], nulls_last=[True, False])[
                "place"
            ]
            self._order = (order, places)
        return places
