"""Asking for a word typed out before a person is forgotten, and forgetting them as a job."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from segtui.operations import words as numbers
from segtui.operations.errors import OperationError
from segtui.tui.screens.dialogs import Prompt

if TYPE_CHECKING:
    from segtui.tui.app import SegtuiApp

PURGE = {"erase": False, "purge": True}
HINT = "type erase: who they were goes for good; or purge: what they did goes as well"


def ask_for_erasure(app: SegtuiApp, user: str, let_go: Callable[[], None]) -> None:
    """Prompts for the word, then erases the user, whom the page lets go of first."""

    def erase(answer: tuple[bool] | None) -> None:
        if answer is None:
            return
        purge = answer[0]
        app.start("forgetting", lambda progress, _cancelled: app.data.erase(user, purge, progress), _told)
        # The page would ask for them anew at the commit, and tell their id when nobody is there any more.
        let_go()

    app.push_screen(Prompt(f"Erase {user}", HINT, _word), erase)


def _told(result: dict[str, Any]) -> str:
    purged = f", {numbers.count(result['purged'])} purged" if result["purged"] else ""
    models = f" Trained on them: {', '.join(result['models'])}." if result["models"] else ""
    return f"Forgotten, with {numbers.plural(result['events'], 'event')}{purged}.{models}"


def _word(text: str) -> bool:
    """Whether what was typed purges."""
    if text not in PURGE:
        raise OperationError("Type erase or purge in full, or leave with esc.")
    return PURGE[text]
