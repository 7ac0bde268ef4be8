"""The actions of the pages without a digit: reached by name, as `:log`, and by keys where they are near."""

from __future__ import annotations

from segtui.tui.action import EVERYWHERE, Action

LOG = (
    Action("undo", ("z",), "undo", "Take the decision back by another; preview first.", ("log",), bar=2),
    Action("open", ("enter",), "open", "To the segment, model or import it is about.", ("log",), bar=3),
    Action("show", ("f",), "show", "Without rescores, edits, imports, all.", ("log",), bar=4),
)

RULES = (
    Action("open", ("enter",), "members", "Who is in the chosen segment.", ("rules",), bar=2),
    Action(
        "new", ("n",), "new", "Write a new rule; its size shows as you type.", ("rules", "segments"), bar=3
    ),
    Action(
        "edit", ("e",), "edit", "Edit the chosen rule; saving shows who moves.", ("rules", "segments"), bar=4
    ),
    Action("changes", ("c",), "changes", "Who moved in or out of it.", ("rules",), bar=5),
    Action("retire", ("E",), "retire", "End the segment; wants its name typed.", ("rules",), bar=8),
    # In the line of a rule
    Action("complete", ("tab",), "complete", "Take the name suggested.", ("rule",)),
    Action("leave", ("escape",), "leave", "Leave the editor; nothing is saved.", ("rule",)),
)

MORE_ACTIONS = (
    Action("go('rules')", (), "rules", "Segments of your own: write, edit, retire.", (EVERYWHERE,)),
    Action("go('log')", (), "log", "Decisions: who did what, and when; undo.", (EVERYWHERE,)),
    *RULES,
    *LOG,
)
