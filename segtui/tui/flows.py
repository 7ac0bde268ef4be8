"""Movers of an edit, as a preview and a confirmation show them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from textual.content import Content

from segtui.operations import words as numbers
from segtui.tui import words
from segtui.tui.widgets.bars import bar, sparkline

BAR = 16
TREND = 30
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


def edit_told(result: dict[str, Any]) -> Content:
    """What the preview of a segment's edit found: size, movers, some of them, overlap, size over 90 days."""
    lines = [
        Content.assemble(
            (numbers.plural(result["users"], "user"), "bold"), " would be in: ",
            ("▲ ", words.RISE), f"{numbers.count(result['entering'])} enter   ",
            ("▼ ", words.FALL), f"{numbers.count(result['leaving'])} leave",
        ),
        Content.assemble(("such as  ", words.DIM), ", ".join(result["sample"]) or "nobody new"),
        *(
            Content.assemble(
                ("overlap  ", words.DIM), f"{each['segment']:<18.18} {numbers.count(each['users']):>8}",
                (f"  {numbers.share(each['of_this'] or 0)} of this", words.DIM),
            )
            for each in sorted(result["overlap"], key=lambda each: -each["users"])[:4]
            if each["users"] and not each["segment"].endswith("=out")
        ),
    ]  # fmt: skip
    trend = [each["users"] for each in result.get("trend") or ()]
    if trend:
        lines.append(
            Content.assemble(
                ("90 d     ", words.DIM), (sparkline(trend, TREND), "$primary"),
                f" {numbers.count(trend[0])} to {numbers.count(trend[-1])}",
            )
        )  # fmt: skip
    return Content("\n").join([*lines, Content(""), *flow_lines(result["flows"])])
