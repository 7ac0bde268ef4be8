"""Sparklines, bars and charts of block characters."""

from __future__ import annotations

from collections.abc import Sequence

LEVELS = " ▁▂▃▄▅▆▇█"
PARTS = " ▏▎▍▌▋▊▉█"


def sparkline(values: Sequence[int], width: int) -> str:
    """The values as one line of at most `width` cells, from the smallest to the largest among them."""
    shown = sample(values, width)
    if not shown:
        return ""
    low, high = min(shown), max(shown)
    if low == high:
        return LEVELS[4] * len(shown)
    return "".join(LEVELS[1 + (value - low) * 7 // (high - low)] for value in shown)


def sample(values: Sequence[int], width: int) -> list[int]:
    """At most `width` of the values, evenly spread, the newest among them."""
    if len(values) <= width:
        return list(values)
    if width <= 1:
        return list(values[-1:]) if width == 1 else []
    last = len(values) - 1
    return [values[last * index // (width - 1)] for index in range(width)]


def bar(part: float, width: int) -> str:
    """A bar over `part` (0..1) of `width` cells; anything above zero shows at least a sliver."""
    eighths = round(max(0.0, min(1.0, part)) * width * 8)
    if part > 0:
        eighths = max(eighths, 1)
    return PARTS[8] * (eighths // 8) + (PARTS[eighths % 8] if eighths % 8 else "")


def chart(values: Sequence[int], low: int, high: int, height: int) -> list[str]:
    """`height` lines, top first, one cell per value, filled from `low` up to the value."""
    span = max(high - low, 1)
    # The lowest value keeps an eighth, so that the line can be followed everywhere.
    eighths = [max(1, (value - low) * height * 8 // span) for value in values]
    return [
        "".join(LEVELS[max(0, min(8, filled - 8 * row))] for filled in eighths)
        for row in range(height - 1, -1, -1)
    ]
