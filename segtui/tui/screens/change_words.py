"""What the pane below a list of changes says: totals, a size in summary, one change in full."""

from __future__ import annotations

from collections import Counter
from typing import Any

from textual.content import Content

from segtui.operations import words as numbers
from segtui.tui import words
from segtui.tui.questions import Moves
from segtui.tui.widgets.bars import bar
from segtui.tui.widgets.virtual_list import Item

BAR = 10


def totals(moves: Moves, by: str, *, named: bool) -> Content:
    """The changes counted by reason, by cause or by move, most frequent first.

    `named`: moves say whose labels they are between.
    """
    counted: Counter[tuple[str, str]] = Counter()
    if by == "move":
        for of, left, to, users in moves.flows:
            move = {"segmentation": of, "from": left, "to": to}
            counted[words.move(move, named=named).plain, ""] += users
    else:
        for each in moves.totals:
            cause = each["cause"].replace("_", " ")
            counted[f"{cause:<11} {each['reason']}" if by == "reason" else cause, each["cause"]] += each[
                "users"
            ]
    lines = [
        _counted_line(users, moves.total, words.CAUSE_STYLES.get(cause, "$primary"), name)
        for (name, cause), users in counted.most_common()
    ]
    return Content("\n").join(lines)


def summary(told: dict[str, Any]) -> Content:
    """A size before and after, who came and left between, and for which reasons."""
    came, left = numbers.count(told["in"]), numbers.count(told["out"])
    lines = [
        Content.assemble(
            (f"{words.day(told['from'])} ", words.DIM),
            (numbers.count(told["before"]), "bold"),
            ("   ▲ ", words.RISE),
            f"{came} in   ",
            ("▼ ", words.FALL),
            f"{left} out   ",
            (f"{words.day(told['to'])} ", words.DIM),
            (numbers.count(told["after"]), "bold"),
        ),
        Content.assemble(
            ("net ", words.DIM),
            words.delta(told["by_customers"]),
            (" by what customers did or let be, ", words.DIM),
            words.delta(told["by_edits"]),
            (" by edits and models", words.DIM),
        ),
    ]
    total = told["in"] + told["out"]
    lines += [_counted_line(users, total, "$primary", reason) for reason, users in told["by_reason"]]
    return Content("\n").join(lines)


def _counted_line(users: int, total: int, style: str, name: str) -> Content:
    return Content.assemble(
        f"{numbers.count(users):>8} ",
        (f"{users / total:>4.0%} ", words.DIM),
        (bar(users / total, BAR).ljust(BAR), style),
        f"  {name}",
    )


def why(row: Item, event: str | None) -> Content:
    """The change under the cursor in full: cause, reason, and where both are written."""
    lines = [
        Content.assemble(
            words.move(row),
            f"  at {words.minute(row['as_of'])}",
            f", P {words.probability(row['probability'])}" if row["probability"] is not None else "",
        ),
        Content.assemble(
            ("cause    ", words.DIM), words.cause(row["cause"]), f": {CAUSE_WORDS[row['cause']]}"
        ),
        Content.assemble(("because  ", words.DIM), row["reason"]),
    ]
    if event is not None:
        lines.append(Content.assemble(("event    ", words.DIM), event))
    elif row["redacted"]:
        told = f"redacted: position {row['cause_seq']:,} of the log was purged"
        lines.append(Content.assemble(("event    ", words.DIM), told))
    elif row["cause_seq"] is not None:
        lines.append(Content.assemble(("event    ", words.DIM), f"position {row['cause_seq']:,} of the log"))
    if row["model"]:
        lines.append(Content.assemble(("model    ", words.DIM), row["model"][:8]))
    if row["backfilled"]:
        lines.append(Content.styled("~ backfilled: recomputed afterwards, not recorded then", words.WARN))
    if row["hindsight"]:
        lines.append(Content.styled("h hindsight: the model knew what came after", words.WARN))
    return Content("\n").join(lines)


CAUSE_WORDS = {
    "model": "another model decides",
    "definition": "the segment's definition was edited",
    "label": "the labels were edited",
    "decision": "how probabilities become labels was changed, or older events were cut",
    "erasure": "the person was erased, or a cut left nothing of them",
    "consent": "the person's consent changed",
    "manual": "an operator moved the user",
    "identity": "two users turned out to be one",
    "late_event": "an event arrived after its tick had been scored",
    "event": "something the user did",
    "clock": "time alone: nothing happened, and that counts",
}
