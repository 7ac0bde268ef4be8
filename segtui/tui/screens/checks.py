"""Page `:checks`: whether the store is in good health, against limits that are policy."""

from __future__ import annotations

from collections import Counter
from typing import Any

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from segtui.operations import words as numbers
from segtui.tui import words
from segtui.tui.actions import bindings
from segtui.tui.screens.page import Page
from segtui.tui.widgets.virtual_list import Column, Item, VirtualList

STATES = {
    "ok": ("ok", words.RISE),
    "warn": ("! warn", words.WARN),
    "fail": ("!! FAIL", f"bold {words.FALL}"),
    "unknown": ("? unknown", words.DIM),
    "off": ("off", words.DIM),
}
ORDER = ("fail", "warn", "ok", "unknown", "off")


def quantity(value: float | None, unit: str) -> str:
    """A measure in its unit: `2.0 %`, `36 hours`, `0.25 psi`."""
    if value is None:
        return "·"
    if unit == "share":
        return numbers.share(value)
    if unit == "hours":
        return f"{value:,.0f} h"
    return f"{value:g} {unit}" if float(value).is_integer() else f"{value:.2f} {unit}"


COLUMNS = (
    Column("CHECK", 12, lambda row, _: Content.styled(row["name"], "bold")),
    Column("STATE", 9, lambda row, _: Content.styled(*STATES[row["state"]])),
    Column("IS", 12, lambda row, _: quantity(row["value"], row["unit"]), right=True),
    Column("LIMIT", 12, lambda row, _: quantity(row["limit"], row["unit"]), right=True, drop=1),
    Column("BECAUSE", 20, lambda row, _: Content.styled(row["hint"], words.DIM), grow=1),
)


class ChecksPage(Page):
    """What is past its limit first; the one under the cursor in full."""

    PAGE = "checks"
    BINDINGS = bindings(PAGE)
    travels = False
    needs = "events"

    def content(self) -> ComposeResult:
        yield VirtualList(COLUMNS, lambda row: row["name"], id="checks")
        with VerticalScroll(id="check", classes="pane side"):
            yield Static(id="check-text", classes="wrap")

    @property
    def rows(self) -> VirtualList:
        """The checks."""
        return self.query_one("#checks", VirtualList)

    def load(self) -> None:
        self.ask("checks", lambda _cancelled: self.segtui.data.check(), self._loaded)

    def _loaded(self, found: dict[str, Any]) -> None:
        checks = sorted(found["checks"], key=lambda each: ORDER.index(each["state"]))
        count = Counter(each["state"] for each in checks)
        bad = count["warn"] + count["fail"]
        within = "all" if count["ok"] == len(checks) else count["ok"]
        told = f"{bad} past their limits" if bad else f"{within} within their limits"
        self.show_subject(
            Content.assemble(
                (numbers.plural(len(checks), "check"), "bold"),
                (f", {told}", words.WARN if bad else words.DIM),
                (f", {count['unknown']} unknown" if count["unknown"] else "", words.DIM),
            )
        )
        self.rows.show(checks)

    def on_virtual_list_moved(self) -> None:
        row = self.rows.item
        if row is None:
            return
        self.query_one("#check").border_title = Content(row["name"])
        self.query_one("#check-text", Static).update(_told(row))

    def action_copy_command(self) -> None:
        self.segtui.copy_command("check", moment="")


def _told(row: Item) -> Content:
    """The sentence of a check, its limits, and what its value is the worst of."""
    lines = [Content(row["hint"])]
    if row["limit"] is not None:
        warns, fails = (quantity(row[name], row["unit"]) for name in ("limit", "fail"))
        lines.append(
            Content.assemble(
                (f"warns past {warns}, fails past {fails}   ", words.DIM),
                (f"segtui check --set {row['name']}=LIMIT", words.KEY),
            )
        )
    lines += [
        Content("  ").join(
            Content.assemble((f"{name} ", words.DIM), _written(value)) for name, value in each.items()
        )
        for each in row["more"]
    ]
    return Content("\n").join(lines)


def _written(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
