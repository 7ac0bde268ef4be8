"""The terminal UI at a terminal of its own, keys pressed from outside and paints timed; prints JSON.

Run by bench_ui and the soak, a process per run: `empty`, `first STORE`, `keys STORE BESIDE COUNT`, `film
STORE SECONDS COUNT` or `play STORE SECONDS`. A paint is counted when its bytes have been handed to the
terminal, an answer when the line under the cursor stands in it.
"""

import asyncio
import fcntl
import json
import os
import pty
import struct
import sys
import termios
import threading
import time
import traceback
from functools import wraps
from pathlib import Path

COLUMNS, LINES = 120, 40
PACE = 0.05
"""Seconds between an answer and the next key: quicker than a held key repeats."""
PATIENCE = 60.0
SEGMENT = "value=low"
WHERE = "margin < 0.05"
YEAR = 365
SAMPLE = 1.0
LONG = "1000"
"""Epochs of a training that shall not end before the keys do."""
PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")
WARM = 2.0
"""Seconds given to what runs beside before keys are timed."""


def at_a_terminal():
    """Gives this process a terminal as its standard streams; returns the other end, and the old output."""
    told = os.fdopen(os.dup(1), "w")
    outside, inside = pty.openpty()
    fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    for stream in (0, 1, 2):
        os.dup2(inside, stream)
    # What Python opened at its start may have been a file or a pipe.
    sys.stdin = sys.__stdin__ = os.fdopen(0, closefd=False)
    sys.stdout = sys.__stdout__ = os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.__stderr__ = os.fdopen(2, "w", closefd=False)
    os.environ |= {"TERM": "xterm-256color", "COLORTERM": "truecolor"}

    def drain():
        while os.read(outside, 65_536):
            pass

    threading.Thread(target=drain, daemon=True).start()
    return outside, told


def on_paint(call):
    """Has `call(app)` called after every paint of any app."""
    from textual.app import App

    painted = App._display

    @wraps(painted)
    def display(self, screen, renderable):
        painted(self, screen, renderable)
        call(self)

    App._display = display


def empty(told):
    """When an app without anything has painted."""
    from textual.app import App

    def say(_app):
        told.write(json.dumps({"first": time.time()}))
        told.flush()
        os._exit(0)

    on_paint(say)
    App().run()


def first(told, store):
    """When the first paint was there, and when the sizes of the segments stood in one."""
    from segtui.tui.widgets.virtual_list import VirtualList

    found = {}
    watch_rows(VirtualList)

    def say(app):
        found.setdefault("first", time.time())
        if app.screen_stack and any(each.drawn for each in app.screen.query(VirtualList)):
            told.write(json.dumps(found | {"sizes": time.time()}))
            told.flush()
            os._exit(0)

    on_paint(say)
    from segtui.cli import main

    sys.argv = ["segtui", "--store", store]
    main()


def watch_rows(kind):
    """Has every list keep which row it last drew under its cursor: (rows' generation, index), or None."""
    drawing = kind.render_line
    kind.drawn = None

    @wraps(drawing)
    def render_line(self, y):
        strip = drawing(self, y)
        index = round(self.scroll_y) + y - 1
        if y and index == self.cursor and self.row(index) is not None:
            self.drawn = (self.generation, index)
        return strip

    kind.render_line = render_line


class Operator:
    """Presses keys and waits for what they bring."""

    def __init__(self, app, terminal):
        self.app = app
        self.terminal = terminal
        self.wanted = None
        self.seen = None
        self.drawn_at = self.painted_at = None
        self.pictures = 0
        on_paint(self.painted)

    def painted(self, _app):
        """Notes when what is waited for stands on the screen, and counts the frames that were painted."""
        if self.drawn_at != self.painted_at:
            self.painted_at = self.drawn_at
            self.pictures += 1
        if self.wanted is not None and self.wanted():
            self.wanted = None
            self.seen.set_result(time.perf_counter())

    async def press(self, keys, wanted):
        """Seconds from the key to the paint in which `wanted` holds."""
        self.seen = asyncio.get_running_loop().create_future()
        self.wanted = wanted
        began = time.perf_counter()
        os.write(self.terminal, keys)
        at = await asyncio.wait_for(self.seen, PATIENCE)
        await asyncio.sleep(PACE)
        return at - began

    @property
    def rows(self):
        """The list of the page."""
        return self.app.page.rows

    def at(self, cursor):
        """Whether a row stands drawn under the cursor at that index."""
        return lambda: self.rows.cursor == cursor and self.rows.drawn == (self.rows.generation, cursor)

    async def move(self, keys, cursor):
        """Presses a key that moves the cursor to an index."""
        return await self.press(keys, self.at(cursor))

    async def members(self):
        """Goes to the members of the segment that is by far the largest."""
        self.app.visit("members", segment=SEGMENT)
        while not self.app.page.query("#members") or not self.rows.total:
            await asyncio.sleep(0.05)
        await asyncio.sleep(1)

    async def scroll(self, count):
        """Seconds of a line down, half a page down."""
        await self.move(b"g", 0) if self.rows.cursor else None
        lines = [await self.move(b"j", self.rows.cursor + 1) for _ in range(count)]
        pages = [await self.move(b"\x1b[6~", self.rows.cursor + self.rows._half) for _ in range(count)]
        return lines, pages

    async def ends(self, count):
        """Seconds of a jump to the last row, and back to the first."""
        last, top = [], []
        for _ in range(count):
            last.append(await self.move(b"G", self.rows.total - 1))
            top.append(await self.move(b"g", 0))
        return last, top

    async def search(self, where, kept=b"\r"):
        """Seconds of each letter that is typed, and from the last one, with enter, to what it finds.

        Without enter the line stays open, and is left when what it finds is there.
        """
        from textual.widgets import Input

        os.write(self.terminal, b"/")
        while not isinstance(self.app.focused, Input):
            await asyncio.sleep(0.02)
        await asyncio.sleep(PACE)
        field = self.app.screen.query_one(Input)
        letters = [
            await self.press(letter.encode(), lambda typed=where[: n + 1]: field.value == typed)
            for n, letter in enumerate(where[:-1])
        ]
        page = self.app.page
        found = await self.press(
            where[-1].encode() + kept,
            lambda: (
                page.filter == where
                and page.filter_line.is_open is not bool(kept)
                and self.rows.drawn == (self.rows.generation, 0)
            ),
        )
        if not kept:
            await self.press(b"\x1b", lambda: page.filter == "" and not page.filter_line.is_open)
        page.filter = ""
        return letters, found

    async def searches(self, texts, kept=b"\r"):
        """All letters of some searches, and what each took to find."""
        letters, found = [], []
        for text in texts:
            typed, seconds = await self.search(text, kept)
            letters += typed
            found.append(seconds)
        return letters, found

    async def keys(self, count):
        """What a walk through the members costs, key by key."""
        lines, pages = await self.scroll(count)
        last, top = await self.ends(count // 2)
        bounds = [f"margin < 0.{bound + 30}" for bound in range(count // 2 + 1)]
        letters, found = await self.searches(bounds)
        typed, followed = await self.searches(bounds[1:], kept=b"")
        ids = [row["user"][:4] for row in self.rows._pages[0][: count // 2 + 1]]
        meanwhile, first = await self.search(ids[0], kept=b"")
        parts, named = await self.searches(ids[1:], kept=b"")
        return {
            "line": lines,
            "half a page": pages,
            "last row": last,
            "first row": top,
            "letter of a search": letters + typed + parts,
            "what the first finds": found[:1],
            "what a later one finds": found[1:],
            "what one finds before enter": followed,
            "letter while every id is opened": meanwhile,
            "what the first by id finds, every id being opened": [first],
            "what a later one by id finds": named,
        }

    async def film(self, seconds, count):
        """A replay of a year's ticks at full speed, begun again whenever it ends: pictures/s, how many frames
        went by and were dropped, and seconds until a step in its feed, and a pause, stand on the screen."""
        page = await self.replay()
        self.pictures = 0
        frames = dropped = 0
        playing = 0.0
        while playing < seconds:
            page.index = 0
            began = time.perf_counter()
            page.action_play()
            while page._film is not None:
                await asyncio.sleep(0.005)
            playing += time.perf_counter() - began
            frames += page.index
            dropped += page.dropped
        pictures, steps, pauses = self.pictures, [], []
        for number in range(count):
            page.index = 0
            page.action_play()
            await asyncio.sleep(0.3 + 0.01 * number)
            before = self.rows.cursor
            if self.rows.total > before + 1:
                # The feed may have become shorter meanwhile: then the cursor stands at its end.
                moved = await self.press(
                    b"j", lambda at=before: self.rows.cursor > at or self.rows.total <= at + 1
                )
                steps.append(moved)
            pauses.append(await self.press(b" ", lambda: page._film is None))
        return {
            "pictures_s": pictures / playing,
            "frames": frames,
            "dropped": dropped,
            "step": steps,
            "pause": pauses,
        }

    async def replay(self):
        """Goes to the replay, all frames folded and repeated to a year of them, at its highest speed."""
        from segtui.tui.screens.replay import SPEEDS
        from segtui.tui.widgets.timeline import Timeline

        self.app.visit("replay")
        page = self.app.get_screen("replay")
        while self.app.page is not page or not page.complete:
            await asyncio.sleep(0.05)
        page.frames = (page.frames * (YEAR // len(page.frames) + 1))[:YEAR]
        page.speed = SPEEDS[-1]
        line = page.query_one(Timeline)
        drawing = line.render

        def render():
            self.drawn_at = line.at
            return drawing()

        line.render = render
        return page

    def beside(self, what):
        """Has a replay be folded over and over, or a model trained, while keys are pressed."""
        from segtui.tui.standing_back import standing_back

        app = self.app
        if what == "training":
            wanted = {"kind": "mlp", "epochs": LONG}
            app.start(what, lambda *told: app.data.train(wanted, *told, app.heard), lambda _: what)
        elif what == "replay":

            def fold():
                while not app._leaving.is_set():
                    for _ in app.data.replay(app._leaving.is_set):
                        pass

            app.run_worker(lambda: standing_back(fold), group=what, thread=True)


def operate(told, terminal, act):
    """Opens the UI as a command does, and has an operator `act` in it."""
    from segtui.tui.app import SegtuiApp
    from segtui.tui.widgets.virtual_list import VirtualList

    watch_rows(VirtualList)
    app = SegtuiApp(Path(sys.argv[2]))
    operator = Operator(app, terminal)

    async def pilot(_):
        while not app.page.rows.total:
            await asyncio.sleep(0.05)
        try:
            told.write(json.dumps(await act(operator)))
        except Exception:
            told.write(traceback.format_exc())
        told.flush()
        os._exit(0)

    app.run(auto_pilot=pilot)


async def walk(operator):
    """Keys in the members, what runs beside them being well under way."""
    what, count = sys.argv[3], int(sys.argv[4])
    await operator.members()
    operator.beside(what)
    await asyncio.sleep(WARM)
    found = await operator.keys(count)
    if what == "training" and operator.app.idle:
        raise RuntimeError(f"the training was over: {operator.app.notices[-1].text}")
    return found


async def play(operator):
    """Megabytes this process holds, sampled while a year is replayed over and over for so many seconds."""
    page = await operator.replay()
    until = time.monotonic() + float(sys.argv[3])
    held = []
    while time.monotonic() < until:
        if page._film is None:
            page.index = 0
            page.action_play()
        await asyncio.sleep(SAMPLE)
        held.append(int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_SIZE / 1e6)
    return held


async def watch(operator):
    """A film."""
    return await operator.film(float(sys.argv[3]), int(sys.argv[4]))


def main():
    """Opens what the first argument says."""
    what = sys.argv[1]
    terminal, told = at_a_terminal()
    if what == "empty":
        empty(told)
    elif what == "first":
        first(told, sys.argv[2])
    else:
        operate(told, terminal, {"keys": walk, "film": watch, "play": play}[what])


if __name__ == "__main__":
    main()
