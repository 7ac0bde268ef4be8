"""Page 5: who moved, when and why; filtered, counted, and the one under the cursor explained."""

from __future__ import annotations

from collections import Counter
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
from segtui.tui.screens.filtering import FilteringPage
from segtui.tui.screens.marking import MarkingPage, user_of
from segtui.tui.widgets.bars import bar
from segtui.tui.widgets.virtual_list import PAGE, Column, Item, VirtualList

WAYS = (None, "out", "in")
DAYS = 30
PERIODS = (1, 7, DAYS, 90, None)
COUNTS = ("reason", "cause", "move")
BAR = 14
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
    Column("BECAUSE", 29, lambda row, _: row["reason"], grow=1, drop=1),
)


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

    def recall(self, wanted: Filter | None = None, focus: str = "totals", **_: Any) -> None:
        if wanted is not None:
            self.wanted = wanted
            self.filter = wanted.typed
            self.pane = focus

    # Loading

    def load(self) -> None:
        wanted, at = self.wanted, self.segtui.at
        held = self.rows.page_start if self.rows.total else 0
        self.ask("moves", lambda _cancelled: self._first_page(wanted, at, held), self._loaded)

    def _first_page(
        self, wanted: Filter, at: int | None, held: int
    ) -> tuple[Moves, int, list[dict[str, Any]]]:
        """The changes, and the page of them that starts at `held` or, when there are fewer now, the first."""
        moves = self.segtui.data.moves(wanted, at)
        first = held if held < moves.total else 0
        return moves, first, self.segtui.data.moves_page(moves, first, PAGE)

    def _loaded(self, answer: tuple[Moves, int, list[dict[str, Any]]]) -> None:
        self._moves, first, rows = answer
        self.show_as_of(self._moves.to, self.subject())
        self._show_filters()
        self.rows.show_page(self._moves.total, first, rows)
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
        pane = self.query_one("#totals")
        row = self.rows.item
        if self._moves.total == 0:
            pane.border_title = "nothing"
            text = Content.from_markup(
                NOTHING,
                **{"from": words.day(self._moves.from_ or "the first day"), "to": words.day(self._moves.to)},
                **self.keys("period", "filter", "way", "cause", "first_time", "rescore"),
            )
        elif self.pane == "why" and row is not None:
            pane.border_title = f"why {row['user']} moved ({self.key('totals')}: totals)"
            text = _why(row, None)
            self.ask(
                "event",
                lambda _cancelled: self.segtui.data.cause_event(row),
                partial(self._event_known, row),
                self.complain,
            )
        else:
            pane.border_title = f"totals by {self.counts} ({self.key('totals')})"
            text = _totals(self._moves, self.counts)
        self.query_one("#totals-text", Static).update(text)

    def _event_known(self, row: Item, event: dict[str, Any] | None) -> None:
        if self.pane == "why" and self.rows.item is row:
            self.query_one("#totals-text", Static).update(_why(row, self._event_words(event)))

    def _event_words(self, event: dict[str, Any] | None) -> str | None:
        if event is None:
            return None
        told = words.event(event, self.segtui.currency)
        return f"{words.minute(event['occurred_at'])}  {event['kind']}  {told}"

    # What can be done

    def action_open(self) -> None:
        if self.rows.item is not None:
            self.segtui.visit("user", user=self.rows.item["user"])

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
            self.segtui.visit("replay", as_of=self.rows.item["as_of"])

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


def _totals(moves: Moves, by: str) -> Content:
    """The changes counted by reason, by cause or by move, most frequent first."""
    counted: Counter[tuple[str, str]] = Counter()
    if by == "move":
        for left, to, users in moves.flows:
            start = "(new)" if left is None else left
            counted[f"{start} > {words.label(to)}", ""] += users
    else:
        for each in moves.totals:
            cause = each["cause"].replace("_", " ")
            counted[f"{cause:<11} {each['reason']}" if by == "reason" else cause, each["cause"]] += each[
                "users"
            ]
    lines = [
        Content.assemble(
            f"{numbers.count(users):>8} ",
            (f"{users / moves.total:>4.0%} ", words.DIM),
            (bar(users / moves.total, BAR).ljust(BAR), words.CAUSE_STYLES.get(cause, "$primary")),
            f"  {name}",
        )
        for (name, cause), users in counted.most_common()
    ]
    return Content("\n").join(lines)


def _why(row: Item, event: str | None) -> Content:
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
