"""The one job that may write: run in a thread, watched, called off; previewed first where it moves users."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from textual.app import App
from textual.content import Content
from textual.message import Message
from textual.notifications import SeverityLevel
from textual.screen import Screen
from textual.widgets import Input
from textual.worker import Worker

from segtui.operations.progress import Cancelled, Progress, Stopped
from segtui.tui.screens.dialogs import Confirm, Reading
from segtui.tui.screens.page import Page
from segtui.tui.standing_back import standing_back

Result = dict[str, Any]
Work = Callable[[Progress, Cancelled], Result]
T = TypeVar("T")

BUSY = "A job is running: wait for it, or call it off with ctrl+c."
PATIENCE = 0.1
"""Seconds between looks whether a dialog that waits can be opened."""


class Asker(Protocol):
    """Where a job was asked for, while it is open: errors are told there, and not as notices."""

    @property
    def waiting(self) -> bool:
        """Whether it is still open; if not, nobody wants to know any more."""

    def refused(self, sentence: str, severity: SeverityLevel = "error") -> None:
        """Tells what was wrong with what was asked, or, as a warning, that it was not done."""

    def done(self) -> None:
        """It was right, and is under way or shown."""


@dataclass(frozen=True)
class Writing:
    """What can be previewed: `preview` writes nothing, `told` says what it found, `write` does it.

    `yes` is the word for doing it, `no` that for leaving it, `done` the sentence afterwards. Where the
    preview finds `nothing` to do, it is only told.
    """

    title: str
    preview: Work
    told: Callable[[Result], Content]
    write: Work
    yes: str
    done: Callable[[Result], str]
    no: str = "leave it"
    nothing: Callable[[Result], bool] = lambda _result: False


class Jobs(App[None]):
    """The part of the app that runs jobs."""

    class JobMoved(Message, bubble=False):
        """The running job tells how far it is."""

        def __init__(self, what: str, share: float | None) -> None:
            super().__init__()
            self.what = what
            self.share = share

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, Jobs.JobMoved)

    class JobEnded(Message, bubble=False):
        """The running job is over: a result, or a sentence."""

        def __init__(self, result: Result | None, sentence: str, severity: SeverityLevel) -> None:
            super().__init__()
            self.result = result
            self.sentence = sentence
            self.severity = severity

    def __init__(self) -> None:
        super().__init__()
        self.job_state: tuple[str, float | None] = ("", None)
        self._job: Worker[None] | None = None
        self._job_then: Callable[[Result], None] | None = None
        self._job_failed: Callable[[str, SeverityLevel], None] = self.tell
        self._job_cancelled = threading.Event()

    if TYPE_CHECKING:
        revision: int

        @property
        def page(self) -> Page: ...
        def tell(
            self, text: str, severity: SeverityLevel = "information", *, quiet: bool = False
        ) -> None: ...
        def changed(self) -> None: ...

    @property
    def idle(self) -> bool:
        """Whether no job runs."""
        return self._job is None

    def start(self, what: str, work: Work, done: Callable[[Result], str], asker: Asker | None = None) -> None:
        """Runs a job that writes; `done` turns its result into a notice."""

        def then(result: Result) -> None:
            self.tell(done(result))
            self.changed()

        self._run(what, work, then, self.tell if asker is None else asker.refused)

    def look(self, what: str, work: Work, then: Callable[[Result], None], asker: Asker | None = None) -> None:
        """Runs a job that writes nothing; `then` takes what it found, unless its asker was left."""

        def found(result: Result) -> None:
            if asker is None or asker.waiting:
                then(result)

        def failed(sentence: str, severity: SeverityLevel) -> None:
            if asker is None:
                self.tell(sentence, severity)
            elif asker.waiting:
                asker.refused(sentence, severity)

        self._run(what, work, found, failed)

    def preview(self, writing: Writing, asker: Asker | None = None) -> None:
        """Runs the preview, shows what it found, and writes when told to.

        What was previewed before the store moved on is previewed again.
        """
        revision, show = self.revision, self.opener()

        def answered(yes: bool | None) -> None:
            if not yes:
                return
            if self.revision != revision:
                self.tell("The store has moved on meanwhile: previewing again.", "warning")
                self.preview(writing, asker)
                return
            if asker is not None:
                asker.done()
            self.start(writing.title, writing.write, writing.done)

        def then(result: Result) -> None:
            told = writing.told(result)
            if writing.nothing(result):
                show(Reading(writing.title, told), lambda _: None)
            else:
                show(Confirm(writing.title, told, writing.yes, writing.no), answered)

        self.look(f"{writing.title}: preview", writing.preview, then, asker)

    def opener(self) -> Callable[[Screen[T], Callable[[T | None], None]], None]:
        """Opens a dialog over what is there now, however long its answer takes; where another has been
        opened by then, or a line is being typed into, when that is closed."""
        here = (self.screen, self.focused)

        def show(dialog: Screen[T], answered: Callable[[T | None], None]) -> None:
            if self._nobody_left():
                return
            bare = self.screen is self.page and not isinstance(self.focused, Input)
            if bare or (self.screen, self.focused) == here:
                self.push_screen(dialog, answered)
            else:
                self.set_timer(PATIENCE, lambda: show(dialog, answered))

        return show

    def _run(
        self,
        what: str,
        work: Work,
        then: Callable[[Result], None],
        failed: Callable[[str, SeverityLevel], None],
    ) -> None:
        if not self.idle:
            failed(BUSY, "warning")
            return
        self._job_cancelled.clear()
        self._job_then, self._job_failed = then, failed
        self._job_says(what, None)
        self._job = self.run_worker(lambda: self._work(work), group="job", thread=True)

    def call_off(self) -> None:
        """Asks the running job to stop."""
        self._job_cancelled.set()
        self._job_says("calling off", None)

    def _work(self, work: Work) -> None:
        from segtui.tui.data import told_errors

        def progress(what: str, share: float | None) -> None:
            self.post_message(self.JobMoved(what, share))

        try:
            result = standing_back(lambda: work(progress, self._job_cancelled.is_set))
        except Stopped:
            self.post_message(self.JobEnded(None, "Called off: nothing was written.", "warning"))
        except told_errors() as error:
            self.post_message(self.JobEnded(None, str(error), "error"))
        else:
            self.post_message(self.JobEnded(result, "", "information"))

    def on_jobs_job_moved(self, message: JobMoved) -> None:
        if self._job is not None and not self._nobody_left():
            self._job_says(message.what, message.share)

    def on_jobs_job_ended(self, message: JobEnded) -> None:
        self._job = None
        if self._nobody_left():
            return
        self._job_says("", None)
        if message.result is not None and self._job_then is not None:
            self._job_then(message.result)
        else:
            self._job_failed(message.sentence, message.severity)

    def _nobody_left(self) -> bool:
        """Whether the pages are gone: a job may end after the operator has left."""
        return not any(isinstance(screen, Page) for screen in self.screen_stack)

    def _job_says(self, what: str, share: float | None) -> None:
        self.job_state = (what, share)
        self.page.show_job()
