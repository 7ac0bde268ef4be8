"""Why a user moved, and why a user is where they are: what, put back, would take the difference away."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl

from engine.attribution import Attribution, attribute
from engine.catalogue import catalogue, channel_words
from engine.feature_spec import FeatureSpec
from engine.scoring import Arrays, Scorer

# Movers explained at once: bounds memory when a promotion moves a million.
BATCH = 16_384
# A sequence is told in stretches of time that end at these shares of it: a year of weeks at 4, 13, 26 and 52.
STRETCHES = (1 / 13, 1 / 4, 1 / 2, 1)


def reasons(
    scorer: Scorer,
    before: pl.DataFrame | None,
    after: pl.DataFrame,
    sequences_before: np.ndarray | None,
    sequences_after: np.ndarray | None,
    from_label: np.ndarray,
    to_label: np.ndarray,
    speaking: np.ndarray | None = None,
) -> list[str]:
    """A reason code per mover: what moved them, in the features' words.

    Row i of each frame and array is mover i; labels are codes in the model's order, -1 for none. "first"
    where there was no label, or nothing is known from before. Else the group of features is found whose
    going back to its former values takes most of the to-minus-from logit difference away, and in it the
    feature that takes most of it alone: "FEATURE:up" or "FEATURE:down"; for a channel of a sequence
    "sequence:CHANNEL:up". "model" where no input changed, and of those `speaking` (bool[n]) also where none
    of the groups takes anything away.
    """
    codes = np.full(after.height, "first", object)
    movers = np.flatnonzero((from_label >= 0) & (to_label >= 0)) if before is not None else np.array([], int)
    parts = _parts(scorer)
    for start in range(0, len(movers), BATCH):
        rows = movers[start : start + BATCH]
        assert before is not None
        former = scorer.arrays(before[rows], _rows(sequences_before, rows))
        present = scorer.arrays(after[rows], _rows(sequences_after, rows))
        pair = from_label[rows], to_label[rows]
        strict = np.zeros(len(rows), bool) if speaking is None else speaking[rows]
        codes[rows] = _reasons(scorer, parts, former, present, *pair, strict)
    return codes.tolist()


def explanation(
    scorer: Scorer,
    features_row: pl.DataFrame,
    typical: pl.DataFrame,
    label: int,
    against: int,
    sequence: np.ndarray | None = None,
    typical_sequences: np.ndarray | None = None,
) -> dict[str, Any]:
    """What speaks for `label` rather than `against` in one user, compared with who is typical.

    `features_row` is one user; `typical` one user or many, of whom the median (of texts the most frequent,
    of sequences the mean) is taken. Gives `lead` and `typical_lead`, the differences of the two labels'
    logits; `features`, [{feature, unit, value, typical, weight}], by integrated gradients, a channel of a
    sequence as `sequence:CHANNEL`; and `groups`, [{group, weight, meaning, features}], the same summed by the
    groups of the catalogue, channels by how long ago. Heaviest first; the weights of either sum to the
    difference of the leads.
    """
    usual = typical.select(
        _median(column) if column.dtype.is_numeric() else _mode(column) for column in typical.get_columns()
    )
    common = None if typical_sequences is None else typical_sequences.mean(axis=0, keepdims=True)
    own, other = scorer.arrays(features_row, sequence), scorer.arrays(usual, common)
    found = attribute(scorer, own, other, np.array([label]), np.array([against]))
    parts = _parts(scorer)
    features = [
        {
            "feature": single.name,
            "unit": single.unit(scorer.model.feature_spec),
            "value": single.value(features_row, own),
            "typical": single.value(usual, other),
            "weight": single.weight(found),
        }
        for part in parts
        for single in part.singles()
    ]
    groups = [group for part in parts for group in _groups(scorer, part, found)]
    return {
        "lead": float(found.lead[0]),
        "typical_lead": float(found.usual[0]),
        "features": sorted(features, key=_heaviest),
        "groups": sorted(groups, key=_heaviest),
    }


def _heaviest(row: dict[str, Any]) -> float:
    return -abs(float(row["weight"]))


def _groups(scorer: Scorer, part: _Part, found: Attribution) -> list[dict[str, Any]]:
    """The groups that a part is told as: itself, or a channel's stretches of time."""
    if part.channel is None:
        known = catalogue(scorer.model.feature_spec)
        singles = sorted(part.singles(), key=lambda single: -abs(single.weight(found)))
        lead = singles[0].name
        return [
            {
                "group": part.group,
                "weight": part.weight(found),
                "meaning": known[lead].meaning if lead in known else lead,
                "features": [single.name for single in singles],
            }
        ]
    spec = scorer.model.sequence_spec
    assert spec is not None
    assert found.sequences is not None
    groups = []
    back = sorted({0, *(math.ceil(spec.bins * share) for share in STRETCHES)})
    for newer, older in itertools.pairwise(back):
        cells = found.sequences[0, spec.bins - older : spec.bins - newer, part.channel]
        days = f"{newer * spec.bin_days} to {older * spec.bin_days} d ago"
        groups.append(
            {
                "group": f"{part.group}, {days if newer else f'last {older * spec.bin_days} d'}",
                "weight": float(cells.sum()),
                "meaning": f"{part.group}, {spec.bin_days} d by {spec.bin_days} d",
                "features": [part.name],
            }
        )
    return groups


@dataclasses.dataclass(frozen=True)
class _Part:
    """Some of a model's inputs that change together: columns of the raw features, or a channel of the
    sequences."""

    columns: tuple[int, ...]
    names: tuple[str, ...]
    group: str
    channel: int | None = None

    @property
    def name(self) -> str:
        return self.names[0] if self.channel is None else f"sequence:{self.names[0]}"

    def singles(self) -> Iterator[_Part]:
        """Its features one by one."""
        if self.channel is not None:
            yield self
        for column, name in zip(self.columns, self.names, strict=False):
            yield _Part((column,), (name,), self.group)

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

    def unit(self, spec: FeatureSpec) -> str:
        """The unit of its value."""
        if self.channel is not None:
            return {"spend": "minor units", "orders": "orders"}.get(self.names[0], "events")
        known = catalogue(spec)
        return known[self.names[0]].unit if self.names[0] in known else ""

    def weight(self, found: Attribution) -> float:
        """What it adds for the first row."""
        if self.channel is not None:
            assert found.sequences is not None
            return float(found.sequences[0, :, self.channel].sum())
        assert found.features is not None
        return float(found.features[0, list(self.columns)].sum())

    def value(self, frame: pl.DataFrame, arrays: Arrays) -> Any:
        """What to show for the first row: of a channel all that its cells are the logarithms of."""
        if self.channel is None:
            return frame[self.names[0]][0]
        cells = self._values(arrays)[0].astype(np.float64)
        return float((np.sign(cells) * np.expm1(np.abs(cells))).sum())


def _parts(scorer: Scorer) -> list[_Part]:
    """The model's inputs by group of the catalogue, then the channels of its sequences."""
    parts = []
    if scorer.kind.reads_features:
        known = catalogue(scorer.model.feature_spec)
        groups: dict[str, list[int]] = {}
        names = scorer.model.encoder.names
        for column, name in enumerate(names):
            groups.setdefault(known[name].group if name in known else name, []).append(column)
        parts += [
            _Part(tuple(columns), tuple(names[c] for c in columns), group)
            for group, columns in groups.items()
        ]
    if scorer.kind.reads_sequences and scorer.model.sequence_spec is not None:
        channels = scorer.model.sequence_spec.channels
        parts += [_Part((), (name,), channel_words(name), channel) for channel, name in enumerate(channels)]
    return parts


def _reasons(
    scorer: Scorer,
    parts: Sequence[_Part],
    former: Arrays,
    present: Arrays,
    left: np.ndarray,
    came: np.ndarray,
    speaking: np.ndarray,
) -> list[str]:
    everyone = np.ones(len(left), bool)
    whole = [(part, everyone) for part in parts]
    best = _most_telling(scorer, whole, former, present, left, came, speaking)
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
    speaking: np.ndarray | None = None,
) -> np.ndarray:
    """int[n]: the candidate (part, for whom) whose going back takes most away, -1 where none of them
    changed; of those `speaking` also where none takes anything away."""
    tried = []
    for index, (part, whom) in enumerate(candidates):
        rows = np.flatnonzero(whom & part.changed(former, present)) if whom.any() else np.array([], int)
        if len(rows):
            tried.append((index, rows, part.put(present.take(rows), former.take(rows))))
    chosen = np.full(len(left), -1)
    if not tried:
        return chosen
    if speaking is not None and speaking.any():
        rows = np.flatnonzero(speaking)
        tried.insert(0, (-1, rows, present.take(rows)))
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
