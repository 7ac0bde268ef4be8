"""What `:` offers: the registry's actions, every segment and model, and any user by id."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from textual.command import DiscoveryHit, Hit, Hits, Matcher, Provider
from textual.content import Content

from segtui.tui.action import EVERYWHERE, Action
from segtui.tui.actions import ACTIONS, in_scope
from segtui.tui.keymap import remapped
from segtui.tui.screens.page import Page

if TYPE_CHECKING:
    from segtui.tui.app import SegtuiApp

LABELS = tuple(action.label for action in ACTIONS)
PREFIX = "user "


class PlainMatcher(Matcher):
    """Finds names as they are written: Textual's takes them for markup, which `[/x]` is not."""

    def highlight(self, candidate: str) -> Content:
        _, offsets = self.fuzzy_search.match(self.query, candidate)
        found = Content(candidate)
        for at in offsets:
            if not candidate[at].isspace():
                found = found.stylize(self.match_style, at, at + 1)
        return found


class Commands(Provider):
    """What is offered is plain text."""

    def matcher(self, user_input: str, case_sensitive: bool = False) -> Matcher:
        return PlainMatcher(user_input, match_style=self.match_style, case_sensitive=case_sensitive)


class ActionCommands(Commands):
    """The actions of the page the palette was called from, and those everywhere."""

    def _actions(self) -> list[Action]:
        page = self.screen.PAGE if isinstance(self.screen, Page) else ""
        keymap = cast("SegtuiApp", self.app).preferences.keys
        return [action for action in remapped(in_scope(page, EVERYWHERE), keymap) if action.palette]

    def _run(self, action: Action) -> partial[Any]:
        namespace = self.app if EVERYWHERE in action.scopes else self.screen
        return partial(self.app.run_action, action.name, namespace)

    async def discover(self) -> Hits:
        for action in self._actions():
            yield DiscoveryHit(Content(_title(action)), self._run(action), help=action.help)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for action in self._actions():
            score = matcher.match(_title(action))
            if score > 0:
                yield Hit(score, matcher.highlight(_title(action)), self._run(action), help=action.help)


class PlaceCommands(Commands):
    """Segments and models by name, and what else may be a user's id."""

    async def search(self, query: str) -> Hits:
        app = cast("SegtuiApp", self.app)
        matcher = self.matcher(query)
        for segment in app.known_segments:
            score = matcher.match(segment)
            if score > 0:
                yield Hit(
                    score,
                    matcher.highlight(segment),
                    partial(app.visit, "members", segment=segment),
                    help="Who is in this segment.",
                )
        for model in app.known_models:
            score = matcher.match(model)
            if score > 0:
                yield Hit(
                    score,
                    matcher.highlight(model),
                    partial(app.visit, "models", name=model),
                    help="How good this model is.",
                )
        user = user_typed(query, [*LABELS, *app.known_segments, *app.known_models])
        if user is not None:
            # Below any match by name: an id can look like anything.
            yield Hit(
                0.01,
                Content(f"user {user}"),
                partial(app.visit, "user", user=user),
                help="All about this user.",
            )


def user_typed(query: str, names: Iterable[str]) -> str | None:
    """The id that was typed, with or without `user ` before it; None for several words and parts of names."""
    text = query.strip()
    user = text.removeprefix(PREFIX)
    if not user or len(user.split()) > 1:
        return None
    is_name = user == text and any(text.lower() in name.lower() for name in names)
    return None if is_name else user


def _title(action: Action) -> str:
    return f"{action.label}  ({action.shown})"
