"""Who did something that the log learnt of only after the tick it belongs to was decided."""

from __future__ import annotations

import numpy as np
import polars as pl

from db import log
from segtui.operations.session import Session


class Later:
    """Walks recorded ticks in order; what comes later stays a reason for another label from then on, since
    the margin holds a user where they are."""

    def __init__(self, s: Session, known: int, end: int, position: int) -> None:
        """`known`: the position that the first tick was decided at; `end` the last as-of, `position` up to
        where everything is known now."""
        columns = ["seq", "user", "occurred_at"]
        self._events = log.behaviour(s.store, after_seq=known, before=end, position=position, columns=columns)
        self._persons = s.identity()
        self._users = np.zeros(0, np.int64)

    def at(self, as_of: int, known: int) -> np.ndarray:
        """The users so far, ascending, of whom a tick decided at the position `known` did not know all."""
        missed = self._events.filter((pl.col("occurred_at") < as_of) & (pl.col("seq") > known))
        if missed.height:
            users = missed["user"].unique().to_numpy()
            self._users = np.union1d(self._users, self._persons.kin(users))
        return self._users
