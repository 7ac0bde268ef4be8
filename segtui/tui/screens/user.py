"""Page 3: one user: probabilities and why, the features that decide, everything that happened."""

from __future__ import annotations

from functools import partial
from typing import Any

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from segtui.operations.times import iso
from segtui.tui import words
from segtui.tui.actions import bindings
from segtui.tui.erasing import ask_for_erasure
from segtui.tui.questions import Filter
from segtui.tui.screens.page import Page
from segtui.tui.screens.user_words import because, because_title, chances, label_shown, labels
from segtui.tui.widgets.charts import chance_chart
from segtui.tui.widgets.header import AsOf
from segtui.tui.widgets.virtual_list import Column, Item, VirtualList

SHOWS = ("all", "orders", "changes")
ORDERS = ("purchase", "refund")
HISTORY = 60
CHART = 8
NOBODY = (
    "[bold]No user chosen.[/]\n\n"
    "Choose one on page [$accent]$members[/] (members) or [$accent]$changes[/] (changes) "
    "and press [$accent]$open[/],\n"
    "or press [$accent]$palette[/] and type an id, such as $example."
)


def when_cell(row: Item, _width: int) -> Content:
    """The time, marked when it was recomputed or came late."""
    mark = "~" if row.get("backfilled") else "!" if row.get("late") else " "
    return Content.assemble((mark, words.WARN), (words.minute(row["at"]), words.DIM))


def what_cell(row: Item, _width: int) -> Content:
    """`CHANGE` or the event's kind."""
    return Content.styled("CHANGE", "bold $accent") if row["change"] else Content(row["kind"])


COLUMNS = (
    Column(" WHEN", 17, when_cell),
    Column("WHAT", 12, what_cell),
    Column("", 30, lambda row, width: row["text"](width), grow=1),
)


class UserPage(Page):
    """Everything about one user at one moment."""

    PAGE = "user"
    BINDINGS = bindings(PAGE)

    def __init__(self) -> None:
        super().__init__()
        self.user: str | None = None
        self.member_of: str | None = None
        self.shows = "all"
        self._known: dict[str, Any] | None = None

    def on_mount(self) -> None:
        self._turn_to_user()

    def content(self) -> ComposeResult:
        yield Static(id="labels", classes="filters")
        with Horizontal(classes="columns side"):
            with Vertical(classes="pane", id="chance"):
                yield Static(id="chance-text", classes="wrap")
                yield Static(id="past-text")
            with VerticalScroll(classes="pane", id="because"):
                yield Static(id="because-text")
        yield Static(id="history-title", classes="filters")
        yield VirtualList(COLUMNS, lambda row: (row["change"], row["seq"]), id="history")

    @property
    def rows(self) -> VirtualList:
        """Events and changes, newest first."""
        return self.query_one("#history", VirtualList)

    def remember(self) -> dict[str, Any]:
        return {"user": self.user, "member_of": self.member_of}

    def recall(self, user: str | None = None, member_of: str | None = None, **_: Any) -> None:
        if user is not None:
            self.member_of = member_of
            self._turn_to(user)

    def about(self) -> str | None:
        return self.member_of

    # Loading

    def _turn_to(self, user: str) -> None:
        """Another user from now on: what is shown of the one before is gone before the next paint."""
        if user != self.user:
            self.user, self._known = user, None
            if self.is_mounted:
                self._turn_to_user()

    def _turn_to_user(self) -> None:
        """The page of the user before anything is known of them."""
        if self.user is None:
            return
        line = self.query_one(AsOf)
        line.subject = Content.styled(self.user, "bold")
        self.say_instead(None)
        self.query_one("#labels", Static).update(Content.styled(f"looking up {self.user} …", words.DIM))
        for name in ("chance", "because"):
            self.query_one(f"#{name}").border_title = None
        for name in ("chance", "past", "because"):
            self.query_one(f"#{name}-text", Static).update("")
        self.query_one("#history-title", Static).update("")
        self.rows.to_top()
        self.rows.show([])

    def load(self) -> None:
        if self.user is None:
            self.show_subject(words.BLANK)
            self.say_instead(
                Content.from_markup(
                    NOBODY,
                    example="c-10442",
                    members=self.key("go_members"),
                    changes=self.key("go_changes"),
                    open=self.key("open", "members"),
                    palette=self.key("palette"),
                )
            )
            return
        user, at = self.user, self.segtui.at
        if self._known is None:
            status, zone = self.segtui.status, self.segtui.zone
            now = status["as_of"] if status is not None else None
            self.show_as_of(now if at is None else iso(at, zone), Content.styled(user, "bold"))
        self.ask("user", lambda _cancelled: self.segtui.data.user(user, at, HISTORY), self._loaded)

    def _loaded(self, found: dict[str, Any]) -> None:
        self._known = found
        self.show_as_of(found["as_of"], Content.styled(found["user"], "bold"))
        self.query_one("#labels", Static).update(labels(found))
        self.query_one("#chance").border_title = "probabilities"
        self.query_one("#chance-text", Static).update(chances(found))
        self.query_one("#because").border_title = Content(because_title(found))
        self.query_one("#because-text", Static).update(because(found, self.segtui.currency))
        self._draw_past()
        self._show_history()

    def on_resize(self) -> None:
        self.call_after_refresh(self._draw_past)

    def _draw_past(self) -> None:
        """The probability of the label held, tick by tick, in what room the bars leave."""
        found = self._known
        held = label_shown(found) if found else None
        past = [point["probabilities"].get(held, 0.0) for point in found["history"]] if found else []
        below = self.query_one("#past-text", Static)
        room = self.query_one("#chance").content_size
        height = room.height - len(found["probabilities"] or ()) - 2 if found else 0
        if found is None or len(past) < 2 or height < 1:
            below.update("")
            return
        start = words.day(found["history"][0]["as_of"])
        below.update(
            Content.styled(f"\nP({held}) since {start}\n", words.DIM)
            + chance_chart(past, room.width, min(height, CHART))
        )

    def _show_history(self) -> None:
        assert self._known is not None
        parts = [
            (f" {each} ", "bold reverse $primary" if each == self.shows else words.DIM) for each in SHOWS
        ]
        self.query_one("#history-title", Static).update(
            Content.assemble(("history ", words.CHOSEN), (f"{self.key('show')} ", words.KEY), *parts)
        )
        rows = []
        if self.shows != "orders":
            changes = self._known["changes"]
            several = len({change["segmentation"] for change in changes}) > 1
            rows += [_change_row(change, named=several) for change in changes]
        if self.shows != "changes":
            rows += [
                _event_row(event, self.segtui.currency)
                for event in self._known["events"]
                if self.shows == "all" or event["kind"] in ORDERS
            ]
        rows.sort(key=lambda row: (words.microseconds(row["at"]), row["change"], row["seq"]), reverse=True)
        self.rows.show(rows)

    # What can be done

    def action_show(self) -> None:
        self.shows = SHOWS[(SHOWS.index(self.shows) + 1) % len(SHOWS)]
        if self._known is not None:
            self._show_history()

    def action_neighbour(self, step: int) -> None:
        user = self.segtui.neighbour(step)
        if user is None:
            self.segtui.tell("No other user in the list there.", "warning")
        else:
            self._turn_to(user)
            self.reload()

    def action_changes(self) -> None:
        if self.user is not None:
            self.segtui.visit("changes", wanted=Filter(user=self.user, days=None, first=True))

    def action_why(self) -> None:
        if self.user is not None:
            wanted = Filter(user=self.user, days=None, first=True)
            self.segtui.visit("changes", wanted=wanted, focus="why", seq=self._explained())

    def _explained(self) -> int | None:
        """The change to be explained: the one chosen; else the newest in the segmentation that the user was
        listed for, or in any, first labels only where there is nothing else."""
        row = self.rows.item
        if row is not None and row["change"] and self.rows.cursor > 0:
            return int(row["seq"])
        changes = self._known["changes"] if self._known is not None else []
        name = (self.member_of or "").partition("=")[0]
        changes = [each for each in changes if each["segmentation"] == name] or changes
        moves = [each for each in changes if each["from"] is not None and each["reason_code"] != "renamed"]
        asked = moves or changes
        newest = max(asked, key=lambda each: (words.microseconds(each["as_of"]), each["seq"]), default=None)
        return None if newest is None else int(newest["seq"])

    def action_replay_from(self) -> None:
        row = self.rows.item
        if row is not None:
            segment = row["segmentation"] if row["change"] else self.member_of
            self.segtui.visit("replay", as_of=row["at"], segment=segment)

    def action_erase(self) -> None:
        if self.user is not None:
            ask_for_erasure(self.segtui, self.user, self._forget)

    def _forget(self) -> None:
        self.user = self._known = None

    def action_copy_command(self) -> None:
        if self.user is not None:
            self.segtui.copy_command("user", self.user)


def _change_row(change: dict[str, Any], *, named: bool) -> Item:
    return {
        "change": True,
        "seq": change["seq"],
        "at": change["as_of"],
        "segmentation": change["segmentation"],
        "backfilled": change["backfilled"],
        "text": partial(_change_text, change, named),
    }


def _change_text(change: dict[str, Any], named: bool, width: int) -> Content:
    """The move, its cause and as many words of its reason as there is room for."""
    told = Content.assemble(
        words.move(change, named=named),
        f"  {words.probability(change['probability'])}  " if change["probability"] is not None else "  ",
        ("h hindsight  " if change["hindsight"] else "", words.WARN),
        words.cause(change["cause"]),
        ": ",
    )
    return told + Content.styled(words.cut(change["reason"], width - told.cell_length), words.DIM)


def _event_row(event: dict[str, Any], currency: str | None) -> Item:
    return {
        "change": False,
        "seq": event["seq"],
        "at": event["occurred_at"],
        "late": event["late"],
        "kind": event["kind"],
        "text": lambda _: Content(words.event(event, currency)),
    }
