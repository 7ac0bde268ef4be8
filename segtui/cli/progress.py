"""A progress bar that shows itself only when there is something to wait for."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.progress import Progress

PATIENCE = 1.0


class Bar:
    """Draws on stderr from the first second on, and takes itself away when done."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self._lock = threading.Lock()
        self._timer = threading.Timer(patience, self._show)
        self._timer.daemon = True
        self._drawn: Progress | None = None
        self._done = False
        self._what = "working"
        self._share: float | None = None

    def __enter__(self) -> Bar:
        self._timer.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._timer.cancel()
        with self._lock:
            self._done = True
            if self._drawn is not None:
                self._drawn.stop()

    def report(self, what: str, share: float | None) -> None:
        """Takes what is being done and the share done (0..1, None while unknown)."""
        with self._lock:
            self._what, self._share = what, share
            self._update()

    def _show(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        with self._lock:
            if self._done:
                return
            self._drawn = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TimeElapsedColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._drawn.add_task(self._what, total=None)
            self._update()
            self._drawn.start()

    def _update(self) -> None:
        if self._drawn is not None:
            task = self._drawn.tasks[0]
            # `update` takes a total of None for "as it was"
            task.total = None if self._share is None else 1.0
            self._drawn.update(task.id, description=self._what, completed=self._share or 0.0)
