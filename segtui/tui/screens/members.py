"""Page 2: who is in a segment, paged from the store, and the one under the cursor."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from segtui.operations import words as numbers
from segtui.operations.progress import Cancelled
from segtui.tui import words
from segtui.tui.actions import bindings
from segtui.tui.exporting import ask_for_export
from segtui.tui.filtering import begins, is_expression
from segtui.tui.questions import Filter
from segtui.tui.screens.columns import ColumnsPage
from segtui.tui.screens.filtering import FilteringPage
from segtui.tui.screens.marking import MarkingPage, user_of
from segtui.tui.widgets.virtual_list import PAGE, Item, VirtualList

# By what the operations sort, and how it reads: users stand in the order in which they were first imported.
ORDERS = {
    "user": "first import",
    "probability": "P",
    "margin": "margin",
    "since": "since",
    "cause": "last change",
    "leaves": "when they leave",
}
# Known at the last rescore only: at a past moment members stand in the first order instead.
UNRECORDED = ("probability", "margin")
REST_SECONDS = 0.25
LABEL = 7


class MembersPage(FilteringPage, ColumnsPage, MarkingPage):
    """The members of one segment; a million of them are a million lines, of which a page is loaded."""

    PAGE = "members"
    BINDINGS = bindings(PAGE)
    FILTER_HINT = "part of an id, !part, or margin < 0.05, recency_days > 60 AND orders_90d >= 2"

    def __init__(self) -> None:
        super().__init__()
        self.order = "user"
        self.total = 0
        self._names: list[str] = []
        """With what an expression may begin."""
        self._read_of: object = None

    def content(self) -> ComposeResult:
        yield Static(id="filters", classes="filters")
        yield VirtualList(
            self.columns(), lambda row: row["user"], id="members", marked=self.is_marked, copies=user_of
        )
        yield Static(id="legend", classes="filters side")
        with VerticalScroll(id="member", classes="pane side"):
            yield Static(id="member-text")

    @property
    def rows(self) -> VirtualList:
        """The list of members."""
        return self.query_one("#members", VirtualList)

    @property
    def orders(self) -> list[str]:
        """What the list can be sorted by at the moment shown."""
        return [field for field in ORDERS if self.segtui.at is None or field not in UNRECORDED]

    @property
    def sorting(self) -> str:
        """The order chosen, as far as the moment shown has it."""
        return self.order if self.order.removeprefix("-") in self.orders else self.orders[0]

    def about(self) -> str | None:
        return self.segment

    def remember(self) -> dict[str, Any]:
        return {"segment": self.segment, "where": self.filter or None, "order": self.order}

    def recall(
        self, segment: str | None = None, where: str | None = None, order: str | None = None, **_: Any
    ) -> None:
        if segment is not None:
            if segment != self.segment:
                self.marked = set()
            self.segment, self.filter = segment, where or ""
            self.order = order or self.order

    # Loading

    def load(self) -> None:
        if self.segment is None:
            self.segment = next(iter(self.segtui.known_segments), None)
        if self.segment is None:
            at = self.segtui.at
            self.ask("segments", lambda _cancelled: self.segtui.data.segments(at), self._first_segment)
            return
        asked = self.filter if self.applying is None else self.applying
        self._load(asked, self.filter_refused if self.filter_line.is_open else self._unread)

    def _load(self, asked: str, refused: Callable[[str], None]) -> None:
        first = self.rows.page_start if self.rows.total else 0
        self.ask("page", self._question(first, asked), partial(self._loaded, first, asked), refused)

    def _unread(self, sentence: str) -> None:
        """What cannot be shown in this order stands in the order of import; any other error is told."""
        if self.sorting.removeprefix("-") == "leaves":
            self.order = "user"
            self.segtui.tell(sentence, "warning")
            self.reload()
        else:
            self.refused(sentence)

    def apply_filter(self, text: str) -> None:
        if text != self.filter:
            self.rows.to_top()
        self._load(text, self.filter_refused)

    def _first_segment(self, found: dict[str, Any]) -> None:
        names = [
            f"{each['name']}={label['label']}" for each in found["segmentations"] for label in each["labels"]
        ]
        self.segtui.known_segments = names
        if names:
            self.load()

    def _question(self, first: int, asked: str) -> Callable[[Cancelled], dict[str, Any]]:
        app, at = self.segtui, self.segtui.at
        segment, order = self.segment or "", self.sorting
        return lambda cancelled: app.data.members(segment, asked or None, order, at, first, PAGE, cancelled)

    def _loaded(self, first: int, asked: str, page: dict[str, Any]) -> None:
        self.filter_applied(asked)
        self._stamp = self.stamp()
        if first and not page["members"] and page["total"]:
            # Fewer than there were: the page under the cursor is gone.
            self.rows.show_page(0, 0, [])
            self.load()
            return
        self.total = page["total"]
        self.forget_facts()
        self._leaving_known(page["members"])
        self.rows.show_page(page["total"], first, page["members"])
        self.show_as_of(page["as_of"], self.subject())
        self._show_filters()
        if not page["total"]:
            self._show_nobody()
        if self._read_of != (self.segment, self.segtui.at):
            self._read_ahead()

    def subject(self) -> Content:
        marking = self.marked or self.rows.range_from is not None
        members = numbers.plural(self.total, "member")
        told = self.with_marks(f"{numbers.count(self.total)} in all") if marking else f"{members}, exact"
        return Content.assemble((str(self.segment), "bold"), f" │ {told}")

    def users_between(self, first: int, count: int) -> list[Item]:
        segment, asked, order = self.segment or "", self.filter or None, self.sorting
        found = self.segtui.data.members(segment, asked, order, self.segtui.at, first, count)
        return list(found["members"])

    def on_virtual_list_wanted(self, message: VirtualList.Wanted) -> None:
        self.ask(
            f"page {message.first}",
            self._question(message.first, self.filter),
            partial(self._page, message),
            self.complain,
        )

    def _page(self, message: VirtualList.Wanted, page: dict[str, Any]) -> None:
        self._leaving_known(page["members"])
        self.rows.add_page(message.first, page["members"], message.generation)

    def _show_filters(self) -> None:
        descending = self.sorting.startswith("-")
        parts = Content.assemble(
            (f"{self.key('filter')} ", words.KEY),
            (self.filter, "bold") if self.filter else ("everyone", words.DIM),
            (f"   {self.key('sort')} ", words.KEY),
            ("sorted by ", words.DIM),
            f"{ORDERS[self.sorting.removeprefix('-')]} {'▼' if descending else '▲'}",
            ("   ~ ", words.WARN),
            ("recomputed, not recorded then", words.DIM),
        )
        self.query_one("#filters", Static).update(parts)
        self.query_one("#legend", Static).update(self.legend())

    def _show_nobody(self) -> None:
        text = (
            f"Nobody here matches: press {self.key('filter')} and change the filter, or empty it."
            if self.filter
            else ("Nobody is in this segment at this moment.")
        )
        self.query_one("#member").border_title = None
        self.query_one("#member-text", Static).update(Content.styled(text, words.WARN))

    def _leaving_known(self, rows: list[Item]) -> None:
        """A list in the order in which its members leave brings that along."""
        if self.sorting.removeprefix("-") == "leaves":
            for row in rows:
                self.facts.setdefault(row["user"], {})["leaves"] = row["leaves"]

    # The user under the cursor

    def on_virtual_list_moved(self) -> None:
        row = self.rows.item
        if row is None:
            return
        pane = self.query_one("#member")
        pane.border_title = Content(row["user"])
        self.query_one("#member-text", Static).update(_summary(row, None))
        self.set_timer(REST_SECONDS, partial(self._look, row))
        self.want_facts()

    def _look(self, row: Item) -> None:
        """Asks for more about the user once the cursor rests."""
        held = self.rows.item
        if held is not None and held["user"] == row["user"]:
            user = Filter(user=row["user"], days=None, first=True)
            at = self.segtui.at
            looked = partial(self._looked, row)
            self.ask("member", lambda _cancelled: self._history(user, at), looked, self.complain)

    def _history(self, user: Filter, at: int | None) -> list[dict[str, Any]]:
        moves = self.segtui.data.moves(user, at)
        return self.segtui.data.moves_page(moves, 0, 20)

    def _looked(self, row: Item, history: list[dict[str, Any]]) -> None:
        held = self.rows.item
        if held is not None and held["user"] == row["user"]:
            self.query_one("#member-text", Static).update(_summary(row, history))

    # What can be done

    def action_open(self) -> None:
        if self.rows.item is not None:
            self.segtui.visit("user", user=self.rows.item["user"], member_of=self.segment)

    def on_virtual_list_chosen(self) -> None:
        self.action_open()

    def action_changes(self) -> None:
        self.segtui.visit("changes", wanted=Filter(segment=self.segment))

    def action_why(self) -> None:
        self.segtui.visit("changes", wanted=Filter(segment=self.segment), focus="summary")

    def action_export(self) -> None:
        if self.segment is not None:
            ask_for_export(self.segtui, self.segment, self.filter or None, sorted(self.marked))

    def action_filter(self) -> None:
        self._read_ahead()
        super().action_filter()

    def _read_ahead(self) -> None:
        """Has everyone read before a filter is typed, but not anew at every change of the log."""
        self._read_of = segment, at = self.segment or "", self.segtui.at
        data = self.segtui.data
        self.ask("names", lambda _cancelled: data.likely_names(), self._names_known, lambda _: None)
        self.ask(
            "reading",
            lambda cancelled: data.read_members(segment, at, cancelled),
            lambda _: None,
            lambda _: None,
        )

    def _names_known(self, names: list[str]) -> None:
        self._names = names

    def unfinished(self, text: str) -> bool:
        return begins(text, self._names)

    def waits_for(self) -> str:
        typed = self.filter_line.line.value.strip()
        if self.applying is None and self.unfinished(typed):
            return f"An operator makes this an expression, such as < or =; enter looks for {typed!r} in ids."
        return self.segtui.data.reading

    def _anew(self) -> None:
        """Other rows, or another order: from the top; nothing else is asked for again."""
        self.rows.to_top()
        self._stamp = self.stamp()
        self.load()

    def action_sort(self) -> None:
        field = self.sorting.removeprefix("-")
        self.order = self.orders[(self.orders.index(field) + 1) % len(self.orders)]
        self._anew()

    def action_reverse(self) -> None:
        chosen = self.sorting
        self.order = chosen[1:] if chosen.startswith("-") else f"-{chosen}"
        self._anew()

    def action_copy_command(self) -> None:
        if self.segment is None:
            self.segtui.tell("There is nothing to copy: nobody is in a segment yet.", "warning")
            return
        parts = ["members", self.segment]
        option = "--where" if is_expression(self.filter) else "--like"
        parts += [option, self.filter] if self.filter else []
        parts += [f"--order={self.sorting}"] if self.sorting != "user" else []
        self.segtui.copy_command(*parts)


def _summary(row: Item, history: list[dict[str, Any]] | None) -> Content:
    """How sure the label is, then the user's moves, newest first; whose labels they are, if of several."""
    named = len({change["segmentation"] for change in history or ()}) > 1
    lines = []
    if row["probability"] is None:
        lines.append(Content.styled("Decided by a rule: there is no probability.", words.DIM))
    else:
        lines.append(
            Content.assemble("P ", (words.probability(row["probability"]), "bold"), _margin(row["margin"]))
        )
    if history is None:
        lines.append(Content.styled("…", words.DIM))
    lines += [
        Content.assemble(
            ("~" if change["backfilled"] else " ", words.WARN),
            (words.day(change["as_of"]), words.DIM),
            "  ",
            words.move(change, LABEL, named=named),
            "  ",
            words.cause(change["cause"]),
            (f": {change['reason']}", words.DIM),
        )
        for change in history or ()
    ]
    return Content("\n").join(lines)


def _margin(margin: float | None) -> str:
    if margin is None:
        return ""
    if margin < 0:
        return f", {-margin:.2f} behind the next label: stays until that is ahead by the switching margin"
    return f", {margin:.2f} ahead of the next label"
