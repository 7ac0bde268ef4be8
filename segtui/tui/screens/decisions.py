"""How probabilities become labels: what is in force, and trying something else before it counts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from shlex import quote
from typing import TYPE_CHECKING, Any

from textual.content import Content
from textual.widgets import Input

from segtui.operations import words as numbers
from segtui.tui import words
from segtui.tui.actions import bindings
from segtui.tui.flows import flow_lines
from segtui.tui.jobs import Writing
from segtui.tui.screens.dialogs import Trying

if TYPE_CHECKING:
    from segtui.tui.app import SegtuiApp

STEPS = {"min": "0.05", "share": "0.01", "margin": "0.01", "cost": "1", "min-stay": "1"}
"""What `+` adds to the number behind each word."""
NUMBER = re.compile(r"--([a-z-]+)[ =]?((?:(?!--).)*?)([0-9]+(?:\.[0-9]+)?)(%?)(?=[^0-9]*$)")
FIRST_MINIMUM = 0.5
WORD = 21


class DecisionLine(Trying):
    """How to decide, as typed; `+` and arrows change the number that stands last."""

    BINDINGS = bindings("decision")
    KEYS = (("enter", "only look"), ("+ ↑", "raise the number"), ("↓", "lower it"), ("esc", "leave"))

    def action_number(self, way: int) -> None:
        """Raises or lowers the last number of the line by a step, not below zero."""
        line = self.query_one(Input)
        found = NUMBER.search(line.value)
        if found is None or found[1] not in STEPS:
            return
        step = Decimal(STEPS[found[1]]) * (100 if found[4] else 1)
        number = max(Decimal(), Decimal(found[3]) + way * step)
        line.value = f"{line.value[: found.start(3)]}{number.normalize():f}{line.value[found.end(3) :]}"
        line.cursor_position = len(line.value)


def ask_for_decision(
    app: SegtuiApp, segmentation: dict[str, Any], label: str | None, currency: str | None
) -> None:
    """Asks how a model's segmentation shall be decided, shows exactly who would move, and saves when told."""
    name = segmentation["name"]
    app.push_screen(
        DecisionLine(
            f"What if {name} were decided otherwise",
            _hint(segmentation, label, currency),
            lambda text: app.data.read_decision(name, text),
            lambda asked, line: _try(app, segmentation, asked, line),
            _offered(segmentation, label),
        )
    )


def _try(app: SegtuiApp, segmentation: dict[str, Any], asked: Any, line: Trying) -> None:
    name = segmentation["name"]
    now = {each["label"]: each["users"] for each in segmentation["labels"]}
    app.preview(
        Writing(
            title=f"What if: {name}",
            preview=lambda progress, cancelled: app.data.decide(name, asked, True, progress, cancelled),
            told=lambda result: _told(result, now),
            write=lambda progress, cancelled: app.data.decide(name, asked, False, progress, cancelled),
            yes="decide so from now on",
            no="change it; nothing is written",
            done=lambda result: (
                f"{name}: {numbers.decision(result['decision'])}; "
                f"{numbers.plural(result['changed'], 'user')} moved."
            ),
        ),
        line,
    )


def _offered(segmentation: dict[str, Any], label: str | None) -> str:
    """A change one would try first: more than is in force, else a minimum for the label, or the margin."""
    decision = segmentation["decision"] or {}
    if label is None:
        return f"--margin {decision.get('margin', 0.0) + float(STEPS['margin']):g}"
    for word, held in (("min", decision.get("min", {})), ("share", decision.get("shares", {}))):
        if label in held:
            return f"--{word} {quote(label)}={min(1.0, held[label] + float(STEPS[word])):g}"
    return f"--min {quote(label)}={FIRST_MINIMUM:g}"


def _hint(segmentation: dict[str, Any], label: str | None, currency: str | None) -> Content:
    """What is in force and how many that is, then what may be typed, a line each."""
    labels = [each["label"] for each in segmentation["labels"]]
    one = label or labels[0]
    other = next(each for each in labels if each != one)
    held = next(each for each in segmentation["labels"] if each["label"] == one)
    share = "" if held["share"] is None else f" ({numbers.share(held['share'])})"
    expected = "" if held["expected"] is None else f", {numbers.count(round(held['expected']))} expected"
    lines = [
        Content.assemble(("now  ", words.DIM), (numbers.decision(segmentation["decision"]), "bold")),
        Content.assemble("     ", f"{numbers.plural(held['users'], 'user')} {one}{share}{expected}"),
    ]
    rows = (
        (f"--min {quote(one)}=0.5", f"whoever is at least that likely to be {one}"),
        (f"--share {quote(one)}=0.1", "that share of the users, the likeliest"),
        (f"--cost {quote(f'{one}:{other}')}=4", f"what it costs to call a {one} {other}"),
        ("--argmax", "the likeliest label"),
        ("--margin 0.05", "how far ahead a label must be to take over"),
        ("--min-stay 7d", "how long a label is kept at least"),
    )
    width = max(WORD, *(len(word) + 2 for word, _ in rows))
    lines += [Content.assemble((f"{word:<{width}}", words.KEY), (does, words.DIM)) for word, does in rows]
    limit = (segmentation["thresholds"] or {}).get("high_above")
    if limit is not None:
        money = numbers.money(limit, currency)
        # Another name may be that of a merged label, which is more than what is over the limit.
        told = f"high is over {money}" if "high" in labels else f"the limit is {money}"
        lines.append(Content.styled(f"{told}: learnt, so another limit is another model", words.DIM))
    return Content("\n").join(lines)


def _told(result: dict[str, Any], now: Mapping[str, int]) -> Content:
    """Who would move, and the sizes that follow beside those now and those expected."""
    lines = [
        Content.styled(numbers.decision(result["decision"]), "bold"),
        Content(f"{numbers.plural(result['changed'], 'user')} would move:"),
        *flow_lines(result["flows"]),
        Content(""),
    ]
    for label, users in result["sizes"].items():
        expected = result["expected"].get(label)
        beside = f"   {numbers.count(now.get(label, 0)):>8} now"
        beside += "" if expected is None else f"   {numbers.count(round(expected)):>8} expected"
        lines.append(Content.assemble(f"{numbers.count(users):>8} {label:<8}", (beside, words.DIM)))
    lines += [
        Content.styled(
            f"{label} gets {numbers.share(reached)}: users with the same probabilities are not divided",
            words.WARN,
        )
        for label, reached in result["missed"].items()
    ]
    return Content("\n").join(lines)
