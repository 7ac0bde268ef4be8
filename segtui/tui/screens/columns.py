"""What a list of members shows: their own columns, and facts that are asked for once the cursor rests."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from textual.content import Content
from textual.timer import Timer
from textual.widgets import Static

from segtui.operations.progress import Cancelled
from segtui.tui import words
from segtui.tui.screens.choosing import Choosing
from segtui.tui.screens.page import Page
from segtui.tui.widgets.virtual_list import Column, Item, VirtualList


def since_cell(row: Item, _width: int) -> Content:
    """`~2026-01-02`: since when, and whether that was recomputed afterwards."""
    return Content.assemble(("~" if row["backfilled"] else " ", words.WARN), words.day(row["since"]))


def cause_cell(row: Item, _width: int) -> Content:
    """What brought the user in."""
    return words.cause(row["cause"]) if row["cause"] else Content.styled("·", words.DIM)


USER = Column("USER", 12, lambda row, _: row["user"], grow=1)
OWN = {
    "probability": Column("P", 5, lambda row, _: words.probability(row["probability"]), right=True),
    "margin": Column("MARGIN", 7, lambda row, _: words.probability(row["margin"]), right=True),
    "since": Column(" SINCE", 12, since_cell),
    "cause": Column("CAME BY", 12, cause_cell, drop=1, grow=3),
}
OFFERED = {
    "probability": "of the label, at the last rescore",
    "margin": "the probability less the next label's",
    "since": "in the segment since then",
    "cause": "what brought the user in",
    "leaves": "when silence alone moves them; - not within 60 ticks",
}
"""What can be shown of a member besides the catalogue's features."""
LEGEND = {
    "probability": ("P", "chance of the label"),
    "margin": ("MARGIN", "its lead over the next"),
    "leaves": ("LEAVES", "when, if silent"),
}
"""What a title is short for, below the list."""
FEATURE = (8, 14)
REST_SECONDS = 1.0
PENDING = Content.styled("…", words.DIM)
UNKNOWN = Content.styled("·", words.DIM)


class ColumnsPage(Page):
    """A page with a list of a segment's members, whose columns are a preference."""

    def __init__(self) -> None:
        super().__init__()
        self.segment: str | None = None
        self.facts: dict[str, dict[str, Any]] = {}
        """What is known of a member by user and column: never waited for."""
        self._facts_of: object = None
        self._rest: Timer | None = None

    def on_mount(self) -> None:
        self.watch(self.rows, "scroll_y", self.want_facts, init=False)

    @property
    def rows(self) -> VirtualList:
        """The list of members."""
        raise NotImplementedError

    def forget_facts(self) -> None:
        """Facts are of one segment at one moment; where either is another now, none is known."""
        known = (self.segment, self.segtui.at, self.segtui.revision)
        if self._facts_of != known:
            self.facts, self._facts_of = {}, known

    @property
    def _shown(self) -> list[str]:
        return [name for name in self.segtui.preferences.columns.split(", ") if name]

    def columns(self) -> list[Column]:
        """Those of the list, as preferred."""
        leaves = Column("LEAVES", 10, self._leaves_cell, drop=2)
        own = OWN | {"leaves": leaves}
        return [USER, *(own[name] if name in own else self._feature(name) for name in self._shown)]

    def legend(self) -> Content:
        """What the titles of the columns shown are short for."""
        told = [LEGEND[name] for name in self._shown if name in LEGEND]
        return Content("   ").join(
            Content.assemble((f"{title} ", words.KEY), (meaning, words.DIM)) for title, meaning in told
        )

    def _feature(self, name: str) -> Column:
        width = min(max(len(name), FEATURE[0]), FEATURE[1])

        def cell(row: Item, _width: int) -> Content | str:
            told: Content | str = self.facts.get(row["user"], {}).get(name, PENDING)
            return told

        return Column(name.upper()[:width], width, cell, right=True, drop=3)

    def _leaves_cell(self, row: Item, _width: int) -> Content | str:
        """The day; a dash for who stays, a dot where it cannot be told."""
        told = self.facts.get(row["user"], {}).get("leaves", PENDING)
        if isinstance(told, Content):
            return told
        return words.day(told["as_of"]) if told else "-"

    def want_facts(self) -> None:
        """Asks for facts once nothing has moved for a while: what decides may have to be loaded for it."""
        if self._rest is not None:
            self._rest.stop()
        self._rest = self.set_timer(REST_SECONDS, self.ask_facts)

    def ask_facts(self) -> None:
        """Asks what is to be shown of the members on the screen and is not known, each kind by itself."""
        top = max(0, round(self.rows.scroll_y))
        rows = (self.rows.row(index) for index in range(top, top + self.rows.size.height))
        users = [str(row["user"]) for row in rows if row is not None]
        segment, at, data = self.segment or "", self.segtui.at, self.segtui.data
        features = [name for name in self._shown if name not in OFFERED]
        kinds = [("leaves", ["leaves"])] if "leaves" in self._shown else []
        for kind, names in [*kinds, *([("features", features)] if features else [])]:
            missing = [user for user in users if not set(names) <= self.facts.get(user, {}).keys()]
            if not missing:
                continue

            def question(_: Cancelled, kind: str = kind, missing: list[str] = missing) -> dict[str, Any]:
                if kind == "features":
                    return dict(data.facts(segment, missing, features, at))
                leaving = data.leaving(segment, missing, at)
                return {user: {"leaves": told} for user, told in leaving.items()}

            known = partial(self._facts_known, self.facts, missing, names)
            self.ask(f"facts {kind}", question, known, partial(self._facts_refused, kind, known))

    def _facts_known(
        self, facts: dict[str, Any], users: list[str], names: list[str], found: dict[str, Any]
    ) -> None:
        for user in users:
            facts.setdefault(user, {}).update(dict.fromkeys(names, UNKNOWN) | found.get(user, {}))
        self.rows.refresh()

    def _facts_refused(self, kind: str, known: Callable[[dict[str, Any]], None], sentence: str) -> None:
        """A column that cannot be filled shows dots; who leaves is not told where no model can be asked."""
        known({})
        if kind == "features":
            self.complain(sentence)

    def action_columns(self) -> None:
        self.ask("catalogue", lambda _cancelled: self.segtui.data.catalogue(), self._choose, self.complain)

    def _choose(self, catalogue: dict[str, str]) -> None:
        self.app.push_screen(
            Choosing("What is shown of each member", OFFERED | catalogue, self._shown), self._columns_chosen
        )

    def _columns_chosen(self, chosen: list[str] | None) -> None:
        names = ", ".join(chosen or [])
        if names != self.segtui.preferences.columns:
            self.segtui.prefer_and_keep("columns", names)
        self.rows.columns = self.columns()
        self.query_one("#legend", Static).update(self.legend())
        self.rows.refresh()
        self.ask_facts()
