"""The moves of a run of rescores: why they were made is found beside the walk, which waits for none of it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import polars as pl

from segtui.operations.moved_by import Moves, Why, changes, whys
from segtui.operations.recorded import MOVED

TOGETHER = 16
"""Steps whose movers' reasons are asked for together,"""
ENOUGH = 1024
"""unless they are of so many movers."""
BEHIND = 2
"""How often reasons may be wanting while the walk goes on."""


class Reasons:
    """Collects the moves of a run as they are made."""

    def __init__(self) -> None:
        self._rows: list[pl.DataFrame] = []
        self._waiting: list[Moves] = []
        self._asked: list[Future[list[Why]]] = []
        self._beside = ThreadPoolExecutor(1, "reasons")

    def add(self, moves: Moves) -> None:
        """Takes those of the next step, of which there are some."""
        self._rows.append(moves.rows)
        self._waiting.append(moves)
        movers = sum(int(each.asked.sum()) for each in self._waiting)
        if len(self._waiting) == TOGETHER or movers >= ENOUGH:
            self.ask()

    def rows(self) -> pl.DataFrame:
        """All moves so far, step by step: MOVED."""
        return pl.concat([pl.DataFrame(schema=MOVED), *(each.select(list(MOVED)) for each in self._rows)])

    def changes(self, number_of: Callable[[str, pl.Series], pl.Series]) -> list[pl.DataFrame]:
        """All moves as rows of the log but for seq, step by step; nothing is added after it.

        `number_of`: see moved_by.changes.
        """
        with self._beside:
            self.ask()
            told = itertools.chain.from_iterable(asked.result() for asked in self._asked)
            return [changes(rows, why, number_of) for rows, why in zip(self._rows, told, strict=True)]

    def ask(self) -> None:
        """Has the reasons of those found that wait for it: before a walk ends, whose events they keep."""
        if not self._waiting:
            return
        # Not far ahead: what is yet to be asked keeps all that was known of its movers.
        if len(self._asked) >= BEHIND:
            self._asked[-BEHIND].result()
        self._asked.append(self._beside.submit(whys, self._waiting))
        self._waiting = []
