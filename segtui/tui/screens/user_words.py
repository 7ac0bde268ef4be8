"""What the panes of a user's page say: labels, probabilities, and what speaks for the label."""

from __future__ import annotations

from typing import Any

from rich.cells import cell_len
from textual.content import Content

from segtui.operations import words as numbers
from segtui.tui import words
from segtui.tui.widgets.bars import bar
from segtui.tui.widgets.cells import fit

BAR = 16
GROUP = 24
MOST_BARS = 10


def labels(found: dict[str, Any]) -> Content:
    """`value=high since ~2025-11-14   28 events`."""
    parts = []
    for name, held in found["labels"].items():
        parts.append(
            Content.assemble(
                (f"{name}={held['label']}", words.CHOSEN),
                (" since ", words.DIM),
                words.day(held["since"]),
                (f", margin {held['margin']:.2f}" if held["margin"] is not None else "", words.DIM),
            )
        )
    if not parts:
        parts.append(Content.styled("in no segment at this moment", words.WARN))
    return Content("   ").join(parts)


def chances(found: dict[str, Any]) -> Content:
    chances = found["probabilities"]
    if not chances:
        return Content.styled(
            "A rule decides, without probabilities. A trained model gives them: segtui train.", words.DIM
        )
    held = label_shown(found)
    width = max(map(cell_len, chances))
    lines = [
        Content.assemble(
            (">" if label == held else " ", words.KEY),
            (f" {fit(label, width)} ", "bold" if label == held else ""),
            f"{chance:.2f} ",
            (bar(chance, BAR), "$primary" if label == held else "$secondary"),
        )
        for label, chance in chances.items()
    ]
    return Content("\n").join(lines)


def label_shown(found: dict[str, Any]) -> str | None:
    """The label whose probability is shown: that of the segmentation the model decides, which comes first."""
    return next((str(held["label"]) for held in found["labels"].values()), None)


def because_title(found: dict[str, Any]) -> str:
    explained = found["explanation"]
    if explained is None:
        return "features"
    return f"why {explained['label']}, not {explained['against']}"


def because(found: dict[str, Any], currency: str | None) -> Content:
    """What speaks for the label, by group and by feature, from the typical user's lead to this one's.

    Without a model: the main features.
    """
    explained = found["explanation"]
    if explained is None:
        names = (
            "recency_days",
            "orders_90d",
            "orders_365d",
            "spend_365d",
            "orders",
            "spend",
            "silence_days",
            "tenure_days",
        )
        rows = [(name, found["features"][name]) for name in names if name in found["features"]]
        facts = [
            Content.assemble(
                (f"{name:<14}", words.DIM), f"{_value(value, found['units'].get(name, ''), currency):>14}"
            )
            for name, value in rows
        ]
        return Content("\n").join([*facts, *_ways_out(found)])
    lines = [
        Content.styled(
            f"+ speaks for {explained['label']}, - for {explained['against']} (log-odds)", words.DIM
        ),
        _weight(f"typical {explained['label']} user", explained["typical_lead"], words.DIM),
        *(_weight(each["group"], each["weight"], barred=True) for each in explained["groups"]),
        _weight(f"log-odds {explained['label']} : {explained['against']}", explained["lead"], "bold"),
        *_ways_out(found),
        Content.styled(f"\n{'':<16}{'is':>9}{'typical':>9}{'weight':>8}", words.DIM),
    ]
    for each in explained["features"]:
        weight, unit = each["weight"], each["unit"]
        lines.append(
            Content.assemble(
                f"{each['feature'].removeprefix('sequence:'):<16.16}",
                f"{_value(each['value'], unit, currency, named=False):>9}",
                (f"{_value(each['typical'], unit, currency, named=False):>9}", words.DIM),
                (f"{weight:>+8.2f}", words.RISE if weight > 0 else words.FALL),
            )
        )
    return Content("\n").join(lines)


def _ways_out(found: dict[str, Any]) -> list[Content]:
    """What would move the user: silence, and the smallest thing they could do."""
    leaves, change = found["leaves"], found["smallest_change"]
    lines = []
    if leaves is not None:
        told = f"to {leaves['to']} on {words.day(leaves['as_of'])}, if silent"
        lines.append(Content.styled(told, words.DIM))
    if change is not None:
        lines.append(Content.styled(f"to {change['to']} by {change['text']}", words.DIM))
    return lines


def _weight(name: str, weight: float, style: str = "", *, barred: bool = False) -> Content:
    """A line of the sum that an explanation is; a weight of a group with a bar of half logits."""
    colour = words.RISE if weight > 0 else words.FALL
    bars = ("+" if weight > 0 else "-") * min(MOST_BARS, round(abs(weight) * 2))
    return Content.assemble(
        (fit(name, GROUP), style), (f"{weight:>+7.2f}", colour), (f" {bars}" if barred else "", colour)
    )


def _value(value: float | str | None, unit: str, currency: str | None, *, named: bool = True) -> str:
    """A feature's value in its unit; money with its currency where there is room."""
    if value is None:
        return "·"
    return value if isinstance(value, str) else numbers.quantity(value, unit, currency, named=named)
