"""What the screens ask for, and what they get: small values, light to import."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class Filter:
    """Which changes: of a segment (`value`, `value=high`, or all), one way, for one cause, of some days.

    `part`: of the user's id or of a label that is left or entered, or with ! of neither.
    """

    segment: str | None = None
    way: str | None = None
    cause: str | None = None
    days: int | None = 30
    first: bool = False
    user: str | None = None
    part: str | None = None

    @property
    def typed(self) -> str:
        """Segment, part or user as one would type them."""
        return self.user or " ".join(each for each in (self.segment, self.part) if each)

    @property
    def label(self) -> str | None:
        """The label of the segment, None where it names a segmentation or nothing."""
        return (self.segment or "").partition("=")[2] or None


@dataclass(frozen=True)
class Moves:
    """The changes of a filter, newest first, as integers; and how many went which way for which reason.

    `first`: how many first labels there were beside them, where that is asked.
    """

    frame: pl.DataFrame
    from_: str | None
    to: str
    into: int = 0
    out: int = 0
    flows: list[tuple[str, str | None, str | None, int]] = field(default_factory=list)
    """Segmentation, from, to and number of changes, most frequent first."""
    totals: list[dict[str, Any]] = field(default_factory=list)
    first: int = 0

    @property
    def several(self) -> bool:
        """Whether they are of several segmentations, retired ones among them."""
        return self.frame["segmentation"].n_unique() > 1

    @property
    def total(self) -> int:
        """How many changes there are."""
        return self.frame.height
