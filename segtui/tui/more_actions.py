"""The actions of the pages without a digit: reached by name, as `:log`, and by keys where they are near."""

from __future__ import annotations

from segtui.tui.action import EVERYWHERE, Action

LOG = (
    Action("undo", ("z",), "undo", "Take the decision back by another; preview first.", ("log",), bar=2),
    Action("open", ("enter",), "open", "To the segment, model or import it is about.", ("log",), bar=3),
    Action("show", ("f",), "show", "Without rescores, edits, imports, all.", ("log",), bar=4),
)

MORE_ACTIONS = (
    Action("go('log')", (), "log", "Decisions: who did what, and when; undo.", (EVERYWHERE,)),
    *LOG,
)
