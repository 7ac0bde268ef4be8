"""Page 3: one user: probabilities and why, the features that decide, everything that happened."""

from __future__ import annotations

from typing import Any

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from segtui.operations import words as numbers
from segtui.tui import words
from segtui.tui.actions import bindings
from segtui.tui.erasing import ask_for_erasure
from segtui.tui.questions import Filter
from segtui.tui.screens.page import Page
from segtui.tui.widgets.bars import bar
from segtui.tui.widgets.cells import fit
from segtui.tui.widgets.charts import chance_chart
from segtui.tui.widgets.virtual_list import Column, Item, VirtualList

SHOWS = ("all", "orders", "changes")
ORDERS = ("purchase", "refund")
HISTORY = 60
BAR = 16
GROUP = 24
CHART = 8
MOST_BARS = 10
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
    Column("", 30, lambda row, _: row["text"], grow=1),
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
            self.user, self.member_of = user, member_of

    # Loading

    def load(self) -> None:
        if self.user is None:
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
        if self._known is None or self._known["user"] != user:
            self.say_instead(None)
            self.query_one("#labels", Static).update(Content.styled(f"looking up {user} …", words.DIM))
        self.ask("user", lambda _cancelled: self.segtui.data.user(user, at, HISTORY), self._loaded)

    def _loaded(self, found: dict[str, Any]) -> None:
        self._known = found
        self.show_as_of(found["as_of"], Content.styled(found["user"], "bold"))
        self.query_one("#labels", Static).update(_labels(found))
        self.query_one("#chance").border_title = "probabilities"
        self.query_one("#chance-text", Static).update(_chances(found))
        self.query_one("#because").border_title = _because_title(found)
        self.query_one("#because-text", Static).update(_because(found, self.segtui.currency))
        self._draw_past()
        self._show_history()

    def on_resize(self) -> None:
        self.call_after_refresh(self._draw_past)

    def _draw_past(self) -> None:
        """The probability of the label held, tick by tick, in what room the bars leave."""
        found = self._known
        held = _held(found) if found else None
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
            rows += [_change_row(change) for change in self._known["changes"]]
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
            self.user = user
            self.reload()

    def action_changes(self) -> None:
        if self.user is not None:
            self.segtui.visit("changes", wanted=Filter(user=self.user, days=None, first=True))

    def action_why(self) -> None:
        if self.user is not None:
            wanted = Filter(user=self.user, days=None, first=True)
            self.segtui.visit("changes", wanted=wanted, focus="why")

    def action_replay_from(self) -> None:
        row = self.rows.item
        if row is not None:
            self.segtui.visit("replay", as_of=row["at"])

    def action_erase(self) -> None:
        if self.user is not None:
            ask_for_erasure(self.segtui, self.user, self._forget)

    def _forget(self) -> None:
        self.user = self._known = None

    def action_copy_command(self) -> None:
        if self.user is not None:
            self.segtui.copy_command("user", self.user)


def _labels(found: dict[str, Any]) -> Content:
    """`value=high since ~2025-11-14   28 events`."""
    parts = []
    for name, held in found["labels"].items():
        parts.append(
            Content.assemble(
                (f"{name}={held['label']}", words.CHOSEN),
                (" since ", words.DIM),
                words.day(held["since"]),
                (f", margin {held['margin']:.2f}" if held["margin"] is not None else "", words.DIM),
            )
        )
    if not parts:
        parts.append(Content.styled("in no segment at this moment", words.WARN))
    return Content("   ").join(parts)


def _chances(found: dict[str, Any]) -> Content:
    chances = found["probabilities"]
    if not chances:
        return Content.styled(
            "A rule decides, without probabilities. A trained model gives them: segtui train.", words.DIM
        )
    held = _held(found)
    width = max(map(cell_len, chances))
    lines = [
        Content.assemble(
            (">" if label == held else " ", words.KEY),
            (f" {fit(label, width)} ", "bold" if label == held else ""),
            f"{chance:.2f} ",
            (bar(chance, BAR), "$primary" if label == held else "$secondary"),
        )
        for label, chance in chances.items()
    ]
    return Content("\n").join(lines)


def _held(found: dict[str, Any]) -> str | None:
    """The label whose probability is shown: that of the segmentation the model decides, which comes first."""
    return next((str(held["label"]) for held in found["labels"].values()), None)


def _because_title(found: dict[str, Any]) -> str:
    explained = found["explanation"]
    if explained is None:
        return "features"
    return f"why {explained['label']}, not {explained['against']} (typical)"


def _because(found: dict[str, Any], currency: str | None) -> Content:
    """What speaks for the label, by group and by feature, from the typical user's lead to this one's.

    Without a model: the main features.
    """
    explained = found["explanation"]
    if explained is None:
        names = (
            "recency_days",
            "orders_90d",
            "orders_365d",
            "spend_365d",
            "orders",
            "spend",
            "silence_days",
            "tenure_days",
        )
        rows = [(name, found["features"][name]) for name in names if name in found["features"]]
        facts = [
            Content.assemble(
                (f"{name:<14}", words.DIM), f"{_value(value, found['units'].get(name, ''), currency):>14}"
            )
            for name, value in rows
        ]
        return Content("\n").join([*facts, *_ways_out(found)])
    lines = [
        _weight(f"typical {explained['label']} user", explained["typical_lead"], words.DIM),
        *(_weight(each["group"], each["weight"], barred=True) for each in explained["groups"]),
        _weight(f"log-odds {explained['label']} : {explained['against']}", explained["lead"], "bold"),
        *_ways_out(found),
        Content.styled(f"\n{'':<16}{'is':>9}{'typical':>9}{'weight':>8}", words.DIM),
    ]
    for each in explained["features"]:
        weight, unit = each["weight"], each["unit"]
        lines.append(
            Content.assemble(
                f"{each['feature'].removeprefix('sequence:'):<16.16}",
                f"{_value(each['value'], unit, currency, named=False):>9}",
                (f"{_value(each['typical'], unit, currency, named=False):>9}", words.DIM),
                (f"{weight:>+8.2f}", words.RISE if weight > 0 else words.FALL),
            )
        )
    return Content("\n").join(lines)


def _ways_out(found: dict[str, Any]) -> list[Content]:
    """What would move the user: silence, and the smallest thing they could do."""
    leaves, change = found["leaves"], found["smallest_change"]
    lines = []
    if leaves is not None:
        told = f"to {leaves['to']} on {words.day(leaves['as_of'])}, if silent"
        lines.append(Content.styled(told, words.DIM))
    if change is not None:
        lines.append(Content.styled(f"to {change['to']} by {change['text']}", words.DIM))
    return lines


def _weight(name: str, weight: float, style: str = "", *, barred: bool = False) -> Content:
    """A line of the sum that an explanation is; a weight of a group with a bar of half logits."""
    colour = words.RISE if weight > 0 else words.FALL
    bars = ("+" if weight > 0 else "-") * min(MOST_BARS, round(abs(weight) * 2))
    return Content.assemble(
        (fit(name, GROUP), style), (f"{weight:>+7.2f}", colour), (f" {bars}" if barred else "", colour)
    )


def _value(value: float | str | None, unit: str, currency: str | None, *, named: bool = True) -> str:
    """A feature's value in its unit; money with its currency where there is room."""
    if value is None:
        return "·"
    return value if isinstance(value, str) else numbers.quantity(value, unit, currency, named=named)


def _change_row(change: dict[str, Any]) -> Item:
    return {
        "change": True,
        "seq": change["seq"],
        "at": change["as_of"],
        "backfilled": change["backfilled"],
        "text": Content.assemble(
            words.move(change),
            f"  {words.probability(change['probability'])}  " if change["probability"] is not None else "  ",
            words.cause(change["cause"]),
            (f": {change['reason']}", words.DIM),
            ("  h" if change["hindsight"] else "", words.WARN),
        ),
    }


def _event_row(event: dict[str, Any], currency: str | None) -> Item:
    return {
        "change": False,
        "seq": event["seq"],
        "at": event["occurred_at"],
        "late": event["late"],
        "kind": event["kind"],
        "text": Content(words.event(event, currency)),
    }
