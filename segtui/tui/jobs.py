"""The one job that may write: run in a thread, watched, called off; previewed first where it moves users."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from textual.app import App
from textual.content import Content
from textual.message import Message
from textual.notifications import SeverityLevel
from textual.worker import Worker

from segtui.operations.progress import Cancelled, Progress, Stopped
from segtui.tui.screens.dialogs import Confirm
from segtui.tui.screens.page import Page
from segtui.tui.standing_back import standing_back

Result = dict[str, Any]
Work = Callable[[Progress, Cancelled], Result]


@dataclass(frozen=True)
class Writing:
    """What can be previewed: `preview` writes nothing, `told` says what it found, `write` does it.

    `yes` is the word for doing it, `done` the sentence afterwards.
    """

    title: str
    preview: Work
    told: Callable[[Result], Content]
    write: Work
    yes: str
    done: Callable[[Result], str]


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

    def free(self) -> bool:
        """Whether no job runs; says so when one does."""
        if not self.idle:
            self.tell("A job is running: wait for it, or call it off with ctrl+c.", "warning")
        return self.idle

    def start(self, what: str, work: Work, done: Callable[[Result], str]) -> None:
        """Runs a job that writes; `done` turns its result into a notice."""

        def then(result: Result) -> None:
            self.tell(done(result))
            self.changed()

        self._run(what, work, then)

    def look(self, what: str, work: Work, then: Callable[[Result], None]) -> None:
        """Runs a job that writes nothing; `then` takes what it found."""
        self._run(what, work, then)

    def preview(self, writing: Writing) -> None:
        """Runs the preview, shows what it found, and writes when told to.

        What was previewed before the store moved on is previewed again.
        """
        revision = self.revision

        def answered(yes: bool | None) -> None:
            if not yes:
                return
            if self.revision != revision:
                self.tell("The store has moved on meanwhile: previewing again.", "warning")
                self.preview(writing)
            else:
                self.start(writing.title, writing.write, writing.done)

        def then(result: Result) -> None:
            self.push_screen(Confirm(writing.title, writing.told(result), writing.yes), answered)

        self._run(f"{writing.title}: preview", writing.preview, then)

    def _run(self, what: str, work: Work, then: Callable[[Result], None]) -> None:
        if not self.free():
            return
        self._job_cancelled.clear()
        self._job_then = then
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
            self.tell(message.sentence, message.severity)

    def _nobody_left(self) -> bool:
        """Whether the pages are gone: a job may end after the operator has left."""
        return not any(isinstance(screen, Page) for screen in self.screen_stack)

    def _job_says(self, what: str, share: float | None) -> None:
        self.job_state = (what, share)
        self.page.show_job()
