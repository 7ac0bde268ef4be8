"""Features as a model reads them: scaled, filled, one-hot; fitted once, on training users only."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import cached_property
from types import ModuleType
from typing import Any

import numpy as np
import polars as pl

from engine.errors import EngineError

KINDS = ("standard", "piecewise")

# Beyond this many standard deviations a value says no more than "extreme": what training never saw must not
# drive a network arbitrarily far.
CLIP = 5.0
# A text value rarer than this among the training users shares the unknown bucket, so that the bucket is
# trained.
RAREST = 10
MOST_CATEGORIES = 32
PIECES = 12


@dataclasses.dataclass(frozen=True)
class Number:
    """One numeric column. `mean` and `deviation` are of the signed logarithm sign(x) log(1 + |x| / unit)."""

    name: str
    unit: float
    mean: float
    deviation: float
    missing: bool
    edges: tuple[float, ...] = ()


@dataclasses.dataclass(frozen=True)
class Text:
    """One text column: its categories, and whether training saw others (`unknown`) or none (`missing`)."""

    name: str
    categories: tuple[str, ...]
    unknown: bool
    missing: bool


@dataclasses.dataclass(frozen=True)
class Encoder:
    """A fitted encoding of a feature frame. A small value, serialisable, equal after a round trip.

    A number becomes its standardised signed logarithm, clipped to ±CLIP; a missing one becomes the training
    mean (zero) and raises a flag when training saw missing values too. With `kind="piecewise"` it becomes in
    addition the piecewise-linear encoding over the training quantiles (Gorishniy, Rubachev, Babenko 2022). A
    text becomes one-hot over the training categories, then an unknown bucket, then a missing one. Whatever
    was constant in training is encoded as zero, because a weight nobody trained must not speak.
    """

    kind: str
    numbers: tuple[Number, ...]
    texts: tuple[Text, ...]

    @classmethod
    def fit(cls, frame: pl.DataFrame, names: Sequence[str], *, kind: str = "standard") -> Encoder:
        """Fit on `frame` (the training users only), over the columns `names`, in that order.

        Raises EngineError for an unknown kind, a missing column, no rows, or a column that is neither number,
        boolean nor text.
        """
        if kind not in KINDS:
            raise EngineError(f"There is no encoding {kind!r}: choose one of {', '.join(KINDS)}.")
        if frame.height == 0:
            raise EngineError("An encoder cannot be fitted on no users: widen the range or lower the cutoff.")
        numbers, texts = [], []
        for name in names:
            if name not in frame.columns:
                raise EngineError(f"The feature {name!r} is not in the frame to fit the encoder on.")
            column = frame[name]
            if column.dtype.is_numeric() or column.dtype == pl.Boolean:
                numbers.append(_fit_number(column, kind))
            elif column.dtype in (pl.String, pl.Categorical, pl.Enum):
                texts.append(_fit_text(column))
            else:
                raise EngineError(f"The feature {name!r} is {column.dtype}, which cannot be encoded.")
        return cls(kind, tuple(numbers), tuple(texts))

    @property
    def names(self) -> tuple[str, ...]:
        """The input columns, in the order of `raw`."""
        return tuple(c.name for c in self.numbers) + tuple(c.name for c in self.texts)

    @cached_property
    def width(self) -> int:
        """How many columns `transform` gives."""
        return int(self.encode(np.zeros((1, len(self.names)), np.float32)).shape[1])

    def raw(self, frame: pl.DataFrame) -> np.ndarray:
        """`frame` as float32[n, columns]: numbers as they are (NaN for null), texts as category codes."""
        missing = [name for name in self.names if name not in frame.columns]
        if missing:
            raise EngineError(f"The features lack {missing[0]!r}, which the model was trained on.")
        columns = [pl.col(c.name).cast(pl.Float32).fill_null(float("nan")) for c in self.numbers]
        columns += [_codes(c) for c in self.texts]
        if not columns:
            return np.zeros((frame.height, 0), np.float32)
        return frame.select(columns).to_numpy(order="c")

    def encode(self, raw: Any, xp: ModuleType = np, constants: dict[str, Any] | None = None) -> Any:
        """`raw` float32[n, columns] as float32[n, width], with NumPy or, inside a compiled tile, jax.numpy.

        One formula for both; the scorer passes the constants as arguments so that models share a compilation.
        """
        c = self.constants if constants is None else constants
        blocks = []
        if self.numbers:
            x = raw[:, : len(self.numbers)]
            missing = ~xp.isfinite(x)
            # log(1 + v) rather than log1p(v): where they differ, by 1e-7, nothing does; and it is twice as
            # fast.
            z = (xp.sign(x) * xp.log(1 + xp.abs(x) * c["per_unit"]) - c["mean"]) * c["per_deviation"]
            z = xp.clip(xp.where(missing, np.float32(0), z), np.float32(-CLIP), np.float32(CLIP))
            blocks.append(z)
            flagged = [i for i, column in enumerate(self.numbers) if column.missing]
            if flagged:
                blocks.append(missing[:, np.array(flagged)].astype(np.float32))
            pieced = [i for i, column in enumerate(self.numbers) if len(column.edges) > 2]
            if pieced:
                pieces = (z[:, np.array(pieced), None] - c["piece_start"]) * c["per_piece"]
                pieces = xp.clip(pieces, np.float32(0), np.float32(1)) - c["piece_mean"]
                kept = np.flatnonzero(self.piece_kept.ravel())
                blocks.append(pieces.reshape(raw.shape[0], self.piece_kept.size)[:, kept])
        for i, column in enumerate(self.texts):
            code = raw[:, len(self.numbers) + i, None]
            codes = np.arange(len(column.categories) + 2, dtype=np.float32)
            spoken = np.array([True] * len(column.categories) + [column.unknown, column.missing])
            blocks.append(((code == codes) & spoken).astype(np.float32))
        if not blocks:
            return xp.zeros((raw.shape[0], 0), np.float32)
        return xp.concatenate(blocks, axis=1)

    def transform(self, frame: pl.DataFrame) -> np.ndarray:
        """`frame` as float32[n, width], rows in the frame's order."""
        encoded: np.ndarray = self.encode(self.raw(frame))
        return encoded

    @cached_property
    def constants(self) -> dict[str, np.ndarray]:
        """The fitted numbers as float32 arrays, one entry per numeric column (pieces: [columns, pieces])."""
        deviations = np.array([c.deviation for c in self.numbers])
        inverse = np.divide(1.0, deviations, out=np.zeros_like(deviations), where=deviations > 0)
        constants = {
            # A column that was constant is multiplied away twice, so that no overflow can make it not a
            # number.
            "per_unit": np.array([1.0 / c.unit if c.deviation > 0 else 0.0 for c in self.numbers]),
            "mean": np.array([c.mean for c in self.numbers]),
            "per_deviation": inverse,
        }
        pieced = [c for c in self.numbers if len(c.edges) > 2]
        if pieced:
            start, width = np.zeros((2, *self.piece_kept.shape))
            for i, column in enumerate(pieced):
                edges = np.array(column.edges)
                start[i, : len(edges) - 1] = edges[:-1]
                width[i, : len(edges) - 1] = np.diff(edges)
            constants["piece_start"] = start
            constants["per_piece"] = np.divide(1.0, width, out=np.zeros_like(width), where=width > 0)
            constants["piece_mean"] = np.where(self.piece_kept, 0.5, 0.0)
        return {name: values.astype(np.float32) for name, values in constants.items()}

    @cached_property
    def piece_kept(self) -> np.ndarray:
        """bool[columns with pieces, most pieces]: the grid's cells that are pieces and not padding."""
        counts = np.array([len(c.edges) - 1 for c in self.numbers if len(c.edges) > 2], int)
        kept: np.ndarray = np.arange(counts.max(initial=0)) < counts[:, None]
        return kept

    def to_json(self) -> dict[str, Any]:
        """As JSON values; every float survives exactly."""
        return {
            "kind": self.kind,
            "numbers": [dataclasses.asdict(c) | {"edges": list(c.edges)} for c in self.numbers],
            "texts": [dataclasses.asdict(c) | {"categories": list(c.categories)} for c in self.texts],
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Encoder:
        """What `to_json` gave. Raises EngineError when it is something else."""
        try:
            return cls(
                value["kind"],
                tuple(Number(**(c | {"edges": tuple(c["edges"])})) for c in value["numbers"]),
                tuple(Text(**(c | {"categories": tuple(c["categories"])})) for c in value["texts"]),
            )
        except (KeyError, TypeError) as error:
            raise EngineError(
                f"The encoder cannot be read ({error}): the model was written by another version."
            ) from None


def _fit_number(column: pl.Series, kind: str) -> Number:
    values = column.cast(pl.Float64).drop_nulls().drop_nans().to_numpy()
    missing = len(values) < len(column)
    if not len(values):
        return Number(column.name, 1.0, 0.0, 0.0, False)
    unit = _unit(values)
    logs = np.sign(values) * np.log1p(np.abs(values) / unit)
    mean, deviation = float(logs.mean()), float(logs.std())
    if deviation <= 1e-9 * max(1.0, abs(mean)):
        deviation = 0.0
    # A flag that is raised for everyone or for nobody says nothing.
    edges: tuple[float, ...] = ()
    if kind == "piecewise" and deviation > 0:
        z = np.clip((logs - mean) / deviation, -CLIP, CLIP)
        edges = tuple(float(e) for e in np.unique(np.quantile(z, np.linspace(0, 1, PIECES + 1))))
    return Number(column.name, unit, mean, deviation, missing, edges)


def _unit(values: np.ndarray) -> float:
    """A scale at which the logarithm bends: the median size of what is not zero, so money and counts alike
    spread."""
    sizes = np.abs(values[values != 0])
    # Attributes are kept in millionths; a smaller unit could only make a float32 overflow.
    return max(float(np.median(sizes)), 1e-9) if len(sizes) else 1.0


def _fit_text(column: pl.Series) -> Text:
    counts = (
        column.cast(pl.String)
        .drop_nulls()
        .value_counts(name="n")
        .sort(["n", column.name], descending=[True, False])
    )
    common = counts.filter(pl.col("n") >= RAREST).head(MOST_CATEGORIES)
    return Text(
        column.name,
        tuple(common[column.name].sort().to_list()),
        unknown=common.height < counts.height,
        missing=column.null_count() > 0,
    )


def _codes(column: Text) -> pl.Expr:
    known = len(column.categories)
    text = pl.col(column.name).cast(pl.String)
    code = (
        text.replace_strict(
            list(column.categories), list(range(known)), default=known, return_dtype=pl.Float32
        )
        if known
        else pl.lit(float(known), pl.Float32)
    )
    return (
        pl.when(text.is_null()).then(pl.lit(float(known + 1), pl.Float32)).otherwise(code).alias(column.name)
    )
