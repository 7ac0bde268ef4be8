"""Who decides a segmentation's labels: the promoted model, or the starter rule before there is one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import polars as pl

from db.store import Store
from engine.deciding import DEFAULT_POLICY, DecisionPolicy, decide
from engine.features import FeatureSpec, Prepared, Unfilled, features, prepare
from engine.starter import VALUE_LABELS, Starter, starter_labels
from segtui.operations.errors import OperationError
from segtui.operations.persons import Persons

if TYPE_CHECKING:
    from engine.model import Model

Scored = tuple["np.ndarray | None", np.ndarray]
"""int32[n, labels] millionths (None for a rule), int32[n] labels held when nothing holds them back."""


class Evidence:
    """What is known of some users: their events, who they are, their attributes; read at any as-of."""

    def __init__(self, events: pl.DataFrame, identity: Persons, attributes: pl.DataFrame | None) -> None:
        self.events = events
        self.identity = identity
        self.attributes = attributes
        self._prepared: dict[tuple[FeatureSpec, int], Prepared | Unfilled] = {}

    def features(self, as_of: int, spec: FeatureSpec, users: np.ndarray | None = None) -> pl.DataFrame:
        """One row of features per canonical user, ascending; the events are laid out once per spec and
        identity."""
        key = (spec, self.identity.epoch(as_of))
        if key not in self._prepared:
            who = self.identity.at(as_of)
            self._prepared[key] = prepare(self.events, who, spec, self.attributes)
        return features(self._prepared[key], None, as_of, spec, users=users)

    def only(self, users: np.ndarray, *, position: int | None = None) -> Evidence:
        """The same for fewer users, and for events up to a position."""
        kept = pl.col("user").is_in(self.identity.kin(users).tolist())
        if position is not None:
            kept &= pl.col("seq") <= position
        attributes = self.attributes
        if attributes is not None:
            attributes = attributes.filter(kept)
        return Evidence(self.events.filter(kept), self.identity.until(position), attributes)

    def without(self, seqs: pl.Series) -> Evidence:
        """The same as if these events were not there; who is whom stays."""
        kept = ~pl.col("seq").is_in(seqs.implode())
        attributes = None if self.attributes is None else self.attributes.filter(kept)
        return Evidence(self.events.filter(kept), self.identity, attributes)


@dataclass(frozen=True, eq=False)
class Look:
    """What a decider reads of some users at an instant: a row of features each, null where nothing is known,
    with the labels of segmentations referred to; and float32[users, bins, channels] where it reads those."""

    frame: pl.DataFrame
    sequences: np.ndarray | None = None

    @classmethod
    def stack(cls, looks: Sequence[Look]) -> Look:
        """All users of all of them, in order."""
        sequences = [look.sequences for look in looks if look.sequences is not None]
        return cls(
            pl.concat([look.frame for look in looks]), np.concatenate(sequences) if sequences else None
        )

    def take(self, rows: np.ndarray) -> Look:
        """These users only."""
        return Look(self.frame[rows], None if self.sequences is None else self.sequences[rows])


class Decider(Protocol):
    """Scores users at an as-of and names reasons for their moves."""

    labels: tuple[str, ...]
    spec: FeatureSpec
    model: str | None
    known_from: int | None
    refers: tuple[str, ...]
    """Segmentations whose labels, at the same as-of, it reads."""
    keeps: bool
    """Whether it goes on from the label shown, not from the one at the last closed tick."""

    @property
    def policy(self) -> DecisionPolicy | None:
        """How it makes labels of probabilities; None where it has none."""
        ...

    def decide(
        self,
        frame: pl.DataFrame,
        evidence: Evidence,
        as_of: int,
        closed: np.ndarray,
        stays: np.ndarray | None = None,
        meanwhile: Callable[[], None] | None = None,
    ) -> Scored:
        """Labels of the users in `frame` (features, sorted by user), given those at the last close.

        `stays` bool[n]: whose label a minimum stay still holds. `meanwhile` is called while scores are
        waited for, by a decider that refers to nothing.
        """
        ...

    def look(self, frame: pl.DataFrame, evidence: Evidence, as_of: int) -> Look:
        """What it reads of the users in `frame`, which is as for `decide` but for the order of its rows."""
        ...

    def reasons(
        self,
        before: Look,
        after: Look,
        moved_from: np.ndarray,
        moved_to: np.ndarray,
        speaking: np.ndarray,
    ) -> list[str]:
        """A reason code per mover, from what changed between two looks at all of them.

        `speaking` bool[n]: of whom a change that does not speak for the move is no reason, and "model" or
        "rule" stands where none does.
        """
        ...


def starter_spec(zone: str) -> FeatureSpec:
    """The few features the starter rule reads: recency and a year's spend."""
    return FeatureSpec(zone=zone, windows=(365,), kinds=("purchase", "refund"), fields=("order", "amount"))


class StarterDecider:
    """The rule on recency and spend that decides `value` until a model is promoted."""

    labels: tuple[str, ...] = VALUE_LABELS
    model: str | None = None
    refers: tuple[str, ...] = ()
    keeps = False
    policy: DecisionPolicy | None = None

    def __init__(self, starter: Starter, zone: str, fitted_at: int | None) -> None:
        self.starter = starter
        self.known_from = fitted_at
        self.spec = starter_spec(zone)

    def decide(
        self,
        frame: pl.DataFrame,
        evidence: Evidence,
        as_of: int,
        closed: np.ndarray,
        stays: np.ndarray | None = None,
        meanwhile: Callable[[], None] | None = None,
    ) -> Scored:
        """The rule has no probabilities and no margin."""
        return None, starter_labels(frame, self.starter)

    def look(self, frame: pl.DataFrame, evidence: Evidence, as_of: int) -> Look:
        """The features."""
        return Look(frame)

    def reasons(
        self,
        before: Look,
        after: Look,
        moved_from: np.ndarray,
        moved_to: np.ndarray,
        speaking: np.ndarray,
    ) -> list[str]:
        """The bound of the rule that was crossed."""
        low = VALUE_LABELS.index("low")
        days, spend = self.starter.recency_days, self.starter.spend_above
        codes = []
        for left, came in zip(moved_from.tolist(), moved_to.tolist(), strict=True):
            if came == low:
                codes.append(f"recency_days:up:{days}")
            elif left == low:
                codes.append(f"recency_days:down:{days}")
            else:
                direction = "up" if came == VALUE_LABELS.index("high") else "down"
                codes.append(f"spend_365d:{direction}:{spend}")
        return codes


class ModelDecider:
    """A trained network behind fixed-shape tiles, and the policy that makes labels of what it says."""

    refers: tuple[str, ...] = ()
    keeps = False

    def __init__(self, model: Model) -> None:
        from engine.scoring import Scorer

        self.artefact = model
        self.scorer = Scorer(model)
        self.labels = model.labels
        self.spec = model.feature_spec
        self.model: str | None = model.digest
        self.known_from: int | None = model.policy.get("known_from")
        self.policy = DEFAULT_POLICY

    def under(self, policy: DecisionPolicy) -> ModelDecider:
        """The same network, compiled once, under a policy; what that says of other labels falls away."""
        other = copy(self)
        other.policy = policy.of(self.labels)
        return other

    def scores(
        self,
        frame: pl.DataFrame,
        evidence: Evidence,
        as_of: int,
        meanwhile: Callable[[], None] | None = None,
    ) -> np.ndarray:
        """Probabilities in millionths: int32[n, labels] of the users in `frame`."""
        read = self.sequences(evidence, as_of, frame["user"].to_numpy())
        return self.scorer.scores(frame, read, meanwhile)

    def sequences(self, evidence: Evidence, as_of: int, users: np.ndarray) -> np.ndarray | None:
        """float32[users, bins, channels], None for a model that reads statistics only."""
        from engine.sequences import sequences

        spec = self.artefact.sequence_spec
        who = evidence.identity.at(as_of)
        return None if spec is None else sequences(evidence.events, who, as_of, spec, users)

    def decide(
        self,
        frame: pl.DataFrame,
        evidence: Evidence,
        as_of: int,
        closed: np.ndarray,
        stays: np.ndarray | None = None,
        meanwhile: Callable[[], None] | None = None,
    ) -> Scored:
        """Probabilities in millionths, and the label preferred, held back by margin and minimum stay."""
        scores = self.scores(frame, evidence, as_of, meanwhile)
        if self.policy.anew == as_of:
            closed = np.full_like(closed, -1)
        return scores, decide(scores, self.labels, self.policy, closed, stays)

    def look(self, frame: pl.DataFrame, evidence: Evidence, as_of: int) -> Look:
        """The features, and sequences where the model reads them."""
        return Look(frame, self.sequences(evidence, as_of, frame["user"].to_numpy()))

    def reasons(
        self,
        before: Look,
        after: Look,
        moved_from: np.ndarray,
        moved_to: np.ndarray,
        speaking: np.ndarray,
    ) -> list[str]:
        """What, put back to its former value, would undo most of the move."""
        from engine.explain import reasons

        return reasons(
            self.scorer,
            before.frame,
            after.frame,
            before.sequences,
            after.sequences,
            moved_from,
            moved_to,
            speaking,
        )


READY = 8
"""Models that are kept compiled beside those of a store: it has those of its segmentations."""

_ready: dict[str, ModelDecider] = {}
_scorers: dict[tuple[str, str], ModelDecider] = {}


def ready(model: Model) -> ModelDecider:
    """The decider of a model under the default policy, compiled once for as long as few others are asked
    for."""
    found = _ready.pop(model.digest, None) or ModelDecider(model)
    _ready[model.digest] = found
    for digest in list(_ready)[:-READY]:
        _ready.pop(digest, None)
    return found


def load_model(store: Store, digest: str) -> Model:
    """The model's artefact from the store; raises a sentence when its blob is gone or damaged."""
    from engine.model import Model

    row = store.connection.execute(
        "SELECT spec, parameters FROM models WHERE digest = ?", (digest,)
    ).fetchone()
    if row is None:
        raise OperationError(f"Model {digest[:8]} is not in {store.path}: train again, or restore a backup.")
    return Model.load(row[0], row[1], digest)


def model_decider(store: Store, digest: str, policy: DecisionPolicy = DEFAULT_POLICY) -> ModelDecider:
    """The decider of a model, compiled once per process and store, under a policy or the default one."""
    key = (str(store.path.resolve()), digest)
    if key not in _scorers:
        from segtui.operations.compilation import use_cache

        use_cache()
        _scorers[key] = ready(load_model(store, digest))
    return _scorers[key].under(policy)
