"""docs/ui.md lists the keys of the registry, all of them and no others."""

from __future__ import annotations

import os
import re
from pathlib import Path

from segtui.tui.action import EVERYWHERE, LIST, Action
from segtui.tui.actions import FURTHER, PAGES, in_scope

DOC = Path(__file__).parents[2] / "docs" / "ui.md"
BLOCK = re.compile(r"(<!-- keys: .*? -->\n)(.*?)(<!-- end of keys -->)", re.DOTALL)


def row(action: Action) -> str:
    keys = " ".join(f"`{key}`" for key in (action.shown.split() if action.keys else [action.shown]))
    return f"| {keys} | {action.help} | {action.setting} |"


def tables() -> str:
    parts = []
    for title, scope in [
        ("Everywhere", EVERYWHERE),
        ("In lists", LIST),
        *((page.title(), page) for page in (*PAGES, *FURTHER)),
    ]:
        rows = "\n".join(row(action) for action in in_scope(scope))
        parts.append(f"### {title}\n\n| key | does | name |\n| --- | --- | --- |\n{rows}\n")
    return "\n" + "\n".join(parts) + "\n"


def test_the_keys_in_the_documentation_are_those_of_the_registry():
    text = DOC.read_text()
    expected = BLOCK.sub(lambda found: found[1] + tables() + found[3], text)
    if os.environ.get("SEGTUI_UPDATE_SCREENSHOT") == "1":
        DOC.write_text(expected)
    assert DOC.read_text() == expected, "SEGTUI_UPDATE_SCREENSHOT=1 pytest tests/tui brings it up to date"
