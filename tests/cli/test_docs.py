"""What the documents tell to type can be typed."""

from __future__ import annotations

import re
import shlex
from itertools import takewhile
from pathlib import Path

import pytest
import typer.main

from segtui.cli.app import app

ROOT = Path(__file__).parents[2]
PROGRAM = typer.main.get_command(app)


def told(document: str) -> list[str]:
    """The segtui command lines in a document's fenced blocks."""
    blocks = re.findall(r"```(?:sh|console)\n(.*?)```", (ROOT / document).read_text(), flags=re.DOTALL)
    lines = "\n".join(blocks).splitlines()
    return [line.removeprefix("$ ") for line in lines if line.removeprefix("$ ").startswith("segtui ")]


@pytest.mark.parametrize("document", ["README.md", "docs/cli.md"])
def test_commands_in_documents_parse(document: str) -> None:
    lines = told(document)
    assert lines
    for line in lines:
        typed = shlex.split(line, comments=True)
        words = list(takewhile(lambda word: not word.startswith((">", "&&", "|")), typed))
        PROGRAM.commands[words[1]].make_context(words[1], words[2:])


def test_every_command_is_documented() -> None:
    text = (ROOT / "docs" / "cli.md").read_text()
    assert all(re.search(rf"`{name}\b", text) for name in PROGRAM.commands)


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "docs/cli.md", "docs/decisions.md"])
def test_links_lead_somewhere(document: str) -> None:
    path = ROOT / document
    links = re.findall(r"\]\(([^)#:]+)\)", path.read_text())
    missing = [link for link in links if not (path.parent / link).exists()]
    assert missing == []


def test_pins_are_names_and_versions_only() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", line) for line in lines)
    assert lines == sorted(lines, key=lambda line: line.split("==")[0])
