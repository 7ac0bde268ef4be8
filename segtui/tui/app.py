"""The terminal UI: which page is shown, which moment it shows, and the one job that may run."""

from __future__ import annotations

import asyncio
import gc
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast
from weakref import WeakKeyDictionary

from textual.events import Event, Key
from textual.filter import LineFilter, Monochrome
from textual.message import Message
from textual.notifications import SeverityLevel
from textual.widget import Widget

from segtui.garbage import Held
from segtui.operations.times import iso
from segtui.tui import places, preferences
from segtui.tui.action import EVERYWHERE
from segtui.tui.actions import bindings
from segtui.tui.ascii import Ascii
from segtui.tui.palette import ActionCommands, PlaceCommands
from segtui.tui.preferences import Preferences
from segtui.tui.rescoring import rescoring
from segtui.tui.screens.dialogs import Confirm, Prompt, Reading
from segtui.tui.screens.help import help_text
from segtui.tui.screens.notices import Notice, Notices
from segtui.tui.screens.page import Page
from segtui.tui.theme import THEMES
from segtui.tui.watching import Watching

if TYPE_CHECKING:
    from segtui.tui.data import Data

WIDTHS = [(0, "-narrow"), (76, "-normal"), (110, "-wide")]
HEIGHTS = [(0, "-low"), (32, "-tall")]
HISTORY = 50
TURN = 0.001
"""Seconds a working thread keeps the interpreter while a key waits for it."""
THREADS = 32
"""A question must not wait for those that nobody waits for any more: by default there are few threads."""
UNTIL_READ = 86_400.0
"""Seconds that an error stays on the screen; it is read long before."""


def _made(module: str, name: str) -> Page:
    """A page, its module loaded when it is first shown: the first page comes sooner."""
    return cast(Page, getattr(import_module(f"segtui.tui.screens.{module}"), name)())


class SegtuiApp(Watching, inherit_bindings=False):
    """The pages over one store."""

    TITLE = "segtui"
    CSS_PATH = "segtui.tcss"
    BINDINGS = bindings(EVERYWHERE)
    HORIZONTAL_BREAKPOINTS = WIDTHS
    VERTICAL_BREAKPOINTS = HEIGHTS
    COMMANDS: ClassVar[set[Any]] = {ActionCommands, PlaceCommands}
    SCREENS: ClassVar[dict[str, Any]] = {
        "segments": partial(_made, "segments", "SegmentsPage"),
        "members": partial(_made, "members", "MembersPage"),
        "user": partial(_made, "user", "UserPage"),
        "replay": partial(_made, "replay", "ReplayPage"),
        "changes": partial(_made, "changes", "ChangesPage"),
        "rules": partial(_made, "rules", "RulesPage"),
        "models": partial(_made, "models", "ModelsPage"),
        "transitions": partial(_made, "transitions", "TransitionsPage"),
        "overlap": partial(_made, "overlap", "OverlapPage"),
        "data": partial(_made, "imports", "DataPage"),
        "checks": partial(_made, "checks", "ChecksPage"),
        "log": partial(_made, "log", "LogPage"),
        "settings": partial(_made, "settings", "SettingsPage"),
    }

    class EpochEnded(Message, bubble=False):
        """The model that is trained has gone through the users once more."""

    def __init__(
        self,
        store: Path,
        *,
        data: Data | None = None,
        clock: Callable[[], datetime] = datetime.now,
        poll: float | None = None,
        preferred: tuple[Preferences, list[str]] | None = None,
    ) -> None:
        super().__init__()
        self.preferences, self._complaints = preferred or preferences.load()
        self.store = store
        self._data = data
        self.clock = clock
        self.poll = self.preferences.refresh if poll is None else poll
        self.at: int | None = None
        self.known_segments: list[str] = []
        self.known_models: list[str] = []
        self.notices: list[Notice] = []
        self.unread = 0
        self.epochs: list[tuple[float, float]] = []
        self._held = Held()
        self._aimed: WeakKeyDictionary[Key, Widget] = WeakKeyDictionary()
        self._history: list[tuple[str, dict[str, Any]]] = []
        for theme in THEMES.values():
            self.register_theme(theme)
        self.theme = self.preferences.theme
        self.set_keymap({name: ",".join(keys) for name, keys in self.preferences.keys.items()})

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """`$muted` for what stands back and `$line` between panes, in themes that do not say."""
        return dict(THEMES["dark"].variables)

    def get_line_filters(self) -> Sequence[LineFilter]:
        """What is drawn, without colours or in ASCII where that is preferred."""
        filters = [*super().get_line_filters()]
        if self.preferences.theme == "no-colour":
            filters.append(Monochrome())
        if self.preferences.ascii:
            filters.append(Ascii())
        return filters

    def prefer(self, held: Preferences) -> None:
        """Takes other preferences, at once."""
        redraw = held.ascii != self.preferences.ascii or held.theme != self.preferences.theme
        self.preferences, self.poll = held, held.refresh
        self.theme = held.theme
        if redraw:
            for screen in self.screen_stack:
                screen.refresh(layout=True, recompose=False)
                for widget in screen.query("*"):
                    widget.refresh(layout=True)

    def prefer_and_keep(self, name: str, value: Any) -> None:
        """Takes another value of a preference, at once, and keeps it for the next start."""
        self.prefer(preferences.changed(self.preferences, name, value))
        try:
            preferences.save(self.preferences)
        except OSError as error:
            self.tell(f"It holds for this run, but cannot be kept: {error}.", "error")

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
    def several(self) -> bool:
        """Whether there is more than one segmentation, so that a label alone does not say whose it is."""
        return len({name.partition("=")[0] for name in self.known_segments}) > 1

    @property
    def zone(self) -> str:
        """The store's time zone."""
        return self.status["timezone"] if self.status else "UTC"

    @property
    def currency(self) -> str | None:
        """The store's currency, None before the first import."""
        return self.status["currency"] if self.status else None

    async def on_event(self, event: Event) -> None:
        # In a dialog, a line or a list: `esc` takes away what lies over it as well.
        if isinstance(event, Key) and event.key == "escape":
            self.clear_notifications()
        if not isinstance(event, Key) or not self._overtaken(event):
            await super().on_event(event)

    def _overtaken(self, key: Key) -> bool:
        """Whether a key comes back from where the focus was before the keys ahead of it took effect; it is
        sent again then, or what is typed right after the key that opens a line would be lost."""
        focus = self.focused or self.screen
        if not key.is_forwarded:
            self._aimed[key] = focus
            return False
        if self._aimed.get(key, focus) is focus:
            return False
        self.post_message(Key(key.key, key.character))
        return True

    def dismiss_errors(self) -> None:
        """Takes errors off the screen, which would stay over what is shown or typed next; `!` has them."""
        for each in [each for each in self._notifications if each.severity == "error"]:
            self._unnotify(each)

    def on_mount(self) -> None:
        self.screen_change_signal.subscribe(self, lambda _: self.dismiss_errors())
        sys.setswitchinterval(TURN)
        if not self.is_headless:
            gc.callbacks.append(self._held)
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS))
        if not self.is_headless and not self.is_web:
            # Else the shell would get the terminal back in the state the screens left it in.
            for number in (signal.SIGTERM, signal.SIGHUP):
                asyncio.get_running_loop().add_signal_handler(number, self.exit, None, 1)
        self.push_screen("segments")
        place = places.last(self.store) if self.preferences.resume else None
        if place is not None and place[0] in self.SCREENS and place[0] != "segments":
            self.call_after_refresh(self.visit, place[0], **place[1])
        for complaint in self._complaints:
            self.call_after_refresh(self.tell, complaint, "warning")
        self.call_after_refresh(self.begin_watching)

    def _keep_place(self) -> None:
        """Keeps where the operator is, for the next start; a user's page is that of the list it came from."""
        if not self.preferences.resume:
            return
        page, what = self.page.PAGE, self.page.remember()
        if page == "user":
            page, what = next(
                (each for each in reversed(self._history) if each[0] != "user"), ("segments", {})
            )
        places.keep(self.store, page, what)

    def on_unmount(self) -> None:
        if self._held in gc.callbacks:
            gc.callbacks.remove(self._held)
        self._leaving.set()
        self._job_cancelled.set()

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
        if page == "replay" and page != self.page.PAGE:
            self.visit(page, segment=self.page.about())
        elif page != self.page.PAGE:
            self.visit(page)

    def action_last_screen(self) -> None:
        if self._history:
            page, what = self._history.pop()
            self.visit(page, **what)

    async def action_back(self) -> None:
        self.clear_notifications()
        if self.page.let_go():
            return
        if self._history:
            page, what = self._history.pop()
            self._show(page, what)
        elif self.page.PAGE != "segments":
            self._show("segments", {})

    def neighbour(self, step: int) -> str | None:
        """Who stands before or after the user shown, in the list it was chosen from."""
        for page, _ in reversed(self._history):
            source = self.get_screen(page)
            if isinstance(source, Page) and source.LISTS_USERS:
                return source.neighbour(step)
        return None

    # Looking around

    def action_palette(self) -> None:
        self.action_command_palette()

    def action_help(self) -> None:
        self.push_screen(Reading("Help", help_text(self.page.PAGE, self.preferences.keys)))

    def action_zoom(self) -> None:
        self.page.toggle_class("-zoomed")

    def action_notices(self) -> None:
        unread, self.unread = self.unread, 0
        self.clear_notifications()
        self.page.show_notices()
        self.push_screen(Notices(self.notices, unread))

    def tell(self, text: str, severity: SeverityLevel = "information", *, quiet: bool = False) -> None:
        """Keeps a notice, and shows it unless `quiet`: an error until `esc`, another page, or a dialog."""
        self.notices.append(Notice(self.clock(), text, severity, self._details()))
        self.unread += 1
        self.page.show_notices()
        if not quiet:
            timeout = UNTIL_READ if severity == "error" else None
            self.notify(text, severity=severity, timeout=timeout, markup=False)

    def _details(self) -> str:
        """Where something was said: version, store, page and moment."""
        shown = {name: value for name, value in self.page.remember().items() if value not in (None, "")}
        asked = ", ".join(f"{name} {value}" for name, value in shown.items())
        moment = "now" if self.at is None else iso(self.at, self.zone)
        return (
            f"segtui {version('segtui')}, {self.store.name} as of {moment}\n"
            f"page {self.page.PAGE}{': ' if asked else ''}{asked}"
        )

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
                "2026-03-01, 2026-03-01T10:00, yesterday, -7d, -8w, last-rescore\nnow comes back",
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
        self.preview(rescoring(self.data))

    def heard(self, train: float, valid: float) -> None:
        """Keeps the losses of an epoch; called from the thread that trains."""
        self.epochs = [*self.epochs, (train, valid)]
        self.post_message(self.EpochEnded())

    def on_segtui_app_epoch_ended(self) -> None:
        if not self.idle:
            self.page.heard(self.epochs)

    # Leaving

    async def action_interrupt(self) -> None:
        if self.idle:
            self._leave()
        else:
            self.call_off()

    async def action_quit(self) -> None:
        if self.idle:
            self._leave()
            return
        self.push_screen(
            Confirm("Quit", "A job is writing. Call it off and quit?", "call it off and quit", "let it run"),
            lambda yes: self._leave() if yes else None,
        )

    @property
    def failure(self) -> BaseException | None:
        """The defect that ended the app, for who ran it to tell."""
        return self._exception

    def _fatal_error(self) -> None:
        # Not Textual's traceback: it prints local variables, and ids have no place in a scrollback.
        self._close_messages_no_wait()

    def _leave(self) -> None:
        self._keep_place()
        self.exit()
