"""Movers of an edit, as a preview and a confirmation show them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from textual.content import Content

from segtui.operations import words as numbers
from segtui.tui import words
from segtui.tui.widgets.bars import bar

BAR = 16
LABEL = 8


def flow_lines(flows: Sequence[Sequence[Any]]) -> list[Content]:
    """A line per move between labels (from, to, users), most frequent first; a sentence for none."""
    ordered = sorted(flows, key=lambda flow: -flow[2])
    if not ordered:
        return [Content.styled("Nobody moves.", words.DIM)]
    most = ordered[0][2]
    return [
        Content.assemble(
            f"{numbers.count(users):>8} ",
            (bar(users / most, BAR).ljust(BAR), "$primary"),
            " ",
            words.move({"from": left, "to": to}, LABEL),
        )
        for left, to, users in ordered
    ]
