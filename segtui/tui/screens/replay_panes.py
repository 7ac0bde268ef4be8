"""What the replay shows of one frame: sizes, flow, causes, and the columns of who moved."""

from __future__ import annotations

from typing import Any

from textual.content import Content

from segtui.operations import words as numbers
from segtui.tui import words
from segtui.tui.widgets.bars import bar
from segtui.tui.widgets.cells import fit
from segtui.tui.widgets.virtual_list import Column

Frame = dict[str, Any]

BAR = 12
SIZES = 28
NUMBER = 10
LABEL = 8
SIDE = 9
NARROWEST = 4

FEED = (
    Column("USER", 10, lambda row, _: words.who(row), grow=1),
    Column("FROM > TO", 17, lambda row, _: words.move(row, 6)),
    Column("P", 4, lambda row, _: words.probability(row["probability"]), right=True, drop=2),
    Column("CAUSE", 10, lambda row, _: words.cause(row["cause"])),
    Column("BECAUSE", 16, lambda row, width: words.cut(row["reason"], width), grow=3, drop=1),
)
OF = Column("OF", 8, lambda row, _: Content.styled(row["segmentation"], words.DIM), wide=12)
"""Whose labels they are, where there are several segmentations."""


def sizes(frame: Frame, before: Frame | None, segmentation: str, width: int) -> Content:
    """Each label's size, what this tick changed of it, and its part of the whole, in `width` cells."""
    now = frame["sizes"].get(segmentation, {})
    then = before["sizes"].get(segmentation, {}) if before else {}
    total = sum(now.values())
    room = max(1, width - SIZES)
    lines = []
    for label, users in now.items():
        moved = words.delta(users - then.get(label, 0) if before else None)
        lines.append(
            Content.assemble(
                f"{fit(label, LABEL)}{numbers.count(users):>9} ",
                moved.pad_left(max(0, 8 - moved.cell_length)),
                " ",
                (bar(users / total if total else 0.0, room), "$primary"),
            )
        )
    lines.append(Content.styled(f"{'users':<8}{numbers.count(total):>9}", words.DIM))
    return Content("\n").join(lines)


def both_sizes(then: Frame, now: Frame, segmentation: str, width: int, mode: str) -> Content:
    """Each label's size as recorded and as decided again, and by how much they differ."""
    recorded, again = (each["sizes"].get(segmentation, {}) for each in (then, now))
    # The change is the narrowest of the three.
    cell = max(NARROWEST, min(NUMBER, (width - SIDE + 2) // 3))
    side = max(SIDE, min(2 * SIDE, width - 3 * cell))
    change = max(0, min(cell, width - side - 2 * cell))
    heads = "".join(f" {fit(head, cell - 1, right=True)}" for head in ("recorded", mode))
    lines = [Content.styled(" " * side + heads, words.DIM)]
    for label in dict.fromkeys([*recorded, *again]):
        users, other = recorded.get(label, 0), again.get(label, 0)
        moved = words.delta(other - users)
        lines.append(
            Content.assemble(
                f"{fit(label, side)}{numbers.count(users):>{cell}}{numbers.count(other):>{cell}}",
                moved.pad_left(max(0, change - moved.cell_length)),
            )
        )
    return Content("\n").join(lines)


def differing(beside: Frame) -> Content:
    """How many users hold another label than recorded: recorded > decided again, most frequent first; and of
    how many the record did not know everything yet."""
    lines = []
    for name, users in beside["differs"].items():
        verb = "differs" if users == 1 else "differ"
        lines.append(Content.assemble((f"{name} ", "bold"), f"{numbers.plural(users, 'user')} {verb}"))
        if beside["late"][name]:
            late = numbers.count(beside["late"][name])
            lines.append(Content.styled(f"{late:>8}  with events that came late", words.WARN))
        lines += [
            Content.assemble(f"{numbers.count(moved):>8}  ", words.move({"from": left, "to": to}, LABEL))
            for segmentation, left, to, moved in sorted(beside["corrections"], key=lambda each: -each[3])
            if segmentation == name
        ]
    return Content("\n").join(lines)


def flow_matrix(frame: Frame, segmentation: str, width: int) -> Content:
    """Who went from which label (rows) to which (columns) at this tick, in `width` cells; those that
    this tick ended stand first, as nothing else tells of them."""
    flows = {(left, to): users for name, left, to, users in frame["flows"] if name == segmentation}
    labels = list(frame["sizes"].get(segmentation, {}))
    ended = list(dict.fromkeys(each for pair in flows for each in pair if each not in (None, *labels)))
    rows = ([None] if any(left is None for left, _ in flows) else []) + ended + labels
    columns = ended + labels + ([None] if any(to is None for _, to in flows) else [])
    cell = max(NARROWEST, min(LABEL, (width - SIDE) // max(1, len(columns))))
    heads = "".join(f" {fit(words.label(each), cell - 1, right=True)}" for each in columns)
    lines = [Content.styled("FROM \\ TO".ljust(SIDE) + heads, words.DIM)]
    for left in rows:
        cells = [Content.styled(fit("(new)" if left is None else left, SIDE), words.DIM)]
        for to in columns:
            users = flows.get((left, to), 0)
            text = "-" if left == to else numbers.count(users)
            cells.append(Content.styled(f"{text:>{cell}}", "bold" if users and left != to else words.DIM))
        lines.append(Content("").join(cells))
    return Content("\n").join(lines)


def by_cause(frame: Frame) -> Content:
    """How many moved for which cause."""
    counts = sorted(frame["by_cause"].items(), key=lambda pair: -pair[1])
    if not counts:
        return Content.styled("Nobody moved at this tick.", words.DIM)
    most = counts[0][1]
    return Content("\n").join(
        Content.assemble(
            f"{cause.replace('_', ' '):<11}{numbers.count(users):>8} ",
            (bar(users / most, BAR), words.CAUSE_STYLES.get(cause, "$primary")),
        )
        for cause, users in counts
    )
