"""What a rule reads, how far back, and why its answer changed."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields, is_dataclass

import numpy as np
import polars as pl

from engine.rule_tree import Among, Between, Comparison, Literal, Name, Node, Type, Unknown
from engine.rules import parse_rule


def names_in(text: str, columns: Mapping[str, pl.DataType]) -> tuple[str, ...]:
    """The columns a rule reads, in the order it names them first; errors as for compile_rule."""
    return tuple(
        dict.fromkeys(node.name for node in _nodes(parse_rule(text, columns)) if isinstance(node, Name))
    )


def reaches(text: str, columns: Mapping[str, pl.DataType], names: Collection[str]) -> float | None:
    """The largest number that a column in `names` is compared with; None when one is used otherwise.

    0 when the rule reads none of them.
    """
    largest = 0.0
    direct = 0
    nodes = list(_nodes(parse_rule(text, columns)))
    for node in nodes:
        operands: tuple[Node, ...] = ()
        if isinstance(node, Comparison):
            operands = (node.left, node.right)
        elif isinstance(node, Between):
            operands = (node.operand, node.low, node.high)
        elif isinstance(node, Among):
            operands = (node.operand, *(Literal(value, Type.NUMBER) for value in node.values))
        found = [each for each in operands if isinstance(each, Name) and each.name in names]
        if len(found) == 1 and sum(isinstance(each, Literal) for each in operands) == len(operands) - 1:
            direct += 1
            bounds = [each.value for each in operands if isinstance(each, Literal)]
            largest = max([largest, *(float(bound) for bound in bounds if not isinstance(bound, str))])
        direct += isinstance(node, Unknown) and isinstance(node.operand, Name) and node.operand.name in names
    used = sum(isinstance(node, Name) and node.name in names for node in nodes)
    return largest if direct == used else None


def rule_reasons(
    text: str, columns: Mapping[str, pl.DataType], then: pl.DataFrame, now: pl.DataFrame
) -> list[str]:
    """Why each row's answer differs between two frames: the first name that, put back, undoes it.

    Codes as engine.catalogue.phrase reads them: "FEATURE:up:BOUND" where one bound of the rule was crossed,
    "FEATURE:up", "segment:NAME" for a text or a truth, "rule" where no single name undoes it.
    """
    tree = parse_rule(text, columns)
    rule = tree.expression().fill_null(value=False)
    answer = now.select(rule).to_series()
    codes = np.full(now.height, "rule", object)
    for name in reversed(names_in(text, columns)):
        undone = (now.with_columns(then[name]).select(rule).to_series() != answer).to_numpy()
        numeric = columns[name].is_numeric()
        bounds = sorted(_bounds(tree, name)) if numeric else []
        for row in np.flatnonzero(undone):
            codes[row] = (
                _moved(name, then[name][int(row)], now[name][int(row)], bounds)
                if numeric
                else f"segment:{name}"
            )
    return codes.tolist()


def _moved(name: str, then: float | None, now: float | None, bounds: list[float]) -> str:
    if then is None or now is None:
        return "rule"
    way, low, high = ("up", then, now) if now > then else ("down", now, then)
    crossed = [bound for bound in bounds if low <= bound <= high]
    if len(crossed) != 1:
        return f"{name}:{way}"
    if way == "up" and now == crossed[0]:
        way = "reached"
    elif way == "down" and now < crossed[0]:
        way = "below"
    return f"{name}:{way}:{crossed[0]:g}"


def _bounds(tree: Node, name: str) -> set[float]:
    """The numbers that a column is compared with."""
    found: set[float] = set()
    for node in _nodes(tree):
        if isinstance(node, Comparison):
            operands: tuple[Node, ...] = (node.left, node.right)
        elif isinstance(node, Between):
            operands = (node.operand, node.low, node.high)
        else:
            continue
        if any(isinstance(each, Name) and each.name == name for each in operands):
            found |= {float(each.value) for each in operands if isinstance(each, Literal)}
    return found


def _nodes(tree: Node) -> Iterator[Node]:
    """The tree's nodes, depth first, left to right."""
    yield tree
    for each in fields(tree):
        value = getattr(tree, each.name)
        for part in value if isinstance(value, tuple) else (value,):
            if is_dataclass(part):
                yield from _nodes(part)  # type: ignore[arg-type]  # the fields that are dataclasses are nodes
