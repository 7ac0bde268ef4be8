"""Events to a sequence of equal bins of time per user, newest last: what the convolutional models read."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from engine.errors import EngineError
from engine.feature_rows import NEVER, Bools, Int64s, Repeats, Rows, lay_out
from engine.feature_spec import FeatureSpec, plural
from engine.ticks import days_before, zone_of

FLOW = ("orders", "spend")
"""Channels that every log with purchases has; the others are counts of a kind, by its plural."""


@dataclass(frozen=True)
class SequenceSpec:
    """How a user's time is cut: `bins` bins of `bin_days` local days that end at the as-of.

    channels: `orders`, `spend`, and counts of other kinds by the names features give them (`views`,
    `count_KIND`). kinds: those kinds, in the order of their channels.
    """

    channels: tuple[str, ...] = FLOW
    zone: str = "UTC"
    bins: int = 52
    bin_days: int = 7

    def __post_init__(self) -> None:
        zone_of(self.zone)
        if not (1 <= self.bins <= 1024 and 1 <= self.bin_days <= 366):
            raise EngineError(
                f"A sequence of {self.bins} bins of {self.bin_days} d cannot be; "
                "give 1 to 1024 bins of 1 to 366 d."
            )

    @property
    def days(self) -> int:
        """Days from the start of the oldest bin to the as-of."""
        return self.bins * self.bin_days

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dict; `from_json` gives an equal spec back."""
        return asdict(self) | {"channels": list(self.channels)}

    @classmethod
    def from_json(cls, spec: Mapping[str, Any]) -> "SequenceSpec":
        """The spec that `to_json` wrote."""
        values = dict(spec)
        return cls(**(values | {"channels": tuple(values["channels"])}))


def sequence_spec_for(spec: FeatureSpec, bins: int = 52, bin_days: int = 7) -> SequenceSpec:
    """The sequences that go with a feature spec: the same zone and kinds."""
    flow = FLOW if "amount" in spec.fields else FLOW[:1]
    channels = (*(flow if spec.purchases else ()), *(plural(kind) for kind in spec.counted))
    return SequenceSpec(channels=channels, zone=spec.zone, bins=bins, bin_days=bin_days)


def sequences(
    events: pl.DataFrame,
    identity: pl.DataFrame | None,
    as_of: int,
    spec: SequenceSpec,
    users: Sequence[int] | npt.NDArray[np.int64],
) -> npt.NDArray[np.float32]:
    """float32[users, bins, channels], rows in the order of `users` (canonical), zero where nothing happened.

    A cell is sign(x) log(1 + |x|) of an exact integer: different orders (each at its latest purchase before
    the as-of), net spend in minor units, or a count.
    """
    asked = np.asarray(users, dtype=np.int64)
    cells = np.zeros((len(asked), spec.bins, len(spec.channels)), dtype=np.float32)
    edges = [days_before(as_of, back * spec.bin_days, spec.zone) for back in range(spec.bins, -1, -1)]
    known = events.filter(pl.col("occurred_at").is_between(edges[0], as_of, closed="left"))
    rows = lay_out(known, identity, spec.zone, ("order", "amount"), asked)
    if not len(rows.time):
        return cells
    cell = rows.owner * spec.bins + np.searchsorted(np.asarray(edges), rows.time, side="right") - 1
    once = np.ones(len(cell), dtype=np.int64)
    amount = rows.given["amount"][rows.order]
    kinds = {plural(kind): kind for kind in rows.kinds}
    place = np.minimum(np.searchsorted(rows.users, asked), len(rows.users) - 1)
    here = rows.users[place] == asked
    for index, channel in enumerate(spec.channels):
        keep = rows.of_kind(kinds.get(channel, ""))
        values = once
        if channel == "orders":
            keep = rows.of_kind("purchase")
            keep[keep] = _closing(rows, keep)
        elif channel == "spend":
            keep, values = rows.of_kind("purchase", "refund"), amount
        totals = _totals(cell[keep], values[keep], len(rows.users) * spec.bins)
        cells[here, :, index] = totals.reshape(-1, spec.bins)[place[here]]
    return cells


def _closing(rows: Rows, bought: Bools) -> Bools:
    """Which of the purchases are the latest of their order."""
    lines = rows.order[bought]
    number, known = rows.given["order"][lines], rows.known["order"][lines]
    closing = np.ones(len(number), dtype=np.bool_)
    again = Repeats.of(rows.owner[bought][known], number[known]).again(rows.time[bought][known])
    closing[known] = again == NEVER
    return closing


def _totals(cell: Int64s, values: Int64s, cells: int) -> npt.NDArray[np.float32]:
    """float32[cells]: the squashed sums of `values` by `cell`, which ascends."""
    totals = np.zeros(cells, dtype=np.float32)
    if len(cell):
        begins = np.flatnonzero(np.diff(cell, prepend=cell[0] - 1))
        sums = np.add.reduceat(values, begins)
        # Polars takes logarithms one by one; a vectorised one may round differently at the end of an array.
        sizes = pl.Series(np.abs(sums)).cast(pl.Float64).log1p().to_numpy()
        totals[cell[begins]] = np.sign(sums) * sizes
    return totals
