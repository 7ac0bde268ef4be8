"""Page 5: who moved, when and why; filtered, counted, and the one under the cursor explained."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from segtui.operations import words as numbers
from segtui.tui import words
from segtui.tui.actions import bindings
from segtui.tui.questions import Filter, Moves
from segtui.tui.screens.change_words import CAUSE_WORDS, summary, totals, why
from segtui.tui.screens.filtering import FilteringPage
from segtui.tui.screens.marking import MarkingPage, user_of
from segtui.tui.widgets.virtual_list import PAGE, Column, Item, VirtualList

WAYS = (None, "out", "in")
DAYS = 30
PERIODS = (1, 7, DAYS, 90, None)
COUNTS = ("reason", "cause", "move")
NOTHING = """Nobody moved like that from $from to $to.

[$accent]$period[/] widens the period   [$accent]$filter $way $cause[/] change the filter
[$accent]$first_time[/] shows first assignments   [$accent]$rescore[/] rescores"""


def from_cell(row: Item, _width: int) -> Content:
    """Where the user came from."""
    return Content.styled("(new)" if row["from"] is None else row["from"], words.DIM)


def tick_cell(row: Item, width: int) -> Content:
    """The tick's end, with its year where there is room; `~` where it was recomputed."""
    date = words.day(row["as_of"])
    return Content.assemble(("~" if row["backfilled"] else " ", words.WARN), (date[-width + 1 :], words.DIM))


def to_cell(row: Item, _width: int) -> Content:
    """Where the user went."""
    return Content.assemble(("> ", words.DIM), (words.label(row["to"]), "bold"))


COLUMNS = (
    Column(" TICK", 6, tick_cell, wide=11),
    Column("USER", 10, lambda row, _: words.who(row), wide=14),
    Column("FROM", 6, from_cell, wide=10),
    Column("> TO", 8, to_cell, wide=12),
    Column("P", 4, lambda row, _: words.probability(row["probability"]), right=True, drop=2),
    Column("CAUSE", 10, lambda row, _: words.cause(row["cause"])),
    Column("BECAUSE", 16, lambda row, width: words.cut(row["reason"], width), grow=1, drop=1),
)
OF = Column("OF", 8, lambda row, _: Content.styled(row["segmentation"], words.DIM), wide=14)
"""Whose label it is, where changes of several segmentations stand beside each other."""


class ChangesPage(FilteringPage, MarkingPage):
    """The membership changes a filter keeps, newest first."""

    PAGE = "changes"
    BINDINGS = bindings(PAGE)
    FILTER_HINT = "value, value=high, part of an id or a label, !part"

    def __init__(self) -> None:
        super().__init__()
        self.wanted = Filter()
        self.counts = "reason"
        self.pane = "totals"
        self._moves: Moves | None = None
        self._several = False
        """Whether a label alone does not say whose it is."""
        self._seq: int | None = None
        """The change the cursor shall stand on."""

    def content(self) -> ComposeResult:
        yield Static(id="filters", classes="filters")
        yield VirtualList(
            COLUMNS, lambda row: row["seq"], id="changes", marked=self.is_marked, copies=user_of
        )
        with VerticalScroll(id="totals", classes="pane side"):
            yield Static(id="totals-text")

    @property
    def rows(self) -> VirtualList:
        """The list of changes."""
        return self.query_one("#changes", VirtualList)

    def remember(self) -> dict[str, Any]:
        return {"wanted": self.wanted, "focus": self.pane}

    def recall(
        self, wanted: Filter | None = None, focus: str = "totals", seq: int | None = None, **_: Any
    ) -> None:
        if wanted is not None:
            if wanted != self.wanted and self.is_mounted:
                self.rows.to_top()
            self.wanted = wanted
            self.filter = wanted.typed
            self.pane = focus
            if seq is not None:
                # To be looked for also in what is shown already.
                self._seq, self._stamp = seq, None

    def about(self) -> str | None:
        row = self.rows.item
        return self.wanted.segment or (row["segmentation"] if row is not None else None)

    # Loading

    def load(self) -> None:
        wanted, at, seq = self.wanted, self.segtui.at, self._seq
        held = self.rows.page_start if self.rows.total else 0
        self.ask("moves", lambda _cancelled: self._first_page(wanted, at, held, seq), self._loaded)

    def _first_page(
        self, wanted: Filter, at: int | None, held: int, seq: int | None
    ) -> tuple[Moves, int | None, int, list[dict[str, Any]]]:
        """The changes, the place of the one with that seq, and a page of them: that of this place, else the
        one that starts at `held` or, when there are fewer now, the first."""
        moves = self.segtui.data.moves(wanted, at)
        seqs = moves.frame["seq"].to_list() if seq is not None else []
        place = seqs.index(seq) if seq in seqs else None
        first = place - place % PAGE if place is not None else held if held < moves.total else 0
        return moves, place, first, self.segtui.data.moves_page(moves, first, PAGE)

    def _loaded(self, answer: tuple[Moves, int | None, int, list[dict[str, Any]]]) -> None:
        self._moves, place, first, rows = answer
        self._seq = None
        self._several = self.wanted.segment is None and (self.segtui.several or self._moves.several)
        self.rows.columns = [*COLUMNS[:2], OF, *COLUMNS[2:]] if self._several else [*COLUMNS]
        self.show_as_of(self._moves.to, self.subject())
        self._show_filters()
        self.rows.show_page(self._moves.total, first, rows)
        if place is not None:
            self.rows.cursor = place
        self._show_pane()

    def subject(self) -> Content:
        changes = numbers.plural(self._moves.total if self._moves else 0, "change")
        marking = self.marked or self.rows.range_from is not None
        return Content(self.with_marks(changes) if marking else f"{changes}, exact")

    def users_between(self, first: int, count: int) -> list[Item]:
        assert self._moves is not None
        return self.segtui.data.moves_page(self._moves, first, count)

    def on_virtual_list_wanted(self, message: VirtualList.Wanted) -> None:
        moves = self._moves
        assert moves is not None
        self.ask(
            f"page {message.first}",
            lambda _cancelled: self.segtui.data.moves_page(moves, message.first, PAGE),
            partial(self._page, message),
            self.complain,
        )

    def _page(self, message: VirtualList.Wanted, rows: list[dict[str, Any]]) -> None:
        self.rows.add_page(message.first, rows, message.generation)

    def _show_filters(self) -> None:
        wanted = self.wanted
        ways = {None: "in and out", "out": "out", "in": "in"}
        chips = [
            (self.key("filter"), wanted.typed or "all segments", wanted.typed),
            (self.key("way"), ways[wanted.way], wanted.way) if wanted.label else None,
            (self.key("cause"), (wanted.cause or "any cause").replace("_", " "), wanted.cause),
            (self.key("period"), f"{wanted.days} d" if wanted.days else "all days", wanted.days != DAYS),
            (self.key("first_time"), "with first-time" if wanted.first else "no first-time", wanted.first),
        ]
        parts = [
            Content.assemble((f"{key} ", words.KEY), (f"[{text}]", words.CHOSEN if chosen else words.DIM))
            for key, text, chosen in (chip for chip in chips if chip is not None)
        ]
        self.query_one("#filters", Static).update(Content("  ").join(parts))

    # The pane below

    def on_virtual_list_moved(self) -> None:
        if self.pane == "why":
            self._show_pane()

    def _show_pane(self) -> None:
        if self._moves is None:
            return
        row = self.rows.item
        if self._moves.total == 0:
            title = "nothing"
            text = Content.from_markup(
                NOTHING,
                **{"from": words.day(self._moves.from_ or "the first day"), "to": words.day(self._moves.to)},
                **self.keys("period", "filter", "way", "cause", "first_time", "rescore"),
            )
        elif self.pane == "why" and row is not None:
            whose = f" in {row['segmentation']}" if self._several else ""
            title = f"why {row['user']} moved{whose} ({self.key('totals')}: totals)"
            text = why(row, None)
            self.ask(
                "event",
                lambda _cancelled: self.segtui.data.cause_event(row),
                partial(self._event_known, row),
                self.complain,
            )
        elif self.pane == "summary" and self._summed:
            title = f"{self.wanted.segment} then and now ({self.key('totals')}: totals)"
            text = Content.styled("…", words.DIM)
            wanted, at = self.wanted, self.segtui.at
            self.ask(
                "summary",
                lambda _cancelled: self.segtui.data.why(wanted, at),
                partial(self._summary_known, wanted),
                self.complain,
            )
        else:
            title = f"totals by {self.counts} ({self.key('totals')})"
            text = totals(self._moves, self.counts, named=self._several)
        self.query_one("#totals").border_title = Content(title)
        self.query_one("#totals-text", Static).update(text)

    @property
    def _summed(self) -> bool:
        """Whether what is shown is all that moved one segment's size in some days."""
        wanted = self.wanted
        return bool(wanted.label and wanted.days) and (wanted.cause, wanted.part, wanted.user) == (None,) * 3

    def _summary_known(self, wanted: Filter, told: dict[str, Any]) -> None:
        if self.pane == "summary" and self.wanted == wanted:
            self.query_one("#totals-text", Static).update(summary(told))

    def _event_known(self, row: Item, event: dict[str, Any] | None) -> None:
        if self.pane == "why" and self.rows.item is row:
            self.query_one("#totals-text", Static).update(why(row, self._event_words(event)))

    def _event_words(self, event: dict[str, Any] | None) -> str | None:
        if event is None:
            return None
        told = words.event(event, self.segtui.currency)
        return f"{words.minute(event['occurred_at'])}  {event['kind']}  {told}"

    # What can be done

    def action_open(self) -> None:
        if self.rows.item is not None:
            row = self.rows.item
            self.segtui.visit("user", user=row["user"], member_of=self.wanted.segment or row["segmentation"])

    def on_virtual_list_chosen(self) -> None:
        self.action_open()

    def action_why(self) -> None:
        self.pane = "totals" if self.pane == "why" else "why"
        self._show_pane()

    def action_totals(self) -> None:
        if self.pane == "totals":
            self.counts = COUNTS[(COUNTS.index(self.counts) + 1) % len(COUNTS)]
        self.pane = "totals"
        self._show_pane()

    def action_replay_from(self) -> None:
        if self.rows.item is not None:
            row = self.rows.item
            self.segtui.visit(
                "replay", as_of=row["as_of"], segment=self.wanted.segment or row["segmentation"]
            )

    def action_way(self) -> None:
        if self.wanted.label is None:
            self.segtui.tell(
                f"In or out of which segment? Press {self.key('filter')} and name one, such as value=high.",
                "warning",
            )
            return
        self._filter(way=WAYS[(WAYS.index(self.wanted.way) + 1) % len(WAYS)])

    def action_cause(self) -> None:
        causes = (None, *CAUSE_WORDS)
        self._filter(cause=causes[(causes.index(self.wanted.cause) + 1) % len(causes)])

    def action_period(self) -> None:
        self._filter(days=PERIODS[(PERIODS.index(self.wanted.days) + 1) % len(PERIODS)])

    def action_first_time(self) -> None:
        self._filter(first=not self.wanted.first)

    def action_filter(self) -> None:
        super().action_filter()
        # The segment one came from stands there, and a user's id typed after it would be no segment.
        self.filter_line.line.select_all()

    def apply_filter(self, text: str) -> None:
        """A segment's name is that segment; any other word is a part of an id or of a label."""
        named = [each for each in text.split() if each in self._segments]
        unknown = next((each for each in text.split() if "=" in each and each not in named), None)
        if len(named) > 1 or unknown:
            told = ", ".join(self.segtui.known_segments)
            self.filter_refused(f"no segment {unknown!r}: {told}" if unknown else "name one segment")
            return
        part = " ".join(each for each in text.split() if each not in named) or None
        segment = named[0] if named else None
        user = self.wanted.user if text == self.wanted.user else None
        if user is not None:
            segment = part = None
        kept = self.wanted.way if segment == self.wanted.segment else None
        self.filter_applied(text)
        self._filter(segment=segment, part=part, way=kept, user=user)

    @property
    def _segments(self) -> set[str]:
        known = self.segtui.known_segments
        return {*known, *(name.partition("=")[0] for name in known)}

    def _filter(self, **changes: Any) -> None:
        self.wanted = replace(self.wanted, **changes)
        self.rows.to_top()
        self.reload()

    def action_copy_command(self) -> None:
        wanted, parts = self.wanted, ["changes"]
        parts += ["--from", f"-{wanted.days}d"] if wanted.days else []
        parts += ["--segment", wanted.segment] if wanted.segment else []
        parts += ["--cause", wanted.cause] if wanted.cause else []
        parts += ["--first"] if wanted.first else []
        self.segtui.copy_command(*parts, moment="--to")
