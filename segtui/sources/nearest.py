"""The nearest of the names there are, for messages about one that is not there."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like this one, whatever its case; None where none is like it."""
    by_lower = {one.lower(): one for one in known}
    near = difflib.get_close_matches(name.lower()[:64], by_lower, n=1)
    return by_lower[near[0]] if near else None


def shown(names: list[str], limit: int = 30) -> str:
    """Names for a message, cut short."""
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return (", ".join(names[:limit]) or "none") + more


def missing(needed: list[str], there: list[str], word: str = "column") -> str:
    """`the column total (nearest: sum); there are a, sum`: what is needed and not there, for a message."""
    named = [(name, nearest(name, there)) for name in needed if name not in there]
    told = ", ".join(name if near is None else f"{name} (nearest: {near})" for name, near in named)
    return f"the {word}{'s' if len(named) > 1 else ''} {told}; there are {shown(there)}"
