"""Page 4: the recorded changes, tick by tick, played like a film."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Static
from textual.worker import Worker, get_current_worker

from segtui.operations import words as numbers
from segtui.operations.progress import Cancelled
from segtui.tui import words
from segtui.tui.actions import bindings
from segtui.tui.questions import Moves
from segtui.tui.screens.dialogs import Prompt
from segtui.tui.screens.replay_modes import DIFFERING, Modes
from segtui.tui.screens.replay_panes import FEED, OF, both_sizes, by_cause, differing, flow_matrix, sizes
from segtui.tui.standing_back import standing_back
from segtui.tui.widgets.charts import size_chart
from segtui.tui.widgets.timeline import Timeline, marker
from segtui.tui.widgets.virtual_list import PAGE, VirtualList

SPEEDS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
RATE = 30
"""Pictures a second; above that frames are dropped."""
SLACK = 0.01
"""A timer may ring a little early."""
FEED_PACE = 0.25
"""Seconds between two feeds while frames play: nobody reads them faster, and asking takes the film's time."""
BATCH = 30


class ReplayPage(Modes):
    """Every recorded frame; `space` plays them, `m` shows them beside others."""

    PAGE = "replay"
    BINDINGS = bindings(PAGE)
    travels = False
    now = staticmethod(time.monotonic)

    class Arrived(Message, bubble=False):
        """Some more frames have been folded."""

        def __init__(self, worker: Worker[None], start: int, frames: list[dict[str, Any]]) -> None:
            super().__init__()
            self.worker = worker
            self.start = start
            self.frames = frames

    def __init__(self) -> None:
        super().__init__()
        self.index = 0
        self.speed = 4
        self.complete = False
        self._arriving: list[dict[str, Any]] = []
        self._film: Timer | None = None
        self._from: tuple[float, int] = (0.0, 0)
        self.dropped = 0
        self._target: str | None = None
        self._moves: Moves | None = None
        self._feed_of: str | None = None
        self._feed_busy = False
        self._feed_next = 0.0

    def content(self) -> ComposeResult:
        yield Static(id="film", classes="filters")
        yield Timeline()
        with Horizontal(classes="columns side", id="upper"):
            with VerticalScroll(classes="pane", id="sizes"):
                yield Static(id="sizes-text")
            with VerticalScroll(classes="pane", id="flow"):
                yield Static(id="flow-text")
        with Horizontal(classes="columns side", id="lower"):
            with VerticalScroll(classes="pane", id="chart"):
                yield Static(id="chart-text")
            with VerticalScroll(classes="pane", id="by-cause"):
                yield Static(id="by-cause-text")
        yield VirtualList(FEED, lambda row: row["seq"], id="feed")
        yield VirtualList(DIFFERING, lambda row: (row["user"], row["segmentation"]), id="differing")

    @property
    def rows(self) -> VirtualList:
        """Who moved at the frame shown; beside other frames, who differs."""
        return self.query_one("#feed" if self.other is None else "#differing", VirtualList)

    @property
    def frame(self) -> dict[str, Any] | None:
        return self.frames[self.index] if self.frames else None

    def remember(self) -> dict[str, Any]:
        return {}

    def about(self) -> str | None:
        segmentation, label = self._drawn_label()
        return f"{segmentation}={label}" if label else None

    def recall(self, as_of: str | None = None, segment: str | None = None, **_: Any) -> None:
        if segment is not None:
            name, label = (*segment.split("=", 1), "")[:2]
            self._drawn = (name, label)
        if as_of is not None:
            self._pause()
            self._target = as_of
            if self.frames:
                self._seek(as_of)

    def stamp(self) -> object:
        # Which moment the other pages show changes no frame, but the line on top tells it.
        return (self.segtui.revision, self.segtui.at)

    # Loading

    def load(self) -> None:
        if self.frame is not None and self._target is None:
            self._target = self.frame["as_of"]
        self.complete = False
        self._feed_of = None
        self.ask("frames", lambda cancelled: standing_back(lambda: self._fold(cancelled)), self._folded)

    def _fold(self, cancelled: Cancelled) -> int:
        """Folds all frames, sending them on in batches; returns how many there are."""
        worker = get_current_worker()
        batch: list[dict[str, Any]] = []
        sent = 0
        for frame in self.segtui.data.replay(cancelled):
            batch.append(frame)
            if len(batch) == BATCH:
                self.post_message(self.Arrived(worker, sent, batch))
                sent, batch = sent + len(batch), []
        self.post_message(self.Arrived(worker, sent, batch))
        return sent + len(batch)

    def on_replay_page_arrived(self, message: Arrived) -> None:
        if message.worker.is_cancelled:
            return
        self._arriving = self._arriving[: message.start] + message.frames
        # Frames that are shown stay until all of the new ones are here.
        if message.start == len(self.frames):
            self.frames = self._arriving
            if self._target is not None:
                self._seek(self._target)
            self._draw()

    def _folded(self, count: int) -> None:
        self.complete = True
        self.frames = self._arriving
        self.index = min(self.index, count - 1)
        if self._target is not None:
            self._seek(self._target)
            self._target = None
        self._draw()

    def _seek(self, as_of: str) -> None:
        """To the first frame at or after a time, the last one when all are before."""
        wanted = words.microseconds(as_of)
        later = (n for n, frame in enumerate(self.frames) if words.microseconds(frame["as_of"]) >= wanted)
        self.index = next(later, len(self.frames) - 1)

    # Drawing

    def _draw(self) -> None:
        frame = self.frame
        if frame is None:
            return
        self.show_as_of(frame["as_of"], self.banner())
        self.query_one(Timeline).show(self.frames, self.index)
        self.query_one("#film", Static).update(self._film_line(frame), layout=False)
        beside = self.beside
        segmentation, label = self._drawn_label()
        self._draw_sizes(frame, beside, segmentation)
        moved = numbers.plural((beside or frame)["changes"], "change")
        room = self.query_one("#flow").content_size.width
        self._pane("flow", f"flow, this tick: {moved}", flow_matrix(beside or frame, segmentation, room))
        chart = self.query_one("#chart").content_size
        told = self.other.frames if self.other is not None else {}
        history = [
            told.get(each["as_of"], each)["sizes"].get(segmentation, {}).get(label, 0) for each in self.frames
        ]
        drawn = size_chart(history, self.index, chart.width, chart.height)
        self._pane("chart", f"size over time: {label} (l)", drawn)
        if beside is None:
            self._pane("by-cause", f"by cause   state {frame['state_digest'][:8]}", by_cause(frame))
        else:
            self._pane("by-cause", f"recorded > {self.mode}", differing(beside))
        if self.other is None:
            self._ask_feed()
        else:
            self.rows.show(beside["differing"] if beside else [])

    def _draw_sizes(self, frame: dict[str, Any], beside: dict[str, Any] | None, segmentation: str) -> None:
        width = self.query_one("#sizes").content_size.width
        if self.other is None:
            before = self.frames[self.index - 1] if self.index else None
            drawn = sizes(frame, before, segmentation, width)
        elif beside is None:
            drawn = Content.styled("This tick was not tried:\nthe last 90 are.", words.DIM)
        else:
            drawn = both_sizes(frame, beside, segmentation, width, self.mode)
        self._pane("sizes", f"size: {segmentation}", drawn)

    def _pane(self, name: str, title: str, text: Content) -> None:
        self.query_one(f"#{name}").border_title = Content(title)
        self.query_one(f"#{name}-text", Static).update(text)

    def on_resize(self) -> None:
        self.call_after_refresh(self._draw)

    def _film_line(self, frame: dict[str, Any]) -> Content:
        playing = self._film is not None
        state = ("▶ PLAY", "bold $success") if playing else ("‖ PAUSE", "bold $warning")
        marks = ("   ~ backfilled" if frame["backfilled"] else "") + (
            "   h hindsight" if frame["hindsight"] else ""
        )
        more = "" if self.complete else "…"
        return Content.assemble(
            state,
            f"  {self.speed}/s   frame {self.index + 1}/{len(self.frames)}{more}   ",
            (f"{numbers.plural(frame['events'], 'event')}", words.DIM),
            (f"   {numbers.count(self.dropped)} dropped" if playing and self.dropped else "", words.DIM),
            (marks, words.WARN),
        )

    # The feed

    def _ask_feed(self) -> None:
        """Asks who moved at this frame, once the question before has been answered."""
        frame = self.frame
        if frame is None or self._feed_busy or frame["as_of"] == self._feed_of:
            return
        if self._film is not None and self.now() < self._feed_next:
            return
        self._feed_next = self.now() + FEED_PACE
        self._feed_busy = True
        as_of = frame["as_of"]
        known = partial(self._feed_known, as_of)
        self.ask("feed", lambda _cancelled: self._feed(as_of), known, self._feed_refused)

    def _feed(self, as_of: str) -> tuple[Moves, list[dict[str, Any]]]:
        moves = self.segtui.data.tick_moves(words.microseconds(as_of))
        return moves, self.segtui.data.moves_page(moves, 0, PAGE)

    def _feed_known(self, as_of: str, answer: tuple[Moves, list[dict[str, Any]]]) -> None:
        self._feed_busy = False
        self._feed_of = as_of
        self._moves, rows = answer
        several = self.segtui.several or self._moves.several
        self.query_one("#feed", VirtualList).columns = [FEED[0], OF, *FEED[1:]] if several else [*FEED]
        self.rows.show_page(self._moves.total, 0, rows)
        self._ask_feed()

    def _feed_refused(self, sentence: str) -> None:
        self._feed_busy = False
        self.complain(sentence)

    def on_virtual_list_wanted(self, message: VirtualList.Wanted) -> None:
        moves = self._moves
        assert moves is not None
        self.ask(
            f"feed {message.first}",
            lambda _cancelled: self.segtui.data.moves_page(moves, message.first, PAGE),
            lambda rows: self.rows.add_page(message.first, rows, message.generation),
            self.complain,
        )

    # What can be done

    def _go(self, index: int) -> None:
        self.index = max(0, min(index, len(self.frames) - 1))
        self._draw()

    def on_timeline_sought(self, message: Timeline.Sought) -> None:
        self._go(message.index)

    def action_play(self) -> None:
        if self._film is not None:
            self._pause()
        else:
            if self.index >= len(self.frames) - 1:
                self.index = 0
            self._roll()
        self._draw()

    def _roll(self) -> None:
        """Plays from here: what is drawn follows the clock, so a slow terminal drops frames."""
        self._film = self.set_interval(1 / min(self.speed, RATE), self._next)
        self._from = (self.now(), self.index)
        self.dropped = 0

    def _next(self) -> None:
        last = len(self.frames) - 1
        if self.index >= last:
            if self.complete:
                self._pause()
                self._draw()
            else:
                # Frames are still on their way: the clock waits for them.
                self._from = (self.now(), self.index)
            return
        began, start = self._from
        due = min(start + int((self.now() - began) * self.speed + SLACK), last)
        if due > self.index:
            self.dropped += due - self.index - 1
            self._go(due)

    def _pause(self) -> None:
        if self._film is not None:
            self._film.stop()
            self._film = None

    def on_screen_suspend(self) -> None:
        self._pause()

    def action_step(self, step: int) -> None:
        self._pause()
        self._go(self.index + step)

    def action_speed(self, step: int) -> None:
        place = SPEEDS.index(self.speed) + step
        self.speed = SPEEDS[max(0, min(place, len(SPEEDS) - 1))]
        if self._film is not None:
            self._pause()
            self._roll()
        self._draw()

    def action_week(self, step: int) -> None:
        if self.frame is None:
            return
        self._pause()
        # Local wall-clock times: a week is a week, also where clocks change.
        wanted = _local(self.frame) + timedelta(weeks=step)
        if step > 0:
            later = (n for n, frame in enumerate(self.frames) if _local(frame) >= wanted)
            self._go(next(later, len(self.frames) - 1))
        else:
            earlier = [n for n, frame in enumerate(self.frames) if _local(frame) <= wanted]
            self._go(earlier[-1] if earlier else 0)

    def action_marker(self, step: int) -> None:
        self._pause()
        marked = [n for n, frame in enumerate(self.frames) if marker(frame)]
        ahead = [n for n in marked if (n - self.index) * step > 0]
        if ahead:
            self._go(min(ahead, key=lambda n: abs(n - self.index)))
        else:
            self._draw()
            self.segtui.tell("No marker there.", "warning")

    def action_label(self) -> None:
        pairs = self._pairs()
        if pairs:
            self._drawn = pairs[(pairs.index(self._drawn_label()) + 1) % len(pairs)]
        self._draw()

    def action_seek(self) -> None:
        self._pause()
        self.app.push_screen(
            Prompt("Go to", "2026-03-01, yesterday, -7d, -8w", lambda text: self.segtui.data.moment(text)),
            self._sought,
        )

    def _sought(self, answer: tuple[str] | None) -> None:
        if answer is not None and self.frames:
            self._seek(answer[0])
        self._draw()

    def action_open(self) -> None:
        if self.rows.item is not None:
            row = self.rows.item
            self.segtui.visit("user", user=row["user"], member_of=row["segmentation"])

    def on_virtual_list_chosen(self) -> None:
        self.action_open()

    def action_copy_command(self) -> None:
        how = self.other.trial.arguments if self.other is not None else []
        self.segtui.copy_command("replay", *how, moment="")


def _local(frame: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(frame["as_of"]).replace(tzinfo=None)
