"""The checked tree of a rule: every node knows its type and its Polars expression.

What is unknown (null) stays unknown through every node, as in SQL. Arithmetic is in Float64, and x / 0 is
unknown.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from operator import add, and_, eq, ge, gt, le, lt, mul, ne, or_, sub
from typing import Any

import polars as pl

from engine.exact import ratio


class Type(Enum):
    """What a node gives, in an operator's words."""

    NUMBER = "a number"
    TEXT = "a text"
    TRUTH = "true or false"


@dataclass(frozen=True)
class Name:
    """A column of the frame the rule is asked of."""

    name: str
    type: Type

    def expression(self) -> pl.Expr:
        """The column, a text as a plain string whatever its encoding."""
        column = pl.col(self.name)
        return column.cast(pl.String) if self.type is Type.TEXT else column


@dataclass(frozen=True)
class Literal:
    """A number, a text, or TRUE or FALSE."""

    value: int | float | str | bool
    type: Type

    def expression(self) -> pl.Expr:
        """The constant."""
        return pl.lit(self.value)


@dataclass(frozen=True)
class Negative:
    """A number with its sign turned."""

    operand: "Node"
    type: Type = field(default=Type.NUMBER, init=False)

    def expression(self) -> pl.Expr:
        """0 - x, in Float64."""
        return pl.lit(0.0) - self.operand.expression().cast(pl.Float64)


@dataclass(frozen=True)
class Arithmetic:
    """left + right and its like."""

    operator: str
    left: "Node"
    right: "Node"
    type: Type = field(default=Type.NUMBER, init=False)

    def expression(self) -> pl.Expr:
        """The value in Float64, so that no integer overflows."""
        left, right = (side.expression().cast(pl.Float64) for side in (self.left, self.right))
        if self.operator == "/":
            return pl.map_batches([left, right], ratio, return_dtype=pl.Float64)
        return ARITHMETIC[self.operator](left, right)


@dataclass(frozen=True)
class Comparison:
    """left = right and its like."""

    operator: str
    left: "Node"
    right: "Node"
    type: Type = field(default=Type.TRUTH, init=False)

    def expression(self) -> pl.Expr:
        """Whether it holds."""
        return COMPARISONS[self.operator](self.left.expression(), self.right.expression())


@dataclass(frozen=True)
class Among:
    """operand IN (values)."""

    operand: "Node"
    values: tuple[int | float | str, ...]
    type: Type = field(default=Type.TRUTH, init=False)

    def expression(self) -> pl.Expr:
        """Whether the operand equals one of the values."""
        operand = self.operand.expression()
        if self.operand.type is Type.TEXT:
            return operand.is_in(pl.Series(self.values, dtype=pl.String).implode())
        values = pl.Series([float(value) for value in self.values], dtype=pl.Float64)
        return operand.cast(pl.Float64).is_in(values.implode())


@dataclass(frozen=True)
class Between:
    """low <= operand <= high."""

    operand: "Node"
    low: "Node"
    high: "Node"
    type: Type = field(default=Type.TRUTH, init=False)

    def expression(self) -> pl.Expr:
        """Whether the operand lies within, both ends included."""
        operand = self.operand.expression()
        return (operand >= self.low.expression()) & (operand <= self.high.expression())


@dataclass(frozen=True)
class Unknown:
    """operand IS NULL."""

    operand: "Node"
    type: Type = field(default=Type.TRUTH, init=False)

    def expression(self) -> pl.Expr:
        """Whether there is no value."""
        return self.operand.expression().is_null()


@dataclass(frozen=True)
class Not:
    """NOT operand."""

    operand: "Node"
    type: Type = field(default=Type.TRUTH, init=False)

    def expression(self) -> pl.Expr:
        """The contrary."""
        return ~self.operand.expression()


@dataclass(frozen=True)
class Junction:
    """Parts joined by AND, or by OR."""

    operator: str
    parts: tuple["Node", ...]
    type: Type = field(default=Type.TRUTH, init=False)

    def expression(self) -> pl.Expr:
        """Joined in halves, so that a thousand parts are ten levels deep."""
        joined = [part.expression() for part in self.parts]
        join = JUNCTIONS[self.operator]
        while len(joined) > 1:
            pairs = [join(one, other) for one, other in zip(joined[::2], joined[1::2], strict=False)]
            joined = pairs + joined[len(pairs) * 2 :]
        return joined[0]


Node = Name | Literal | Negative | Arithmetic | Comparison | Among | Between | Unknown | Not | Junction

Binary = Callable[[Any, Any], pl.Expr]

ARITHMETIC: dict[str, Binary] = {"+": add, "-": sub, "*": mul}
COMPARISONS: dict[str, Binary] = {"=": eq, "<>": ne, "<": lt, "<=": le, ">": gt, ">=": ge}
JUNCTIONS: dict[str, Binary] = {"AND": and_, "OR": or_}
