"""Page 1: every segment with its size, share and trend, and what moved the one under the cursor."""

from __future__ import annotations

from functools import partial
from shlex import quote
from typing import Any

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from segtui.operations import words as numbers
from segtui.tui import words
from segtui.tui.actions import bindings
from segtui.tui.exporting import ask_for_export
from segtui.tui.questions import Filter, Moves
from segtui.tui.screens.decisions import ask_for_decision
from segtui.tui.screens.filtering import ListedPage
from segtui.tui.screens.labels import ask_for_discovery, ask_for_labels
from segtui.tui.screens.segment_words import flows, latest_lines, means, reasons
from segtui.tui.widgets.bars import bar, sparkline
from segtui.tui.widgets.charts import size_chart
from segtui.tui.widgets.header import AsOf
from segtui.tui.widgets.virtual_list import Column, Item, VirtualList

DAYS = 30
LATEST = 50
OWN = ("rule", "list")


def name_cell(row: Item, _width: int) -> Content:
    """A segmentation's name, or a label's indented below it; a segment of one's own is one line."""
    if row["label"] is None or row["kind"] in OWN:
        return Content.assemble((row["name"], "bold"), (f" ({row['kind']})", words.DIM))
    return Content(f"  {row['label']}")


def share_cell(row: Item, width: int) -> Content:
    """`13.6 %` and, where there is room, how much of the whole that is."""
    if row["share"] is None:
        return Content.styled("·", words.DIM)
    text = Content(numbers.share(row["share"]).rjust(7))
    room = width - 8
    return (
        text + Content(" ") + Content.styled(bar(row["share"], room).ljust(room), "$primary")
        if room > 3
        else text
    )


COLUMNS = (
    Column("SEGMENT", 16, name_cell, grow=1),
    Column("USERS", 9, lambda row, _: numbers.count(row["users"]), right=True),
    Column("SHARE", 7, share_cell, grow=1),
    Column(
        "EXPECTED",
        9,
        lambda row, _: "·" if row["expected"] is None else numbers.count(round(row["expected"])),
        right=True,
        drop=2,
    ),
    Column("1 d", 8, lambda row, _: words.delta(row["change_1d"]), right=True, drop=1),
    Column("30 d", 8, lambda row, _: words.delta(row["change_30d"]), right=True),
    Column(
        "LAST 30 TICKS",
        14,
        lambda row, width: Content.styled(sparkline(row["trend"], min(width, DAYS)), "$primary"),
        drop=3,
        grow=1,
    ),
)


class SegmentsPage(ListedPage):
    """Sizes of all segments; the panes below tell about the chosen one."""

    PAGE = "segments"
    BINDINGS = bindings(PAGE)

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[str, dict[str, Any]] = {}
        self._total = 0
        self._all: list[Item] = []
        self._wanted: str | None = None

    def content(self) -> ComposeResult:
        yield VirtualList(COLUMNS, lambda row: (row["name"], row["label"]), id="segments")
        with VerticalScroll(id="about", classes="pane side"):
            yield Static(id="about-text")
        with VerticalScroll(classes="pane side", id="reasons"):
            yield Static(id="reasons-text")
        with Horizontal(id="detail", classes="side"):
            with Vertical(id="left"):
                with Vertical(classes="pane", id="trend"):
                    yield Static(id="trend-text")
                with VerticalScroll(classes="pane", id="flows"):
                    yield Static(id="flows-text")
            with VerticalScroll(classes="pane", id="latest"):
                yield Static(id="latest-text")

    @property
    def rows(self) -> VirtualList:
        """The list of segments."""
        return self.query_one("#segments", VirtualList)

    def about(self) -> str | None:
        return _segment(self.rows.item) if self.rows.item is not None else None

    def load(self) -> None:
        at = self.segtui.at
        self.ask("segments", lambda _cancelled: self.segtui.data.segments(at), self._loaded)

    def _loaded(self, found: dict[str, Any]) -> None:
        self._known = {each["name"]: each for each in found["segmentations"]}
        rows = self._all = [row for each in found["segmentations"] for row in _rows(each)]
        self._total = max((row["users"] for row in rows if row["label"] is None), default=0)
        self.segtui.known_segments = [_segment(row) for row in rows if row["label"] is not None]
        self.segtui.known_models = found["models"]
        self.show_as_of(found["as_of"], self._subject())
        fresh = self.rows.total == 0
        self.show_rows()
        wanted = [at for at, row in enumerate(rows) if row["name"] == self._wanted]
        if wanted and not self.filter:
            self.rows.cursor, self._wanted = wanted[0], None
        elif fresh and len(rows) > 1 and not self.filter:
            self.rows.cursor = 1

    def _subject(self) -> Content:
        users = numbers.plural(self._total, "user")
        if not self.filter:
            return Content(users)
        kept = len(self.kept(self._all, _segment))
        return Content(f"{kept} of {numbers.plural(len(self._all), 'line')}") + self.filter_chip()

    def show_rows(self) -> None:
        self.query_one(AsOf).subject = self._subject()
        rows = self.kept(self._all, _segment)
        self.rows.show(rows)
        self.set_class(not rows, "-nothing")
        if not rows:
            pane = self.query_one("#about")
            pane.border_title = "nothing"
            told = f"Nothing matches {self.filter}; {self.key('back')} shows all." if self.filter else ""
            self.query_one("#about-text", Static).update(Content.styled(told, words.WARN))

    def let_go(self) -> bool:
        """`esc` leads nowhere from here but out of a filter."""
        if not self.filter:
            return False
        self.apply_filter("")
        return True

    def on_virtual_list_moved(self) -> None:
        row = self.rows.item
        if row is None:
            return
        pane = self.query_one("#about")
        pane.border_title = Content(_segment(row))
        self.query_one("#about-text", Static).update(
            means(row, self._known[row["name"]], self.segtui.currency)
        )
        segment, at = _segment(row), self.segtui.at
        explained = partial(self._explained, row)
        self.ask("moves", lambda _cancelled: self._explain(segment, at), explained, self.complain)

    def _explain(self, segment: str, at: int | None) -> tuple[Moves, list[dict[str, Any]]]:
        moves = self.segtui.data.segment_moves(segment, DAYS, at)
        return moves, self.segtui.data.moves_page(moves, 0, LATEST)

    def _explained(self, row: Item, answer: tuple[Moves, list[dict[str, Any]]]) -> None:
        moves, latest = answer
        self.query_one("#reasons").border_title = Content(f"{DAYS} d: why")
        self.query_one("#latest").border_title = "latest moves"
        self.query_one("#reasons-text", Static).update(reasons(row, moves))
        self.query_one("#latest-text", Static).update(latest_lines(latest))
        self.query_one("#flows").border_title = Content(f"{DAYS} d: from where to where")
        self.query_one("#flows-text", Static).update(flows(moves))
        self._draw_trend()

    def on_resize(self) -> None:
        self.call_after_refresh(self._draw_trend)

    def _draw_trend(self) -> None:
        """The size over the last ticks, where there is room for a picture."""
        row, pane = self.rows.item, self.query_one("#trend")
        if row is None or not pane.size.height or not row["trend"]:
            return
        room = pane.content_size
        pane.border_title = Content(f"size over {numbers.plural(len(row['trend']), 'tick')}")
        self.query_one("#trend-text", Static).update(
            size_chart(row["trend"], len(row["trend"]), room.width, room.height)
        )

    # What can be done

    def action_open(self) -> None:
        row = self.rows.item
        if row is None:
            return
        if row["label"] is None:
            self.rows.cursor += 1
        else:
            self.segtui.visit("members", segment=_segment(row))

    def on_virtual_list_chosen(self) -> None:
        self.action_open()

    def action_changes(self) -> None:
        if self.rows.item is not None:
            self.segtui.visit("changes", wanted=Filter(segment=_segment(self.rows.item)))

    def action_why(self) -> None:
        if self.rows.item is not None:
            self.segtui.visit("changes", wanted=Filter(segment=_segment(self.rows.item)), focus="summary")

    def action_export(self) -> None:
        row = self.rows.item
        if row is None or row["label"] is None:
            self.segtui.tell("Choose a label to export, such as the one below.", "warning")
        else:
            ask_for_export(self.segtui, _segment(row), None)

    def action_new(self) -> None:
        self.segtui.visit("rules", edit=True)

    def action_edit(self) -> None:
        row = self.rows.item
        if row is None:
            return
        if self._known[row["name"]]["kind"] == "rule":
            self.segtui.visit("rules", name=row["name"], edit=True)
        else:
            self.segtui.tell(f"{row['name']} is not decided by a rule of yours: n writes one.", "warning")

    def action_labels(self, kind: str) -> None:
        row = self.rows.item
        if row is None:
            return
        if self.segtui.at is not None:
            self.segtui.tell("Labels are edited from now on: t now first.", "warning")
        elif self._known[row["name"]]["decided_by"] != "model":
            self.segtui.tell(f"{row['name']} has no labels to edit: no model decides it.", "warning")
        else:
            label = quote(row["label"]) if row["label"] else ""
            begun = {"": f"rename {label} ", "add": "add ", "merge": f"merge {label} "}
            ask_for_labels(self.segtui, row["name"], begun.get(kind, f"{kind} {label} "))

    def action_discover(self) -> None:
        ask_for_discovery(self.segtui)

    def recall(self, name: str | None = None, **_: Any) -> None:
        self._wanted = name

    def action_what_if(self) -> None:
        row = self.rows.item
        if row is None:
            return
        chosen = self._known[row["name"]]
        if self.segtui.at is not None:
            self.segtui.tell("What is decided counts from now on: t now first.", "warning")
        elif chosen["decided_by"] == "model":
            ask_for_decision(self.segtui, chosen, row["label"], self.segtui.currency)
        else:
            self.action_edit()

    def action_copy_command(self) -> None:
        row = self.rows.item
        if row is not None and row["label"] is not None:
            self.segtui.copy_command("members", _segment(row))
        else:
            self.segtui.copy_command("segments")


def _segment(row: Item) -> str:
    """`value=high` of a label's row, `value` of its segmentation's."""
    return row["name"] if row["label"] is None else f"{row['name']}={row['label']}"


def _rows(segmentation: dict[str, Any]) -> list[Item]:
    """A row for the segmentation as a whole, then one per label."""
    labels = segmentation["labels"]
    kind = segmentation["kind"]
    if kind in OWN:
        return [
            {"name": segmentation["name"], "kind": kind} | each for each in labels if each["label"] == "in"
        ]
    users = sum(each["users"] for each in labels)
    whole = {
        "name": segmentation["name"],
        "kind": segmentation["decided_by"] or segmentation["kind"],
        "label": None,
        "users": users,
        "share": 1.0 if users else None,
        "expected": None,
        "change_1d": _sum(labels, "change_1d"),
        "change_30d": _sum(labels, "change_30d"),
        "trend": [sum(sizes) for sizes in zip(*(each["trend"] for each in labels), strict=False)],
    }
    return [whole, *({"name": segmentation["name"], "kind": kind} | each for each in labels)]


def _sum(labels: list[dict[str, Any]], field: str) -> int | None:
    known = [each[field] for each in labels if each[field] is not None]
    return sum(known) if known else None
