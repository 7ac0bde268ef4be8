"""Labels played from the record, for what a new pass reads but does not decide again."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import polars as pl

from db import log, projections, vocabulary
from segtui.operations.definitions import Segmentation
from segtui.operations.session import Session

NONE = -1
MOVED = {name: log.CHANGES[name] for name in ("segmentation", "user", "to_label", "as_of")}
"""What is read of a change."""


class Referred(Protocol):
    """A segmentation that another one reads, at the as-of being decided."""

    def texts(self, users: np.ndarray, *, earlier: bool = False) -> pl.Series:
        """The label of each user now, or before this as-of; null for none."""
        ...

    def moved(self) -> np.ndarray:
        """The users whose label this as-of changed, ascending."""
        ...


class Recorded:
    """Who held which label, tick by tick: by its present name where it was renamed or merged since."""

    def __init__(
        self,
        s: Session,
        segmentation: Segmentation,
        users: np.ndarray,
        start: int,
        moves: pl.DataFrame,
    ) -> None:
        """`users`: all there are, ascending; who is not among them, such as an erased person, is left out.
        `start`: the as-of that the first `advance` comes from. `moves`: MOVED by ascending as-of, which this
        transaction makes and the log does not hold yet."""
        self.name = name = segmentation.name
        self.users = users
        self.labels = labels = segmentation.all_labels
        self.shown = np.full(len(users), NONE, np.int32)
        self.earlier = self.shown
        self._changes = pl.DataFrame(schema=MOVED)
        self._read = 0
        texts = vocabulary.texts(s.store, "label")
        became = segmentation.became
        self._codes = {
            code: labels.index(became.get(text, text)) for code, text in texts.items() if text in labels
        }
        number = vocabulary.number(s.store, "segmentation", name)
        if number is not None:
            held = projections.memberships(s.store, number, as_of=start)
            self._put(held["user"], held["label"])
            own = moves.filter(pl.col("segmentation") == number)
            told = log.changes(s.store, segmentation=number, as_of_from=start).select(list(MOVED))
            self._changes = pl.concat([told, own])
            self.advance(start)

    def advance(self, as_of: int) -> None:
        """Goes on to an as-of; they ascend from call to call."""
        self.earlier = self.shown.copy()
        upto = int((self._changes["as_of"] <= as_of).sum())
        new = self._changes[self._read : upto].unique("user", keep="last", maintain_order=True)
        self._put(new["user"], new["to_label"])
        self._read = upto

    def _put(self, users: pl.Series, labels: pl.Series) -> None:
        codes = [NONE if label is None else self._codes.get(label, NONE) for label in labels.to_list()]
        there = np.isin(users.to_numpy(), self.users)
        self.shown[np.searchsorted(self.users, users.to_numpy()[there])] = np.array(codes, np.int32)[there]

    def texts(self, users: np.ndarray, *, earlier: bool = False) -> pl.Series:
        """The label of each user now, or before this as-of; null for none."""
        codes = (self.earlier if earlier else self.shown)[np.searchsorted(self.users, users)]
        names = pl.Series([*self.labels, None], dtype=pl.String)
        return names.gather(np.where(codes == NONE, len(self.labels), codes)).alias(self.name)

    def moved(self) -> np.ndarray:
        """The users whose label this as-of changed, ascending."""
        moved: np.ndarray = self.users[self.earlier != self.shown]
        return moved
