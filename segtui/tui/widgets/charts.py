"""A size or a probability over time as a picture with an axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.content import Content

from segtui.operations import words as numbers
from segtui.tui import words
from segtui.tui.widgets.bars import chart


def size_chart(history: Sequence[int], at: int, width: int, height: int) -> Content:
    """A size over time between its least and its largest, bright up to the one at `at`."""
    return picture(history, at, (width, height), (min(history), max(history)), numbers.count)


def chance_chart(history: Sequence[float], width: int, height: int) -> Content:
    """A probability over time on the scale 0..1, so that two users can be compared at a glance."""
    values = [round(chance * 1000) for chance in history]
    return picture(values, len(values), (width, height), (0, 1000), lambda value: f"{value / 1000:.1f}")


def picture(
    values: Sequence[int], at: int, size: tuple[int, int], scale: tuple[int, int], axis: Callable[[int], str]
) -> Content:
    """The values in `size` (width, height) cells, from the bottom of `scale` to its top."""
    low, high = scale
    margin = max(len(axis(low)), len(axis(high))) + 1
    room, height = max(1, size[0] - margin), max(1, size[1])
    # Stretched or thinned to the room: the first and the last value always stand at the ends.
    places = [column * (len(values) - 1) // max(1, room - 1) for column in range(room)]
    played = sum(1 for place in places if place <= at)
    lines = []
    for row, line in enumerate(chart([values[place] for place in places], low, high, height)):
        mark = axis(high) if row == 0 else axis(low) if row == height - 1 else ""
        lines.append(
            Content.assemble(
                (mark.rjust(margin - 1) + " ", words.DIM),
                (line[:played], "$primary"),
                (line[played:], "$panel-lighten-2"),
            )
        )
    return Content("\n").join(lines)
