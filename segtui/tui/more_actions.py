"""The actions of the pages without a digit: reached by name, as `:log`, and by keys where they are near."""

from __future__ import annotations

from segtui.tui.action import EVERYWHERE, Action

LOG = (
    Action("undo", ("z",), "undo", "Take the decision back by another; preview first.", ("log",), bar=2),
    Action("open", ("enter",), "open", "To the segment, model or import it is about.", ("log",), bar=3),
    Action("show", ("f",), "show", "Without rescores, edits, imports, all.", ("log",), bar=4),
)

DECISIONS = (
    Action(
        "what_if",
        ("i",),
        "what if",
        "Another threshold: who would move; y then saves.",
        ("segments",),
        bar=4,
    ),
    Action(
        *("what_if", ("i",), "what if", "These ticks under another model, rule, decision."),
        ("replay",),
        bar=3,
    ),
    # In the line of a decision
    Action("number(1)", ("plus", "up"), "raise", "Raise the last number.", ("decision",), priority=True),
    Action("number(-1)", ("down",), "lower", "Lower the last number.", ("decision",)),
    Action("mode", ("m",), "mode", "As recorded, decided again, or what if.", ("replay",), bar=6),
)

LABELS = (
    Action("labels('')", ("l",), "labels", "Add, rename, merge or remove labels.", ("segments",), bar=7),
    Action("labels('add')", (), "add label", "Learn a label from a rule or the marked.", ("segments",)),
    Action("labels('rename')", (), "rename label", "Call a label otherwise.", ("segments",)),
    Action("labels('merge')", (), "merge labels", "Make one label of two.", ("segments",)),
    Action("labels('remove')", (), "remove label", "Take a label from the model.", ("segments",)),
    Action("discover", ("D",), "discover", "Segments that the data falls into.", ("segments",)),
)

RULES = (
    Action("open", ("enter",), "members", "Who is in the chosen segment.", ("rules",), bar=2),
    Action("new", ("n",), "new", "Write a new rule; its size shows as you type.", ("rules",), bar=3),
    Action("new", ("n",), "new", "Write a new rule; its size shows as you type.", ("segments",), bar=6),
    Action("edit", ("e",), "edit", "Edit the chosen rule; saving shows who moves.", ("rules",), bar=4),
    Action("edit", ("e",), "edit", "Edit the chosen rule; saving shows who moves.", ("segments",), bar=7),
    Action("changes", ("c",), "changes", "Who moved in or out of it.", ("rules",), bar=5),
    Action("retire", ("E",), "retire", "End the segment; wants its name typed.", ("rules",), bar=8),
    # In the line of a rule
    Action("complete", ("tab",), "complete", "Take the name suggested.", ("rule",)),
    Action("leave", ("escape",), "leave", "Leave the editor; nothing is saved.", ("rule",)),
)

MODELS = (
    Action("judge", ("v",), "evaluate", "Confusion and calibration on a later window.", ("models",), bar=2),
    Action("why", ("w",), "compare", "Beside the one that decides, user by user.", ("models",), bar=3),
    Action("promote", ("P",), "promote", "Let it decide; shows who moves first.", ("models",), bar=4),
    Action("train", ("n",), "train", "Train another; its losses are drawn as they come.", ("models",), bar=5),
)
TRANSITIONS = (
    Action(
        "open",
        ("enter",),
        "users",
        "To the users of the cell; there, all about one.",
        ("transitions",),
        bar=2,
    ),
    Action("segmentation", ("s",), "segments", "The next segmentation.", ("transitions",), bar=3),
    Action("period", ("T",), "period", "1, 7, 30, 90, 365 days back.", ("transitions",), bar=4),
    Action("cell(-1, 0)", ("k", "up"), "up", "A cell up.", ("matrix",), palette=False),
    Action("cell(1, 0)", ("j", "down"), "down", "A cell down.", ("matrix",), palette=False),
    Action("cell(0, -1)", ("h", "left"), "left", "A cell to the left.", ("matrix",), palette=False),
    Action("cell(0, 1)", ("l", "right"), "right", "A cell to the right.", ("matrix",), palette=False),
)
OVERLAP = (
    Action("open", ("enter",), "members", "Who is in it; in the pane below, in both.", ("overlap",), bar=2),
)
DATA = (Action("open", ("enter",), "refused", "The rows that it refused, with reasons.", ("data",), bar=2),)

SETTINGS = (
    Action(
        "open", ("enter",), "change", "The next value, or one to type; kept at once.", ("settings",), bar=2
    ),
)

MORE_ACTIONS = (
    Action("go('checks')", ("H",), "checks", "Is the store in good health?", (EVERYWHERE,)),
    Action("go('settings')", (), "settings", "Theme, refresh, ASCII, resuming.", (EVERYWHERE,)),
    Action("go('models')", ("M",), "models", "Models: quality, training, which one decides.", (EVERYWHERE,)),
    Action("go('transitions')", ("X",), "transitions", "Then and now, label by label.", (EVERYWHERE,)),
    Action("go('overlap')", ("O",), "overlap", "Which segments share users.", (EVERYWHERE,)),
    Action("go('data')", ("Q",), "data", "Imports: what each met, what it refused.", (EVERYWHERE,)),
    Action("go('rules')", ("R",), "rules", "Segments of your own: write, edit, retire.", (EVERYWHERE,)),
    Action("go('log')", ("L",), "log", "Decisions: who did what, and when; undo.", (EVERYWHERE,)),
    *DECISIONS,
    *LABELS,
    *RULES,
    *MODELS,
    *TRANSITIONS,
    *OVERLAP,
    *DATA,
    *LOG,
    *SETTINGS,
)
