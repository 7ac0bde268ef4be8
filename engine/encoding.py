"""Features as a model reads them: scaled, filled, one-hot; fitted once, on training users only."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from functools import cached_property
from types import ModuleType
from typing import Any

import numpy as np
import polars as pl

from engine.encoding_columns import CLIP, Number, Text, codes, fit_number, fit_text
from engine.errors import EngineError
from engine.prepare import PLAIN, Preparation

KINDS = ("standard", "piecewise")
AT_ONCE = 1024
"""Rows that are encoded at once: what is made on the way stays near the processor, which is four times as
quick as going through everyone step by step."""


@dataclasses.dataclass(frozen=True)
class Encoder:
    """A fitted encoding of a feature frame. A small value, serialisable, equal after a round trip.

    A number becomes its standardised signed logarithm, clipped to ±CLIP; a missing one becomes the training
    mean (zero) and raises a flag when training saw missing values too; `preparation` may say otherwise. With
    `kind="piecewise"` it becomes in addition the piecewise-linear encoding over the training quantiles
    (Gorishniy, Rubachev, Babenko 2022). A text becomes one-hot over the training categories, then an unknown
    bucket, then a missing one. Whatever was constant in training is encoded as zero, because a weight nobody
    trained must not speak. Last, where asked for, all that turns into principal components: float
    [components, columns] of what is around `center`.
    """

    kind: str
    numbers: tuple[Number, ...]
    texts: tuple[Text, ...]
    preparation: Preparation = PLAIN
    center: tuple[float, ...] = ()
    components: tuple[tuple[float, ...], ...] = ()

    @classmethod
    def fit(
        cls,
        frame: pl.DataFrame,
        names: Sequence[str],
        *,
        kind: str = "standard",
        preparation: Preparation | None = None,
        labels: np.ndarray | None = None,
    ) -> Encoder:
        """Fit on `frame` (the training users only), over the columns `names`, in that order.

        labels: int[n], needed where features are selected by them. Raises EngineError for an unknown kind, a
        missing column, no rows, a column that is neither number, boolean nor text, or a rule for a feature
        that is not there.
        """
        prepared = preparation or PLAIN
        strange = [feature for feature, _, _ in prepared.own if feature not in names]
        if strange:
            from engine.rule_words import nearest

            raise EngineError(
                f"There is no feature {strange[0]!r} to prepare; {nearest(strange[0], list(names))}."
            )
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
                numbers.append(fit_number(column, kind, prepared))
            elif column.dtype in (pl.String, pl.Categorical, pl.Enum):
                texts.append(fit_text(column))
            else:
                raise EngineError(f"The feature {name!r} is {column.dtype}, which cannot be encoded.")
        fitted = cls(kind, tuple(numbers), tuple(texts), prepared)
        if prepared.select != "all":
            from engine.selection import selected

            fitted = fitted.only(selected(fitted, frame, labels, prepared.select))
        if prepared.pca:
            from engine.selection import components

            center, turned = components(fitted.transform(frame), prepared.pca)
            fitted = dataclasses.replace(fitted, center=center, components=turned)
        return fitted

    def only(self, names: Collection[str]) -> Encoder:
        """The same for these columns only."""
        numbers = tuple(each for each in self.numbers if each.name in names)
        texts = tuple(each for each in self.texts if each.name in names)
        return dataclasses.replace(self, numbers=numbers, texts=texts)

    def filled_with(self, name: str) -> float | None:
        """The value that stands for a missing one of the number `name`; None for a constant column."""
        number = next(each for each in self.numbers if each.name == name)
        if number.fill is not None or number.deviation == 0:
            return number.fill
        if number.scale != "log":
            return number.mean
        return float(np.sign(number.mean) * number.unit * np.expm1(abs(number.mean)))

    @property
    def names(self) -> tuple[str, ...]:
        """The input columns, in the order of `raw`."""
        return tuple(c.name for c in self.numbers) + tuple(c.name for c in self.texts)

    @property
    def owners(self) -> tuple[str, ...]:
        """For each column that is encoded, before any principal components, the column it comes from."""
        pieced = [c for c in self.numbers if len(c.edges) > 2]
        return (
            *(c.name for c in self.numbers),
            *(c.name for c in self.numbers if c.missing),
            *(c.name for c in pieced for _ in c.edges[1:]),
            *(c.name for c in self.texts for _ in range(len(c.categories) + 2)),
        )

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
        columns += [codes(c) for c in self.texts]
        if not columns:
            return np.zeros((frame.height, 0), np.float32)
        return frame.select(columns).to_numpy(order="c")

    def encode(self, raw: Any, xp: ModuleType = np, constants: dict[str, Any] | None = None) -> Any:
        """`raw` float32[n, columns] as float32[n, width], with NumPy or, inside a compiled tile, jax.numpy.

        One formula for both; the scorer passes the constants as arguments so that models share a compilation.
        """
        c = self.constants if constants is None else constants
        return self.turned(self.spread(raw, xp, c), c)

    def turned(self, spread: Any, constants: dict[str, Any] | None = None) -> Any:
        """What `spread` gave as float32[n, width]: turned into the principal components, if there are any."""
        c = self.constants if constants is None else constants
        return (spread - c["center"]) @ c["components"] if self.components else spread

    def spread(self, raw: Any, xp: ModuleType = np, constants: dict[str, Any] | None = None) -> Any:
        """`raw` as it is before any principal components: one column for each of `owners`."""
        c = self.constants if constants is None else constants
        blocks = []
        if self.numbers:
            x = raw[:, : len(self.numbers)]
            missing = ~xp.isfinite(x)
            if "low" in c:
                x = xp.clip(x, c["low"], c["high"])
            z = (self._scaled(x, c, xp) - c["mean"]) * c["per_deviation"]
            z = xp.clip(
                xp.where(missing, c.get("fill", np.float32(0)), z), np.float32(-CLIP), np.float32(CLIP)
            )
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
        return xp.concatenate(blocks, axis=1) if blocks else xp.zeros((raw.shape[0], 0), np.float32)

    def _scaled(self, x: Any, c: dict[str, Any], xp: ModuleType) -> Any:
        """The numbers on their scales, not yet standardised."""
        scales = {column.scale == "log" for column in self.numbers}
        # A column that was constant is multiplied away here already, so that no overflow can make it none.
        small = x * c["per_unit"]
        if scales == {False}:
            return small
        # log(1 + v) rather than log1p(v): where they differ, by 1e-7, nothing does; and it is twice as fast.
        logarithms = xp.sign(x) * xp.log(1 + xp.abs(small))
        return logarithms if scales == {True} else xp.where(c["log"] > 0, logarithms, small)

    def transform(self, frame: pl.DataFrame) -> np.ndarray:
        """`frame` as float32[n, width], rows in the frame's order."""
        raw = self.raw(frame)
        spread = np.empty((len(raw), len(self.owners)), np.float32)
        for start in range(0, len(raw), AT_ONCE):
            spread[start : start + AT_ONCE] = self.spread(raw[start : start + AT_ONCE])
        encoded: np.ndarray = self.turned(spread)
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
        if any(each.low is not None or each.high is not None for each in self.numbers):
            constants["low"] = np.array([-np.inf if each.low is None else each.low for each in self.numbers])
            constants["high"] = np.array(
                [np.inf if each.high is None else each.high for each in self.numbers]
            )
        if any(each.fill is not None for each in self.numbers):
            filled = [0.0 if each.fill is None else each.scaled(each.fill) for each in self.numbers]
            constants["fill"] = np.array(filled)
        if len({each.scale == "log" for each in self.numbers}) > 1:
            constants["log"] = np.array([float(each.scale == "log") for each in self.numbers])
        if self.components:
            constants["center"] = np.array(self.center)
            constants["components"] = np.array(self.components).T
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
        value: dict[str, Any] = {
            "kind": self.kind,
            "numbers": [c.to_json() for c in self.numbers],
            "texts": [dataclasses.asdict(c) | {"categories": list(c.categories)} for c in self.texts],
        }
        # What is as in every encoder before there was a choice is left out: models keep their digests.
        if self.preparation != PLAIN:
            value["preparation"] = self.preparation.to_json()
        if self.components:
            value["center"] = list(self.center)
            value["components"] = [list(row) for row in self.components]
        return value

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Encoder:
        """What `to_json` gave. Raises EngineError when it is something else."""
        try:
            return cls(
                value["kind"],
                tuple(Number(**(c | {"edges": tuple(c["edges"])})) for c in value["numbers"]),
                tuple(Text(**(c | {"categories": tuple(c["categories"])})) for c in value["texts"]),
                Preparation.from_json(value["preparation"]) if "preparation" in value else PLAIN,
                tuple(value.get("center", ())),
                tuple(tuple(row) for row in value.get("components", ())),
            )
        except (KeyError, TypeError) as error:
            raise EngineError(
                f"The encoder cannot be read ({error}): the model was written by another version."
            ) from None
