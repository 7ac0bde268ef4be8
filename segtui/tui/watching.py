"""What other connections commit: seen while the screens are open, and told to the page shown."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from textual.message import Message
from textual.worker import get_current_worker

from segtui.tui.jobs import Jobs

if TYPE_CHECKING:
    from segtui.tui.data import Data


class Watching(Jobs):
    """The part of the app that knows when what is shown may be old."""

    class WatchBegun(Message, bubble=False):
        """From this position of the log on, no commit is missed."""

        def __init__(self, position: int) -> None:
            super().__init__()
            self.position = position

    class StoreChanged(Message, bubble=False):
        """Another connection has committed."""

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, Watching.StoreChanged)

    def __init__(self) -> None:
        super().__init__()
        self.revision = 0
        self.status: dict[str, Any] | None = None
        self._watched_from: int | None = None
        self._leaving = threading.Event()

    if TYPE_CHECKING:
        poll: float

        @property
        def data(self) -> Data: ...

    def begin_watching(self) -> None:
        """Watches until the app is left."""
        self.run_worker(self._watch, group="watch", thread=True)

    def _watch(self) -> None:
        from segtui.tui.data import told_errors

        worker = get_current_worker()

        def wait() -> bool:
            return not self._leaving.wait(self.poll) and not worker.is_cancelled

        try:
            self.data.watch(
                lambda position: self.post_message(self.WatchBegun(position)),
                lambda: self.post_message(self.StoreChanged()),
                wait,
            )
        except told_errors():
            # The page that is shown meets the same error and tells it.
            return

    def learn(self, status: dict[str, Any]) -> None:
        """Takes what is in the store, as a page has just read it."""
        self.status = status
        self._reload_missed()

    def on_watching_watch_begun(self, message: WatchBegun) -> None:
        self._watched_from = message.position
        self._reload_missed()

    def _reload_missed(self) -> None:
        """Reloads what was read before the watch began, if there was a commit between: nothing else tells."""
        known = None if self.status is None else self.status["position"]
        if self.revision == 0 and None not in (known, self._watched_from) and known != self._watched_from:
            self.changed()

    def on_watching_store_changed(self) -> None:
        self.changed()

    def changed(self) -> None:
        """Everything shown may be old: the page shown reloads now, the others when they are next shown."""
        self.revision += 1
        self.page.reload()
