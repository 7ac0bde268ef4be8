"""What the panes below the list of segments say of the one under the cursor."""

from __future__ import annotations

from collections import Counter
from typing import Any

from textual.content import Content

from segtui.operations import words as numbers
from segtui.tui import words
from segtui.tui.questions import Moves
from segtui.tui.widgets.bars import bar
from segtui.tui.widgets.cells import fit
from segtui.tui.widgets.virtual_list import Item

BAR = 16
CAUSE = 10
LABEL = 6
REASONS = 6
USER = 10


def means(row: Item, segmentation: dict[str, Any], currency: str | None) -> Content:
    """Who decides and what the label means; for a model, how many there should be."""
    if segmentation["decided_by"] == "model":
        who = Content.assemble(
            "decided by ",
            (str(segmentation["model_name"]), "bold"),
            _meaning(row["label"], segmentation, currency),
            ("\n" + numbers.decision(segmentation["decision"]), words.DIM),
        )
    elif segmentation["decided_by"] == "starter":
        limits = segmentation["thresholds"]
        who = Content.from_markup(
            "decided by the starter rule: an order within $days d, high above $spend a year;\n"
            f"[{words.KEY}]segtui train[/] learns who will buy",
            days=limits["recency_days"],
            spend=numbers.money(limits["spend_above"], currency),
        )
    elif segmentation["decided_by"] == "rule":
        who = Content.assemble("decided by the rule ", (segmentation["where"], "bold"))
    elif segmentation["decided_by"] == "list":
        who = Content("decided by a list of users")
    elif segmentation["decided_by"] == "scores":
        who = Content("decided by scores made elsewhere")
    else:
        who = Content.styled("nothing decides it yet", words.WARN)
    if row["label"] is None or row["expected"] is None:
        return who
    expected = round(row["expected"])
    return Content.assemble(
        who,
        "\n",
        f"{numbers.count(row['users'])} assigned, {numbers.count(expected)} expected by probability",
        (_assigned(row["users"], expected), words.DIM),
    )


def _meaning(label: str | None, segmentation: dict[str, Any], currency: str | None) -> str:
    """What a label of future value stands for; labels that were given speak for themselves."""
    limits, days = segmentation["thresholds"] or {}, (segmentation["horizon"] or "").removesuffix("d")
    if label is None or "high_above" not in limits or not days:
        return ""
    limit = numbers.money(limits["high_above"], currency)
    said = {
        "high": f"likely to spend over {limit} net in the next {days} d",
        "medium": f"likely to buy in the next {days} d, for up to {limit} net",
        "low": f"likely to buy nothing in the next {days} d",
    }
    return f": {said[label]}" if label in said else ""


def _assigned(users: int, expected: int) -> str:
    """Why the two differ, when they differ by more than a tenth."""
    if abs(users - expected) * 10 <= expected:
        return ""
    if users < expected:
        return ": often likely, seldom the likeliest"
    return ": the likeliest by a little for many"


def reasons(row: Item, moves: Moves) -> Content:
    """How many came and left, so that the difference is the change of the size; and the most frequent reasons
    of those who came from another label or left for one."""
    if not (moves.total or moves.first):
        return Content.styled("Nobody moved in or out.", words.DIM)
    first = f" + {numbers.count(moves.first)} first" if moves.first else ""
    if row["label"] is None:
        head = Content(numbers.plural(moves.total, "change") + first)
    else:
        head = Content.assemble(
            ("▲ ", words.RISE),
            f"{numbers.count(moves.into)}{first} in   ",
            ("▼ ", words.FALL),
            f"{numbers.count(moves.out)} out",
        )
    if not moves.total:
        return head
    causes: Counter[str] = Counter()
    for each in moves.totals:
        causes[each["cause"]] += each["users"]
    for cause, users in causes.most_common():
        head += Content("   ") + words.cause(cause) + Content(f" {numbers.count(users)}")
    most = max(each["users"] for each in moves.totals)
    lines = [_reason(each, most) for each in moves.totals[:REASONS]]
    rest = sum(each["users"] for each in moves.totals[REASONS:])
    if rest:
        lines.append(Content.styled(f"{numbers.count(rest):>7} for other reasons: w", words.DIM))
    return Content("\n").join([head, *lines])


def _reason(each: dict[str, Any], most: int) -> Content:
    style = words.CAUSE_STYLES.get(each["cause"], "$primary")
    return Content.assemble(
        f"{numbers.count(each['users']):>7} ",
        (bar(each["users"] / most, BAR).ljust(BAR), style),
        (f" {each['cause'].replace('_', ' '):<11}", style),
        each["reason"],
    )


def flows(moves: Moves) -> Content:
    """The moves between labels, most frequent first."""
    if not moves.flows:
        return Content.styled("None.", words.DIM)
    most = moves.flows[0][3]
    return Content("\n").join(
        Content.assemble(
            f"{numbers.count(users):>7} ",
            (bar(users / most, BAR).ljust(BAR), "$primary"),
            " ",
            words.move({"from": left, "to": to}, LABEL),
        )
        for _, left, to, users in moves.flows
    )


def latest_lines(changes: list[dict[str, Any]]) -> Content:
    if not changes:
        return Content.styled("None in these days.", words.DIM)
    return Content("\n").join(
        Content.assemble(
            (change["as_of"][5:10], words.DIM),
            f" {fit(change['user'], USER)} ",
            words.move(change, LABEL),
            " ",
            words.cause(change["cause"], CAUSE),
            (f" {change['reason']}", words.DIM),
        )
        for change in changes
    )
