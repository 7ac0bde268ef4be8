"""Labels of a model's segmentation, edited in words, and segments that the data falls into."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from textual.content import Content

from segtui.operations import words as numbers
from segtui.operations.errors import OperationError
from segtui.tui import words
from segtui.tui.flows import flow_lines
from segtui.tui.jobs import Writing
from segtui.tui.screens.dialogs import Trying
from segtui.tui.screens.marking import MarkingPage

if TYPE_CHECKING:
    from segtui.tui.app import SegtuiApp

HINT = (
    "add wholesale: orders_365d >= 12   learnt from whom a rule holds\n"
    "add wholesale marked               learnt from those marked\n"
    "rename high premium                merge high medium upper\n"
    "remove wholesale"
)
FORMS = {
    "add": "add NAME: RULE, or add NAME marked",
    "rename": "rename OLD NEW",
    "merge": "merge ONE OTHER, and a name for both",
    "remove": "remove LABEL",
}
NAMES = {"rename": (2, 2), "merge": (2, 3), "remove": (1, 1)}


@dataclass(frozen=True)
class LabelEdit:
    """An edit of labels as it was typed; `users` are the examples where those marked are meant."""

    kind: str
    names: tuple[str, ...]
    where: str | None = None
    users: tuple[str, ...] | None = None


def read_edit(text: str, marked: set[str]) -> LabelEdit:
    """The edit that a line asks for; raises OperationError with the form it should have."""
    kind, _, rest = text.strip().partition(" ")
    if kind not in FORMS:
        raise OperationError(f"Write {', '.join(FORMS)}, as in: {FORMS['rename']}.")
    if kind == "add":
        return _read_add(rest, marked)
    names = _words(rest)
    fewest, most = NAMES[kind]
    if not fewest <= len(names) <= most:
        raise OperationError(f"Write: {FORMS[kind]}; a name with blanks in quotes.")
    return LabelEdit(kind, names)


def _words(text: str) -> tuple[str, ...]:
    """The names in a line; one with blanks stands in quotes."""
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise OperationError(f"{text.strip()} cannot be read: a quote is not closed.") from error


def _read_add(text: str, marked: set[str]) -> LabelEdit:
    name, colon, where = (part.strip() for part in text.partition(":"))
    if colon and name and where:
        return LabelEdit("add", (name,), where=where)
    words_ = text.split()
    if len(words_) != 2 or words_[1] != "marked":
        raise OperationError(f"Write: {FORMS['add']}.")
    if not marked:
        raise OperationError("Nobody is marked: mark users on Members, then come back.")
    return LabelEdit("add", (words_[0],), users=tuple(sorted(marked)))


def ask_for_labels(app: SegtuiApp, segmentation: str, begun: str) -> None:
    """Asks how a segmentation's labels shall change, shows who would move, and saves."""
    pages = [app.get_screen(page) for page in ("members", "changes", "transitions")]
    marked = {user for page in pages if isinstance(page, MarkingPage) for user in page.marked}
    app.push_screen(
        Trying(
            f"Labels of {segmentation}",
            HINT,
            lambda text: read_edit(text, marked),
            lambda edit, line: _edit(app, segmentation, edit, line),
            begun,
        )
    )


def _edit(app: SegtuiApp, segmentation: str, edit: LabelEdit, line: Trying) -> None:
    data = app.data
    app.preview(
        Writing(
            title=f"{edit.kind.title()} {', '.join(edit.names)}",
            preview=lambda progress, cancelled: data.label(segmentation, edit, True, progress, cancelled),
            told=_told,
            write=lambda progress, cancelled: data.label(segmentation, edit, False, progress, cancelled),
            yes="save it",
            done=lambda result: (
                f"{segmentation} has {', '.join(result['labels'])} now; "
                f"{numbers.plural(result['changed'], 'user')} moved."
            ),
        ),
        line,
    )


def _told(result: dict[str, Any]) -> Content:
    """The labels there would be, how sure a new one is, and who would move."""
    lines = [Content.assemble(("labels   ", words.DIM), (", ".join(result["labels"]), "bold"))]
    if "examples" in result:
        told = f"{numbers.count(result['examples'])} examples"
        if result["recall"] is not None:
            told += f", {numbers.share(result['recall'])} of those kept out found"
        if result["unknown"]:
            told += f", {numbers.plural(result['unknown'], 'id')} unknown"
        lines.append(Content.assemble(("learnt   ", words.DIM), told))
    if result["rules"]:
        lines.append(Content.assemble(("rules    ", words.DIM), f"{', '.join(result['rules'])} name it anew"))
    if result["note"]:
        lines.append(Content.styled(result["note"], words.WARN))
    moved = Content(f"{numbers.plural(result['changed'], 'user')} would move:")
    return Content("\n").join([*lines, words.BLANK, moved, *flow_lines(result["flows"])])


def ask_for_discovery(app: SegtuiApp) -> None:
    """Asks for a name, groups the users as the model sees them, shows the groups, and keeps them."""
    hint = "a name for what is found, and how many segments where you know, as in: habits 6"
    app.push_screen(
        Trying(
            "Discover segments",
            hint,
            _read_discovery,
            lambda asked, line: _discover(app, *asked, line=line),
            "habits",
        )
    )


def _read_discovery(text: str) -> tuple[str, int | None]:
    name, *number = text.split() or [""]
    if not name or len(number) > 1 or not all(each.isdigit() for each in number):
        raise OperationError("Write a name, and how many segments where you know: habits 6.")
    return name, int(number[0]) if number else None


def _discover(app: SegtuiApp, name: str, clusters: int | None, *, line: Trying) -> None:
    data = app.data

    def done(result: dict[str, Any]) -> str:
        app.visit("segments", name=name)
        found = numbers.plural(result["clusters"], "segment")
        return f"{name}: {found} of {numbers.plural(result['users'], 'user')}."

    app.preview(
        Writing(
            title=f"Discover {name}",
            preview=lambda progress, cancelled: data.discover(name, clusters, True, progress, cancelled),
            told=_found,
            write=lambda progress, cancelled: data.discover(name, clusters, False, progress, cancelled),
            yes="keep them",
            done=done,
        ),
        line,
    )


def _found(result: dict[str, Any]) -> Content:
    """The segments that were found, largest first, by what, and how steady so many of them are."""
    steady = [each["agreement"] for each in result["stability"] if each["clusters"] == result["clusters"]]
    seen = f"as {result['from']} sees users"
    seen += "".join(f"; found again to {numbers.share(each)}" for each in steady)
    lines = [
        Content.assemble(
            f"{numbers.count(each['users']):>8} {numbers.share(each['share']):>7}  ",
            (each["label"], "bold"),
            ("  " + ", ".join(f"{one['feature']} {one['way']}" for one in each["by"][:2]), words.DIM),
        )
        for each in sorted(result["labels"], key=lambda each: -each["users"])
    ]
    return Content("\n").join([Content.styled(seen, words.DIM), words.BLANK, *lines])
