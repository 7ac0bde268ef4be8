"""The terminal UI: which page is shown, which moment it shows, and the one job that may run."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.app import App
from textual.content import Content
from textual.message import Message
from textual.notifications import SeverityLevel
from textual.worker import Worker, get_current_worker

from segtui.operations import words as numbers
from segtui.operations.progress import Cancelled, Progress, Stopped
from segtui.operations.times import iso
from segtui.tui import words
from segtui.tui.actions import EVERYWHERE, bindings
from segtui.tui.palette import ActionCommands, PlaceCommands
from segtui.tui.screens.changes import ChangesPage
from segtui.tui.screens.dialogs import Confirm, Prompt, Reading
from segtui.tui.screens.help import help_text
from segtui.tui.screens.imports import ImportReport
from segtui.tui.screens.members import MembersPage
from segtui.tui.screens.page import Page
from segtui.tui.screens.replay import ReplayPage
from segtui.tui.screens.segments import SegmentsPage
from segtui.tui.screens.user import UserPage
from segtui.tui.theme import MUTED, THEME

if TYPE_CHECKING:
    from segtui.tui.data import Data

WIDTHS = [(0, "-narrow"), (76, "-normal"), (110, "-wide")]
HEIGHTS = [(0, "-low"), (32, "-tall")]
HISTORY = 50
POLL_SECONDS = 0.25

Work = Callable[[Progress, Cancelled], dict[str, Any]]


@dataclass(frozen=True)
class Notice:
    """Something that was said, and when."""

    at: datetime
    text: str
    severity: SeverityLevel


class SegtuiApp(App[None], inherit_bindings=False):
    """The five pages over one store."""

    TITLE = "segtui"
    CSS_PATH = "segtui.tcss"
    BINDINGS = bindings(EVERYWHERE)
    HORIZONTAL_BREAKPOINTS = WIDTHS
    VERTICAL_BREAKPOINTS = HEIGHTS
    COMMANDS: ClassVar[set[Any]] = {ActionCommands, PlaceCommands}
    SCREENS: ClassVar[dict[str, Any]] = {
        "segments": SegmentsPage,
        "members": MembersPage,
        "user": UserPage,
        "replay": ReplayPage,
        "changes": ChangesPage,
    }

    class StoreChanged(Message, bubble=False):
        """Another connection has committed."""

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, SegtuiApp.StoreChanged)

    class JobMoved(Message, bubble=False):
        """The running job tells how far it is."""

        def __init__(self, what: str, share: float | None) -> None:
            super().__init__()
            self.what = what
            self.share = share

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, SegtuiApp.JobMoved)

    class JobEnded(Message, bubble=False):
        """The running job is over: a result, or a sentence."""

        def __init__(self, result: dict[str, Any] | None, sentence: str, severity: SeverityLevel) -> None:
            super().__init__()
            self.result = result
            self.sentence = sentence
            self.severity = severity

    def __init__(
        self,
        store: Path,
        *,
        data: Data | None = None,
        clock: Callable[[], datetime] = datetime.now,
        poll: float = POLL_SECONDS,
    ) -> None:
        super().__init__()
        self.store = store
        self._data = data
        self.clock = clock
        self.poll = poll
        self.at: int | None = None
        self.revision = 0
        self.status: dict[str, Any] | None = None
        self.known_segments: list[str] = []
        self.notices: list[Notice] = []
        self.unread = 0
        self.job_state: tuple[str, float | None] = ("", None)
        self._job: Worker[None] | None = None
        self._job_done: Callable[[dict[str, Any]], str] | None = None
        self._job_cancelled = threading.Event()
        self._leaving = threading.Event()
        self._history: list[tuple[str, dict[str, Any]]] = []
        self.register_theme(THEME)
        self.theme = THEME.name

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """`$muted`, for what stands back, whatever the theme."""
        return {"muted": MUTED}

    @property
    def data(self) -> Data:
        """The store, as threads ask for it; the first to ask loads what it takes."""
        if self._data is None:
            from segtui.tui.data import Data

            self._data = Data(self.store)
        return self._data

    @property
    def page(self) -> Page:
        """The page shown, also while a dialog lies over it."""
        return next(screen for screen in reversed(self.screen_stack) if isinstance(screen, Page))

    @property
    def zone(self) -> str:
        """The store's time zone."""
        return self.status["timezone"] if self.status else "UTC"

    @property
    def currency(self) -> str | None:
        """The store's currency, None before the first import."""
        return self.status["currency"] if self.status else None

    def on_mount(self) -> None:
        self.push_screen("segments")
        self.run_worker(self._watch, group="watch", thread=True)

    def on_unmount(self) -> None:
        self._leaving.set()
        self._job_cancelled.set()

    def _watch(self) -> None:
        from segtui.tui.data import ERRORS

        worker = get_current_worker()

        def wait() -> bool:
            return not self._leaving.wait(self.poll) and not worker.is_cancelled

        try:
            self.data.watch(lambda: self.post_message(self.StoreChanged()), wait)
        except ERRORS:
            # The page that is shown meets the same error and tells it.
            return

    def on_segtui_app_store_changed(self) -> None:
        self.changed()

    def changed(self) -> None:
        """Everything shown may be old: the page shown reloads now, the others when they are next shown."""
        self.revision += 1
        self.page.reload()

    # Places

    def visit(self, page: str, **what: Any) -> None:
        """Shows a page, and remembers where it was called from."""
        self._history = [*self._history, (self.page.PAGE, self.page.remember())][-HISTORY:]
        self._show(page, what)

    def _show(self, page: str, what: dict[str, Any]) -> None:
        target = cast(Page, self.get_screen(page))
        target.recall(**what)
        if target is self.page:
            target.reload()
        else:
            self.switch_screen(page)

    def action_go(self, page: str) -> None:
        if page != self.page.PAGE:
            self.visit(page)

    async def action_back(self) -> None:
        if self._history:
            page, what = self._history.pop()
            self._show(page, what)
        elif self.page.PAGE != "segments":
            self._show("segments", {})

    def neighbour(self, step: int) -> str | None:
        """Who stands before or after the user shown, in the list it was chosen from."""
        for page, _ in reversed(self._history):
            source = self.get_screen(page)
            if isinstance(source, MembersPage | ChangesPage):
                return source.neighbour(step)
        return None

    # Looking around

    def action_palette(self) -> None:
        self.action_command_palette()

    def action_imports(self) -> None:
        self.push_screen(ImportReport(lambda number: self.data.quality(number)))

    def action_help(self) -> None:
        self.push_screen(Reading("Help", help_text(self.page.PAGE)))

    def action_zoom(self) -> None:
        self.page.toggle_class("-zoomed")

    def action_notices(self) -> None:
        self.unread = 0
        self.page.show_notices()
        lines = [
            Content.assemble(
                (f"{notice.at:%H:%M:%S} ", words.DIM),
                (f"{notice.severity:<12}", words.FALL if notice.severity == "error" else words.DIM),
                notice.text,
            )
            for notice in reversed(self.notices)
        ]
        text = Content("\n").join(lines) if lines else Content.styled("Nothing was said so far.", words.DIM)
        self.push_screen(Reading("Notices", text))

    def tell(self, text: str, severity: SeverityLevel = "information", *, quiet: bool = False) -> None:
        """Keeps a notice, and shows it for a while unless `quiet`."""
        self.notices.append(Notice(self.clock(), text, severity))
        self.unread += 1
        self.page.show_notices()
        if not quiet:
            self.notify(text, severity=severity, markup=False)

    def copy_command(self, *arguments: str, moment: str = "--at") -> None:
        """Copies the command line that gives what is shown; `moment` is the option that takes its as-of."""
        parts = ["segtui", "--store", str(self.store), *arguments]
        if self.at is not None and moment:
            parts += [moment, iso(self.at, self.zone)]
        command = shlex.join(parts)
        self.copy_to_clipboard(command)
        self.tell(f"Copied: {command}")

    def action_time_travel(self) -> None:
        self.push_screen(
            Prompt(
                "Time travel",
                "2026-03-01, 2026-03-01T10:00, yesterday, -7d, -8w, last-rescore; now comes back",
                lambda text: self.data.tick_at(text),
            ),
            self._travel,
        )

    def _travel(self, answer: tuple[int | None] | None) -> None:
        if answer is not None and answer[0] != self.at:
            self.at = answer[0]
            self.changed()

    # Jobs

    def action_rescore(self) -> None:
        if not self._free():
            return
        self.push_screen(
            Confirm(
                "Rescore",
                "Evaluates everyone who is due, and records who moves and why.\n"
                "What is recorded stays; it can be called off while it runs.",
                "rescore",
            ),
            lambda yes: self.start("rescoring", self._rescore, _rescored) if yes else None,
        )

    def _rescore(self, progress: Progress, cancelled: Cancelled) -> dict[str, Any]:
        return self.data.rescore(progress, cancelled)

    def _free(self) -> bool:
        """Whether no job runs; says so when one does."""
        if self._job is not None:
            self.tell("A job is running: wait for it, or call it off with ctrl+c.", "warning")
        return self._job is None

    def start(self, what: str, work: Work, done: Callable[[dict[str, Any]], str]) -> None:
        """Runs a job that writes; `done` turns its result into a notice."""
        if not self._free():
            return
        self._job_cancelled.clear()
        self._job_done = done
        self._job_says(what, None)
        self._job = self.run_worker(lambda: self._work(work), group="job", thread=True)

    def _work(self, work: Work) -> None:
        from segtui.tui.data import ERRORS

        def progress(what: str, share: float | None) -> None:
            self.post_message(self.JobMoved(what, share))

        try:
            result = work(progress, self._job_cancelled.is_set)
        except Stopped:
            self.post_message(self.JobEnded(None, "Called off: nothing was written.", "warning"))
        except ERRORS as error:
            self.post_message(self.JobEnded(None, str(error), "error"))
        else:
            self.post_message(self.JobEnded(result, "", "information"))

    def on_segtui_app_job_moved(self, message: JobMoved) -> None:
        if not self._nobody_left():
            self._job_says(message.what, message.share)

    def on_segtui_app_job_ended(self, message: JobEnded) -> None:
        self._job = None
        if self._nobody_left():
            return
        self._job_says("", None)
        if message.result is not None and self._job_done is not None:
            self.tell(self._job_done(message.result))
            self.changed()
        else:
            self.tell(message.sentence, message.severity)

    def _nobody_left(self) -> bool:
        """Whether the pages are gone: a job may end after the operator has left."""
        return not any(isinstance(screen, Page) for screen in self.screen_stack)

    def _job_says(self, what: str, share: float | None) -> None:
        self.job_state = (what, share)
        self.page.show_job()

    # Leaving

    async def action_interrupt(self) -> None:
        if self._job is not None:
            self._job_cancelled.set()
            self._job_says("calling off", None)
        else:
            self.exit()

    async def action_quit(self) -> None:
        if self._job is None:
            self.exit()
            return
        self.push_screen(
            Confirm("Quit", "A job is writing. Call it off and quit?", "call it off and quit", "let it run"),
            lambda yes: self.exit() if yes else None,
        )


def _rescored(result: dict[str, Any]) -> str:
    return (
        f"Rescored up to {words.minute(result['as_of'])}: {numbers.count(result['evaluated'])} evaluated, "
        f"{numbers.count(result['changed'])} moved, {numbers.seconds(result['seconds'])}."
    )
