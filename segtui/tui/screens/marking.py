"""Pages that list users: marks, which are users and not rows, and what is done with the marked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from textual.content import Content

from segtui.operations import words as numbers
from segtui.operations.errors import OperationError
from segtui.operations.progress import Cancelled
from segtui.tui.flows import edit_told
from segtui.tui.jobs import Writing
from segtui.tui.screens.dialogs import Trying
from segtui.tui.screens.page import Page
from segtui.tui.widgets.header import AsOf
from segtui.tui.widgets.virtual_list import Item, VirtualList

LONGEST = 100_000
"""Rows in a range: whoever wants more of them wants a rule."""
SHOWN_LISTS = 5


def user_of(row: Item) -> str:
    """Whom a row is about."""
    return str(row["user"])


def users_of(rows: Sequence[Item]) -> set[str]:
    """Everybody whom rows are about and who was not erased."""
    return {user_of(row) for row in rows if not row.get("erased")}


class MarkingPage(Page):
    """Marks hold in any order, under any filter and whatever rows are loaded."""

    LISTS_USERS = True

    def __init__(self) -> None:
        super().__init__()
        self.marked: set[str] = set()

    @property
    def rows(self) -> VirtualList:
        """The list of users."""
        raise NotImplementedError

    def subject(self) -> Content:
        """What the line of the moment says is shown; `with_marks` belongs in it."""
        raise NotImplementedError

    def users_between(self, first: int, count: int) -> Sequence[Item]:
        """So many rows from the first on, loaded or not; called in a thread."""
        raise NotImplementedError

    def with_marks(self, text: str) -> str:
        """`2 marked, 774 changes`, and what ends a range while one is chosen."""
        if self.rows.range_from is not None:
            return f"{self.key('mark_range')} marks the range"
        return f"{numbers.count(len(self.marked))} marked, {text}" if self.marked else text

    def is_marked(self, row: Item) -> bool:
        """Whether the row's user is marked."""
        return row["user"] in self.marked

    @property
    def chosen(self) -> list[str]:
        """The marked users, else the one under the cursor."""
        row = self.rows.item
        own = [] if row is None or row.get("erased") else [str(row["user"])]
        return sorted(self.marked) or own

    def let_go(self) -> bool:
        if self.rows.range_from is None:
            return super().let_go()
        self.rows.range_from = None
        self._marks_changed()
        return True

    def neighbour(self, step: int) -> str | None:
        """Moves the cursor and tells who stands there; None at the ends, and while rows are on their way."""
        index = self.rows.cursor + step
        row = self.rows.row(index)
        if row is None:
            return None
        self.rows.cursor = index
        return str(row["user"])

    def drop_marks(self) -> None:
        """Takes all marks away."""
        self.marked = set()
        self.rows.range_from = None
        self._marks_changed()

    def _marks_changed(self) -> None:
        self.rows.refresh()
        self.query_one(AsOf).subject = self.subject()

    # What can be done

    def action_mark(self) -> None:
        row = self.rows.item
        if not self.rows.has_focus:
            self.rows.focus()
        elif row is not None and not row.get("erased"):
            self.marked ^= {str(row["user"])}
            self.rows.cursor += 1
            self._marks_changed()

    def on_virtual_list_marking(self) -> None:
        row = self.rows.item
        if row is not None and not row.get("erased"):
            self.marked ^= {str(row["user"])}
            self._marks_changed()

    def action_mark_range(self) -> None:
        if self.rows.range_from is None:
            self.rows.range_from = self.rows.cursor
            self._marks_changed()
        else:
            self._end_range(self._mark_all)

    def _end_range(self, then: Callable[[Sequence[Item]], None]) -> None:
        """Goes on with the rows of the range that is being chosen, which is over."""
        span = self.rows.span
        if len(span) > LONGEST:
            self.segtui.tell(
                f"{numbers.count(len(span))} rows are too many to mark (at most {numbers.count(LONGEST)}): "
                f"a rule holds as many as it likes, {self.key('go_rules')} writes one.",
                "warning",
            )
        else:
            self.rows.range_from = None
            self.ask("range", partial(self._between, span), then, self.complain)
        self._marks_changed()

    def _between(self, span: range, _cancelled: Cancelled) -> Sequence[Item]:
        return self.users_between(span.start, len(span))

    def _mark_all(self, rows: Sequence[Item]) -> None:
        """Marks them all; where all are marked already, takes their marks away."""
        users = users_of(rows)
        self.marked = self.marked - users if users <= self.marked else self.marked | users
        self._marks_changed()

    def action_unmark(self) -> None:
        self.drop_marks()

    def action_add(self) -> None:
        if self.rows.range_from is None:
            self._ask_which_list()
        else:
            self._end_range(self._add_range)

    def _add_range(self, rows: Sequence[Item]) -> None:
        self.marked |= users_of(rows)
        self._marks_changed()
        self._ask_which_list()

    def _ask_which_list(self) -> None:
        if not self.chosen:
            told = f"Nobody is chosen: move to a user, or mark some with {self.key('mark')}."
            self.segtui.tell(told, "warning")
            return
        show, users = self.segtui.opener(), self.chosen
        self.ask(
            "lists",
            lambda _cancelled: self.segtui.data.lists(),
            lambda lists: show(self._line_for_list(users, lists), lambda _: None),
            self.complain,
        )

    def _line_for_list(self, users: list[str], lists: list[str]) -> Trying:
        named = ", ".join(lists[:SHOWN_LISTS]) + (" …" if len(lists) > SHOWN_LISTS else "")
        hint = f"one of {named}, or a new name" if lists else "a new list's name, as in spring_mailing"

        def check(text: str) -> str:
            if not text:
                raise OperationError("Name a list, such as spring_mailing.")
            return text

        title = f"Add {numbers.plural(len(users), 'user')} to a list"
        return Trying(title, hint, check, partial(self._add, users), lists[0] if lists else "")

    def _add(self, users: list[str], name: str, line: Trying) -> None:
        data = self.segtui.data

        def done(result: Item) -> str:
            self.drop_marks()
            return f"{name} holds {numbers.plural(result['users'], 'user')} now."

        self.segtui.preview(
            Writing(
                title=f"Add {numbers.plural(len(users), 'user')} to {name}",
                preview=lambda progress, cancelled: data.add_users(name, users, True, progress, cancelled),
                told=edit_told,
                write=lambda progress, cancelled: data.add_users(name, users, False, progress, cancelled),
                yes="add them",
                done=done,
            ),
            line,
        )
