"""What expressions about a segment's members read: told by the log when first named, then kept."""

from __future__ import annotations

import polars as pl

from engine.errors import UnknownName
from engine.exact import quotient
from engine.features import FeatureSpec, feature_names, features, narrowed, text_columns
from engine.rules import parse_rule, truth
from segtui.operations.definitions import IN_OUT, definitions
from segtui.operations.features import catalogue_spec, usual_spec
from segtui.operations.moment import Moment, refuse_unrecorded
from segtui.operations.rule_size import labels_at
from segtui.operations.session import Session

OWN: dict[str, pl.DataType] = {name: pl.Int64() for name in ("user", "probability", "margin")}
"""What every member has: an expression over these alone needs no events."""
NOTES = {
    "user": "in an expression user is a number, the 12 of #12: look for an id without one, as --like does"
}


def likely_names(s: Session) -> list[str]:
    """What an expression may name in most logs: which features this one has only all of its events tell."""
    spec = usual_spec(s)
    segments = [each.name for each in definitions(s).segmentations.values() if each.labels]
    return sorted({*OWN, *feature_names(spec), *segments} - {"user"})


class Asked:
    """Everything such expressions named so far of some users at one moment, a row per user."""

    def __init__(self, s: Session, when: Moment, frame: pl.DataFrame) -> None:
        """`frame`: user, probability, margin (millionths) of those who are asked about."""
        self.when = when
        self._spec: FeatureSpec | None = None
        self._known = frame.select(
            "user", quotient(frame["probability"], 1_000_000), quotient(frame["margin"], 1_000_000)
        )
        self._segments = {
            each.name: each.labels
            for each in definitions(s, position=when.position).segmentations.values()
            if each.labels
        }

    def holds(self, s: Session, where: str) -> pl.Series:
        """For which of the users the expression holds, a Boolean each.

        Raises EngineError for one that cannot be read, OperationError for what was not recorded.
        """
        try:
            rule = parse_rule(where, OWN, NOTES)
        except UnknownName:
            # Any other fault stays one whatever the log tells, and that takes long to read.
            rule = parse_rule(where, self._columns(s), NOTES)
        names = rule.expression().meta.root_names()
        for name in names:
            refuse_unrecorded(s, self.when, name)
        self._read(s, names)
        return truth(rule, self._known)

    def _columns(self, s: Session) -> dict[str, pl.DataType]:
        """Every name an expression may use; a feature goes before a segment of the same name."""
        spec = self._told(s)
        columns = OWN | {name: pl.Float64() for name in feature_names(spec)}
        columns |= {name: pl.String() for name in text_columns(spec)}
        return columns | {
            name: pl.Boolean() if labels == IN_OUT else pl.Enum(labels)
            for name, labels in self._segments.items()
            if name not in columns
        }

    def _told(self, s: Session) -> FeatureSpec:
        if self._spec is None:
            events = s.events(before=self.when.as_of, position=self.when.position)
            self._spec = catalogue_spec(s, events, s.attributes(position=self.when.position))
        return self._spec

    def _read(self, s: Session, names: list[str]) -> None:
        """Adds the columns that are not known yet."""
        known = self._known
        missing = [name for name in names if name not in known.columns]
        if not missing:
            return
        spec = self._told(s)
        told = {*feature_names(spec), *text_columns(spec)}
        read = [name for name in missing if name in told]
        as_of, position = self.when.as_of, self.when.position
        assert as_of is not None
        if read:
            events = s.events(before=as_of, position=position)
            who = s.identity(position=position).at(as_of)
            asked = known["user"].to_numpy()
            new = features(
                events, who, as_of, narrowed(spec, read), s.attributes(position=position), users=asked
            )
            known = known.join(new.select("user", *read), on="user", how="left", maintain_order="left")
        for name in missing:
            if name not in told:
                held = labels_at(s, name, self.when.folded, position)
                known = known.join(held, on="user", how="left", maintain_order="left")
                if self._segments[name] == IN_OUT:
                    known = known.with_columns((pl.col(name) == IN_OUT[0]).fill_null(value=False))
        self._known = known
