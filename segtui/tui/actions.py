"""The one registry of what can be done: from it come the bindings, the key bar, the help and the palette.

`d` stays unbound (delete in one habit, describe in another), and nothing needs a key that hides behind AltGr.
"""

from __future__ import annotations

from collections.abc import Iterator

from textual.binding import Binding, BindingType

from segtui.tui.action import EVERYWHERE, LIST, Action
from segtui.tui.more_actions import MORE_ACTIONS

PAGES = ("segments", "members", "user", "replay", "changes")
"""The pages with a digit."""
FURTHER = ("rules", "models", "transitions", "overlap", "data", "checks", "log", "settings")
"""The pages that are reached by name."""
NOT_REPLAY = tuple(page for page in (*PAGES, *FURTHER) if page != "replay")
"""There `-` is slower."""
NAMED_LISTS = ("segments", "models", "log")
"""The pages with a list of what has a name."""
USER_LISTS = ("members", "changes", "transitions")
"""The pages with users to mark."""

# The same keys while an input method types full-width characters: they work, and are not shown.
FULL_WIDTH = {
    "colon": "fullwidth_colon",
    "slash": "fullwidth_solidus",
    "question_mark": "fullwidth_question_mark",
    "exclamation_mark": "fullwidth_exclamation_mark",
}

ACTIONS: tuple[Action, ...] = (
    # Everywhere
    Action("go('segments')", ("1",), "segments", "Every segment: size, share, trend.", (EVERYWHERE,)),
    Action("go('members')", ("2",), "members", "Who is in the segment last chosen.", (EVERYWHERE,)),
    Action("go('user')", ("3",), "user", "The user last chosen.", (EVERYWHERE,)),
    Action("go('replay')", ("4",), "replay", "The recorded changes, tick by tick.", (EVERYWHERE,)),
    Action("go('changes')", ("5",), "changes", "Who moved, when and why.", (EVERYWHERE,)),
    Action("back", ("escape",), "back", "Back to where you came from; never quits.", (EVERYWHERE,), bar=7),
    Action("app.last_screen", ("minus",), "last screen", "To the last screen, and back again.", NOT_REPLAY),
    Action(
        "palette",
        ("colon", "ctrl+p"),
        "commands",
        "Type a command, a segment, a user's id.",
        (EVERYWHERE,),
        palette=False,
    ),
    Action(
        "app.time_travel",
        ("t",),
        "time",
        "One moment for all screens; t now comes back.",
        ("segments", "members", "user", "changes", "rules", "transitions", "overlap"),
        bar=5,
    ),
    Action(
        "rescore",
        ("r",),
        "rescore",
        "Evaluate who is due; shows who would move first.",
        (EVERYWHERE,),
        bar=7,
    ),
    Action("notices", ("exclamation_mark",), "notices", "What was said so far.", (EVERYWHERE,)),
    Action("help", ("question_mark",), "help", "This page.", (EVERYWHERE,), bar=1),
    Action(
        "interrupt",
        ("ctrl+c",),
        "cancel",
        "Call off the running job; without one, quit.",
        (EVERYWHERE,),
        palette=False,
        priority=True,
    ),
    Action("quit", ("q", "ctrl+q"), "quit", "Quit; asks only while a job writes.", (EVERYWHERE,), bar=9),
    Action("focus_next", ("tab",), "next pane", "Move to the next pane.", (EVERYWHERE,), palette=False),
    Action(
        "focus_previous",
        ("shift+tab",),
        "pane before",
        "Move to the pane before.",
        (EVERYWHERE,),
        palette=False,
    ),
    Action("zoom", ("underscore",), "zoom", "Give the list the whole screen, and back.", (EVERYWHERE,)),
    # Lists
    Action("down", ("j", "down"), "down", "One line down.", (LIST,), palette=False),
    Action("up", ("k", "up"), "up", "One line up.", (LIST,), palette=False),
    Action("first", ("g", "home"), "first", "To the first line.", (LIST,), palette=False),
    Action("last", ("G", "end"), "last", "To the last line.", (LIST,), palette=False),
    Action(
        "half_down", ("ctrl+d", "pagedown"), "half a page down", "Half a page down.", (LIST,), palette=False
    ),
    Action("half_up", ("ctrl+u", "pageup"), "half a page up", "Half a page up.", (LIST,), palette=False),
    Action("copy_row", ("y",), "copy", "Copy the chosen user's id, or the line.", (LIST,), palette=False),
    # What enter means, screen by screen
    Action("open", ("enter",), "members", "Who is in the chosen segment.", ("segments",), bar=2),
    Action("open", ("enter",), "user", "All about the chosen user.", ("members", "replay", "changes"), bar=2),
    # The same verb everywhere
    Action(
        "why",
        ("w",),
        "why",
        "Why the size moved: the changes, counted by reason.",
        ("segments", "members"),
        bar=3,
    ),
    Action("why", ("w",), "why", "Why the chosen user moved: cause, reason, event.", ("changes",), bar=3),
    Action("why", ("w",), "why", "Why this user moved: the newest change, explained.", ("user",), bar=3),
    Action("changes", ("c",), "changes", "Who moved in or out of it.", ("segments", "members"), bar=4),
    Action("changes", ("c",), "changes", "This user's moves.", ("user",), bar=4),
    Action(
        "replay_from",
        ("p",),
        "replay",
        "Replay from the moment of what is chosen.",
        ("user", "changes"),
        bar=5,
    ),
    Action("export", ("x",), "export", "Write the chosen segment to a file.", ("segments",), bar=4),
    Action("export", ("x",), "export", "Write these users, or the marked, to a file.", ("members",), bar=4),
    Action(
        "copy_command",
        ("Y",),
        "copy command",
        "Copy the command line that gives the same.",
        (*PAGES, *FURTHER),
    ),
    # Members
    Action("filter", ("slash",), "filter", "Part of an id, !part, or an expression.", ("members",), bar=4),
    Action("filter", ("slash",), "filter", "A segment, part of an id or label, !part.", ("changes",), bar=4),
    Action("filter", ("slash",), "filter", "Part of a name, or !part.", NAMED_LISTS, bar=5),
    Action("sort", ("s",), "sort", "Sort by the next column.", ("members",)),
    Action("reverse", ("S",), "reverse", "Turn the order round.", ("members",)),
    # Lists of users
    Action("mark", ("space",), "mark", "Mark the user, or take the mark away.", USER_LISTS, bar=5),
    Action("mark_range", ("v",), "range", "Begin a range of marks; again marks it.", USER_LISTS),
    Action("unmark", ("u",), "unmark", "Take all marks away.", USER_LISTS),
    Action("add", ("a",), "add to list", "Put the marked, or the chosen, into a list.", USER_LISTS, bar=6),
    Action("columns", ("C",), "columns", "Choose what is shown of each member.", ("members",)),
    # User
    Action(
        "neighbour(-1)",
        ("comma",),
        "previous",
        "The user before in the list.",
        ("user",),
        bar=4,
        bar_text=(", .", "prev, next"),
    ),
    Action("neighbour(1)", ("full_stop",), "next", "The next user in the list.", ("user",)),
    Action("show", ("f",), "show", "All, orders only, changes only.", ("user",), bar=4),
    Action("erase", ("E",), "erase", "Forget this person for good; wants a word typed.", ("user",), bar=8),
    # Changes
    Action("way", ("o",), "in/out", "Moves out of the segment, into it, or both.", ("changes",), bar=3),
    Action("cause", ("f",), "cause", "Only one cause, then the next.", ("changes",)),
    Action("period", ("T",), "period", "1 d, 7 d, 30 d, 90 d, all.", ("changes",)),
    Action("totals", ("b",), "totals", "Count by reason, by cause, by move.", ("changes",), bar=4),
    Action("first_time", ("A",), "first-time", "Show first assignments too, or hide.", ("changes",)),
    # Replay
    Action("play", ("space",), "play, pause", "Play, or pause.", ("replay",), bar=1),
    Action(
        "step(-1)", ("comma", "left"), "back", "One tick back.", ("replay",), bar=3, bar_text=(", .", "step")
    ),
    Action("step(1)", ("full_stop", "right"), "step", "One tick on.", ("replay",)),
    Action(
        "speed(-1)", ("minus",), "slower", "Half the speed.", ("replay",), bar=5, bar_text=("- +", "speed")
    ),
    Action("speed(1)", ("plus",), "faster", "Twice the speed.", ("replay",)),
    Action(
        "week(-1)",
        ("less_than_sign",),
        "week back",
        "A week back.",
        ("replay",),
        bar=5,
        bar_text=("< >", "week"),
    ),
    Action("week(1)", ("greater_than_sign",), "week on", "A week on.", ("replay",)),
    Action("seek", ("t",), "date", "Go to a date.", ("replay",), bar=4),
    Action(
        "marker(1)", ("n",), "next mark", "To the next marker.", ("replay",), bar=4, bar_text=("n N", "mark")
    ),
    Action("marker(-1)", ("N",), "mark before", "To the marker before.", ("replay",)),
    Action("label", ("l",), "label", "Draw the next label's size over time.", ("replay",), bar=7),
    # Dialogs
    Action("identify", ("ctrl+r",), "real ids", "Real ids in the file, or numbers.", ("export",)),
    Action(
        *("cancel", ("escape",), "cancel", "Close without doing anything."),
        ("prompt", "confirm", "text", "notices"),
    ),
    Action("leave", ("escape",), "leave", "Back to the filter that was.", ("filter",)),
    Action("keep", ("down",), "keep", "To the list.", ("filter",)),
    Action("done", ("escape",), "done", "Keep the choice.", ("choosing",)),
    Action("row(-1)", ("up",), "up", "One line up.", ("choosing",)),
    Action("row(1)", ("down",), "down", "One line down.", ("choosing",)),
    Action("yes", ("y",), "yes", "Go ahead.", ("confirm",), bar=1),
    Action("no", ("n",), "no", "Leave it.", ("confirm",), bar=2),
    *MORE_ACTIONS,
)


def in_scope(*scopes: str) -> Iterator[Action]:
    """The actions of these scopes, in the order they were registered."""
    return (action for action in ACTIONS if any(scope in action.scopes for scope in scopes))


def effective(page: str) -> tuple[str, ...]:
    """The scopes whose keys work while a page is shown."""
    return (page, LIST, EVERYWHERE)


def bindings(scope: str) -> list[BindingType]:
    """Textual's bindings for one scope."""
    return [
        Binding(
            ",".join([*action.keys, *(FULL_WIDTH[key] for key in action.keys if key in FULL_WIDTH)]),
            action.name,
            action.label,
            show=False,
            id=action.setting,
            priority=action.priority,
        )
        for action in in_scope(scope)
        if action.keys
    ]
