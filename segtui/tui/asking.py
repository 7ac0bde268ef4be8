"""Questions to the store, put in worker threads; answers come back as messages to the screen that asked."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from textual.dom import DOMNode
from textual.message import Message
from textual.types import NoActiveAppError
from textual.worker import Worker, get_current_worker

from segtui.operations.progress import Cancelled, Stopped

T = TypeVar("T")


class Answered(Message, bubble=False):
    """A question's answer, unless the question has been put anew meanwhile."""

    def __init__(self, worker: Worker[None], deliver: Callable[[Any], None], answer: Any) -> None:
        super().__init__()
        self.worker = worker
        self.deliver = deliver
        self.answer = answer


class Refused(Message, bubble=False):
    """A question that could not be answered, and why in one sentence."""

    def __init__(self, worker: Worker[None], deliver: Callable[[str], None], sentence: str) -> None:
        super().__init__()
        self.worker = worker
        self.deliver = deliver
        self.sentence = sentence


class Asking(DOMNode):
    """A screen that asks the store; subclasses say in `refused` what becomes of an error.

    Stands last among the bases: style sheets and bindings follow the first.
    """

    def ask(
        self,
        group: str,
        question: Callable[[Cancelled], T],
        deliver: Callable[[T], None],
        refused: Callable[[str], None] | None = None,
    ) -> None:
        """Runs `question` in a thread and `deliver`s its answer, unless the group asks anew meanwhile.

        A question that finds out that it was given up may end by Stopped; one whose screen was taken away
        ends where it asks for the app.
        """

        def work() -> None:
            worker = get_current_worker()
            if worker.is_cancelled:
                return
            # Here, in the thread: see segtui.tui.data.
            from segtui.tui.data import told_errors

            try:
                answer = question(lambda: worker.is_cancelled)
            except (Stopped, NoActiveAppError):
                return
            except told_errors() as error:
                self._post(Refused(worker, refused or self.refused, str(error)))
            else:
                self._post(Answered(worker, deliver, answer))

        self.run_worker(work, group=group, exclusive=True, thread=True)

    def _post(self, answer: Message) -> None:
        """Posts it, unless the screen was taken away: a thread finds its app by the screen's parents."""
        with suppress(NoActiveAppError):
            self.post_message(answer)

    def refused(self, sentence: str) -> None:
        """What becomes of an error nobody else takes."""
        raise NotImplementedError

    def on_answered(self, message: Answered) -> None:
        if not message.worker.is_cancelled:
            message.deliver(message.answer)

    def on_refused(self, message: Refused) -> None:
        if not message.worker.is_cancelled:
            message.deliver(message.sentence)
