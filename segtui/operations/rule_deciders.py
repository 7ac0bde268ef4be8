"""Who decides segments without a model: a rule, a list of users, or nobody any more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from engine.features import FeatureSpec
from segtui.operations.deciders import Look
from segtui.operations.definitions import IN_OUT, Rule

if TYPE_CHECKING:
    from engine.deciding import DecisionPolicy
    from segtui.operations.deciders import Evidence, Scored

IN, OUT = 0, 1
NONE = -1


class RuleDecider:
    """A rule over features and the labels of other segmentations."""

    labels: tuple[str, ...] = IN_OUT
    model: str | None = None
    known_from: int | None = None
    keeps = False
    policy: DecisionPolicy | None = None

    def __init__(self, rule: Rule) -> None:
        from engine.rules import compile_rule

        self.rule = rule
        self.spec = rule.spec
        self.refers = tuple(rule.refers)
        self._columns = rule.columns()
        self._expression = compile_rule(rule.where, self._columns)

    def decide(
        self,
        frame: pl.DataFrame,
        evidence: Evidence,
        as_of: int,
        closed: np.ndarray,
        stays: np.ndarray | None = None,
        meanwhile: Callable[[], None] | None = None,
    ) -> Scored:
        """In where the rule holds; `frame` also has a text column per segmentation referred to."""
        holds = self._read(frame).select(self._expression).to_series().to_numpy()
        return None, np.where(holds, IN, OUT).astype(np.int32)

    def look(self, frame: pl.DataFrame, evidence: Evidence, as_of: int) -> Look:
        """The features, and the labels of segmentations referred to."""
        return Look(frame)

    def reasons(
        self,
        before: Look,
        after: Look,
        moved_from: np.ndarray,
        moved_to: np.ndarray,
        speaking: np.ndarray,
    ) -> list[str]:
        """The first name in the rule that, put back, undoes the move."""
        from engine.rule_use import rule_reasons

        then, now = self._read(before.frame), self._read(after.frame)
        return rule_reasons(self.rule.where, self._columns, then, now)

    def _read(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The frame with what the rule reads of each segmentation: its label, or whether the user is in."""
        return frame.with_columns(
            (pl.col(name) == "in").fill_null(value=False)
            for name, labels in self.rule.refers.items()
            if labels == IN_OUT
        )


@dataclass(frozen=True, eq=False)
class Chosen:
    """Who gets which label by an edit: users (sorted surrogates), codes of labels, and probabilities, int32
    [users, labels] millionths, where there are any."""

    users: np.ndarray
    codes: np.ndarray
    scores: np.ndarray | None = None


class ListDecider:
    """What only an edit decides: whoever holds a label keeps it, and nobody else gets one but by `chosen`.

    Those that it does not name are out, of a list; where labels are others than in and out, they have none.
    """

    model: str | None = None
    known_from: int | None = None
    refers: tuple[str, ...] = ()
    keeps = True
    policy: DecisionPolicy | None = None

    def __init__(self, zone: str, labels: tuple[str, ...] = IN_OUT, chosen: Chosen | None = None) -> None:
        self.spec = nothing(zone)
        self.labels = labels
        self._chosen = chosen

    def decide(
        self,
        frame: pl.DataFrame,
        evidence: Evidence,
        as_of: int,
        closed: np.ndarray,
        stays: np.ndarray | None = None,
        meanwhile: Callable[[], None] | None = None,
    ) -> Scored:
        """The labels held, or those chosen; `closed` are the labels shown."""
        rest = OUT if self.labels == IN_OUT else NONE
        if self._chosen is None:
            return None, np.where(closed == NONE, rest, closed).astype(np.int32)
        chosen, users = self._chosen, frame["user"].to_numpy()
        named = np.isin(users, chosen.users)
        at = np.searchsorted(chosen.users, users[named])
        codes = np.full(len(users), rest, np.int32)
        codes[named] = chosen.codes[at]
        if chosen.scores is None:
            return None, codes
        scores = np.zeros((len(users), len(self.labels)), np.int32)
        scores[named] = chosen.scores[at]
        return scores, codes

    def look(self, frame: pl.DataFrame, evidence: Evidence, as_of: int) -> Look:
        """Nothing it would read."""
        return Look(frame)

    def reasons(
        self,
        before: Look,
        after: Look,
        moved_from: np.ndarray,
        moved_to: np.ndarray,
        speaking: np.ndarray,
    ) -> list[str]:
        """Only an edit moves anyone, and then the edit is the reason."""
        return ["definition"] * len(moved_to)


class Nobody(ListDecider):
    """Ends every membership of a segmentation that is retired."""

    def decide(
        self,
        frame: pl.DataFrame,
        evidence: Evidence,
        as_of: int,
        closed: np.ndarray,
        stays: np.ndarray | None = None,
        meanwhile: Callable[[], None] | None = None,
    ) -> Scored:
        """No label for anyone."""
        return None, np.full(frame.height, NONE, np.int32)


def nothing(zone: str) -> FeatureSpec:
    """The spec with the least to compute, for what reads no feature."""
    return FeatureSpec(zone=zone, windows=(1,), kinds=(), fields=())
