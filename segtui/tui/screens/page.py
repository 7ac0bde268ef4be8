"""What the pages have in common: the lines on top and below, loading, and what to say when empty."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.events import DescendantFocus
from textual.screen import Screen
from textual.widgets import Input, Static

from segtui.operations import words as numbers
from segtui.operations.times import iso
from segtui.tui import words
from segtui.tui.action import shown
from segtui.tui.actions import effective, in_scope
from segtui.tui.asking import Asking
from segtui.tui.keymap import remapped
from segtui.tui.widgets.header import AsOf, Tabs
from segtui.tui.widgets.job_bar import JobBar
from segtui.tui.widgets.key_bar import KeyBar
from segtui.tui.widgets.virtual_list import VirtualList

if TYPE_CHECKING:
    from segtui.tui.app import SegtuiApp

NO_EVENTS = """[bold]No users yet.[/]

Bring in what happened in the shop, in another terminal:

  [$accent]segtui import FILE…[/]    events, orders, CDNOW, Online Retail, a table …
  [$accent]segtui demo[/]            a simulated shop, to look around

This page shows it as soon as it is there."""

NO_MEMBERS = """[bold]$users, but nobody is in a segment yet.[/]

  press [$accent]$rescore[/]             evaluates everyone by recency and spend
  [$accent]segtui train[/]        in another terminal: learns who will buy

This page shows it as soon as it is there."""


class Page(Screen[None], Asking, inherit_bindings=False):
    """One of the screens; subclasses fill `content`, `load` and, where there is a choice, `recall`."""

    PAGE: ClassVar[str] = ""
    AUTO_FOCUS: ClassVar[str | None] = "VirtualList"
    travels: ClassVar[bool] = True
    """Whether the page shows the moment that `t` chose for all of them."""
    LISTS_USERS: ClassVar[bool] = False
    """Whether users are chosen from it, one after the other: see `neighbour`."""
    needs: ClassVar[str] = "members"
    """What there has to be for the page to show anything: `members`, `events`, or `nothing`."""

    def __init__(self) -> None:
        super().__init__()
        self._stamp: object = None

    @property
    def segtui(self) -> SegtuiApp:
        """The app, with its own type."""
        return cast("SegtuiApp", self.app)

    def compose(self) -> ComposeResult:
        yield Tabs(self.PAGE, self.segtui.store.name)
        yield AsOf()
        yield from self.above()
        with Vertical(id="content"):
            yield from self.content()
        with VerticalScroll(id="hint"):
            yield Static(id="hint-text")
        yield JobBar()
        yield KeyBar(self.PAGE)

    def key(self, setting: str, page: str | None = None) -> str:
        """The key that an action of the page, or of another, has now, as it is written."""
        keymap = self.segtui.preferences.keys
        own = remapped(in_scope(*effective(page or self.PAGE)), keymap)
        return next(shown(action.keys[0]) for action in own if action.setting == setting)

    def keys(self, *settings: str) -> dict[str, str]:
        """Several of them by their settings, to be put into a text."""
        return {setting: self.key(setting) for setting in settings}

    def above(self) -> ComposeResult:
        """A line over the content, where the page has one."""
        yield from ()

    def content(self) -> ComposeResult:
        """The widgets between the lines on top and the lines below."""
        raise NotImplementedError

    # Loading

    def load(self) -> None:
        """Asks for what the page shows; the store has users and memberships."""
        raise NotImplementedError

    def about(self) -> str | None:
        """The segment that is looked at, as `value=high` or `value`; None where there is none."""
        return None

    def neighbour(self, step: int) -> str | None:  # noqa: ARG002
        """The user `step` rows from the one chosen, None at an end."""
        return None

    def on_virtual_list_copied(self, message: VirtualList.Copied) -> None:
        self.segtui.copy_to_clipboard(message.text)
        self.segtui.tell(f"Copied: {message.text}")

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        if isinstance(event.widget, Input):
            self.segtui.dismiss_errors()

    def let_go(self) -> bool:
        """Gives up what was begun and can be left, before `esc` goes back; False where nothing was."""
        return False

    def heard(self, epochs: list[tuple[float, float]]) -> None:
        """Told the losses so far whenever the model that is trained has ended an epoch."""

    def remember(self) -> dict[str, Any]:
        """What `recall` needs to show the same again."""
        return {}

    def recall(self, **what: Any) -> None:
        """Takes what to show from where the page was called; nothing given leaves it as it is."""

    def on_screen_resume(self) -> None:
        self.show_job()
        self.show_notices()
        # The frame is painted first: what answers takes long to load, and would keep the paint waiting.
        self.call_after_refresh(self._catch_up)

    def _catch_up(self) -> None:
        if self._stamp != self.stamp():
            self.reload()

    def stamp(self) -> object:
        """Two equal stamps show the same."""
        return (self.segtui.revision, self.segtui.at, *self.remember().items())

    def reload(self) -> None:
        """Asks for everything again."""
        self._stamp = self.stamp()
        self.ask("status", lambda _cancelled: self.segtui.data.status(), self._status_known)

    def _status_known(self, status: dict[str, Any]) -> None:
        self.segtui.learn(status)
        line = self.query_one(AsOf)
        line.travelling = self.travels and self.segtui.at is not None
        line.note = words.BLANK if line.travelling else self.freshness(status)
        if self.needs == "nothing":
            self.load()
        elif not status["events"]:
            line.as_of = "–"
            self.say_instead(Content.from_markup(NO_EVENTS))
        elif self.needs == "members" and status["last_rescore"] is None:
            line.as_of = words.moment(status["as_of"], status["timezone"])
            users = numbers.plural(status["users"], "user")
            self.say_instead(Content.from_markup(NO_MEMBERS, users=users, **self.keys("rescore")))
        else:
            self.load()

    def freshness(self, status: dict[str, Any]) -> Content:
        """Whether a rescore would tell more; while time travelling, which moment the other pages show."""
        if self.segtui.at is not None:
            moment = iso(self.segtui.at, self.segtui.zone)
            return Content.styled(f"other pages stay at {words.day(moment)}", words.WARN)
        if status["last_rescore"] is None:
            return words.BLANK
        if status["due"]:
            return Content.styled(f"{self.key('rescore')}: rescore due", words.WARN)
        return Content.styled("up to date", words.DIM)

    def show_as_of(self, as_of: str | None, subject: Content) -> None:
        """Fills the line of the moment; the page's content is there."""
        line = self.query_one(AsOf)
        line.as_of = "–" if as_of is None else words.moment(as_of, self.segtui.zone)
        line.subject = subject
        self.say_instead(None)

    def show_subject(self, subject: Content) -> None:
        """Fills that line on a page that shows no moment; its content is there."""
        line = self.query_one(AsOf)
        line.as_of, line.subject = None, subject
        self.say_instead(None)

    def say_instead(self, text: Content | None) -> None:
        """Shows a text in the place of the content; None brings the content back."""
        self.set_class(text is not None, "-hint")
        self.query_one(KeyBar).bare = text is not None
        if text is not None:
            self.query_one("#hint-text", Static).update(text)

    def refused(self, sentence: str) -> None:
        """An error in the place of the content where there is none yet, else as a notice."""
        self.segtui.tell(sentence, "error", quiet=True)
        self.say_instead(
            Content.from_markup(
                "[bold $error]That did not work.[/]\n\n$why\n\n"
                "[$muted]$back goes back, $notices lists notices[/]",
                why=sentence,
                **self.keys("back", "notices"),
            )
        )

    def complain(self, sentence: str) -> None:
        """An error about a part of the page: the rest stays."""
        self.segtui.tell(sentence, "error")

    # What the app tells its page

    def show_job(self) -> None:
        """Takes over what the running job reports; a page not drawn yet does so when it is."""
        for line in self.query(JobBar):
            line.what, line.share = self.segtui.job_state

    def show_notices(self) -> None:
        """Takes over how many notices have not been read."""
        for line in self.query(AsOf):
            line.unread = self.segtui.unread
