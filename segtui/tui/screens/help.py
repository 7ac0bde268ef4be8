"""The `?` page: five questions, every key of the page it was called from, and what signs and causes mean."""

from __future__ import annotations

from textual.content import Content

from segtui.tui import words
from segtui.tui.action import EVERYWHERE, LIST, shown
from segtui.tui.actions import PAGES, in_scope
from segtui.tui.keymap import Keymap, remapped

TITLE = "bold $primary"
ANSWERS = {
    "segments": "How big is every segment, how does it move, and why?",
    "members": "Who is in this segment, how sure is it, and how did they get here?",
    "user": "Who is this, why this label and not the other, and what happened?",
    "replay": "What happened tick by tick, from the first recorded change to the last?",
    "changes": "Who moved from where to where, when, and for which reason?",
    "rules": "Which segments are my own, and whom would another rule hold?",
    "models": "How good is each model, which one decides, and would another move users?",
    "transitions": "Who held which label then and which now, and who are they?",
    "overlap": "Which segments share users, and how many?",
    "data": "What did each import bring, and what did it refuse?",
    "settings": "How does this terminal look and behave?",
    "checks": "Is the store in good health, and what to do where it is not?",
    "log": "Who decided what, and when, and what of it can be taken back?",
}
ENTER = ("", "enter")
QUESTIONS = (
    ("Who is in the segment?", (("segments", "open"),)),
    ("Who just left it?", (("segments", "changes"), ("changes", "way"))),
    ("Why did somebody move? Choose them before the w.", (("segments", "changes"), ("changes", "why"))),
    (
        "What if the threshold were higher?",
        (("segments", "what_if"), ("decision", "number_raise"), ENTER),
    ),
    ("The list as a file.", (("segments", "export"), ENTER)),
)
"""What most want to know, and the actions that tell it, as scope and setting."""
SIGNS = (
    ("▲ ▼", "more, fewer than then; · nothing recorded then"),
    ("~", "backfilled: worked out later, not recorded then"),
    ("h", "hindsight: its model knew what came after"),
    ("P", "how likely the label is, from 0 to 1"),
    ("margin", "how far P is ahead; another has to lead by 0.05"),
    ("expected", "everybody's P added up: how many to expect"),
    ("leaves", "the day they leave if silent; - not in 60 ticks"),
)
MOVED_BY = (
    ("clock", "time alone: say, no order for 60 days"),
    ("event", "what they did: an order, a refund, a visit"),
    ("late_event", "what they did, but it came in after its day"),
    ("identity", "two ids turned out to be one person"),
    ("erasure", "they were forgotten, or nothing of them was left"),
    ("consent", "they gave or withdrew their consent"),
    ("manual", "somebody put them there by hand"),
    ("model", "another model decides"),
    ("definition", "the segment's rule or list was edited"),
    ("label", "the labels were edited"),
    ("decision", "labels are decided otherwise, or old events cut"),
)
WIDTH = 14


def help_text(page: str, keymap: Keymap) -> Content:
    """What the page answers, five questions, its keys, those of lists and everywhere, signs and causes."""
    parts = [Content.styled(ANSWERS[page], "bold"), words.BLANK]
    parts.append(Content.styled(f"Five questions, from {PAGES.index('segments') + 1} Segments", TITLE))
    parts += [
        _pair(" ".join(_key(*action, keymap) for action in actions), asked) for asked, actions in QUESTIONS
    ]
    parts.append(words.BLANK)
    for title, scope in ((f"On {page}", page), ("In lists", LIST), ("Everywhere", EVERYWHERE)):
        parts.append(Content.styled(title, TITLE))
        parts += [_pair(action.shown, action.help) for action in remapped(in_scope(scope), keymap)]
        parts.append(words.BLANK)
    parts.append(Content.styled("Signs", TITLE))
    parts += [_pair(sign, meaning) for sign, meaning in SIGNS]
    parts += [words.BLANK, Content.styled("Why somebody moved", TITLE)]
    parts += [_pair(cause.replace("_", " "), meaning) for cause, meaning in MOVED_BY]
    return Content("\n").join(parts)


def _key(scope: str, setting: str, keymap: Keymap) -> str:
    """The key that an action has now; what has no scope is a key."""
    if not scope:
        return setting
    actions = remapped(in_scope(scope), keymap)
    return next(shown(action.keys[0]) for action in actions if action.setting == setting)


def _pair(keys: str, meaning: str) -> Content:
    return Content.assemble((f"  {keys:<{WIDTH}}", words.KEY), (meaning, words.DIM))
