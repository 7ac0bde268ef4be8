"""The `?` page: every key of the page it was called from, from the registry, and the signs it uses."""

from __future__ import annotations

from textual.content import Content

from segtui.tui import words
from segtui.tui.action import EVERYWHERE, LIST, Action
from segtui.tui.actions import in_scope
from segtui.tui.keymap import Keymap, remapped

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
SIGNS = (
    ("▲ ▼", "more, fewer than then; · nothing recorded then"),
    ("~", "backfilled: recomputed later, not recorded then"),
    ("h", "hindsight: its model knew what came after"),
    ("P", "the label's probability at the last rescore"),
    ("margin", "P less the next label's; 0.05 has to be overcome"),
    ("expected", "the sum of probabilities of that label"),
    ("leaves", "when silence alone moves them; - not in 60 ticks"),
    ("late event", "one that came after its tick had been scored"),
    ("clock", "time alone: a window or a bound ran out"),
)
WIDTH = 14


def help_text(page: str, keymap: Keymap) -> Content:
    """What the page answers, its keys, the keys of lists and those everywhere, and the signs."""
    parts = [Content.styled(ANSWERS[page], "bold"), words.BLANK]
    for title, scope in ((f"On {page}", page), ("In lists", LIST), ("Everywhere", EVERYWHERE)):
        parts.append(Content.styled(title, "bold $primary"))
        parts += [_line(action) for action in remapped(in_scope(scope), keymap)]
        parts.append(words.BLANK)
    parts.append(Content.styled("Signs", "bold $primary"))
    parts += [
        Content.assemble((f"  {sign:<{WIDTH}}", words.KEY), (meaning, words.DIM)) for sign, meaning in SIGNS
    ]
    return Content("\n").join(parts)


def _line(action: Action) -> Content:
    return Content.assemble((f"  {action.shown:<{WIDTH}}", words.KEY), (action.help, words.DIM))
