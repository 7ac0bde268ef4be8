"""Rules: an expression an operator writes, checked against a short list of what is allowed, to Polars.

Words are checked one by one (engine.rule_words), sqlglot makes their tree, and the tree is rebuilt node by
node as our own (engine.rule_tree), typed, before there is any expression. Allowed: AND OR NOT, = <> < <= >
>=, IN, BETWEEN, IS NULL, + - * /, numbers, texts, TRUE, FALSE and the names given. No functions, no patterns,
no subqueries, so what a rule costs is its length.
"""

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any, NoReturn

import polars as pl
from sqlglot import exp, parse
from sqlglot.errors import ParseError

from engine.rule_tree import (
    JUNCTIONS,
    Among,
    Arithmetic,
    Between,
    Comparison,
    Junction,
    Literal,
    Name,
    Negative,
    Node,
    Not,
    Type,
    Unknown,
)
from engine.rule_words import ALLOWED, DEEPEST, TOO_DEEP, nearest, refuse, shown, words_of

_COMPARISONS: dict[type[exp.Expression], str] = {
    exp.EQ: "=", exp.NEQ: "<>", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">="
}  # fmt: skip
_ARITHMETIC: dict[type[exp.Expression], str] = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/"}
_JUNCTIONS: dict[type[exp.Expression], str] = {exp.And: "AND", exp.Or: "OR"}


def compile_rule(text: str, columns: Mapping[str, pl.DataType]) -> pl.Expr:
    """The rule as a Boolean expression over `columns`, false where it is unknown.

    EngineError, one sentence with line and column, for anything but a rule of at most 4 kB and depth 32.
    """
    return parse_rule(text, columns).expression().fill_null(value=False)


def parse_rule(text: str, columns: Mapping[str, pl.DataType], notes: Mapping[str, str] | None = None) -> Node:
    """The checked tree of the rule `text`; errors as for compile_rule.

    `notes` is said of a column that is compared with something of another type.
    """
    return _Reader(text, columns, notes).read()


def truth(rule: Node, table: pl.DataFrame) -> pl.Series:
    """For which rows a rule from `parse_rule` holds, false where it is unknown: as its expression tells.

    Parts are joined one by one: in one expression Polars has its threads compute both sides of an AND, and
    those may be busy for seconds with another's work.
    """
    found = _truth(rule, table)
    return found & found.is_not_null() if found.has_nulls() else found


def _truth(rule: Node, table: pl.DataFrame) -> pl.Series:
    if isinstance(rule, Junction):
        join: Callable[[pl.Series, pl.Series], Any] = JUNCTIONS[rule.operator]
        return reduce(join, (_truth(part, table) for part in rule.parts))
    if isinstance(rule, Not):
        return ~_truth(rule.operand, table)
    return table.select(rule.expression()).to_series()


def choices_in(text: str, columns: Mapping[str, pl.DataType]) -> list[tuple[str, str, int, int]]:
    """Each value of a column with choices that the rule names: column, value, and where it stands, from and
    to; errors as for compile_rule."""
    reader = _Reader(text, columns)
    reader.read()
    return sorted(reader.chosen, key=lambda each: each[2])


class _Reader:
    """One reading of one rule."""

    def __init__(
        self, text: str, columns: Mapping[str, pl.DataType], notes: Mapping[str, str] | None = None
    ) -> None:
        self.text = text
        self.notes = notes or {}
        types = {name: kind for name, dtype in columns.items() if (kind := _type_of(name, dtype))}
        self.words = words_of(text, types)
        self.operands = {
            f"o{index}": word for index, word in enumerate(self.words) if word.operand is not None
        }
        self.choices = {
            name: dtype.categories.to_list() for name, dtype in columns.items() if isinstance(dtype, pl.Enum)
        }
        self.chosen: list[tuple[str, str, int, int]] = []

    def read(self) -> Node:
        """The tree, checked."""
        node = self._node(self._parsed(), 1)
        if node.type is not Type.TRUTH:
            refuse(
                self.text,
                0,
                f"the rule gives {node.type.value}, not true or false; compare it with something",
            )
        if not any(isinstance(word.operand, Name) for word in self.words):
            refuse(self.text, 0, "the rule names no feature, so it would be the same for everyone")
        return node

    def _parsed(self) -> exp.Expression:
        """sqlglot's tree of the words, one a line so that an error names its word."""
        plain = [
            word.text if word.operand is None else f'"o{index}"' for index, word in enumerate(self.words)
        ]
        try:
            trees = parse("\n".join(plain))
        except ParseError as error:
            line = (error.errors[0].get("line") if error.errors else None) or 1
            word = self.words[min(line, len(plain)) - 1]
            refuse(
                self.text, word.start, f"the rule cannot be read at {shown(self.text[word.start : word.end])}"
            )
        except RecursionError:
            refuse(self.text, 0, TOO_DEEP)
        if len(trees) != 1 or not isinstance(trees[0], exp.Expression):
            refuse(self.text, 0, "this is not one rule; join several with AND or OR")
        return trees[0]

    def _node(self, tree: exp.Expression, depth: int) -> Node:
        """The checked node of `tree`, which stands at `depth`."""
        if depth > DEEPEST:
            self._refuse(tree, TOO_DEEP)
        kind = type(tree)
        if kind is exp.Paren:
            # Brackets are counted among the words.
            return self._node(tree.this, depth)
        if kind is exp.Column:
            return self._operand(tree)
        if kind in _JUNCTIONS:
            parts = [self._typed(part, Type.TRUTH, depth + 1) for part in _chain(tree, kind)]
            return Junction(_JUNCTIONS[kind], tuple(parts))
        if kind is exp.Not:
            return Not(self._typed(tree.this, Type.TRUTH, depth + 1))
        if kind in _COMPARISONS:
            return self._comparison(_COMPARISONS[kind], tree.this, tree.expression, depth + 1)
        if kind in _ARITHMETIC:
            left = self._typed(tree.this, Type.NUMBER, depth + 1)
            return Arithmetic(_ARITHMETIC[kind], left, self._typed(tree.expression, Type.NUMBER, depth + 1))
        if kind is exp.Neg:
            operand = self._typed(tree.this, Type.NUMBER, depth + 1)
            if isinstance(operand, Literal) and not isinstance(operand.value, str):
                return Literal(-operand.value, Type.NUMBER)
            return Negative(operand)
        if kind is exp.Between:
            ends = (tree.args["low"], tree.args["high"])
            operand = self._typed(tree.this, Type.NUMBER, depth + 1)
            low, high = (self._typed(end, Type.NUMBER, depth + 1) for end in ends)
            return Between(operand, low, high)
        if kind is exp.Is:
            if not isinstance(tree.expression, exp.Null):
                self._refuse(tree.expression, "IS goes with NULL or NOT NULL only; use = or <>")
            return Unknown(self._node(tree.this, depth + 1))
        if kind is exp.In:
            return self._among(tree, depth)
        return self._refuse(tree, f"this cannot be used; a rule is made of {ALLOWED}")

    def _typed(self, tree: exp.Expression, wanted: Type, depth: int, beside: Node | None = None) -> Node:
        """The node of `tree`, which must be of a type: that of `beside`, which it is compared with."""
        node = self._node(tree, depth)
        if node.type is not wanted:
            names = [each.name for each in (beside, node) if isinstance(each, Name)]
            notes = "".join(f"; {self.notes[name]}" for name in names if name in self.notes)
            self._refuse(tree, f"this is {node.type.value} where {wanted.value} is needed{notes}")
        return node

    def _comparison(self, operator: str, one: exp.Expression, other: exp.Expression, depth: int) -> Node:
        left = self._node(one, depth)
        right = self._typed(other, left.type, depth, left)
        if left.type is not Type.NUMBER and operator not in ("=", "<>"):
            self._refuse(one, f"{operator} compares numbers, and this is {left.type.value}")
        for name, literal, place in ((left, right, other), (right, left, one)):
            if isinstance(name, Name) and isinstance(literal, Literal):
                self._check_choice(name, literal.value, place)
        return Comparison(operator, left, right)

    def _among(self, tree: exp.Expression, depth: int) -> Node:
        operand = self._node(tree.this, depth + 1)
        given = tree.args.get("expressions") or []
        if not given:
            self._refuse(tree, "IN needs its values in brackets, such as IN (1, 2)")
        if operand.type is Type.TRUTH:
            self._refuse(tree, "IN goes with numbers and texts; use = or NOT")
        values: list[int | float | str] = []
        for one in given:
            value = self._typed(one, operand.type, depth + 1, operand)
            if not isinstance(value, Literal):
                self._refuse(one, "the values after IN must be written out")
            if isinstance(operand, Name):
                self._check_choice(operand, value.value, one)
            values.append(value.value)
        return Among(operand, tuple(values))

    def _check_choice(self, name: Name, value: object, place: exp.Expression) -> None:
        choices = self.choices.get(name.name)
        if choices is None:
            return
        if value not in choices:
            near = nearest(str(value), choices)
            self._refuse(place, f"{name.name} is never {shown(str(value))}; {near}")
        word = self.operands[place.unnest().name]
        self.chosen.append((name.name, str(value), word.start, word.end))

    def _operand(self, tree: exp.Expression) -> Name | Literal:
        word = self.operands.get(tree.name)
        if word is None or word.operand is None:
            refuse(self.text, 0, f"the rule cannot be read; it is made of {ALLOWED}")
        return word.operand

    def _refuse(self, tree: exp.Expression, why: str) -> NoReturn:
        """Refuse where the first operand of `tree` stands."""
        names = [column.name for column in tree.find_all(exp.Column)]
        starts = [self.operands[name].start for name in names if name in self.operands]
        refuse(self.text, min(starts, default=0), why)


def _type_of(name: str, dtype: pl.DataType) -> Type | None:
    """What a column gives; None when no rule can use it."""
    # Polars reads such names as patterns.
    if name == "*" or name.startswith("^"):
        return None
    if dtype.is_numeric():
        return Type.NUMBER
    if dtype == pl.Boolean:
        return Type.TRUTH
    return Type.TEXT if dtype in (pl.String, pl.Categorical, pl.Enum) else None


def _chain(tree: exp.Expression, kind: type[exp.Expression]) -> list[exp.Expression]:
    """The operands of a chain of one operator, left to right."""
    parts = []
    while type(tree) is kind:
        parts.append(tree.expression)
        tree = tree.this
    return [tree, *reversed(parts)]
