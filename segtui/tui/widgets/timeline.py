"""The line of all frames: where the replay stands, what was recomputed, what happened where."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from textual import events
from textual.app import RenderResult
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from segtui.tui import words

Frame = dict[str, Any]

EDITS = ("definition", "label", "decision", "manual")
MARKERS = (
    ("M", ("model",), "model"),
    ("E", EDITS, "edit"),
    ("X", ("erasure", "consent"), "erasure, consent"),
    ("I", ("identity",), "identity"),
    ("L", ("late_event",), "late events"),
)
DATES = 4


def marker(frame: Frame) -> str:
    """The letter of the most telling cause at a frame; nothing for events and the clock alone."""
    return next((letter for letter, causes, _ in MARKERS if any(map(frame["by_cause"].get, causes))), "")


class Timeline(Widget):
    """Three lines: dates, the frames with their markers, and what the letters mean."""

    at: reactive[int] = reactive(0)
    count: reactive[int] = reactive(0)

    class Sought(Message):
        """A place on the line was clicked."""

        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

    def __init__(self) -> None:
        super().__init__()
        self.frames: Sequence[Frame] = ()
        self._letters: dict[int, str] = {}
        self._still: tuple[Content, Content] | None = None

    def show(self, frames: Sequence[Frame], at: int) -> None:
        """The frames known so far, and the one shown."""
        if frames is not self.frames or len(frames) != self.count:
            self.frames = frames
            self._letters = {n: letter for n, frame in enumerate(frames) if (letter := marker(frame))}
            self._still = None
        self.count = len(frames)
        self.at = at
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        if self.count:
            self.post_message(self.Sought(self._index(event.x - 1)))

    @property
    def _room(self) -> int:
        return max(1, self.size.width - 2)

    def _column(self, index: int) -> int:
        return index * (self._room - 1) // max(1, self.count - 1)

    def _index(self, column: int) -> int:
        return max(0, min(self.count - 1, column * max(1, self.count - 1) // max(1, self._room - 1)))

    def render(self) -> RenderResult:
        if not self.frames:
            return Content.styled(" …", words.DIM)
        if self._still is None:
            self._still = (self._dates(), self._legend())
        dates, legend = self._still
        return Content("\n").join([dates, self._line(), legend])

    def on_resize(self) -> None:
        self._still = None

    def _dates(self) -> Content:
        line = [" "] * (self._room + 2)
        for part in range(DATES + 1):
            index = (self.count - 1) * part // DATES
            text = self.frames[index]["as_of"][:10] if part == 0 else self.frames[index]["as_of"][5:10]
            start = min(1 + self._column(index), len(line) - len(text) - 1)
            free = all(cell == " " for cell in line[max(0, start - 1) : start + len(text) + 1])
            if free:
                line[start : start + len(text)] = text
        return Content.styled("".join(line), words.DIM)

    def _line(self) -> Content:
        here = self._column(self.at)
        cells = []
        for column in range(self._room):
            frame = self.frames[self._index(column)]
            style = "$primary" if column <= here else words.DIM
            cells.append(("~" if frame["backfilled"] else "━" if column <= here else "─", style))
        for index, letter in self._letters.items():
            cells[self._column(index)] = (letter, "bold $accent")
        letter = cells[here][0]
        cells[here] = (letter if letter.isalpha() else "●", "bold reverse $primary")
        runs = [("".join(cell for cell, _ in run), style) for style, run in groupby(cells, itemgetter(1))]
        return Content(" ") + Content.assemble(*runs)

    def _legend(self) -> Content:
        seen = set(self._letters.values())
        parts = [
            Content.assemble((letter, words.KEY), (f" {meaning}", words.DIM))
            for letter, _, meaning in MARKERS
            if letter in seen
        ]
        if any(frame["backfilled"] for frame in self.frames):
            parts.append(Content.assemble(("~", words.KEY), (" backfilled", words.DIM)))
        return Content(" ") + Content("   ").join(parts)
