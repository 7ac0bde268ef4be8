"""How results read to a person at a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

BARS = "▁▂▃▄▅▆▇█"
TREND_BARS = 10


def when(text: str) -> str:
    """An ISO 8601 time without its offset, to the minute; a midnight as its date."""
    moment = datetime.fromisoformat(text)
    return f"{moment:%Y-%m-%d}" if (moment.hour, moment.minute) == (0, 0) else f"{moment:%Y-%m-%d %H:%M}"


def instant(microseconds: int) -> str:
    """µs since 1970 as ISO 8601 in UTC, exact."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)).isoformat()


def probability(value: float) -> str:
    """0.4132 as `0.41`."""
    return f"{value:.2f}"


def metric(value: float) -> str:
    """0.66213 as `0.662`."""
    return f"{value:.3f}"


def whole(value: float) -> str:
    """An expected number of users, to the user."""
    return f"{value:,.0f}"


def counted(counts: Mapping[str, int]) -> str:
    """`clock 41, event 52`, without what is zero; `-` when all is."""
    return ", ".join(f"{name} {count:,}" for name, count in counts.items() if count) or "-"


def sizes(by_segmentation: Mapping[str, Mapping[str, int]]) -> str:
    """`value: high 3,311, low 19,419`."""
    return "; ".join(
        f"{name}: {', '.join(f'{label} {count:,}' for label, count in labels.items())}"
        for name, labels in by_segmentation.items()
    )


def value(anything: Any) -> str:
    """A feature's value: floats to four digits, the rest as it is."""
    return f"{anything:.4g}" if isinstance(anything, float) else str(anything)


def leaving(told: dict[str, Any] | None) -> str:
    """`2026-03-03 to low`."""
    return "" if told is None else f"{when(told['as_of'])} to {told['to'] or '(none)'}"


def trend(history: list[int]) -> str:
    """A size over time as a sparkline of at most ten bars; a flat one runs along the bottom."""
    if not history:
        return ""
    step = -(-len(history) // TREND_BARS)
    # counted from the newest, which always shows
    points = history[::-1][::step][::-1]
    low, span = min(points), max(points) - min(points)
    return "".join(BARS[(each - low) * (len(BARS) - 1) // span if span else 0] for each in points)
