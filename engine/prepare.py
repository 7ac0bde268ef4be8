"""Learning-time cleaning: outliers, missing values and duplicates, as a part of a model's spec.

The log keeps every value as it came. What a model makes of values that are extreme or missing is fitted on
its training users, stands in its spec, and is told in its report.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from engine.errors import EngineError

if TYPE_CHECKING:
    from engine.encoding import Encoder

SCALINGS = ("log", "standard", "robust")
BY_FEATURE = ("outliers", "missing", "scaling")
NORMAL = 1.4826
"""Median absolute deviations of a normal distribution in one standard deviation."""


@dataclass(frozen=True)
class Preparation:
    """How a model's features are made ready. Every text below is a rule, as `--set` takes it.

    outliers: none; quantiles:Q limits values to the training quantiles Q and 1 - Q; mad:K to K standard
    deviations from the median, as the median absolute deviation tells them.
    missing: mean (of the scaled values), median, or constant:V. What training missed too raises a flag.
    scaling: log (sign(x) log(1 + |x| / u), then standard), standard (mean and standard deviation) or robust
    (median and quartiles). select: all, mutual:N (the N features that tell most of the label) or l1:C (those
    an L1-penalised logistic regression of inverse strength C uses). pca: 0 for none, else so many components,
    or below 1 as many as hold that share of the variance. duplicates: keep, or drop training users
    that equal another in all features and label. own: (feature, what, rule) of single features.

    Raises EngineError for a rule that is none.
    """

    outliers: str = "none"
    missing: str = "mean"
    scaling: str = "log"
    select: str = "all"
    pca: float = 0
    duplicates: str = "keep"
    own: tuple[tuple[str, str, str], ...] = ()

    def __post_init__(self) -> None:
        for what, rule in ((name, getattr(self, name)) for name in BY_FEATURE):
            _check(what, rule)
        for _, what, rule in self.own:
            _check(what, rule)
        _check("select", self.select)
        _check("duplicates", self.duplicates)
        if not (0 <= self.pca < 1 or (float(self.pca).is_integer() and 1 <= self.pca <= 4096)):
            raise EngineError(
                f"The setting pca must be a number of components, or a share below 1; it is {self.pca:g}."
            )

    @classmethod
    def parse(cls, settings: Mapping[str, str]) -> Preparation:
        """From settings such as {"outliers": "mad:5", "missing.rating_mean": "median"}."""
        whole: dict[str, Any] = {}
        own = []
        for name, text in settings.items():
            what, _, feature = name.partition(".")
            if feature:
                own.append((feature, what, text))
            else:
                whole[what] = _number("pca", text) if what == "pca" else text
        return cls(**whole, own=tuple(sorted(own)))

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The settings there are, but for those of single features."""
        return tuple(field.name for field in fields(cls) if field.name != "own")

    def rule(self, what: str, feature: str) -> str:
        """The rule for a feature."""
        own = [rule for name, of, rule in self.own if (name, of) == (feature, what)]
        return own[0] if own else str(getattr(self, what))

    def to_json(self) -> dict[str, Any]:
        """As JSON values; `from_json` gives an equal one back."""
        return asdict(self) | {"own": [list(each) for each in self.own]}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Preparation:
        """What `to_json` gave."""
        return cls(**(dict(value) | {"own": tuple((name, what, rule) for name, what, rule in value["own"])}))


def bounds(values: np.ndarray, rule: str) -> tuple[float, float] | None:
    """The least and the largest value a rule for outliers lets through; None when it lets all through."""
    kind, number = _parts(rule)
    if kind == "none" or not len(values):
        return None
    if kind == "quantiles":
        low, high = np.quantile(values, [number, 1 - number])
        return float(low), float(high)
    middle = float(np.median(values))
    reach = number * NORMAL * float(np.median(np.abs(values - middle)))
    # Where most values are equal this deviation is zero, and says nothing of the others.
    return (middle - reach, middle + reach) if reach > 0 else None


def filling(values: np.ndarray, rule: str) -> float | None:
    """What stands for a missing value; None for the mean of the scaled ones."""
    kind, number = _parts(rule)
    if kind == "constant":
        return number
    return float(np.median(values)) if kind == "median" and len(values) else None


def repeated(frame: pl.DataFrame, labels: np.ndarray) -> np.ndarray:
    """bool[n]: which rows of `frame` (sorted by user) equal an earlier one in all but the user, and in
    label."""
    table = frame.drop("user", strict=False).with_columns(pl.Series("the label", labels))
    return ~table.select(pl.struct(pl.all()).is_first_distinct()).to_series().to_numpy()


def report(encoder: Encoder, frame: pl.DataFrame, names: Sequence[str]) -> list[dict[str, Any]]:
    """What the preparation did to the training users in `frame`, for each of `names` that it touched.

    feature, kept (false for one that was not selected), missing (users), filled_with, low, high (the values
    let through), below, above (users beyond them).
    """
    numbers = {each.name: each for each in encoder.numbers}
    kept = set(encoder.names)
    lines = []
    for name in names:
        column, number = frame[name], numbers.get(name)
        line: dict[str, Any] = {"feature": name, "kept": name in kept}
        if number is not None:
            values = column.cast(pl.Float64)
            missing = int((values.is_null() | values.is_nan()).sum())
            low, high = number.low, number.high
            line |= {
                "missing": missing,
                "filled_with": encoder.filled_with(name) if missing else None,
                "low": low,
                "high": high,
                "below": 0 if low is None else int((values < low).sum()),
                "above": 0 if high is None else int((values > high).sum()),
            }
        else:
            line |= {"missing": column.null_count()}
        if not line["kept"] or line["missing"] or line.get("below") or line.get("above"):
            lines.append(line)
    return lines


_RULES = {
    "outliers": "none, quantiles:Q with Q below 0.5, or mad:K",
    "missing": "mean, median or constant:V",
    "scaling": "log, standard or robust",
    "select": "all, mutual:N or l1:C",
    "duplicates": "keep or drop",
}


def _check(what: str, rule: str) -> None:
    if what not in _RULES:
        raise EngineError(
            f"There is no setting {what!r} for single features: there are {', '.join(BY_FEATURE)}."
        )
    plain = {
        "outliers": ("none",),
        "missing": ("mean", "median"),
        "scaling": SCALINGS,
        "select": ("all",),
        "duplicates": ("keep", "drop"),
    }
    if rule in plain[what]:
        return
    kind, number = _parts(rule)
    right = {
        ("outliers", "quantiles"): 0 < number < 0.5,
        ("outliers", "mad"): number > 0,
        ("missing", "constant"): math.isfinite(number),
        ("select", "mutual"): number >= 1 and number.is_integer(),
        ("select", "l1"): number > 0,
    }
    if not right.get((what, kind), False):
        raise EngineError(f"The setting {what} must be {_RULES[what]}; it is {rule!r}.")


def _parts(rule: str) -> tuple[str, float]:
    """`mad:5` as ("mad", 5.0); no number where a rule has none."""
    kind, colon, text = rule.partition(":")
    return kind, _number(rule, text) if colon else math.nan


def _number(what: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise EngineError(f"{text!r} in the setting {what!r} is not a number.")
    return number


PLAIN = Preparation()
"""What an encoder does unless told otherwise."""
