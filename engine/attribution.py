"""Integrated gradients: what each input adds to the difference between a user's logits and a baseline's."""

from __future__ import annotations

import dataclasses

import numpy as np

from engine.scoring import Arrays, Inputs, Scorer

TOLERANCE = 2e-4
"""By how much the parts may miss the whole before the way is walked in smaller steps."""
FEWEST, MOST = 64, 16_384
"""Points along the way, at first and at last."""
AT_ONCE = 16_384
"""Points that are laid out at once."""


@dataclasses.dataclass(frozen=True, eq=False)
class Attribution:
    """What speaks for one label rather than another, by input: leads are differences of the two logits.

    features float64[n, columns] is by column of the encoder's `names`, sequences float64[n, bins, channels]
    by cell; both together sum to `lead` - `usual`, float64[n]: the user's lead and the baseline's.
    """

    features: np.ndarray | None
    sequences: np.ndarray | None
    lead: np.ndarray
    usual: np.ndarray

    @property
    def total(self) -> np.ndarray:
        """float64[n]: all parts together."""
        return _total(self.features, self.sequences)


def attribute(
    scorer: Scorer, own: Arrays, baseline: Arrays, label: np.ndarray, against: np.ndarray
) -> Attribution:
    """Integrated gradients (Sundararajan, Taly, Yan 2017) from `baseline` (one row, or n) to `own` (n rows).

    `label`, `against`: int[n], codes of the model's labels. The way is straight where the network begins: in
    what the encoder makes of the features, so that a text or a missing value goes over by degrees, and in
    sequences on their scale. Where the parts miss the whole by more than TOLERANCE the steps are made
    smaller.
    """
    n, labels = len(own), len(scorer.model.labels)
    rows = np.arange(n)
    sign = np.zeros((n, labels), np.float32)
    sign[rows, label] += 1
    sign[rows, against] -= 1
    lead = (scorer.logits_of(own).astype(np.float64) * sign).sum(axis=1)
    usual = (scorer.logits_of(baseline).astype(np.float64) * sign).sum(axis=1)
    start, end = scorer.inputs_of(baseline), scorer.inputs_of(own)
    way = Inputs(_way(start.spread, end.spread), _way(start.scaled, end.scaled))
    parts = Inputs(*(None if each is None else np.zeros(each.shape) for each in (way.spread, way.scaled)))
    points, left = FEWEST, rows
    while len(left) and points <= MOST:
        batch = max(1, AT_ONCE // points)
        for first in range(0, len(left), batch):
            _walk(scorer, start, way, parts, sign, left[first : first + batch], points)
        missed = np.abs(_total(parts.spread, parts.scaled) - (lead - usual))
        left = left[missed[left] > TOLERANCE]
        points *= 4
    return Attribution(_owned(scorer, parts.spread), parts.scaled, lead, usual)


def _walk(
    scorer: Scorer, start: Inputs, way: Inputs, parts: Inputs, sign: np.ndarray, rows: np.ndarray, points: int
) -> None:
    """Puts into `parts` of some rows the distance times the mean slope over the way.

    A network of ramps bends where a unit wakes. So a step's slope is the mixture of those at its two ends
    that accounts for what the lead did between them: exact where it bends once, however it bends there.
    """
    shares = np.linspace(0, 1, points, dtype=np.float32)

    def along(begin: np.ndarray | None, distance: np.ndarray | None) -> np.ndarray | None:
        if begin is None or distance is None:
            return None
        at = begin if len(begin) == 1 else begin[rows]
        walked = at[:, None] + shares.reshape(-1, *[1] * (begin.ndim - 1)) * distance[rows][:, None]
        flat: np.ndarray = walked.reshape(-1, *begin.shape[1:])
        return flat

    leads, slopes = scorer.slopes_of(
        Inputs(along(start.spread, way.spread), along(start.scaled, way.scaled)),
        np.repeat(sign[rows], points, axis=0),
    )
    gains = np.diff(leads.astype(np.float64).reshape(len(rows), points)) * (points - 1)
    told = [
        (into, slope.reshape(len(rows), points, -1).astype(np.float64), distance[rows].reshape(len(rows), -1))
        for into, slope, distance in (
            (parts.spread, slopes.spread, way.spread),
            (parts.scaled, slopes.scaled, way.scaled),
        )
        if into is not None and slope is not None and distance is not None
    ]
    rises = sum(np.einsum("rpi,ri->rp", slope, distance) for _, slope, distance in told)
    first, second = rises[:, :-1], rises[:, 1:]
    apart = second - first
    share = np.divide(gains - first, apart, out=np.full_like(apart, 0.5), where=np.abs(apart) > 1e-9)
    share = np.clip(share, 0, 1)
    weights = np.zeros_like(rises)
    weights[:, :-1] += 1 - share
    weights[:, 1:] += share
    for into, slope, distance in told:
        mean = np.einsum("rp,rpi->ri", weights, slope) / (points - 1)
        into[rows] = (mean * distance).reshape(len(rows), *into.shape[1:])


def _way(start: np.ndarray | None, end: np.ndarray | None) -> np.ndarray | None:
    return None if start is None or end is None else end - start


def _total(*parts: np.ndarray | None) -> np.ndarray:
    sums = [each.reshape(len(each), -1).sum(axis=1) for each in parts if each is not None]
    total: np.ndarray = np.sum(sums, axis=0)
    return total


def _owned(scorer: Scorer, spread: np.ndarray | None) -> np.ndarray | None:
    """What the encoded columns add, summed by the column of the features they come from."""
    if spread is None:
        return None
    encoder = scorer.model.encoder
    at = {name: column for column, name in enumerate(encoder.names)}
    owned = np.zeros((len(spread), len(at)))
    np.add.at(owned.T, np.array([at[name] for name in encoder.owners], int), spread.T)
    return owned
