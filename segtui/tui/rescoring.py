"""Rescoring: who is due and would move is shown first, then recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.content import Content

from segtui.operations import words as numbers
from segtui.tui import words
from segtui.tui.flows import flow_lines
from segtui.tui.jobs import Writing

if TYPE_CHECKING:
    from segtui.tui.data import Data


def rescoring(data: Data) -> Writing:
    """Evaluates everyone who is due, and records who moves and why."""
    return Writing(
        title="Rescore",
        preview=lambda progress, cancelled: data.rescore(True, progress, cancelled),
        told=_told,
        write=lambda progress, cancelled: data.rescore(False, progress, cancelled),
        yes="rescore",
        done=_done,
        nothing=lambda found: not found["ticks"],
    )


def _told(found: dict[str, Any]) -> Content:
    """Who is due, and who would move in each segmentation."""
    ticks = len(found["ticks"])
    lines = [Content.styled(f"Up to {words.minute(found['as_of'])}", "bold")]
    if not ticks:
        return Content("\n").join([*lines, Content("Nobody is due: there is nothing to record.")])
    lines.append(
        Content(
            f"{numbers.plural(found['due'], 'user')} due{f' over {ticks} ticks' if ticks > 1 else ''}, "
            f"{numbers.plural(found['changed'], 'move')}."
        )
    )
    for name in dict.fromkeys(flow[0] for flow in found["flows"]):
        lines += [Content(""), Content.styled(name, "bold")]
        lines += flow_lines([flow[1:] for flow in found["flows"] if flow[0] == name])
    lines += [Content(""), Content.styled("What is recorded stays; a job can be called off.", words.DIM)]
    return Content("\n").join(lines)


def _done(result: dict[str, Any]) -> str:
    return (
        f"Rescored up to {words.minute(result['as_of'])}: {numbers.count(result['evaluated'])} evaluated, "
        f"{numbers.count(result['changed'])} moved, {numbers.seconds(result['seconds'])}."
    )
