"""Why a user moved, and why a user is where they are: what, put back, would take the difference away."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl

from engine.catalogue import catalogue
from engine.scoring import Arrays, Scorer

# Movers explained at once: bounds memory when a promotion moves a million.
BATCH = 16_384


def reasons(
    scorer: Scorer,
    before: pl.DataFrame | None,
    after: pl.DataFrame,
    sequences_before: np.ndarray | None,
    sequences_after: np.ndarray | None,
    from_label: np.ndarray,
    to_label: np.ndarray,
) -> list[str]:
    """A reason code per mover: what moved them, in the features' words.

    Row i of each frame and array is mover i; labels are codes in the model's order, -1 for none. "first"
    where there was no label, or nothing is known from before. Else the group of features is found whose
    going back to its former values takes most of the to-minus-from logit difference away, and in it the
    feature that takes most of it alone: "FEATURE:up" or "FEATURE:down"; for a channel of a sequence
    "sequence:CHANNEL:up". "model" where no input changed.
    """
    codes = np.full(after.height, "first", object)
    movers = np.flatnonzero((from_label >= 0) & (to_label >= 0)) if before is not None else np.array([], int)
    parts = _parts(scorer)
    for start in range(0, len(movers), BATCH):
        rows = movers[start : start + BATCH]
        assert before is not None
        former = scorer.arrays(before[rows], _rows(sequences_before, rows))
        present = scorer.arrays(after[rows], _rows(sequences_after, rows))
        codes[rows] = _reasons(scorer, parts, former, present, from_label[rows], to_label[rows])
    return codes.tolist()


def explanation(
    scorer: Scorer,
    features_row: pl.DataFrame,
    typical: pl.DataFrame,
    label: int,
    against: int,
    sequence: np.ndarray | None = None,
    typical_sequences: np.ndarray | None = None,
) -> list[dict[str, Any]]:
    """What speaks for `label` rather than `against`, heaviest first: [{feature, value, typical, weight}].

    `features_row` is one user; `typical` one user or many, of whom the median (of texts the most frequent)
    is taken. The weight of a feature is the part of the logit difference that goes when it takes its typical
    value.
    """
    usual = typical.select(
        _median(column) if column.dtype.is_numeric() else _mode(column) for column in typical.get_columns()
    )
    common = None if typical_sequences is None else typical_sequences.mean(axis=0, keepdims=True)
    own, other = scorer.arrays(features_row, sequence), scorer.arrays(usual, common)
    parts = [single for part in _parts(scorer) for single in part.singles()]
    swapped = [part.put(own, other) for part in parts]
    logits = scorer.logits_of(Arrays.stack([own, *swapped]))
    lead = logits[:, label] - logits[:, against]
    rows = [
        {
            "feature": part.name,
            "value": part.value(features_row, own),
            "typical": part.value(usual, other),
            "weight": float(lead[0] - without),
        }
        for part, without in zip(parts, lead[1:], strict=True)
    ]
    return sorted(rows, key=lambda row: -abs(row["weight"]))


@dataclasses.dataclass(frozen=True)
class _Part:
    """Some of a model's inputs that change together: columns of the raw features, or a channel of the
    sequences."""

    columns: tuple[int, ...]
    names: tuple[str, ...]
    channel: int | None = None

    @property
    def name(self) -> str:
        return self.names[0] if self.channel is None else f"sequence:{self.names[0]}"

    def singles(self) -> Iterator[_Part]:
        """Its features one by one."""
        if self.channel is not None:
            yield self
        for column, name in zip(self.columns, self.names, strict=False):
            yield _Part((column,), (name,))

    def changed(self, former: Arrays, present: Arrays) -> np.ndarray:
        """bool[n]: whose inputs of this part differ."""
        then, now = self._values(former), self._values(present)
        differs: np.ndarray = np.any((then != now) & ~(np.isnan(then) & np.isnan(now)), axis=1)
        return differs

    def _values(self, arrays: Arrays) -> np.ndarray:
        if self.channel is not None:
            assert arrays.sequences is not None
            return arrays.sequences[:, :, self.channel]
        assert arrays.raw is not None
        return arrays.raw[:, self.columns]

    def put(self, arrays: Arrays, source: Arrays) -> Arrays:
        """`arrays` with this part as in `source`."""
        if self.channel is not None:
            assert arrays.sequences is not None
            assert source.sequences is not None
            sequences = arrays.sequences.copy()
            sequences[:, :, self.channel] = source.sequences[:, :, self.channel]
            return dataclasses.replace(arrays, sequences=sequences)
        assert arrays.raw is not None
        assert source.raw is not None
        raw = arrays.raw.copy()
        raw[:, self.columns] = source.raw[:, self.columns]
        return dataclasses.replace(arrays, raw=raw)

    def level(self, arrays: Arrays) -> np.ndarray:
        """float[n]: the feature's value, or the channel's sum; missing is below everything."""
        values = self._values(arrays)
        level: np.ndarray = (
            np.nan_to_num(values[:, 0], nan=-np.inf)
            if self.channel is None
            else values.sum(axis=1, dtype=np.float64)
        )
        return level

    def value(self, frame: pl.DataFrame, arrays: Arrays) -> Any:
        """What to show for the first row."""
        return float(self.level(arrays)[0]) if self.channel is not None else frame[self.names[0]][0]


def _parts(scorer: Scorer) -> list[_Part]:
    """The model's inputs by group of the catalogue, then the channels of its sequences."""
    parts = []
    if scorer.kind.reads_features:
        known = catalogue(scorer.model.feature_spec)
        groups: dict[str, list[int]] = {}
        names = scorer.model.encoder.names
        for column, name in enumerate(names):
            groups.setdefault(known[name].group if name in known else name, []).append(column)
        parts += [_Part(tuple(columns), tuple(names[c] for c in columns)) for columns in groups.values()]
    if scorer.kind.reads_sequences and scorer.model.sequence_spec is not None:
        channels = scorer.model.sequence_spec.channels
        parts += [_Part((), (name,), channel) for channel, name in enumerate(channels)]
    return parts


def _reasons(
    scorer: Scorer,
    parts: Sequence[_Part],
    former: Arrays,
    present: Arrays,
    left: np.ndarray,
    came: np.ndarray,
) -> list[str]:
    everyone = np.ones(len(left), bool)
    best = _most_telling(scorer, [(part, everyone) for part in parts], former, present, left, came)
    singles = [(single, best == index) for index, part in enumerate(parts) for single in part.singles()]
    chosen = _most_telling(scorer, singles, former, present, left, came)
    rises = [single.level(present) > single.level(former) for single, _ in singles]
    return [
        "model" if index < 0 else f"{singles[index][0].name}:{'up' if rises[index][row] else 'down'}"
        for row, index in enumerate(chosen.tolist())
    ]


def _most_telling(
    scorer: Scorer,
    candidates: Sequence[tuple[_Part, np.ndarray]],
    former: Arrays,
    present: Arrays,
    left: np.ndarray,
    came: np.ndarray,
) -> np.ndarray:
    """int[n]: the candidate (part, for whom) whose going back takes most away, -1 where none of them
    changed."""
    tried = []
    for index, (part, whom) in enumerate(candidates):
        rows = np.flatnonzero(whom & part.changed(former, present)) if whom.any() else np.array([], int)
        if len(rows):
            tried.append((index, rows, part.put(present.take(rows), former.take(rows))))
    chosen = np.full(len(left), -1)
    if not tried:
        return chosen
    logits = scorer.logits_of(Arrays.stack([arrays for _, _, arrays in tried]))
    least = np.full(len(left), np.inf)
    start = 0
    for index, rows, _ in tried:
        piece = logits[start : start + len(rows)]
        start += len(rows)
        lead = piece[np.arange(len(rows)), came[rows]] - piece[np.arange(len(rows)), left[rows]]
        better = lead < least[rows]
        least[rows[better]], chosen[rows[better]] = lead[better], index
    return chosen


def _rows(sequences: np.ndarray | None, rows: np.ndarray) -> np.ndarray | None:
    return None if sequences is None else sequences[rows]


def _median(column: pl.Series) -> pl.Series:
    return pl.Series(column.name, [column.median()], dtype=pl.Float64)


def _mode(column: pl.Series) -> pl.Series:
    """The most frequent value, the first of equals by order."""
    return column.drop_nulls().mode().sort().head(1) if column.null_count() < len(column) else column.head(1)
