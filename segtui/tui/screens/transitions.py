"""Page `:transitions`: who held which label then and which now, down to the users."""

from __future__ import annotations

from functools import partial
from typing import Any

from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Static

from segtui.operations import words as numbers
from segtui.tui import words
from segtui.tui.actions import bindings
from segtui.tui.screens.marking import MarkingPage, user_of
from segtui.tui.widgets.matrix import Matrix
from segtui.tui.widgets.virtual_list import PAGE, Column, Item, VirtualList

PERIODS = (1, 7, 30, 90, 365)

COLUMNS = (
    Column("USER", 14, lambda row, _: row["user"], grow=1),
    Column("LAST MOVED", 12, lambda row, _: words.day(row["since"]) if row["since"] else "·"),
    Column("BY", 12, lambda row, _: words.cause(row["cause"]) if row["cause"] else Content(""), grow=2),
)


class TransitionsPage(MarkingPage):
    """The matrix above, the users of the chosen cell below."""

    PAGE = "transitions"
    BINDINGS = bindings(PAGE)
    AUTO_FOCUS = "Matrix"

    def __init__(self) -> None:
        super().__init__()
        self.segmentation = "value"
        self.days = 30
        self._known: dict[str, Any] | None = None

    def content(self) -> ComposeResult:
        yield Static(id="filters", classes="filters")
        yield Matrix(id="matrix")
        yield Static(id="cell", classes="filters")
        yield VirtualList(COLUMNS, lambda row: row["user"], id="users", marked=self.is_marked, copies=user_of)

    @property
    def rows(self) -> VirtualList:
        """The users of the cell."""
        return self.query_one("#users", VirtualList)

    @property
    def matrix(self) -> Matrix:
        """The counts."""
        return self.query_one(Matrix)

    def remember(self) -> dict[str, Any]:
        return {"segmentation": self.segmentation, "days": self.days}

    def about(self) -> str | None:
        return self.segmentation

    def recall(self, segmentation: str | None = None, days: int | None = None, **_: Any) -> None:
        self.segmentation = segmentation or self.segmentation
        self.days = days or self.days

    def load(self) -> None:
        at, days, segmentation = self.segtui.at, self.days, self.segmentation
        self.ask(
            "matrix",
            lambda _cancelled: self.segtui.data.transitions(segmentation, days, at),
            self._loaded,
        )

    def _loaded(self, found: dict[str, Any]) -> None:
        self._known = found
        self.show_as_of(found["to"], self.subject())
        self.query_one("#filters", Static).update(
            Content.assemble(
                (f"{self.key('segmentation')} ", words.KEY), (f"[{self.segmentation}]", words.CHOSEN),
                (f"  {self.key('period')} ", words.KEY), (f"[{self.days} d]", words.CHOSEN),
                (f"   from {words.day(found['from'])} to {words.day(found['to'])}, net", words.DIM),
            )
        )  # fmt: skip
        self.matrix.show([words.label(label) for label in found["labels"]], found["matrix"])

    def subject(self) -> Content:
        matrix = self._known["matrix"] if self._known else []
        moved = sum(sum(line) - line[row] for row, line in enumerate(matrix))
        return Content(self.with_marks(f"{numbers.plural(moved, 'user')} elsewhere than then"))

    def users_between(self, first: int, count: int) -> list[Item]:
        left, came = self.cell
        found = self.segtui.data.moved(self.segmentation, self.days, self.segtui.at, left, came, first, count)
        return list(found["users"])

    @property
    def cell(self) -> tuple[str | None, str | None]:
        """The labels of the chosen cell."""
        assert self._known is not None
        row, column = self.matrix.place
        return self._known["labels"][row], self._known["labels"][column]

    @property
    def _count(self) -> int:
        """How many users the chosen cell has."""
        assert self._known is not None
        row, column = self.matrix.place
        return int(self._known["matrix"][row][column])

    def on_matrix_moved(self) -> None:
        if self._known is None:
            return
        left, came = self.cell
        count, of = self._count, sum(self._known["matrix"][self.matrix.place[0]])
        share = f", {numbers.share(count / of)} of those who were {words.label(left)}" if of else ""
        self.query_one("#cell", Static).update(
            Content.assemble(
                words.move({"from": left, "to": came}),
                f"   {numbers.plural(count, 'user')}",
                (share, words.DIM),
            )
        )
        self.rows.range_from = None
        self._ask_users(0, self._users_known)

    def _ask_users(self, first: int, deliver: Any) -> None:
        left, came = self.cell
        at, days, segmentation = self.segtui.at, self.days, self.segmentation
        self.ask(
            f"users {first}" if first else "users",
            lambda _cancelled: self.segtui.data.moved(segmentation, days, at, left, came, first, PAGE),
            deliver,
            self.complain,
        )

    def _users_known(self, found: dict[str, Any]) -> None:
        self.rows.show_page(found["total"], 0, found["users"])

    def on_virtual_list_wanted(self, message: VirtualList.Wanted) -> None:
        self._ask_users(message.first, partial(self._page, message))

    def _page(self, message: VirtualList.Wanted, found: dict[str, Any]) -> None:
        self.rows.add_page(message.first, found["users"], message.generation)

    # What can be done

    def action_open(self) -> None:
        if self._known is None:
            return
        row: Item | None = self.rows.item
        if self.matrix.has_focus and not self._count:
            left, came = (words.label(label) for label in self.cell)
            told = f"stayed {left}" if left == came else f"moved from {left} to {came}"
            self.segtui.tell(f"Nobody {told}: choose another cell.", "warning")
        elif self.matrix.has_focus:
            self.rows.focus()
        elif row is not None:
            self.segtui.visit("user", user=row["user"], member_of=self.segmentation)

    def on_matrix_chosen(self) -> None:
        self.action_open()

    def on_virtual_list_chosen(self) -> None:
        self.action_open()

    def action_segmentation(self) -> None:
        names = list(dict.fromkeys(each.partition("=")[0] for each in self.segtui.known_segments)) or [
            "value"
        ]
        place = names.index(self.segmentation) if self.segmentation in names else -1
        self.segmentation = names[(place + 1) % len(names)]
        self.reload()

    def action_period(self) -> None:
        self.days = PERIODS[(PERIODS.index(self.days) + 1) % len(PERIODS)]
        self.reload()

    def action_copy_command(self) -> None:
        if self._known is None:
            return
        left, came = (words.label(label) for label in self.cell)
        parts = ["transitions", "--from", self._known["from"], "--to", self._known["to"]]
        self.segtui.copy_command(
            *parts, "--segmentation", self.segmentation, "--users", f"{left}:{came}", moment=""
        )
