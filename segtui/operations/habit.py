"""What a tick usually brings: the events of the same weekday and hour in the weeks before."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

import numpy as np

from db import log
from segtui.operations.session import Session

WEEKS = 8
"""How many of the same ticks in the weeks before tell what a tick usually brings."""


@dataclass(frozen=True)
class Tick:
    """A tick by its end, its events, and how many it usually has."""

    end: int
    events: int
    usual: float


def ticks(s: Session, start: int, end: int) -> list[Tick]:
    """Every tick that ends after `start` and up to `end`, ascending.

    A tick is measured by the median of those of the same weekday and hour in the eight weeks before.
    """
    oldest = s.ticks.days_before(start, 7 * (WEEKS + 1))
    at = log.behaviour(s.store, since=oldest, before=end, columns=["occurred_at"])["occurred_at"].to_numpy()
    at = np.sort(at)
    found = []
    for tick in s.ticks.between(start, end):
        before = (s.ticks.at_or_after(s.ticks.days_before(tick, 7 * week)) for week in range(1, WEEKS + 1))
        usual = [_events(at, s.ticks.previous(then), then) for then in before]
        found.append(Tick(tick, _events(at, s.ticks.previous(tick), tick), median(usual)))
    return found


def gaps(s: Session, start: int, end: int) -> list[int]:
    """The ends of the ticks of that range without an event, where the weeks before had some.

    The tick that holds the newest event and those past it are left out: more may come.
    """
    newest = log.summary(s.store).last
    if newest is None:
        return []
    over = ticks(s, start, min(end, s.ticks.at_or_before(newest)))
    return [each.end for each in over if each.events == 0 and each.usual > 0]


def _events(at: np.ndarray, start: int, end: int) -> int:
    """How many of the sorted instants lie in [start, end)."""
    return int(np.searchsorted(at, end) - np.searchsorted(at, start))
