"""What a filter that was typed means: a part of a name, `!` and what may not be one, or an expression."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from segtui.operations.like import parts

EXPRESSION = re.compile(r"[<>=()]|\b(and|or|not|in|is|between|like)\b", re.IGNORECASE)


def is_expression(text: str) -> bool:
    """Whether a rule is meant, not a part of a name: it has an operator in it."""
    return EXPRESSION.search(text) is not None


def begins(text: str, names: Iterable[str]) -> bool:
    """Whether this may become an expression: so far it is the beginning of a name, and nothing else."""
    return bool(text) and any(name.startswith(text) for name in names)


def matching(text: str) -> Callable[[str], bool]:
    """Whether a line has the text in it, in whatever case; with `!` before it, has it not."""
    part, absent = parts(text)
    return lambda line: (part in line.lower()) is not absent
